"""Long work behind a page: started once for all who ask, with progress, and a way to stop it."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal

from auralise.errors import AuraliseError

Progress = Callable[[str, int, int], None]
Work = Callable[[Progress], Any]
"""Does the work and returns its result; calls what it is given as ``progress(stage, done, of)``."""

KEPT = 24
"""How many finished jobs are remembered."""

QUEUED = 16
"""How many jobs may wait."""


class StoppedError(AuraliseError, RuntimeError):
    """A job was asked to stop, or there is no such job any more."""


@dataclass(frozen=True, slots=True, eq=False)
class JobState:
    """Where a job is.

    Attributes
    ----------
    id : str
        For asking again.
    status : {"waiting", "running", "done", "stopped", "failed"}
    stage : str
        What is being done.
    done, total : int
        Steps of this stage; ``total`` 0 where the number is not known.
    result : object or None
        Of the work, once it is done.
    error : str
        For the reader, if it failed.
    """

    id: str
    status: Literal["waiting", "running", "done", "stopped", "failed"]
    stage: str = ""
    done: int = 0
    total: int = 0
    result: Any = None
    error: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("done", "stopped", "failed")

    @property
    def share(self) -> float | None:
        """How much of the stage is done, from 0 to 1; None where that is not known."""
        return self.done / self.total if self.total else None

    @property
    def words(self) -> str:
        """What is being done, for the reader; or why nothing is any more."""
        if self.ended:
            return self.error or "Stopped."
        steps = f", {self.done} of {self.total}" if self.total else ""
        return f"{self.stage or 'waiting for its turn'}{steps}…"


@dataclass(slots=True)
class _Job:
    state: JobState
    work: Work
    stop: threading.Event


class Jobs:
    """Runs one job at a time, in a thread of its own, in the order they were asked for."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._jobs: OrderedDict[Hashable, _Job] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, key: Hashable, work: Work) -> JobState:
        """Start a job, or return the one of that key that waits, runs or is done.

        Parameters
        ----------
        key : hashable
            What the result depends on.
        work : callable
            Runs in another thread.

        Raises
        ------
        StoppedError
            If too many jobs wait already.
        """
        with self._wake:
            job = self._jobs.get(key)
            if job is not None and job.state.status not in ("stopped", "failed"):
                self._jobs.move_to_end(key)
                return job.state
            if self._closed or self._waiting() >= QUEUED:
                raise StoppedError("too much is being computed already; try again in a minute")
            state = JobState(secrets.token_hex(12), "waiting")
            self._jobs[key] = _Job(state, work, threading.Event())
            self._jobs.move_to_end(key)
            self._tidy()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
                self._thread.start()
            self._wake.notify_all()
            return state

    def state(self, id: str) -> JobState:
        """Return where a job is.

        Raises
        ------
        StoppedError
            If there is no such job, or no longer, as after a restart.
        """
        with self._wake:
            return self._find(id).state

    def stop(self, id: str) -> JobState:
        """Ask a job to stop; it does at its next step. An ended one stays as it is."""
        with self._wake:
            job = self._find(id)
            job.stop.set()
            if job.state.status == "waiting":
                job.state = replace(job.state, status="stopped")
            return job.state

    def wait(self, id: str, seconds: float) -> JobState:
        """Return where a job is once it has ended, or after some seconds."""
        with self._wake:
            self._wake.wait_for(lambda: self._find(id).state.ended, seconds)
            return self._find(id).state

    def close(self) -> None:
        """Stop everything; no job starts any more."""
        with self._wake:
            self._closed = True
            for job in self._jobs.values():
                job.stop.set()
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._next() is not None)
                if self._closed:
                    return
                job = self._next()
            if job is not None:
                self._do(job)

    def _do(self, job: _Job) -> None:
        def progress(stage: str, done: int, total: int) -> None:
            if job.stop.is_set():
                raise StoppedError("stopped")
            self._set(job, status="running", stage=stage, done=done, total=total)

        try:
            progress("", 0, 0)
            self._set(job, status="done", result=job.work(progress))
        except StoppedError:
            self._set(job, status="stopped")
        except AuraliseError as error:
            self._set(job, status="failed", error=str(error))
        finally:
            if not job.state.ended:  # a bug of ours: its traceback is on its way to standard error
                logging.getLogger("auralise.dashboard").error("a job failed", exc_info=True)
                self._thread = None
                self._set(job, status="failed", error="this could not be computed")

    def _set(self, job: _Job, **changes: Any) -> None:  # noqa: ANN401
        with self._wake:
            job.state = replace(job.state, **changes)
            self._wake.notify_all()

    def _next(self) -> _Job | None:
        return next((job for job in self._jobs.values() if job.state.status == "waiting"), None)

    def _waiting(self) -> int:
        return sum(job.state.status == "waiting" for job in self._jobs.values())

    def _find(self, id: str) -> _Job:
        for job in self._jobs.values():
            if job.state.id == id:
                return job
        raise StoppedError("this computation is not known any more; start it again")

    def _tidy(self) -> None:
        """Forget the oldest ended jobs where there are too many."""
        ended = [key for key, job in self._jobs.items() if job.state.ended]
        for key in ended[: max(0, len(self._jobs) - KEPT)]:
            del self._jobs[key]
