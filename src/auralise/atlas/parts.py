"""Parts of an atlas: what a shard of clips gave, one Parquet file each, and whether it is whole.

Beside each part stands a small JSON file with the checksum of the part and the clips that could not
be heard. It is written after the part; a part without it, or of other bytes, is not there.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auralise.atlas.analysis import ClipResult, LayerResult
from auralise.atlas.descriptors import FRAME_NAMES
from auralise.atlas.histogram import BINS
from auralise.atlas.store import Store, read_json, sha256, write_json
from auralise.errors import OutputError

FOLDER = "parts"
SHARD_CLIPS = 32


@dataclass(frozen=True, slots=True)
class Shard:
    """Clips that are worked on together.

    Attributes
    ----------
    name : str
        Made of the clips' checksums.
    clips : tuple of str
        sha256 of the clips' files, in the order in which they are heard.
    """

    name: str
    clips: tuple[str, ...]


def cut(clips: Sequence[str], size: int = SHARD_CLIPS) -> list[Shard]:
    """Cut clips into shards, in their order.

    Examples
    --------
    >>> [shard.clips for shard in cut(["a", "b", "c"], 2)]
    [('a', 'b'), ('c',)]
    """
    runs = (tuple(clips[start : start + size]) for start in range(0, len(clips), size))
    return [Shard(hashlib.sha256("".join(run).encode()).hexdigest()[:20], run) for run in runs]


def part_name(shard: str, layer_set: str) -> str:
    """Return where the part of a shard is."""
    return f"{FOLDER}/{shard}-{layer_set}.parquet"


def receipt_name(shard: str, layer_set: str) -> str:
    """Return where the checksum of a part is."""
    return f"{FOLDER}/{shard}-{layer_set}.json"


def write_part(
    store: Store, shard: str, layer_set: str, results: Iterable[ClipResult], *, grids: bool = True
) -> Mapping[str, Any]:
    """Write what a shard gave, then its receipt; return the receipt.

    Parameters
    ----------
    store : Store
    shard, layer_set : str
    results : iterable of ClipResult
        One for each clip of the shard.
    grids : bool
        Whether to keep the descriptors, which one set of layers does for all.
    """
    heard, failed = [], {}
    for result in results:
        if result.reason:
            failed[result.clip] = result.reason
        else:
            heard.append(result)
    data = _to_parquet(heard, grids)
    store.write(part_name(shard, layer_set), data)
    receipt = {"sha256": sha256(data), "bytes": len(data), "clips": len(heard), "failed": failed}
    write_json(store, receipt_name(shard, layer_set), receipt)
    return receipt


def _to_parquet(results: Sequence[ClipResult], grids: bool) -> bytes:
    columns: dict[str, pa.Array] = {
        "clip": pa.array([r.clip for r in results], pa.string()),
        "samples": pa.array([r.samples for r in results], pa.int64()),
        "silent": pa.array([r.silent for r in results], pa.bool_()),
        "tempo": pa.array([r.tempo for r in results], pa.float32()),
        "notes": pa.array([list(r.notes) for r in results], pa.list_(pa.string())),
    }
    if grids:
        flat = [r.grid.reshape(-1) for r in results]
        columns["grid"] = pa.array(flat, pa.list_(pa.float16()))
    for name in results[0].layers if results else ():
        layer = [r.layers[name] for r in results]
        for key, dtype in _COLUMNS.items():
            rows = np.stack([getattr(r, key).reshape(-1) for r in layer]).astype(dtype, copy=False)
            values = pa.array(rows.reshape(-1))
            columns[f"{key}/{name}"] = pa.FixedSizeListArray.from_arrays(values, rows.shape[1])
    stream = io.BytesIO()
    pq.write_table(
        pa.table(columns), stream, compression="zstd", use_dictionary=["clip"], write_statistics=[]
    )
    return stream.getvalue()


_COLUMNS = {
    "peak": np.float32,
    "mean": np.float32,
    "window": np.uint32,
    "position": np.uint32,
    "histogram": np.uint32,
}


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part that was read.

    Attributes
    ----------
    clips : list of str
    table : pyarrow.Table
        With the columns that were asked for.
    """

    clips: list[str]
    table: pa.Table

    def column(self, key: str, layer: str) -> NDArray[Any]:
        """Return a layer's values, shape (clips, channels), or (clips, channels, BINS)."""
        array = self.table.column(f"{key}/{layer}").combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = array.chunk(0)
        rows: NDArray[Any] = array.flatten().to_numpy().reshape(len(self.clips), -1)
        return rows.reshape(len(rows), -1, BINS) if key == "histogram" else rows

    def grids(self) -> list[NDArray[np.float16]]:
        """Return the clips' descriptors, (frames, descriptors) each."""
        found = self.table.column("grid").to_numpy()
        return [np.asarray(grid, np.float16).reshape(-1, len(FRAME_NAMES)) for grid in found]

    def values(self, name: str) -> list[Any]:
        """Return a plain column."""
        values: list[Any] = self.table.column(name).to_pylist()
        return values


