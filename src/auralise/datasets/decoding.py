"""Decoding many tracks into the file of a cache, in this process or in several."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from multiprocessing import get_all_start_methods, get_context

import numpy as np
import torch

from auralise.datasets.appending import Appender, Samples, sum_of
from auralise.datasets.base import Track
from auralise.datasets.clips import decode
from auralise.datasets.index import Entry
from auralise.datasets.store import crc_of_stream, run_of_machine
from auralise.errors import AuraliseError

AHEAD = 2  # lots that wait for each process
LOT_FILES = 8
LOT_BYTES = 1 << 20  # of the files as they are


def key_of(track: Track) -> str:
    """Return the name that a cache knows a track by."""
    return str(track.path.absolute())


def read(track: Track, sample_rate: int) -> tuple[Entry, Samples]:
    """Decode a track; one that cannot be read becomes an entry that says why.

    Returns
    -------
    entry : Entry
        It begins at 0: its place is not known yet.
    samples : ndarray, shape (time,)
        Empty where it cannot be read.
    """
    key, empty = key_of(track), np.zeros(0, np.float32)
    try:
        with track.path.open("rb", buffering=0) as stream:
            status = os.fstat(stream.fileno())
            content = crc_of_stream(stream)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Entry(key, 0, 0, "", 0, 0, 0, reason), empty
    reason = ""
    try:
        samples = decode(track, sample_rate).contiguous().numpy().astype(np.float32, copy=False)
    except AuraliseError as error:
        samples, reason = empty, str(error)
    about = key, status.st_size, status.st_mtime_ns, content
    return Entry(*about, 0, len(samples), sum_of(samples), reason, run_of_machine()), samples


def decoded(
    tracks: Sequence[Track], sample_rate: int, workers: int, appender: Appender
) -> Generator[list[Entry], None, None]:
    """Decode and append; yield the entries of a lot when it is done.

    This process decodes, too, while others do. Alone, it decodes in the order of ``tracks``, each
    of which is a lot.
    """
    if workers == 1 or len(tracks) <= 1:
        for track in tracks:
            yield read_lot([track], sample_rate, appender)
        return
    rest = lots(tracks)
    pool = _pool(workers - 1)
    running: set[Future[list[Entry]]] = set()
    try:
        while True:
            for lot in islice(rest, max(0, AHEAD * (workers - 1) - len(running))):
                running.add(pool.submit(read_lot, lot, sample_rate, appender))
            own = next(rest, None)
            if own is not None:
                yield read_lot(own, sample_rate, appender)
            elif not running:
                return
            done, running = wait(running, 0 if own else None, FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        # Only those that may be writing are waited for.
        pool.shutdown(wait=bool(running), cancel_futures=True)


def _pool(workers: int) -> ProcessPoolExecutor:
    method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
    context = get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(workers, context, _start)


def read_lot(tracks: Sequence[Track], sample_rate: int, appender: Appender) -> list[Entry]:
    """Decode tracks and append them; return their entries."""
    entries, samples = zip(*(read(track, sample_rate) for track in tracks), strict=True)
    starts = appender.append(samples)
    return [replace(entry, start=start) for entry, start in zip(entries, starts, strict=True)]


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


def _start() -> None:
    torch.set_num_threads(1)
    _keep_memory()


def _keep_memory() -> None:
    """Keep what is freed for the next file: getting it anew takes longer than decoding."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # glibc has it; see mallopt(3) for the numbers
        mmap_threshold, trim_threshold = -3, -1
        mallopt(mmap_threshold, 1 << 25)
        mallopt(trim_threshold, 1 << 28)
