"""Whether the network recognises which unit each auralisation was made for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.activations.recorder import run_to
from auralise.audio.waveform import Waveform
from auralise.audit.disturbances import DISTURBANCES
from auralise.errors import InvalidValueError, NetworkError
from auralise.models.base import MusicNetwork
from auralise.preparation import prepare

QUIET = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Recognition:
    """How many sounds the network tells apart.

    Attributes
    ----------
    rate : float
        Share of the sounds whose standardised response is largest at their own unit.
    chance : float
        1 / number of units.
    channels : tuple of int
        The live units that took part.
    answers : tuple of int
        For each of them, the channel that its sound was taken for.
    responses : Tensor, shape (sounds, units)
        Standardised over the sounds.
    dead : tuple of int
        Units that do not answer to the source, so that nothing can be asked of them.
    """

    rate: float
    chance: float
    channels: tuple[int, ...]
    answers: tuple[int, ...]
    responses: Tensor
    dead: tuple[int, ...]


@torch.no_grad()
def recognise(
    network: MusicNetwork,
    source: Waveform,
    layer: str,
    sounds: dict[int, Waveform],
    *,
    disturbance: str = "none",
    seed: int = 0,
    batch_size: int = 8,
) -> Recognition:
    r"""Feed auralisations back in and see at which unit each stands out.

    With :math:`r_{su}` the strongest value of unit :math:`u` on sound :math:`s` (all sounds at the
    source's root mean square), divided by its value on the source, and :math:`z_{su}` the same
    standardised over the sounds, a sound is recognised if :math:`z_{su}` is largest at the unit it
    was made for. Needs no labels, and compares any two methods on any network.

    Parameters
    ----------
    network : MusicNetwork
    source : Waveform
        That the sounds were made from.
    layer : str
    sounds : dict of int to Waveform
        By channel; at the network's rate and of the length of the source as `prepare` gives it.
    disturbance : str
        Name in `DISTURBANCES`: what happens to each sound before it is fed back.
    seed : int
        Of the disturbance.
    batch_size : int

    Returns
    -------
    Recognition

    Raises
    ------
    InvalidValueError
        If fewer than two of the units are alive.
    NetworkError
        If the layer's values on the source are not finite.
    """
    sound, _ = prepare(network, source)
    base = _strongest(network, layer, [sound], batch_size)[0]
    if not base.isfinite().all():
        raise NetworkError(
            f"layer {layer!r} of {network.card.name!r} gives values that are not finite on this "
            "sound; weights or input are broken"
        )
    live = [c for c in sounds if base[c] > QUIET * base.abs().max().clamp(min=QUIET)]
    if len(live) < 2:
        raise InvalidValueError(
            f"{len(live)} of {len(sounds)} units of layer {layer!r} answer to this excerpt; "
            "recognition needs two at least"
        )
    change = DISTURBANCES[disturbance]
    rms = float(sound.samples.square().mean().sqrt())
    heard = [_at_rms(change(sounds[c], seed + c), rms) for c in live]
    ratios = _strongest(network, layer, heard, batch_size)[:, live] / base[live]
    spread = ratios.std(0)
    steady = spread <= QUIET
    scores = (ratios - ratios.mean(0)) / torch.where(steady, torch.ones_like(spread), spread)
    scores[:, steady] = 0.0
    answers = scores.argmax(1).tolist()
    return Recognition(
        rate=sum(a == i for i, a in enumerate(answers)) / len(live),
        chance=1 / len(live),
        channels=tuple(live),
        answers=tuple(live[a] for a in answers),
        responses=scores,
        dead=tuple(c for c in sounds if c not in live),
    )


def _strongest(
    network: MusicNetwork, layer: str, sounds: Sequence[Waveform], batch_size: int
) -> Tensor:
    """Return the strongest value of each unit on each sound, shape (sounds, units)."""
    found = []
    for first in range(0, len(sounds), batch_size):
        samples = torch.cat([s.samples for s in sounds[first : first + batch_size]])
        values = network.card.frontend.module(samples)
        found.append(run_to(network.module, values, layer).flatten(2).amax(2))
    return torch.cat(found)


def _at_rms(waveform: Waveform, rms: float) -> Waveform:
    own = float(waveform.samples.square().mean().sqrt())
    gain = rms / own if own > 0 else 1.0
    return Waveform(waveform.samples * gain, waveform.sample_rate)
