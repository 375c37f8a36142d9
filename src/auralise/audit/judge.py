"""What a network makes of sounds: one unit's answer, and the answers of all outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.activations.layers import Unit
from auralise.activations.recorder import record, run_to
from auralise.errors import InvalidValueError, NetworkError
from auralise.models.base import MusicNetwork

BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a network makes of some sounds.

    Attributes
    ----------
    units : Tensor, shape (sounds, units)
        Strongest value of each unit of the layer.
    shares : Tensor, shape (sounds, outputs), or None
        Softmax of the network's outputs, taken once; None where it was not run through.
    """

    units: Tensor
    shares: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """A network that listens to sounds, for one layer.

    Attributes
    ----------
    network : MusicNetwork
    layer : str
    whole : bool
        Whether the network is run through, or only as far as the layer.
    """

    network: MusicNetwork
    layer: str
    whole: bool = False

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Answers:
        """Listen to (sounds, time) samples at the network's rate.

        Raises
        ------
        NetworkError
            If the answers are not finite.
        """
        module, frontend = self.network.module, self.network.card.frontend.module
        units, outputs = [], []
        with record(module, [self.layer]) as seen:
            for some in torch.split(samples, BATCH):
                if self.whole:
                    outputs.append(module(frontend(some)))
                    units.append(seen[self.layer].flatten(2).amax(2))
                else:
                    answer = run_to(module, frontend(some), self.layer)
                    units.append(answer.flatten(2).amax(2))
        shares = torch.cat(outputs).float().softmax(1) if self.whole else None
        found = Answers(torch.cat(units), shares)
        if not all(v.isfinite().all() for v in (found.units, shares) if v is not None):
            raise NetworkError(
                f"network {self.network.card.name!r} gives values that are not finite; weights or "
                "input are broken"
            )
        return found

    def require(self, unit: Unit, answers: Answers) -> None:
        """Raise if there is no such unit.

        Raises
        ------
        InvalidValueError
            If its channel is outside the layer.
        """
        count = answers.units.shape[1]
        if not 0 <= unit.channel < count:
            raise InvalidValueError(
                f"layer {unit.layer!r} has {count} units, so there is none numbered {unit.channel}"
            )


@torch.no_grad()
def runs_through(network: MusicNetwork, samples: Tensor) -> bool:
    """Return whether a network gives one row of outputs for (1, time) samples.

    Networks that end in dense layers do so only for excerpts of their own length.
    """
    seconds, rate = network.card.seconds, network.card.frontend.sample_rate
    if seconds is not None and samples.shape[-1] != round(seconds * rate):
        return False
    outputs = network.module(network.card.frontend.module(samples))
    return isinstance(outputs, Tensor) and outputs.ndim == 2 and outputs.shape[1] > 1


def levelled(samples: Tensor, like: Tensor) -> Tensor:
    """Bring (sounds, time) samples to the root mean square of a sound; silence stays silent."""
    rms = samples.square().mean(-1, keepdim=True).sqrt()
    gain = like.square().mean().sqrt() / torch.where(rms > 0, rms, torch.ones_like(rms))
    return samples * gain
