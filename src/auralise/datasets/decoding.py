"""Decoding many tracks, in this process or in several."""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_all_start_methods, get_context

import numpy as np
import torch
from numpy.typing import NDArray

from auralise.datasets.base import Track
from auralise.datasets.clips import decode
from auralise.datasets.index import Entry
from auralise.datasets.slots import Samples, Sent, Slots, Taker
from auralise.datasets.store import crc_of, crc_of_file
from auralise.errors import AuraliseError

AHEAD = 3  # lots a process may be ahead of the one that writes
LOT_FILES = 16
LOT_BYTES = 1 << 20  # of the files as they are

Lot = tuple[list[Entry], Sent | list[Samples]]


def key_of(track: Track) -> str:
    """Return the name that a cache knows a track by."""
    return str(track.path.absolute())


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A decoded track and its entry, which does not know its place yet.

    ``samples`` has shape (time,); it is empty where the entry says why it cannot be read.
    """

    entry: Entry
    samples: NDArray[np.float32]


def read(track: Track, sample_rate: int) -> Found:
    """Decode a track; one that cannot be read becomes an entry that says why."""
    empty = np.zeros(0, np.float32)
    try:
        status = track.path.stat()
        content = crc_of_file(track.path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Found(Entry(key_of(track), 0, 0, "", 0, 0, 0, reason), empty)
    entry = Entry(key_of(track), status.st_size, status.st_mtime_ns, content, 0, 0, crc_of(empty))
    try:
        samples = decode(track, sample_rate).contiguous().numpy().astype(np.float32, copy=False)
    except AuraliseError as error:
        return Found(replace(entry, reason=str(error)), empty)
    return Found(replace(entry, crc=crc_of(samples)), samples)


def decoded(
    tracks: Sequence[Track], sample_rate: int, workers: int
) -> Generator[Found, None, None]:
    """Decode in the order of ``tracks``, each process at most a few lots ahead.

    What is yielded holds until the next is asked for.
    """
    if workers == 1 or len(tracks) <= 1:
        for track in tracks:
            yield read(track, sample_rate)
        return
    method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
    context = get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__])
    rest = lots(tracks)
    ahead = AHEAD * workers
    taker = Taker()
    with ProcessPoolExecutor(workers, context, _start, (ahead + 1,)) as pool:
        running: deque[Future[Lot]] = deque(
            pool.submit(_read_lot, lot, sample_rate) for lot in islice(rest, ahead)
        )
        try:
            while running:
                entries, sent = running.popleft().result()
                for entry, samples in zip(entries, taker.take(sent), strict=True):
                    yield Found(entry, samples)
                running.extend(pool.submit(_read_lot, lot, sample_rate) for lot in islice(rest, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def lots(tracks: Sequence[Track]) -> Iterator[list[Track]]:
    """Divide tracks into lots that are worth the way to another process, yet soon done."""
    lot: list[Track] = []
    size = 0
    for track in tracks:
        lot.append(track)
        with suppress(OSError):  # said by the one that reads it
            size += track.path.stat().st_size
        if size >= LOT_BYTES or len(lot) >= LOT_FILES:
            yield lot
            lot, size = [], 0
    if lot:
        yield lot


_SLOTS: list[Slots] = []  # of this process, where it decodes for another


def _start(slots: int) -> None:
    torch.set_num_threads(1)
    _keep_memory()
    _SLOTS[:] = [Slots(slots)]


def _keep_memory() -> None:
    """Keep what is freed for the next file: getting it anew takes longer than decoding."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # glibc has it; see mallopt(3) for the numbers
        mmap_threshold, trim_threshold = -3, -1
        mallopt(mmap_threshold, 1 << 25)
        mallopt(trim_threshold, 1 << 28)


def _read_lot(tracks: Sequence[Track], sample_rate: int) -> Lot:
    founds = [read(track, sample_rate) for track in tracks]
    return [found.entry for found in founds], _SLOTS[0].send([found.samples for found in founds])
