"""Claims that are tried on a network: a job whose results are kept on disk from run to run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auralise.claims import CLAIMS, Context
from auralise.claims.run import Result, try_claims
from auralise.errors import UnknownNameError

from .jobs import Jobs, JobState, Progress, StoppedError
from .networks import NetworkPool

TWINS = 8
"""How many untrained networks serve as controls."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What came of all claims on one network.

    Attributes
    ----------
    model : str
    results : tuple of Result
        In the order of `CLAIMS`.
    """

    model: str
    results: tuple[Result, ...]

    def result(self, name: str) -> Result:
        """Return what came of one claim; of the first that was tried if the name is empty.

        Raises
        ------
        UnknownNameError
            If there is no such claim.
        """
        for result in self.results:
            if result.claim.name == name or (not name and result.evidence is not None):
                return result
        if not name:
            return self.results[0]
        raise UnknownNameError("claim", name, CLAIMS)


class Trials:
    """Trials of networks, one job each.

    Parameters
    ----------
    networks : NetworkPool
    jobs : Jobs
    folder : Path
        Where results are kept.
    """

    def __init__(self, networks: NetworkPool, jobs: Jobs, folder: Path) -> None:
        self._networks = networks
        self._jobs = jobs
        self._folder = folder
        self._known: dict[str, str] = {}

    def start(self, model: str) -> JobState:
        """Start trying all claims, or return the job there is; its result: Trial.

        Raises
        ------
        UnknownNameError
            If there is no such network.
        """
        self._networks.entry(model)

        def work(progress: Progress) -> Trial:
            progress("loading the network", 0, 0)
            network = self._networks.fresh(model)
            context = Context(network, TWINS, progress=progress)
            place = self._folder / context.sha256[:32]
            names = list(CLAIMS)
            results = try_claims(
                context,
                folder=place,
                told=lambda name, _stored: progress(name, names.index(name), len(names)),
            )
            return Trial(model, tuple(results))

        state = self._jobs.start(("claims", model), work)
        self._known[model] = state.id
        return state

    def known(self, model: str) -> JobState | None:
        """Return the trial of a network that waits, runs or is done; None if there is none."""
        try:
            state = self._jobs.state(self._known.get(model, ""))
        except StoppedError:
            return None
        return None if state.status in ("stopped", "failed") else state
