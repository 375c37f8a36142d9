"""Who does the work: this machine, or a Ray cluster; both run the same functions."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from auralise.atlas.decoding import Source, Stretch, stretches
from auralise.atlas.local import Done, Job, Work, run_here
from auralise.atlas.parts import Shard, write_part
from auralise.atlas.store import Store
from auralise.errors import InvalidValueError
from auralise.registry import Registry

Engine = Callable[[Job, Work, Store, Done], None]
ENGINES: Registry[Engine] = Registry("engine")
ENGINES.register("local")(run_here)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_device() -> str:
    """Return "cuda" where there is a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@ENGINES.register("ray")
def run_on_ray(job: Job, work: Work, store: Store, done: Done) -> None:
    """Let a Ray cluster hear shards: tasks decode, actors hold the network and write the parts.

    Uses the cluster that is running, or the one at ``RAY_ADDRESS``, or begins one on this machine.
    A row of the data is a shard. Ray runs a task or an actor's call again when its process dies;
    what comes out is the same, as parts are written whole.

    Parameters
    ----------
    job : Job
        ``workers`` is the number of actors, at least one.
    work : sequence of (Shard, sequence of Source)
        All machines of the cluster must find the files under these paths, and the store.
    store : Store
    done : callable
        Called with each shard whose part is written.

    Raises
    ------
    InvalidValueError
        If Ray is not installed.
    """
    try:
        import ray.data
    except ImportError as error:
        raise InvalidValueError(
            "the engine 'ray' needs Ray: pip install 'auralise[ray]'"
        ) from error
    started_here = not ray.is_initialized()
    if started_here:
        logging.getLogger("ray").setLevel(logging.WARNING)
        # One more than the actors, so that decoding is never left without a place.
        own = None if "RAY_ADDRESS" in os.environ else max(cores(), max(1, job.workers) + 1)
        ray.init(include_dashboard=False, log_to_driver=False, num_cpus=own)
    try:
        _run(ray, job, work, store, done)
    finally:
        if started_here:
            ray.shutdown()


def _run(ray: Any, job: Job, work: Work, store: Store, done: Done) -> None:  # noqa: ANN401
    shards = {shard.name: shard for shard, _ in work}
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    rows = [{"shard": shard.name, "sources": _packed(clips)} for shard, clips in work]
    rate = job.network.card.frontend.sample_rate
    # Ray makes one stage of two that ask for the same; these are to stay apart, so that decoding
    # goes on while the network hears.
    heard = (
        ray.data.from_items(rows, override_num_blocks=len(rows))
        .map(_decode, fn_kwargs={"rate": rate, "seconds": job.seconds}, num_cpus=0.5)
        .map(
            _Hearing,
            fn_constructor_kwargs={"job": ray.put(job), "store": store},
            num_cpus=1,
            num_gpus=1 if job.device.startswith("cuda") else 0,
            compute=ray.data.ActorPoolStrategy(size=max(1, job.workers)),
        )
    )
    for row in heard.iter_rows():
        done(shards[row["shard"]])


def _packed(sources: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [
        {"clip": s.clip, "path": s.path, "size": s.size, "mtime_ns": s.mtime_ns} for s in sources
    ]


def _decode(row: dict[str, Any], rate: int, seconds: float) -> dict[str, Any]:
    """Decode the clips of a shard, as the first stage."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    found: list[Stretch] = []
    for source in row["sources"]:
        found.extend(stretches(Source(**source), rate, seconds))
    held = np.empty(len(found), object)
    held[:] = found
    return {"shard": row["shard"], "stretches": held}


class _Hearing:
    """The second stage: an actor that holds the network."""

    def __init__(self, job: Any, store: Store) -> None:  # noqa: ANN401
        import ray

        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        self._job: Job = ray.get(job) if isinstance(job, ray.ObjectRef) else job
        self._store = store
        self._analyser = self._job.analyser()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Hear a shard and write its part."""
        results = list(self._analyser.run(row["stretches"]))
        write_part(self._store, row["shard"], self._job.layer_set, results, grids=self._job.grids)
        return {"shard": row["shard"], "process": os.getpid()}


__all__ = ["ENGINES", "Engine", "Job", "Shard", "cores", "default_device"]
