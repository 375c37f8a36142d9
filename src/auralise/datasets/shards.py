"""Decoded clips in tar files that are read from front to back: for collections too big to cache.

A folder of shards has ``clips-000000.tar`` and so on, in WebDataset's form (for each clip a file
``.f32`` of samples and a file ``.json`` about its track), and ``shards.json``, written last.

Sources:

- A. Aizman, G. Maltby, T. Breuel, "High performance I/O for large scale deep learning", IEEE
  Big Data 2019.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError, OutputError

TABLE = "shards.json"


def write_shards(
    clips: Iterable[Clip], sample_rate: int, folder: Path, *, shard_bytes: int = 10**9
) -> Path:
    """Write clips to shards, one after another.

    Parameters
    ----------
    clips : iterable of Clip
        Taken one at a time, as from `read_clips`.
    sample_rate : int
        Of the clips, in Hz; written down.
    folder : Path
        Made if it does not exist; must be empty.
    shard_bytes : int
        A shard is ended when it has so many.

    Returns
    -------
    Path
        Of the table of shards.

    Raises
    ------
    InvalidValueError
        If there are no clips, or ``shard_bytes`` is not positive.
    OutputError
        If the folder is not empty, or cannot be written.
    """
    if shard_bytes < 1:
        raise InvalidValueError(f"shard_bytes must be positive, got {shard_bytes}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is not an empty folder; name a new one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = _write(clips, folder, shard_bytes)
        if not number:
            raise InvalidValueError("there are no clips to write")
        shards = {path.name: path.stat().st_size for path in sorted(folder.glob("*.tar"))}
        table = {"sample_rate": sample_rate, "clips": number, "shards": shards}
        (folder / TABLE).write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise OutputError(
            f"cannot write shards to {folder}: {error.strerror}; remove it and begin again"
        ) from error
    return folder / TABLE


def _write(clips: Iterable[Clip], folder: Path, shard_bytes: int) -> int:
    number = 0
    pattern = str(folder).replace("%", "%%") + "/clips-%06d.tar"
    with _webdataset().ShardWriter(
        pattern, maxcount=10**9, maxsize=shard_bytes, verbose=0
    ) as writer:
        for clip in clips:
            about = asdict(clip.track) | {"path": str(clip.track.path)}
            writer.write(
                {
                    "__key__": f"{number:09d}",
                    "json": json.dumps(about | {"shape": list(clip.samples.shape)}).encode(),
                    "f32": clip.samples.contiguous().numpy().astype("<f4").tobytes(),
                }
            )
            number += 1
    return number


def read_shards(
    folder: Path, *, seed: int | None = None, part: tuple[int, int] = (0, 1)
) -> Iterator[Clip]:
    """Read clips back, one after another.

    Parameters
    ----------
    folder : Path
        As `write_shards` left it.
    seed : int, optional
        Take the shards, and among some hundred clips the next one, in a random order.
    part : tuple of int
        ``(i, n)`` takes every n-th shard from the i-th on, for the i-th of n processes.

    Yields
    ------
    Clip

    Raises
    ------
    InvalidValueError
        If there are no whole shards, or the part has none of them.
    """
    table = read_table(folder)
    shards = [str(folder / name) for name in table["shards"]]
    if seed is not None:
        shards = [shards[i] for i in np.random.default_rng(seed).permutation(len(shards))]
    number, of = part
    if not 0 <= number < of or not shards[number::of]:
        raise InvalidValueError(
            f"part {number} of {of} has none of the {len(shards)} shards in {folder}"
        )
    own = shards[number::of]
    stages: list[Any] = [lambda: _samples(own)]
    webdataset = _webdataset()
    if seed is not None:
        stages.append(webdataset.detshuffle(bufsize=500, initial=100, seed=seed))
    for sample in webdataset.DataPipeline(*stages):
        yield _clip(sample)


def _samples(shards: list[str]) -> Iterator[dict[str, Any]]:
    """Open one shard after another; the library's own opener leaves them open."""
    reading = _webdataset().tariterators
    for shard in shards:
        with Path(shard).open("rb") as stream:
            files = reading.tar_file_expander([{"url": shard, "stream": stream}])
            yield from reading.group_by_keys(files)


def read_table(folder: Path) -> dict[str, Any]:
    """Return the table of shards, once each is seen to have the size it was written with.

    Raises
    ------
    InvalidValueError
        If there is no table, or a shard is missing or cut off.
    """
    try:
        table: dict[str, Any] = json.loads((folder / TABLE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidValueError(
            f"{folder} has no whole {TABLE}; it is written after the last shard: {error}"
        ) from error
    for name, size in table["shards"].items():
        path = folder / name
        there = path.stat().st_size if path.is_file() else 0
        if there != size:
            raise InvalidValueError(f"shard {path} has {there} bytes and should have {size}")
    return table


def _clip(sample: dict[str, Any]) -> Clip:
    about = json.loads(sample["json"])
    samples = np.frombuffer(sample["f32"], "<f4").reshape(about.pop("shape"))
    about |= {"path": Path(about["path"]), "tags": tuple(about["tags"])}
    return Clip(torch.from_numpy(samples.astype(np.float32)), Track(**about))


def _webdataset() -> Any:  # noqa: ANN401 - a module without types
    try:
        import webdataset
    except ImportError as error:
        raise InvalidValueError(
            "shards need the webdataset library: pip install 'auralise[train]'"
        ) from error
    return webdataset
