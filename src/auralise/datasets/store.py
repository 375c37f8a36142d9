"""The files of a cache: samples that are only appended to, and the index of them."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from auralise.datasets.index import Entry, read_index, to_line, write_all

BYTES = 4  # float32
BLOCK = 1 << 18
LOT_SECONDS = 2.0
PUSHED = 1 << 24  # bytes that are brought to the disk together


@dataclass(frozen=True, slots=True)
class Files:
    """Where a cache's samples, its index and its lock are."""

    samples: Path
    index: Path
    lock: Path

    @classmethod
    def of(cls, folder: Path, sample_rate: int) -> Files:
        """Return the files for one rate."""
        name = f"clips-{sample_rate}"
        return cls(*(folder / f"{name}.{ending}" for ending in ("f32", "index", "lock")))


def whole_entries(files: Files, wanted: Iterable[str], check: bool) -> dict[str, Entry]:
    """Return the entries whose samples are there and as they were written."""
    asked = set(wanted)
    entries, _ = read_index(files.index)
    there = _size(files.samples) // BYTES
    held = np.zeros(0, np.float32)
    if there:
        held = np.memmap(files.samples, np.float32, "r", shape=(there,))
    return {
        key: entry
        for key, entry in entries.items()
        if key in asked
        and entry.start + entry.length <= there
        and (not check or entry.crc == crc_of(held[entry.start : entry.start + entry.length]))
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def unchanged(entry: Entry) -> bool:
    """Say whether the file has the size and the time it had."""
    try:
        status = Path(entry.path).stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime_ns)


def crc_of(samples: NDArray[np.float32]) -> int:
    """Return the CRC-32 of samples' bytes."""
    return zlib.crc32(_bytes(samples))


def crc_of_file(path: Path) -> str:
    """Return the CRC-32 of a file's bytes, in hexadecimal.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    crc = 0
    with path.open("rb", buffering=0) as stream:
        while data := stream.read(BLOCK):
            crc = zlib.crc32(data, crc)
    return f"{crc:08x}"


def _bytes(samples: NDArray[np.float32]) -> memoryview:
    return memoryview(samples.view(np.uint8))  # type: ignore[arg-type]


def touched(entry: Entry) -> Entry | None:
    """Return the entry of a file that has another time and the same bytes."""
    path = Path(entry.path)
    try:
        status = path.stat()
        same = status.st_size == entry.size and crc_of_file(path) == entry.content
    except OSError:
        return None
    return replace(entry, mtime_ns=status.st_mtime_ns) if same else None


class Writer:
    """Appends clips, never over what was there: another process may be reading it.

    Lines are held back until their samples are on the disk itself, some seconds at most. A thread
    brings samples there meanwhile, so that little is left to wait for.
    """

    def __init__(self, files: Files) -> None:
        entries, end = read_index(files.index)
        size = _size(files.samples)
        if any((entry.start + entry.length) * BYTES > size for entry in entries.values()):
            _forget_lost(files.index, entries, size)
            end = _size(files.index)
        self._samples = _open_to_append(files.samples)
        self._index = _open_to_append(files.index)
        self._index.truncate(end)
        self._index.seek(end)
        self._end = self._kept = -(-size // BYTES)
        self._index_end = end
        self._lines: list[bytes] = []
        self._since = time.monotonic()
        self._thread = ThreadPoolExecutor(1)
        self._bringing: Future[None] | None = None
        self._brought = self._end

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.commit()
        finally:
            self._thread.shutdown()
            self._samples.truncate(self._kept * BYTES)  # needs no room, even on a full disk
            self._index.truncate(self._index_end)
            self._samples.close()
            self._index.close()

    def append(self, found: Entry, samples: NDArray[np.float32]) -> Entry:
        """Write one clip; return its entry, with its place."""
        entry = replace(found, start=self._end, length=len(samples))
        self._samples.seek(self._end * BYTES)
        write_all(self._samples, _bytes(samples))
        self._end += entry.length
        done = self._bringing is None or self._bringing.done()
        if done and (self._end - self._brought) * BYTES > PUSHED:
            self._bringing = self._thread.submit(os.fsync, self._samples.fileno())
            self._brought = self._end
        if entry.content:  # else it could not be opened, and may be there the next time
            self.append_line(entry)
        return entry

    def append_line(self, entry: Entry) -> None:
        """Write an entry with the next lot."""
        self._lines.append(to_line(entry))
        if time.monotonic() - self._since > LOT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Bring the samples to the disk itself, then their lines."""
        if self._lines:
            if self._bringing is not None:
                self._bringing.result()
            os.fsync(self._samples.fileno())
            data = b"".join(self._lines)
            write_all(self._index, data)
            os.fsync(self._index.fileno())
            self._index_end += len(data)
            self._kept = self._end
            self._lines = []
        self._since = time.monotonic()


def _forget_lost(index: Path, entries: Mapping[str, Entry], size: int) -> None:
    """Rewrite an index without the samples that were cut off: others will stand in their place."""
    aside = index.with_suffix(".part")
    kept = [e for e in entries.values() if (e.start + e.length) * BYTES <= size]
    aside.write_bytes(b"".join(map(to_line, kept)))
    aside.replace(index)


def _open_to_append(path: Path) -> BinaryIO:
    path.touch()
    return path.open("r+b", buffering=0)
