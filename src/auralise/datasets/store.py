"""The files of a cache: samples that are only appended to, and the index of them."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np

from auralise.datasets.appending import BYTES, Appender, sum_of
from auralise.datasets.index import Entry, read_index, to_line, write_all

BLOCK = 1 << 18


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
    """Return the entries whose samples are there and as they were written.

    Without ``check``, those written since the machine was started are believed: what was written
    may have been lost only then.
    """
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
        and (
            not (check or entry.run != run_of_machine())
            or entry.sum == sum_of(held[entry.start : entry.start + entry.length])
        )
    }


@cache
def run_of_machine() -> str:
    """Return what Linux calls the time since the machine was started; elsewhere always another."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    return f"{random.getrandbits(32):08x}"


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


def crc_of_stream(stream: IO[bytes]) -> str:
    """Return the CRC-32 of what is left of a file, in hexadecimal.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    crc = 0
    while data := stream.read(BLOCK):
        crc = zlib.crc32(data, crc)
    return f"{crc:08x}"


def touched(entry: Entry) -> Entry | None:
    """Return the entry of a file that has another time and the same bytes."""
    try:
        with Path(entry.path).open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            same = status.st_size == entry.size and crc_of_stream(stream) == entry.content
    except OSError:
        return None
    return replace(entry, mtime_ns=status.st_mtime_ns) if same else None


class Writer:
    """Keeps the index of what is appended, by this process and by others that decode for it.

    A line follows its samples, so that what is killed leaves at most samples without a line. It
    waits for no disk: what a machine loses when its power fails is missed after its next start,
    since lines have the checksums of their samples.

    Attributes
    ----------
    appender : Appender
    """

    def __init__(self, files: Files) -> None:
        entries, end = read_index(files.index)
        size = _size(files.samples)
        if any((entry.start + entry.length) * BYTES > size for entry in entries.values()):
            _forget_lost(files.index, entries, size)
            end = _size(files.index)
        files.samples.touch()
        files.index.touch()
        self.appender = Appender(files.samples)
        self._index = files.index.open("r+b", buffering=0)
        self._index.truncate(end)
        self._index.seek(end)
        self._end = -(-size // BYTES)
        self._index_end = end

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.appender.truncate(self._end)
            self._index.truncate(self._index_end)
        finally:
            self._index.close()

    def record(self, entries: Sequence[Entry]) -> None:
        """Take down where samples were appended."""
        # One that could not be opened may be there the next time.
        lines = [to_line(entry) for entry in entries if entry.content]
        data = b"".join(lines)
        write_all(self._index, data)
        self._index_end += len(data)
        self._end = max([self._end, *(entry.start + entry.length for entry in entries)])


def _forget_lost(index: Path, entries: Mapping[str, Entry], size: int) -> None:
    """Rewrite an index without the samples that were cut off: others will stand in their place."""
    aside = index.with_suffix(".part")
    kept = [e for e in entries.values() if (e.start + e.length) * BYTES <= size]
    aside.write_bytes(b"".join(map(to_line, kept)))
    aside.replace(index)
