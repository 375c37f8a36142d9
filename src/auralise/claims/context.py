"""What the experiments share: network, twins, collection, and answers that are computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from auralise.activations.recorder import record
from auralise.audio.waveform import Waveform
from auralise.claims.base import Need, NotApplicable
from auralise.claims.stages import Stage, find_stages, fingerprint, twins_of
from auralise.claims.statistics import Array
from auralise.errors import NetworkError
from auralise.frontends.base import Frontend
from auralise.models.base import MusicNetwork

if TYPE_CHECKING:
    from auralise.claims.collection import LabelledClips

TWINS = 8
"""How many untrained networks are asked the same, unless told otherwise."""

DEFAULT_SECONDS = 4.0
"""Length of the stimuli for networks that take any length."""

ProgressReport = Callable[[str, int, int], object]


@dataclass(frozen=True, eq=False)
class Context:
    """A network with everything an experiment may ask for.

    Attributes
    ----------
    network : MusicNetwork
    twins : int
        How many untrained networks serve as controls, at least 2.
    collection : LabelledClips or None
        Labelled sounds that the network has not been trained on, where there are any.
    results : Path or None
        Folder with the results of trainings.
    cache : Path or None
        Folder in which answers are kept from run to run; None keeps them in memory alone.
    batch_size : int
        Sounds that go through a network at once.
    seed : int
        Of everything that is drawn.
    progress : callable
        Called with a name, how many sounds are done, and of all.
    """

    network: MusicNetwork
    twins: int = TWINS
    collection: LabelledClips | None = None
    results: Path | None = None
    cache: Path | None = None
    batch_size: int = 8
    seed: int = 0
    progress: ProgressReport = field(default=lambda *_: None)
    _memory: dict[str, list[Array]] = field(default_factory=dict, repr=False)

    @property
    def frontend(self) -> Frontend:
        """Makes the network's input."""
        return self.network.card.frontend

    @property
    def sample_rate(self) -> int:
        """Of the network's input, in Hz."""
        return self.frontend.sample_rate

    @property
    def seconds(self) -> float:
        """How long a stimulus is."""
        return self.network.card.seconds or DEFAULT_SECONDS

    @cached_property
    def sha256(self) -> str:
        """Of weights and frontend; see `fingerprint`."""
        return fingerprint(self.network)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The steps of the network; see `find_stages`.

        Raises
        ------
        NotApplicable
            If it has none.
        """
        samples = torch.zeros(1, round(self.seconds * self.sample_rate))
        values = self.frontend.analyse(Waveform(samples, self.sample_rate)).values
        try:
            return find_stages(self.network, values)
        except NetworkError as error:
            raise NotApplicable(str(error)) from error

    @cached_property
    def controls(self) -> list[MusicNetwork]:
        """The untrained twins.

        Raises
        ------
        NotApplicable
            If none can be made.
        """
        try:
            return twins_of(self.network, range(1000 + self.seed, 1000 + self.seed + self.twins))
        except NetworkError as error:
            raise NotApplicable(str(error)) from error

    @property
    def networks(self) -> list[MusicNetwork]:
        """The network, then its twins."""
        return [self.network, *self.controls]

    def lacks(self, needs: Sequence[Need]) -> list[Need]:
        """Return what is not there of what a claim needs."""
        axes = self.frontend.axes
        there = {
            Need.RAW: axes == ("channel", "time"),
            Need.SPECTROGRAM: "frequency" in axes,
            Need.TWINS: self._has_twins,
            Need.COLLECTION: self.collection is not None,
            Need.LABELS: self.collection is not None
            and set(self.collection.labels) <= set(self.network.card.labels),
            Need.SECONDS: self.network.card.seconds is not None,
            Need.RESULTS: self.results is not None,
        }
        return [need for need in needs if not there[need]]

    @cached_property
    def _has_twins(self) -> bool:
        try:
            return len(self.controls) > 1
        except NotApplicable:
            return False

    def answers(self, name: str, sounds: Sequence[Waveform]) -> list[list[Tensor]]:
        """Return what every unit of every stage answers on average to each sound.

        Parameters
        ----------
        name : str
            Of the set of sounds, for progress.
        sounds : sequence of Waveform
            At the network's rate, of one length.

        Returns
        -------
        list of list of Tensor, shape (sounds, units), float64
            For the network and then each twin: one for each stage, mean over its positions.
        """
        samples = torch.cat([sound.samples for sound in sounds]).float()
        rows = self._cached(name, samples)
        sizes = [stage.shape[0] for stage in self.stages]
        return [list(torch.split(torch.from_numpy(row), sizes, 1)) for row in rows]

    def _cached(self, name: str, samples: Tensor) -> list[Array]:
        """Return the answers of each network, (sounds, units of all stages)."""
        key = hashlib.sha256(samples.numpy().tobytes())
        key.update(f"{self.sha256} {self.twins} {self.seed}".encode())
        digest = key.hexdigest()[:32]
        if digest in self._memory:
            return self._memory[digest]
        path = None if self.cache is None else self.cache / f"answers-{digest}.npz"
        if path is not None and path.exists():
            with np.load(path, allow_pickle=False) as stored:
                found = list(stored["answers"])
        else:
            found = self._ask(name, samples)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                part = path.with_suffix(".part.npz")
                np.savez_compressed(part, answers=np.stack(found))
                part.replace(path)
        self._memory[digest] = found
        return found

    @torch.no_grad()
    def _ask(self, name: str, samples: Tensor) -> list[Array]:
        rows: list[list[Tensor]] = [[] for _ in self.networks]
        layers = [stage.layer for stage in self.stages]
        for start in range(0, len(samples), self.batch_size):
            values = self.frontend.module(samples[start : start + self.batch_size])
            for row, network in zip(rows, self.networks, strict=True):
                with record(network.module, layers) as outputs:
                    network.module(values.clone())
                    maps = [_flat(outputs[layer]) for layer in layers if layer in outputs]
                    row.append(torch.cat([_mean(part) for part in maps], 1))
            self.progress(name, min(len(samples), start + self.batch_size), len(samples))
        return [torch.cat(row).numpy() for row in rows]

    @contextmanager
    def recorded(self, network: MusicNetwork, layers: Sequence[str]) -> Iterator[RecordedPass]:
        """Give a function that plays samples, (batch, time), and returns whole maps by layer."""
        with record(network.module, layers) as outputs, torch.no_grad():

            def play(samples: Tensor) -> dict[str, Tensor]:
                network.module(self.frontend.module(samples.float()))
                return {layer: outputs[layer].double() for layer in layers}

            yield play


RecordedPass = Callable[[Tensor], dict[str, Tensor]]


def _mean(maps: Tensor) -> Tensor:
    """Return the mean over positions, (batch, units), of (batch, units[, positions])."""
    return maps.double().mean(2) if maps.ndim > 2 else maps.double()


def _flat(output: Tensor) -> Tensor:
    """Return an output with all its positions along one axis; one without positions as it is."""
    return output.flatten(2) if output.ndim > 2 else output
