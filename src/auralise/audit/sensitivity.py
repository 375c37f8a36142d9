"""Whether a map tells units, classes and sounds apart, and keeps still under noise."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from auralise.activations.receptive_field import ReceptiveField, receptive_field
from auralise.activations.recorder import run_to
from auralise.audio.waveform import Waveform
from auralise.audit.maps import Mapper, cosine, mean_of
from auralise.errors import NetworkError
from auralise.frontends.base import Features
from auralise.inversion import Position
from auralise.models.base import MusicNetwork

INAUDIBLE_DB = -60.0


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What a unit's map hangs on: cosines between it and others.

    Attributes
    ----------
    units : float or None
        Mean absolute cosine with the maps of other units of the layer, at the same place. 1: the
        map is the same whichever unit is asked. None where no other unit answers there.
    others : int
        How many other units that is the mean of.
    sound : float or None
        Cosine with the unit's map on the sound played backwards, where both see the whole of what
        the unit can see, each at its own strongest place. 1: the map does not depend on the sound.
        None where the unit does not answer to that, or its places see no common stretch.
    noise : float or None
        Cosine with the map on the sound with white noise 60 dB below its root mean square, at the
        same place. 1: the map keeps still under what nobody hears.
    """

    units: float | None
    others: int
    sound: float | None
    noise: float | None


def sensitivity(
    mapper: Mapper,
    features: Features,
    channel: int,
    relevance: Tensor,
    position: tuple[int, ...] | None,
    others: Sequence[int],
    *,
    seed: int = 0,
) -> Sensitivity:
    """Compare a unit's map with those of other units, another sound and the same with some noise.

    Parameters
    ----------
    mapper : Mapper
        For the unit's layer.
    features : Features
    channel : int
    relevance : Tensor
        The unit's map, as ``mapper`` gives it.
    position : tuple of int, or None
        That it was followed from; None for the whole of the unit's answer.
    others : sequence of int
        Other channels of the layer.
    seed : int
        Of the noise.
    """
    place: Position = "whole" if position is None else position
    alike = [cosine(relevance, other) for other in mapper(features, others, place)]
    found = [abs(value) for value in alike if value is not None]
    noisy = mapper.network.card.frontend.analyse(_with_noise(features.source, seed))
    return Sensitivity(
        units=mean_of(found),
        others=len(found),
        sound=_on_another_sound(mapper, features, channel, relevance, position),
        noise=cosine(relevance, mapper(noisy, [channel], place)[0]),
    )


def _with_noise(source: Waveform, seed: int) -> Waveform:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(source.samples.shape, generator=generator).to(source.samples)
    level = source.samples.square().mean().sqrt() * 10 ** (INAUDIBLE_DB / 20)
    return Waveform(source.samples + level * drawn, source.sample_rate)


def _on_another_sound(
    mapper: Mapper,
    features: Features,
    channel: int,
    relevance: Tensor,
    position: tuple[int, ...] | None,
) -> float | None:
    """Compare with the map on the sound played backwards."""
    source = features.source
    backwards = Waveform(source.samples.flip(-1), source.sample_rate)
    other = mapper.network.card.frontend.analyse(backwards)
    if mapper.searches or position is None:
        return cosine(relevance, mapper(other, [channel], "whole")[0])
    field = receptive_field(mapper.network.module, features.values, mapper.layer)
    peak = _peak(mapper, other, channel)
    there = mapper(other, [channel], peak)[0]
    here, yonder = _aligned(field, position, peak, tuple(relevance.shape[1:]))
    return cosine(_cut(relevance, here), _cut(there, yonder))


def _cut(values: Tensor, stretches: tuple[slice, ...]) -> Tensor:
    """Cut a stretch out along each axis behind the channels."""
    for axis, stretch in enumerate(stretches, 1):
        values = values.narrow(axis, stretch.start, stretch.stop - stretch.start)
    return values


def _peak(mapper: Mapper, features: Features, channel: int) -> tuple[int, ...]:
    with torch.no_grad():
        answer = run_to(mapper.network.module, features.values[None], mapper.layer)[0, channel]
    return tuple(int(i) for i in torch.unravel_index(answer.argmax(), answer.shape))


def _aligned(
    field: ReceptiveField,
    one: tuple[int, ...],
    other: tuple[int, ...],
    shape: tuple[int, ...],
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the stretches of two maps that lie in the same way to the place followed on each."""
    here, yonder = [], []
    for axis, length in enumerate(shape):
        driver = field.axes[axis]
        starts = [
            round(field.start[axis] + (0 if driver is None else p[driver]) * field.stride[axis])
            for p in (one, other)
        ]
        first = max(0, *(-start for start in starts))
        stop = min(field.size[axis], *(length - start for start in starts))
        here.append(slice(starts[0] + first, starts[0] + max(stop, first)))
        yonder.append(slice(starts[1] + first, starts[1] + max(stop, first)))
    return tuple(here), tuple(yonder)


def class_cosines(
    mapper: Mapper, features: Features, labels: Sequence[int]
) -> tuple[float | None, ...]:
    """Return the cosine of the strongest output's map with those of other outputs.

    Rules that let only positive signals through have no map where an output is negative; so all
    outputs are first raised by the same amount, which changes neither their order nor, but for its
    size, any map.

    Parameters
    ----------
    mapper : Mapper
        For the network's last layer.
    features : Features
    labels : sequence of int
        The strongest output, then the others.

    Raises
    ------
    NetworkError
        If the last layer has no bias that could be raised.
    """
    lifted = mapper.of(_raised(mapper.network, mapper.layer, features))
    first, *rest = lifted(features, labels, "peak")
    return tuple(cosine(first, other) for other in rest)


def _raised(network: MusicNetwork, layer: str, features: Features) -> MusicNetwork:
    module = copy.deepcopy(network.module)
    last = module.get_submodule(layer)
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise NetworkError(
            f"layer {layer!r} is no dense layer with a bias, so that classes cannot be compared"
        )
    with torch.no_grad():
        lowest = module(features.values[None]).min()
        last.bias.add_(1 - lowest.clamp(max=0))
    return replace(network, module=module)
