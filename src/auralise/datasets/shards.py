"""Decoded clips in tar files that are read from front to back: for collections too big to cache.

A folder of shards has ``clips-000000.tar`` and so on, in WebDataset's form (for each clip a file
``.f32`` of samples and a file ``.json`` about its track), ``tracks.jsonl`` with a line for each
clip that says where its samples are, and ``shards.json``, written last.

Sources:

- A. Aizman, G. Maltby, T. Breuel, "High performance I/O for large scale deep learning", IEEE
  Big Data 2019.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError, OutputError

TABLE = "shards.json"
TRACKS = "tracks.jsonl"


def write_shards(
    clips: Iterable[Clip],
    sample_rate: int,
    folder: Path,
    *,
    shard_bytes: int = 10**9,
    about: Mapping[str, Any] | None = None,
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
    about : mapping, optional
        What is known of the collection, as plain values; kept in the table.

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
        with (folder / TRACKS).open("w", encoding="utf-8") as file:
            file.writelines(
                json.dumps(line) + "\n" for name in shards for line in _places(folder, name)
            )
        table = {"sample_rate": sample_rate, "clips": number, "shards": shards}
        table |= {"about": dict(about or {})}
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
            about |= {"shape": list(clip.samples.shape)}
            data = clip.samples.contiguous().numpy().astype("<f4").tobytes()
            about |= {"sha256": hashlib.sha256(data).hexdigest()}
            writer.write(
                {"__key__": f"{number:09d}", "json": json.dumps(about).encode(), "f32": data}
            )
            number += 1
    return number


def _places(folder: Path, shard: str) -> Iterator[dict[str, Any]]:
    """Yield what a shard says of its clips, and where their samples begin."""
    with tarfile.open(folder / shard) as tar:
        members = {member.name: member for member in tar}
        for name, member in members.items():
            if name.endswith(".json"):
                file = tar.extractfile(member)
                about = json.loads(file.read() if file else b"{}")
                samples = members[name.removesuffix("json") + "f32"]
                key = int(name.removesuffix(".json"))
                yield {"shard": shard, "key": key, "offset": samples.offset_data, **about}


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
        yield _clip(sample)[1]


def read_numbered(
    folder: Path, shards: Sequence[str], seed: int, *, buffer: int = 500
) -> Generator[tuple[int, Clip], None, None]:
    """Read some shards in this order, their clips shuffled among some hundred; with their numbers.

    Parameters
    ----------
    folder : Path
    shards : sequence of str
        Names in the table.
    seed : int
        Of the shuffling.
    buffer : int
        Clips that the next one is drawn from.

    Yields
    ------
    int, Clip
        The clip's number in the order of writing, and the clip.
    """
    webdataset = _webdataset()
    own = [str(folder / name) for name in shards]
    shuffle = webdataset.detshuffle(bufsize=buffer, initial=max(1, buffer // 5), seed=seed)
    for sample in webdataset.DataPipeline(lambda: _samples(own), shuffle):
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


def _clip(sample: dict[str, Any]) -> tuple[int, Clip]:
    about = json.loads(sample["json"])
    samples = np.frombuffer(sample["f32"], "<f4").reshape(about["shape"])
    clip = Clip(torch.from_numpy(samples.astype(np.float32)), track_of(about))
    return int(sample["__key__"]), clip


def track_of(about: Mapping[str, Any]) -> Track:
    """Return the track that a clip's file ``.json`` is about."""
    plain = {field.name: about[field.name] for field in fields(Track)}
    return Track(**plain | {"path": Path(about["path"]), "tags": tuple(about["tags"])})


def _webdataset() -> Any:  # noqa: ANN401 - a module without types
    try:
        import webdataset
    except ImportError as error:
        raise InvalidValueError(
            "shards need the webdataset library: pip install 'auralise[train]'"
        ) from error
    return webdataset
