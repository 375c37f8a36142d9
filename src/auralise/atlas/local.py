"""The engine of this machine: processes decode ahead, one network hears, parts are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from multiprocessing import get_all_start_methods, get_context

import numpy as np
import torch

from auralise.atlas.analysis import BATCH, Analyser
from auralise.atlas.decoding import Source, Stretch, read_stretch, stretch_seconds, stretches
from auralise.atlas.layers import Layer
from auralise.atlas.parts import Shard, write_part
from auralise.atlas.store import Store
from auralise.errors import OutputError
from auralise.models.base import MusicNetwork

AHEAD = 4  # stretches a process may be ahead of the network
_TRIES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What has to be done to shards, whichever engine does it.

    Attributes
    ----------
    network : MusicNetwork
    layers : tuple of Layer
    layer_set : str
        Name of the set of layers.
    seconds : float
        Length of a window.
    grids : bool
        Whether descriptors are kept.
    batch : int
        Windows at a time.
    device : str
    workers : int
        Processes that decode, or Ray's actors that hold the network; 0 decodes in this process.
    """

    network: MusicNetwork
    layers: tuple[Layer, ...]
    layer_set: str
    seconds: float
    grids: bool = True
    batch: int = BATCH
    device: str = "cpu"
    workers: int = 0

    def analyser(self) -> Analyser:
        """Return what runs the network."""
        return Analyser(
            self.network, self.layers, self.seconds, batch=self.batch, device=self.device
        )


Work = Sequence[tuple[Shard, Sequence[Source]]]
Done = Callable[[Shard], None]


def run_here(job: Job, work: Work, store: Store, done: Done) -> None:
    """Hear shards one after the other and write their parts.

    Parameters
    ----------
    job : Job
    work : sequence of (Shard, sequence of Source)
    store : Store
    done : callable
        Called with each shard whose part is written.

    Raises
    ------
    OutputError
        If a part cannot be written.
    """
    analyser = job.analyser()
    sources = [source for _, clips in work for source in clips]
    with closing(_decoded(job, sources)) as decoded, ThreadPoolExecutor(1) as writer:
        writing: deque[tuple[Shard, Future[object]]] = deque()

        def written() -> None:
            shard, future = writing.popleft()
            future.result()
            done(shard)

        for shard, clips in work:
            results = list(analyser.run(_clips_of(decoded, len(clips))))
            # The disk is waited for while the next shard is heard; one shard ahead, no more.
            if writing:
                written()
            write = partial(write_part, store, shard.name, job.layer_set, results, grids=job.grids)
            writing.append((shard, writer.submit(write)))
        while writing:
            written()


def _clips_of(stretches_: Iterator[Stretch], clips: int) -> Iterator[Stretch]:
    """Yield the stretches of the next clips."""
    while clips:
        stretch = next(stretches_)
        clips -= stretch.last
        yield stretch


def _decoded(job: Job, sources: Iterable[Source]) -> Generator[Stretch, None, None]:
    rate = job.network.card.frontend.sample_rate
    if job.workers == 0:
        for source in sources:
            yield from stretches(source, rate, job.seconds)
        return
    with closing(_Pool(job.workers, rate, job.seconds).run(sources)) as decoded:
        yield from decoded


@dataclass(slots=True)
class _Waiting:
    """A stretch that some process reads."""

    source: Source
    number: int
    future: Future[Stretch]


class _Pool:
    """Processes that decode, replaced when one of them is ended from outside."""

    def __init__(self, workers: int, rate: int, window: float) -> None:
        self._workers, self._rate = workers, rate
        self._seconds = stretch_seconds(window)
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
        context = get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["auralise.atlas.decoding"])
        return ProcessPoolExecutor(self._workers, context, _one_thread)

    def _submit(self, source: Source, number: int) -> _Waiting:
        start = number * self._seconds
        try:
            future = self._pool.submit(read_stretch, source, self._rate, start, self._seconds)
        except BrokenProcessPool as error:  # found out here, or when its result is waited for
            future = Future()
            future.set_exception(error)
        return _Waiting(source, number, future)

    def run(self, sources: Iterable[Source]) -> Generator[Stretch, None, None]:
        """Yield the stretches of all clips in order."""
        rest: Iterator[tuple[Source, int]] = ((source, 0) for source in sources)
        running: deque[_Waiting] = deque()
        tries = given_up = 0
        try:
            while True:
                # After an accident one at a time, to see which clip is to blame.
                wanted = 1 if tries else AHEAD * self._workers
                running.extend(self._submit(*at) for at in islice(rest, wanted - len(running)))
                if not running:
                    return
                head = running.popleft()
                try:
                    stretch = head.future.result()
                except BrokenProcessPool:
                    tries += 1
                    again = [(head.source, head.number), *((w.source, w.number) for w in running)]
                    running.clear()
                    self._restart()
                    if tries < _TRIES:
                        rest = chain(again, rest)
                        continue
                    rest = chain(again[1:], rest)
                    given_up += 1
                    if given_up > 1:
                        raise OutputError(_NO_PROCESS) from None
                    stretch = _given_up(head.source)
                else:
                    given_up = 0
                tries = 0
                if not stretch.last:
                    running.appendleft(self._submit(head.source, head.number + 1))
                yield stretch
        finally:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _restart(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = self._start()


_NO_PROCESS = (
    "the processes that decode are ended again and again, perhaps for want of memory, or because "
    "a script that calls this has no 'if __name__ == \"__main__\":'; what was done is kept, call "
    "again with 0 workers"
)


def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def _given_up(source: Source) -> Stretch:
    reason = f"the process that decoded it was ended from outside {_TRIES} times"
    nothing = np.zeros((0, 0), np.float16)
    return Stretch(source, 0, np.zeros(0, np.float32), nothing, float("nan"), True, reason)
