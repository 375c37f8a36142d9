"""From a relevance map to magnitudes that can be heard.

There are two ways, and they are different objects. As a *mask*, the map says which parts of the
source are let through. As a *magnitude*, the map is itself the spectrogram of a sound. What a
search has found is neither: it is an *input*, and heard as such.
"""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.frontends.base import Features
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.registry import Registry
from auralise.spectral.spectrogram import Spectrogram

Part = Literal["positive", "negative", "absolute"]
PARTS: tuple[Part, ...] = ("positive", "negative", "absolute")
CEILING = 0.99


class Sonification(Protocol):
    """Turns a relevance map into the magnitudes of a sound.

    Parameters
    ----------
    frontend : SpectrogramFrontend
        Whose input the map has the shape of.
    relevance : Tensor, shape (1, bins, frames)
        Signed.
    like : Features
        Of the source.
    part : {"positive", "negative", "absolute"}
        Which part of the signed map is used.

    Returns
    -------
    Spectrogram
        Linear magnitudes over the transform's bins, without phase. All zero if the map is.
    """

    def __call__(
        self, frontend: SpectrogramFrontend, relevance: Tensor, like: Features, part: Part
    ) -> Spectrogram:
        """Make magnitudes of ``relevance``."""
        ...


SONIFICATIONS: Registry[Sonification] = Registry("sonification")


def take_part(relevance: Tensor, part: Part) -> Tensor:
    """Return the asked part of a signed map, not negative.

    Raises
    ------
    InvalidValueError
        If there is no such part.
    """
    if part == "positive":
        return relevance.clamp(min=0)
    if part == "negative":
        return (-relevance).clamp(min=0)
    if part == "absolute":
        return relevance.abs()
    raise InvalidValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")


def soft_mask(relevance: Tensor, part: Part) -> Tensor:
    """Scale the asked part of a map to [0, 1].

    The value that 99 % of the non-zero bins stay below becomes 1, and what exceeds it is cut to 1,
    so that single bins do not silence all others.

    Parameters
    ----------
    relevance : Tensor
        Any shape, signed.
    part : {"positive", "negative", "absolute"}
    """
    chosen = take_part(relevance, part)
    alive = chosen[chosen > 0]
    if alive.numel() == 0:
        return torch.zeros_like(chosen)
    rank = min(alive.numel(), 1 + int(CEILING * alive.numel()))
    top = alive.kthvalue(rank).values
    return (chosen / top).clamp(max=1)


@SONIFICATIONS.register("mask")
def mask(
    frontend: SpectrogramFrontend, relevance: Tensor, like: Features, part: Part
) -> Spectrogram:
    """Let through the parts of the source that the map points at (Choi et al. 2016).

    The map, scaled by `soft_mask` and brought to linear bins, multiplies the source's magnitudes.
    """
    source = spectrogram_of(like)
    gains = frontend.spread(soft_mask(relevance, part))
    return Spectrogram(source.magnitude * gains, source.spec, source.n_samples)


@SONIFICATIONS.register("magnitude")
def magnitude(
    frontend: SpectrogramFrontend, relevance: Tensor, like: Features, part: Part
) -> Spectrogram:
    """Hear the map as a spectrogram of its own, in the network's input domain.

    The map is scaled so that its largest value rises as far above silence as the largest value of
    the source's features does; then compression and mel bins are undone as for any input.
    """
    source = spectrogram_of(like)
    chosen = take_part(relevance, part)
    silence = -frontend.mean / frontend.std
    height = (like.values - silence).max()
    top = chosen.max()
    if top == 0:
        return Spectrogram(torch.zeros_like(source.magnitude), source.spec, source.n_samples)
    values = silence + chosen * (height / top)
    return Spectrogram(frontend.magnitude_of(values), source.spec, source.n_samples)


@SONIFICATIONS.register("input")
def own_input(
    frontend: SpectrogramFrontend, relevance: Tensor, like: Features, part: Part
) -> Spectrogram:
    """Hear a map that is an input of the network as the sound that it stands for.

    For methods that search an input; nothing is scaled, and all of it is heard: ``part`` must be
    ``"absolute"``.
    """
    if part != "absolute":
        raise InvalidValueError(f"an input is heard as a whole, not its {part} part")
    source = spectrogram_of(like)
    if not relevance.any():  # nothing was searched for
        return Spectrogram(torch.zeros_like(source.magnitude), source.spec, source.n_samples)
    return Spectrogram(frontend.magnitude_of(relevance), source.spec, source.n_samples)


def mask_samples(relevance: Tensor, like: Features) -> Waveform:
    """Let through the times of a sound that a map over its samples points at.

    For maps that say how much each sample counts, so that they are no waveforms: the positive part,
    averaged over 10 ms and scaled by `soft_mask`, multiplies the source.

    Parameters
    ----------
    relevance : Tensor, shape (1, time)
        Signed.
    like : Features
        Of the source, raw audio.
    """
    around = max(1, round(0.005 * like.source.sample_rate))
    positive = relevance.clamp(min=0)
    smooth = torch.nn.functional.avg_pool1d(
        positive[None], 2 * around + 1, 1, around, count_include_pad=False
    )[0]
    return Waveform(like.source.samples * soft_mask(smooth, "positive"), like.source.sample_rate)


def unity(frontend: SpectrogramFrontend, like: Features, sonification: str) -> Spectrogram:
    """Return the magnitudes of the same way without inversion: its round trip.

    For a mask, a map of ones; for a magnitude or an input, the source's own features.
    """
    source = spectrogram_of(like)
    if sonification == "mask":
        return SONIFICATIONS["mask"](frontend, torch.ones_like(like.values), like, "positive")
    return Spectrogram(frontend.magnitude_of(like.values), source.spec, source.n_samples)


def spectrogram_of(like: Features) -> Spectrogram:
    """Return the source's spectrogram.

    Raises
    ------
    InvalidValueError
        If the features have none.
    """
    if like.spectrogram is None:
        raise InvalidValueError("these features have no spectrogram; raw audio needs no magnitudes")
    return like.spectrogram
