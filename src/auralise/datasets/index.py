"""The index of a cache: one line for each file, each with a checksum, only ever appended to."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Entry:
    """What a cache knows of one file.

    Attributes
    ----------
    path : str
        Absolute.
    size, mtime_ns : int
        Of the file when it was decoded, in bytes and nanoseconds.
    content : str
        CRC-32 of its bytes, in hexadecimal; empty if it could not be opened.
    start, length : int
        Where its samples are, in samples; of the whole cache.
    sum : int
        Their checksum, `sum_of`.
    reason : str
        Why it could not be read; empty if it could. Then ``length`` is 0.
    run : str
        Of the machine, when it was written; see `run_of_machine`.
    """

    path: str
    size: int
    mtime_ns: int
    content: str
    start: int
    length: int
    sum: int
    reason: str = ""
    run: str = ""


_FIELDS = tuple(field.name for field in fields(Entry))


def to_line(entry: Entry) -> bytes:
    """Return an entry as a line that `read_index` takes."""
    text = json.dumps({name: getattr(entry, name) for name in _FIELDS}).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def read_index(path: Path) -> tuple[dict[str, Entry], int]:
    """Read an index as far as its lines are whole.

    Returns
    -------
    entries : dict of str to Entry
        The last of each path.
    end : int
        Bytes up to the end of the last whole line; what follows was being written when its
        writer was killed, or was altered since.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}, 0
    entries: dict[str, Entry] = {}
    end = 0
    for line in data.splitlines(keepends=True):
        entry = _parse(line)
        if entry is None:
            break
        entries[entry.path] = entry
        end += len(line)
    return entries, end


def _parse(line: bytes) -> Entry | None:
    check, space, text = line.rstrip(b"\n").partition(b" ")
    if not space or not line.endswith(b"\n") or check != b"%08x" % zlib.crc32(text):
        return None
    try:
        return Entry(**json.loads(text))
    except TypeError:  # of another version
        return None


def write_all(stream: BinaryIO, data: bytes | memoryview) -> None:
    """Write to an unbuffered file, which may take less than it is given at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]
