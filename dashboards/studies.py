"""What is found of a network without a song: filters, tuning, receptive fields; kept in memory."""

from __future__ import annotations

from dataclasses import dataclass

from auralise.activations.receptive_field import ReceptiveField
from auralise.errors import NetworkError
from auralise.filters.sweeps import STIMULI, frequency_grid
from auralise.filters.tuning import Tuning, tune
from auralise.filters.tuning_curves import TuningCurves, tuning_curves
from auralise.models import MusicNetwork

from .banks import BankStudy, study_bank
from .jobs import Jobs, JobState, Progress
from .networks import Layer, NetworkPool


@dataclass(frozen=True, slots=True, eq=False)
class TuningStudy:
    """Which frequencies the units of a layer answer to.

    Attributes
    ----------
    tuning : Tuning
        What was measured.
    curves : TuningCurves
        What was read off it.
    """

    tuning: Tuning
    curves: TuningCurves


@dataclass(frozen=True, slots=True)
class LayerReach:
    """A layer and how far it sees.

    Attributes
    ----------
    layer : Layer
    seconds : float
        Of the sound that one unit sees at a time.
    step_seconds : float or None
        From one place on its map to the next; None where it sees the whole excerpt at once.
    hertz : float or None
        Width of the band that it sees; None for raw audio.
    """

    layer: Layer
    seconds: float
    step_seconds: float | None
    hertz: float | None


class Studies:
    """Studies of networks; those that take long are jobs.

    Parameters
    ----------
    networks : NetworkPool
    jobs : Jobs
    """

    def __init__(self, networks: NetworkPool, jobs: Jobs) -> None:
        self._networks = networks
        self._jobs = jobs

    def bank(self, model: str, *, untrained: bool = False) -> BankStudy:
        """Return what the first layer of a network is tuned to, beside untrained ones.

        Raises
        ------
        UnknownNameError
            If there is no such network.
        NetworkError
            If its first layer cannot be analysed.
        """
        state = self.start_bank(model, untrained=untrained)
        while not state.ended:
            state = self._jobs.wait(state.id, 60.0)
        if not isinstance(state.result, BankStudy):
            raise NetworkError(state.error or "the computation was stopped; load the page again")
        return state.result

    def start_bank(self, model: str, *, untrained: bool = False) -> JobState:
        """Start the study of a first layer, or return the one there is; its result: BankStudy.

        Parameters
        ----------
        model : str
        untrained : bool
            Study the architecture before training instead.
        """
        self._networks.entry(model)

        def work(progress: Progress) -> BankStudy:
            progress("loading the network", 0, 0)
            network = self._networks.fresh(model)
            progress("filters beside those of untrained networks", 0, 0)
            return study_bank(network, untrained=untrained)

        return self._jobs.start(("bank", model, untrained), work)

    def start_tuning(
        self, model: str, layer: str, *, stimulus: str = "tone", frequencies: int = 100
    ) -> JobState:
        """Start playing simple sounds to a layer, or return the job there is.

        Parameters
        ----------
        model, layer : str
        stimulus : str
            Name in `auralise.filters.sweeps.STIMULI`.
        frequencies : int
            How many, at even steps on the log axis.

        Returns
        -------
        JobState
            Its result is a `TuningStudy`.

        Raises
        ------
        UnknownNameError
            If there is no such network, layer or stimulus.
        """
        self._networks.layer(model, layer)
        STIMULI[stimulus]

        def work(progress: Progress) -> TuningStudy:
            network = self._networks.fresh(model)
            grid = frequency_grid(network.card.frontend.sample_rate, frequencies)
            found = tune(network, layer, stimulus=stimulus, frequencies=grid, progress=progress)
            return TuningStudy(found, tuning_curves(found))

        return self._jobs.start(("tuning", model, layer, stimulus, frequencies), work)


def reach_of(network: MusicNetwork, layer: Layer, field: ReceptiveField) -> LayerReach:
    """Translate a receptive field into seconds and Hz.

    Parameters
    ----------
    network : MusicNetwork
    layer : Layer
    field : ReceptiveField
        Of the layer.
    """
    frontend = network.card.frontend
    moves = field.axes[-1] is not None
    hertz = None
    if len(field.size) > 1:
        low, high = frontend.hertz_of(0), frontend.hertz_of(field.size[0])
        hertz = None if low is None or high is None else high - low
    step = frontend.seconds_of(field.stride[-1]) if moves else None
    return LayerReach(layer, frontend.seconds_of(field.size[-1]), step, hertz)
