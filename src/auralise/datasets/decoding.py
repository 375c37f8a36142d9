"""Decoding many tracks, in this process or in several."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_all_start_methods, get_context

import numpy as np
import torch
from numpy.typing import NDArray

from auralise.datasets.base import Track
from auralise.datasets.clips import decode
from auralise.datasets.duplicates import content_hash
from auralise.datasets.index import Entry
from auralise.datasets.store import crc_of
from auralise.errors import AuraliseError

AHEAD = 4  # files a process may be ahead of the one that writes


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
        sha256 = content_hash(track.path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Found(Entry(key_of(track), 0, 0, "", 0, 0, 0, reason), empty)
    entry = Entry(key_of(track), status.st_size, status.st_mtime_ns, sha256, 0, 0, crc_of(empty))
    try:
        samples = decode(track, sample_rate).contiguous().numpy().astype(np.float32, copy=False)
    except AuraliseError as error:
        return Found(replace(entry, reason=str(error)), empty)
    return Found(replace(entry, crc=crc_of(samples)), samples)


def decoded(
    tracks: Sequence[Track], sample_rate: int, workers: int
) -> Generator[Found, None, None]:
    """Decode in the order of ``tracks``, each process at most a few files ahead."""
    if workers == 1 or len(tracks) <= 1:
        for track in tracks:
            yield read(track, sample_rate)
        return
    method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
    context = get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__])
    rest = iter(tracks)
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        running: deque[Future[Found]] = deque(
            pool.submit(read, track, sample_rate) for track in islice(rest, AHEAD * workers)
        )
        try:
            while running:
                yield running.popleft().result()
                running.extend(pool.submit(read, t, sample_rate) for t in islice(rest, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
