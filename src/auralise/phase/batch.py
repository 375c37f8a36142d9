"""Many targets at once: one thread for each, in place of threads inside small transforms."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.phase.base import PhaseMethod
from auralise.spectral.spectrogram import Spectrogram


def reconstruct_all(
    targets: Iterable[Spectrogram], method: PhaseMethod, *, workers: int | None = None
) -> Iterator[Waveform]:
    """Give many targets their phases, several at a time.

    What the methods do on the CPU lets go of Python's lock, so threads are enough. At most two
    targets for each worker are taken ahead of what has been asked for, so a long list of targets
    that are made on the way is never in memory as a whole.

    Parameters
    ----------
    targets : iterable of Spectrogram
        Of any lengths.
    method : PhaseMethod
        One that needs no source.
    workers : int, optional
        Number of threads, at least 1; as many as this process may use cores if not given.

    Yields
    ------
    Waveform
        One for each target, in their order; the same samples as from ``method(target)``.

    Raises
    ------
    InvalidValueError
        If the number of workers is not positive, or as ``method``.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if workers < 1:
        raise InvalidValueError(f"workers must be at least 1, got {workers}")
    return _in_order(iter(targets), method, workers)


def _in_order(
    targets: Iterator[Spectrogram], method: PhaseMethod, workers: int
) -> Iterator[Waveform]:
    pending: deque[Future[Waveform]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="phase")
    try:
        for target in targets:
            pending.append(pool.submit(method, target))
            if len(pending) >= 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
