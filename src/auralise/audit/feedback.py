"""A unit's sound fed back: whether the unit answers to it, and whether only that unit does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from auralise.activations.layers import Unit
from auralise.audio.waveform import Waveform
from auralise.audit.judge import Judge, levelled
from auralise.audit.maps import mean_of
from auralise.models.base import MusicNetwork

QUIET = 1e-6


@dataclass(frozen=True, slots=True)
class Feedback:
    """How strongly units answer to one unit's sound, divided by their values on the source.

    Both sounds have the source's root mean square.

    Attributes
    ----------
    own : float
        The unit itself.
    others : float or None
        Mean of the layer's other live units. None if there is none.
    above : float or None
        Share of the other live units that answer less than the unit itself does; 0.5 is what a
        sound that says nothing of the unit reaches.
    disordered : float or None
        The unit with all weights of the network in disorder; mean over the seeds in which it
        answers to the source. None if in none.
    random_mask, energy_mask : float
        The unit on sounds of random masks (their mean), and of a mask that keeps what is loud, with
        the same values as the map's own mask.
    """

    own: float
    others: float | None
    above: float | None
    disordered: float | None
    random_mask: float
    energy_mask: float


def feedback(
    judge: Judge,
    unit: Unit,
    source: Waveform,
    sound: Waveform,
    floors: torch.Tensor,
    disordered: Sequence[MusicNetwork],
) -> Feedback:
    """Feed a unit's sound back.

    Parameters
    ----------
    judge : Judge
        For the unit's layer.
    unit : Unit
        Must answer to the source.
    source, sound : Waveform
        One channel at the network's rate.
    floors : Tensor, shape (1 + count, time)
        The sound of an energy mask, then those of random masks.
    disordered : sequence of MusicNetwork
        The network with its weights in disorder, once for each seed.
    """
    reference = source.samples
    sounds = torch.cat([reference, levelled(torch.cat([sound.samples, floors]), reference)])
    heard = judge(sounds).units
    judge.require(unit, judge(reference))
    base = heard[0]
    live = base > QUIET * base.abs().max().clamp(min=QUIET)
    ratios = heard[1:] / torch.where(live, base, torch.ones_like(base))
    own = ratios[0, unit.channel]
    live[unit.channel] = False
    among = ratios[0, live]
    return Feedback(
        own=float(own),
        others=float(among.mean()) if len(among) else None,
        above=float((among < own).double().mean()) if len(among) else None,
        disordered=mean_of([_ratio(network, judge.layer, unit, sounds) for network in disordered]),
        random_mask=float(ratios[2:, unit.channel].mean()),
        energy_mask=float(ratios[1, unit.channel]),
    )


def _ratio(network: MusicNetwork, layer: str, unit: Unit, sounds: torch.Tensor) -> float | None:
    """Return the unit's value on the second sound divided by that on the first."""
    heard = Judge(network, layer)(sounds[:2]).units
    base, own = heard[:, unit.channel].tolist()
    return own / base if base > QUIET * float(heard[0].abs().max()) else None