def read_part(store: Store, shard: str, layer_set: str, columns: Sequence[str]) -> Part:
    """Read some columns of a part, ``clip`` always among them.

    Raises
    ------
    OutputError
        If the part is missing or cannot be read; names it.
    """
    name = part_name(shard, layer_set)
    try:
        with store.open(name) as stream:
            file = pq.ParquetFile(stream)
            if file.metadata.num_rows == 0:
                return Part([], file.read(["clip"]))
            table = file.read(columns=_there(file, ["clip", *columns]))
    except (FileNotFoundError, pa.ArrowException, OSError) as error:
        raise OutputError(
            f"part {name} of the atlas cannot be read ({error}); build again, which makes it anew"
        ) from error
    return Part(table.column("clip").to_pylist(), table)


def _there(file: pq.ParquetFile, wanted: Sequence[str]) -> list[str]:
    """Return column names, refusing those that the file does not have."""
    missing = set(wanted) - set(file.schema_arrow.names)
    if missing:
        raise pa.ArrowInvalid(f"there is no column {sorted(missing)[0]!r}")
    return list(wanted)


@dataclass(frozen=True, slots=True)
class Check:
    """Which parts are there.

    Attributes
    ----------
    whole : mapping of str to receipt
        By the shard's name.
    missing : tuple of str
        Names of shards.
    corrupt : tuple of str
        Names of parts whose bytes are not those of their receipt.
    """

    whole: Mapping[str, Mapping[str, Any]]
    missing: tuple[str, ...]
    corrupt: tuple[str, ...]


def check_parts(store: Store, shards: Sequence[Shard], layer_set: str) -> Check:
    """Compare parts with their receipts, reading all their bytes."""
    there = set(store.names(FOLDER))
    whole, missing, corrupt = {}, [], []
    for shard in shards:
        part, receipt = (f(shard.name, layer_set) for f in (part_name, receipt_name))
        if receipt.rpartition("/")[2] not in there:
            missing.append(shard.name)
            continue
        found = read_json(store, receipt)
        if found is not None and _fits(store, part, found):
            whole[shard.name] = found
        else:
            corrupt.append(part)
            missing.append(shard.name)
    return Check(whole, tuple(missing), tuple(corrupt))


def _fits(store: Store, part: str, receipt: Mapping[str, Any]) -> bool:
    try:
        data = store.read(part)
    except FileNotFoundError:
        return False
    return len(data) == receipt.get("bytes") and sha256(data) == receipt.get("sha256")


def each_part(
    store: Store, shards: Iterable[Shard], layer_set: str, columns: Sequence[str]
) -> Iterator[tuple[Shard, Part]]:
    """Read some columns of all parts, one after the other."""
    for shard in shards:
        yield shard, read_part(store, shard.name, layer_set, columns)


__all__ = ["LayerResult", "Part", "Shard", "check_parts", "cut", "each_part", "read_part"]
