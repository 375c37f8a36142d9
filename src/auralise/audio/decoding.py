"""Samples out of a recognised sound file, through libsndfile."""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from auralise.audio.container import Container

_BLOCK = 1 << 20
_COPIED = 1 << 26  # bytes; of a larger file, no copy is made to change its beginning
_KEPT = 1 << 22  # bytes; a larger copy is not kept for the next file
_SPARES = 4
_UNPACKED = ("WAV", "WAVEX", "RF64", "W64", "AIFF")  # samples lie there as they are
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
    with ExitStack() as stack:
        source: BinaryIO | Spliced | int
        if not (container.head or container.skip):
            # By descriptor, so that the file checked is the file read, whatever its name; its own
            # position counts, not that of the buffer before it.
            source = stream.fileno()
            os.lseek(source, 0, os.SEEK_SET)
        elif stream.seek(0, os.SEEK_END) <= _COPIED:
            source = stack.enter_context(_changed_copy(stream, container))
        else:
            source = Spliced(stream, container.head, container.skip)
        yield stack.enter_context(_Sequence(source, closefd=False))


class _Sequence(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read on and on: spares the seek that soundfile appends to each read."""

    def seekable(self) -> bool:
        return False


_SPARE: list[tuple[int, int]] = []  # processes, and their files in memory that are not in use


@contextmanager
def _memory() -> Iterator[int]:
    """Lend a file that nobody else sees, in memory where the system has such; its number.

    It may hold what was there before: making one takes longer than opening a short sound.
    """
    if sys.platform != "linux":
        with tempfile.TemporaryFile(buffering=0) as file:
            yield file.fileno()
        return
    number = _spare()
    try:
        yield number
    finally:
        if os.fstat(number).st_size > _KEPT or len(_SPARE) >= _SPARES:
            os.close(number)
        else:
            _SPARE.append((os.getpid(), number))


def _spare() -> int:
    with suppress(IndexError):  # another thread may be taking the last
        process, number = _SPARE.pop()
        if process == os.getpid():
            return number
        os.close(number)  # made before a fork, and so another process's, too
    return os.memfd_create("auralise")


@contextmanager
def _changed_copy(stream: BinaryIO, container: Container) -> Iterator[int]:
    """Copy a file with another beginning; its descriptor costs no call into Python for a read."""
    with _memory() as copy:
        stream.seek(container.skip)
        rest = memoryview(container.head + stream.read())
        os.lseek(copy, 0, os.SEEK_SET)
        os.ftruncate(copy, len(rest))
        while rest:
            rest = rest[os.write(copy, rest) :]
        os.lseek(copy, 0, os.SEEK_SET)
        yield copy


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
    kept, complaint, missing = [], "", wanted
    read = _read_codes if _holds_codes(sound) else _read_block
    while missing > 0 and not complaint:
        asked = min(_BLOCK, missing)
        block, complaint = read(sound, asked)
        if keep:
            kept.append(block)
        missing -= len(block)
        if len(block) < asked:
            break
    if len(kept) == 1:
        return kept[0], complaint
    return np.concatenate(kept or [np.zeros((0, sound.channels), np.float32)]), complaint


def _holds_codes(sound: soundfile.SoundFile) -> bool:
    """Whether the samples are 16-bit codes that no decoder stands before."""
    return sound.format in _UNPACKED and sound.subtype == "PCM_16"


def _read_codes(sound: soundfile.SoundFile, wanted: int) -> tuple[NDArray[np.float32], str]:
    """Read 16-bit codes and scale them, which is exact, and faster here than in libsndfile."""
    codes = sound.read(wanted, "int16", always_2d=True)
    return np.multiply(codes, np.float32(1 / 32768), dtype=np.float32), ""


def _read_block(sound: soundfile.SoundFile, wanted: int) -> tuple[NDArray[np.float32], str]:
    """Read as many samples as there are, and what the decoder says where it fails."""
    # Where it fails, NaN marks what it has not filled.
    block = np.full((wanted, sound.channels), np.nan, np.float32)
    try:
        return block[: len(sound.read(out=block))], ""
    except soundfile.LibsndfileError as error:
        unfilled = np.isnan(block).any(1)
        count = int(unfilled.argmax()) if unfilled.any() else wanted
        return block[:count], error.error_string


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
        with _sink() as sink:
            os.dup2(sink, _STDERR)
            try:
                yield remarks
            finally:
                os.dup2(saved, _STDERR)
                os.close(saved)
                if length := os.lseek(sink, 0, os.SEEK_CUR):
                    os.lseek(sink, 0, os.SEEK_SET)
                    remarks.extend(_sort_lines(os.read(sink, length)))


@contextmanager
def _sink() -> Iterator[int]:
    """Open an empty file of its own: who is started meanwhile has it for its standard error."""
    if sys.platform != "linux":
        with tempfile.TemporaryFile(buffering=0) as file:
            yield file.fileno()
        return
    number = os.memfd_create("auralise")
    try:
        yield number
    finally:
        os.close(number)


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
