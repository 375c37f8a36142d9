"""Samples handed from a process that decodes to the one that writes, through memory both see.

A pipe would copy them four times. Each decoding process has a few files in memory, its slots, and
fills them in turn; the other process reads them. Where the system has no such files, samples go
through the pipe.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SMALL = 1 << 16  # bytes; so few go through the pipe
KEPT = 1 << 26  # bytes; a larger slot is given back before it is filled again

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sent:
    """Several arrays in a slot, one after another.

    Attributes
    ----------
    lengths : tuple of int
        Of each array.
    process, number : int
        Whose slot, and its file's number there.
    """

    lengths: tuple[int, ...]
    process: int
    number: int


class Slots:
    """The slots of one process.

    Parameters
    ----------
    count : int
        A slot is filled again after so many others: by then its samples must have been taken.
    """

    def __init__(self, count: int) -> None:
        self._files = [-1] * count
        self._turn = 0

    def send(self, arrays: Sequence[Samples]) -> Sent | list[Samples]:
        """Put arrays into the next slot; return what `Taker` makes the arrays of."""
        size = sum(array.nbytes for array in arrays)
        if size < SMALL or sys.platform != "linux":
            return list(arrays)
        self._turn = (self._turn + 1) % len(self._files)
        file = self._files[self._turn]
        if file < 0:
            file = self._files[self._turn] = os.memfd_create("auralise")
        if os.fstat(file).st_size > KEPT:
            os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        for array in arrays:
            rest = memoryview(array.view(np.uint8))  # type: ignore[arg-type]
            while rest:
                rest = rest[os.write(file, rest) :]
        return Sent(tuple(map(len, arrays)), os.getpid(), file)


class Taker:
    """Reads what other processes' slots hold, into memory of its own that is used again."""

    def __init__(self) -> None:
        self._held = np.zeros(0, np.float32)

    def take(self, sent: Sent | list[Samples]) -> list[Samples]:
        """Return arrays that another process sent; valid until the next are taken."""
        if isinstance(sent, list):
            return sent
        size = sum(sent.lengths)
        if len(self._held) < size:
            self._held = np.empty(size, np.float32)
        with Path(f"/proc/{sent.process}/fd/{sent.number}").open("rb", buffering=0) as file:
            rest = memoryview(self._held[:size].view(np.uint8))  # type: ignore[arg-type]
            while rest:
                if not (count := file.readinto(rest)):
                    raise OSError(f"process {sent.process} has sent less than it said")
                rest = rest[count:]
        return np.split(self._held[:size], np.cumsum(sent.lengths)[:-1])
