"""Samples appended to one file by several processes at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from auralise.datasets.index import write_all

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BYTES = 4  # float32
_PAGE = 1024  # samples

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Appender:
    """Writes behind what is there, never over it: another process may be reading it.

    A process that decodes brings its samples into the file itself; what it tells the others is
    where they are. One that was left behind by a killed parent does no harm: nothing says that its
    samples are there, and nobody's are in their place.

    Attributes
    ----------
    path : Path
        Of the samples.
    """

    path: Path

    def append(self, arrays: Sequence[Samples]) -> list[int]:
        """Write arrays one after another.

        Returns
        -------
        list of int
            Where each begins, in samples of the whole file.

        Raises
        ------
        OSError
            If they cannot be written; what was written of them stays, and is nobody's.
        """
        with self._open() as file:
            start = -(-file.seek(0, os.SEEK_END) // BYTES)  # a write that failed left a part
            file.seek(start * BYTES)
            starts = []
            for array in arrays:
                starts.append(start)
                write_all(file, bytes_of(array))
                start += len(array)
        return starts

    def truncate(self, samples: int) -> None:
        """Cut off what comes after so many samples; it needs no room, even on a full disk."""
        with self._open() as file:
            file.truncate(samples * BYTES)

    @contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        """Open the file while no other process moves its end."""
        with self.path.open("r+b", buffering=0) as file:
            if fcntl is not None:  # let go of when the file is closed
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
            else:
                with FileLock(self.path.with_suffix(".end")):
                    yield file


def bytes_of(samples: Samples) -> memoryview:
    """Return the bytes of a contiguous array, without a copy."""
    return memoryview(samples.view(np.uint8))  # type: ignore[arg-type]


def sum_of(samples: Samples) -> int:
    """Return a checksum of samples that takes less time than reading them.

    The sum of the sums of 4096 bytes each, taken as 64-bit numbers, times 1, 3, 5 and so on, modulo
    2**64. What disks do to files, one bit turned over or a page that is lost or at another place,
    changes it; it is no protection against those who mean to deceive.

    Parameters
    ----------
    samples : ndarray, shape (time,), float32
        Contiguous.

    Examples
    --------
    >>> sum_of(np.zeros(5000, np.float32)), sum_of(np.array([0, 1], np.uint32).view(np.float32))
    (0, 3)
    """
    words = samples.view(np.uint32)
    paged = len(words) // _PAGE * _PAGE
    pages = words[:paged].view(np.uint64).reshape(-1, _PAGE // 2).sum(1)
    sums = np.concatenate([pages, words[paged:].astype(np.uint64)])
    return int((sums * np.arange(1, 2 * len(sums), 2, dtype=np.uint64)).sum())
