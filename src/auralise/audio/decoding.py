"""Samples out of a recognised sound file, through libsndfile."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from auralise.audio.container import Container

_BLOCK = 1 << 16
_STDERR = 2
_STDERR_LOCK = Lock()
_REMARK = re.compile(rb"\s*$|\[[^\]]*libmpg123[^\]]*\]|Note: |Warning: ")


class Spliced(io.RawIOBase):
    """A file whose first bytes are replaced by others; read-only.

    Parameters
    ----------
    stream : binary file
        Stays open when this is closed.
    head : bytes
        What stands at the beginning.
    skip : int
        Bytes of ``stream`` that ``head`` stands for.
    """

    def __init__(self, stream: BinaryIO, head: bytes, skip: int) -> None:
        self._stream, self._head, self._skip = stream, head, skip
        self._size = len(head) + max(0, stream.seek(0, os.SEEK_END) - skip)
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to another position and return it."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """Fill ``buffer`` as far as the file goes; return the number of bytes."""
        data = self._head[self._position : self._position + len(buffer)]
        if len(data) < len(buffer):
            self._stream.seek(self._skip + max(0, self._position - len(self._head)))
            data += self._stream.read(len(buffer) - len(data))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


@contextmanager
def open_decoder(stream: BinaryIO, container: Container) -> Iterator[soundfile.SoundFile]:
    """Open a recognised file for decoding.

    Raises
    ------
    soundfile.LibsndfileError
        If libsndfile does not take it.
    """
    source: BinaryIO | Spliced | int
    if container.head or container.skip:
        source = Spliced(stream, container.head, container.skip)
    else:
        # By descriptor, so that the file checked is the file read, whatever its name; its own
        # position counts, not that of the buffer before it.
        source = stream.fileno()
        os.lseek(source, 0, os.SEEK_SET)
    with soundfile.SoundFile(source, closefd=False) as sound:
        yield sound


def decode(
    sound: soundfile.SoundFile, first: int, wanted: int, *, in_sequence: bool
) -> tuple[NDArray[np.float32], str]:
    """Decode a stretch as far as it goes.

    Parameters
    ----------
    sound : SoundFile
        Just opened.
    first, wanted : int
        Where to begin, and how much to read, in samples of one channel.
    in_sequence : bool
        Decode from the start instead of jumping to ``first``.

    Returns
    -------
    samples : ndarray, shape (time, channels), float32
        At most ``wanted`` long.
    complaint : str
        What the decoder says of the place where it gave up; empty if it did not.
    """
    if in_sequence:
        _, complaint = _read(sound, first, keep=False)
        if complaint:
            return np.zeros((0, sound.channels), np.float32), complaint
    elif first:
        sound.seek(first)
    return _read(sound, wanted, keep=True)


def _read(
    sound: soundfile.SoundFile, wanted: int, *, keep: bool
) -> tuple[NDArray[np.float32], str]:
    """Read in blocks: a length that a header made up costs no memory."""
    kept, complaint, missing = [np.zeros((0, sound.channels), np.float32)], "", wanted
    while missing > 0 and not complaint:
        # Where the decoder fails, NaN marks what it has not filled.
        block = np.full((min(_BLOCK, missing), sound.channels), np.nan, np.float32)
        try:
            count = len(sound.read(out=block))
        except soundfile.LibsndfileError as error:
            complaint = error.error_string
            unfilled = np.isnan(block).any(1)
            count = int(unfilled.argmax()) if unfilled.any() else len(block)
        if keep:
            kept.append(block[:count])
        missing -= count
        if count < len(block):
            break
    return np.concatenate(kept), complaint


@contextmanager
def captured_remarks() -> Iterator[list[str]]:
    """Collect what the MP3 decoder writes straight to the process's standard error.

    Lines of other origin are passed on when the block ends. One thread at a time.

    Yields
    ------
    list of str
        Filled when the block ends, also when it raises.
    """
    remarks: list[str] = []
    if sys.__stderr__ is None:  # closed from the start: the descriptor may be anybody's file
        yield remarks
        return
    with _STDERR_LOCK:
        saved = os.dup(_STDERR)
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), _STDERR)
            try:
                yield remarks
            finally:
                os.dup2(saved, _STDERR)
                os.close(saved)
                sink.seek(0)
                remarks.extend(_sort_lines(sink.read()))


def _sort_lines(text: bytes) -> list[str]:
    """Return the decoder's remarks, once for each kind; write other lines to standard error."""
    kinds: dict[bytes, list[str]] = {}
    for line in text.splitlines(keepends=True):
        if not _REMARK.match(line):
            os.write(_STDERR, line)
        elif line.strip():
            bare = re.sub(rb"^(\[[^\]]*\]\s*)?((?i:note|warning|error): )?", b"", line.strip())
            kind = re.sub(rb"\d+", b"", bare)
            kinds.setdefault(kind, []).append(bare.decode("utf-8", "replace"))
    return [
        same[0] if len(same) == 1 else f"{same[0]} (and {len(same) - 1} more like this)"
        for same in kinds.values()
    ]
