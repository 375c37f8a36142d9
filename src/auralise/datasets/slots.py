"""Samples handed from a process that decodes to the one that writes, through memory both see.

A pipe would copy them four times. Each decoding process has a few files in memory, its slots, and
fills them in turn; the other process maps them. Where the system has no such files, samples go
through the pipe.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

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
        """Put arrays into the next slot; return what `taken` makes the arrays of."""
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


def taken(sent: Sent | list[Samples]) -> list[Samples]:
    """Return arrays that another process sent; valid until it fills the slot again."""
    if isinstance(sent, list):
        return sent
    path = f"/proc/{sent.process}/fd/{sent.number}"
    samples = np.memmap(path, np.float32, "r", shape=(sum(sent.lengths),))
    return np.split(np.asarray(samples), np.cumsum(sent.lengths)[:-1])
