"""What a network makes of sounds: one unit's answer, and the answers of all outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.activations.layers import Unit
from auralise.activations.recorder import record
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
    shares : Tensor, shape (sounds, outputs)
        Softmax of the network's outputs, taken once.
    """

    units: Tensor
    shares: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """A network that listens to sounds, for one layer.

    Attributes
    ----------
    network : MusicNetwork
    layer : str
    """

    network: MusicNetwork
    layer: str

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> Answers:
        """Listen to (sounds, time) samples at the network's rate.

        Raises
        ------
        NetworkError
            If the answers are not finite, or the network does not give one row per sound.
        """
        module, frontend = self.network.module, self.network.card.frontend.module
        units, outputs = [], []
        with record(module, [self.layer]) as seen:
            for some in samples.split(BATCH):
                out = module(frontend(some))
                if not isinstance(out, Tensor) or out.ndim != 2:
                    raise NetworkError(
                        f"network {self.network.card.name!r} does not give one row of outputs for "
                        "each sound, so that nothing can be said of what it decides"
                    )
                outputs.append(out)
                units.append(seen[self.layer].flatten(2).amax(2))
        found = Answers(torch.cat(units), torch.cat(outputs).float().softmax(1))
        if not (found.units.isfinite().all() and found.shares.isfinite().all()):
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


def levelled(samples: Tensor, like: Tensor) -> Tensor:
    """Bring (sounds, time) samples to the root mean square of a sound; silence stays silent."""
    rms = samples.square().mean(-1, keepdim=True).sqrt()
    gain = like.square().mean().sqrt() / torch.where(rms > 0, rms, torch.ones_like(rms))
    return samples * gain
