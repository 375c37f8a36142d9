"""Sounds that make a unit answer most, found by gradient ascent, and their spectra.

SampleCNN's authors showed the spectra of such sounds, sorted, as what each layer is tuned to. A
tone sweep needs no search and is what `auralise.filters.tuning` does; this is for comparison, and
for units that answer to more than one frequency at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.activations.recorder import run_to
from auralise.audio.stimuli import LEVEL_DB
from auralise.errors import InvalidValueError, NetworkError
from auralise.filters.excerpt import Excerpt, placement, plan_excerpt
from auralise.models.base import MusicNetwork

STEPS = 18
SEEDS = 8
STEP = 0.2
"""Length of a step as a share of the sound's own norm."""


@dataclass(frozen=True, slots=True, eq=False)
class Ascent:
    """Sounds found by gradient ascent, as spectra.

    Attributes
    ----------
    layer : str
    units : tuple of int
        Channels, in the order of the rows.
    frequencies : Tensor, shape (bins,), float64
        In Hz, from 0 to half the sample rate.
    power : Tensor, shape (units, bins), float64
        Mean over the seeds of the sounds' power spectra, each of energy 1.
    before, after : Tensor, shape (units,), float64
        Activation for the noise it began with, and for what was found; means over the seeds.
    level_db : float
        Root mean square of the sounds, in dBFS: the same before and after.
    seeds, steps : int
    seconds : float
        Length of the sounds.
    """

    layer: str
    units: tuple[int, ...]
    frequencies: Tensor
    power: Tensor
    before: Tensor
    after: Tensor
    level_db: float
    seeds: int
    steps: int
    seconds: float

    @property
    def moved(self) -> NDArray[np.bool_]:
        """Which units answer more to what was found than to noise: (units,)."""
        return (self.after > self.before).numpy()

    def density(self, hertz: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the spectra at other frequencies, as means up to halfway to the next ones.

        Parameters
        ----------
        hertz : sequence of float
            Rising, above 0; middles of bands on the logarithmic axis.

        Returns
        -------
        array, shape (units, frequencies)
            Share of the energy per Hz. A band narrower than a bin has the value at its middle.
        """
        places = np.asarray(hertz, dtype=np.float64)
        octaves = np.log2(places)
        middles = (octaves[1:] + octaves[:-1]) / 2
        edges = 2 ** np.array(
            [2 * octaves[0] - middles[0], *middles, 2 * octaves[-1] - middles[-1]]
        )
        own = self.frequencies.numpy()
        step = float(own[1])
        power = self.power.numpy() / step
        below = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, 1)[:, :-1]], 1) * step
        sums = np.stack([np.interp(edges, own, row) for row in below])
        wide = np.diff(edges) >= step
        at = np.stack([np.interp(places, own, row) for row in power])
        return np.asarray(np.where(wide, np.diff(sums, axis=1) / np.diff(edges), at))

    def peaks(self, hertz: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return which of some frequencies each spectrum is densest at, in Hz.

        NaN for units that nothing was found for.
        """
        places = np.asarray(hertz, dtype=np.float64)
        found = places[self.density(places).argmax(1)]
        return np.asarray(np.where(self.moved, found, np.nan), dtype=np.float64)


def ascend(
    network: MusicNetwork,
    layer: str,
    units: Sequence[int],
    *,
    level_db: float = LEVEL_DB,
    seeds: int = SEEDS,
    steps: int = STEPS,
    progress: Callable[[str, int, int], object] | None = None,
) -> Ascent:
    """Search for the sound that a unit answers to most, at one level, from noise.

    The search goes along the gradient of the strongest activation of the unit's map, in steps of a
    fifth of the sound's norm, and brings the sound back to its level after each.

    Parameters
    ----------
    network : MusicNetwork
        Left as it was found.
    layer : str
        As in ``network.module.named_modules()``.
    units : sequence of int
        Channels of the layer.
    level_db : float
        Root mean square in dBFS, at most 0.
    seeds : int
        How many beginnings, whose spectra are averaged.
    steps : int
    progress : callable, optional
        Called with a name, the units that are done, and of all.

    Raises
    ------
    InvalidValueError
        If a number is out of range, or the layer has no such channel.
    UnknownNameError
        If there is no such layer.
    NetworkError
        If the gradient is not finite.

    References
    ----------
    .. [1] J. Lee, J. Park, K. L. Kim, J. Nam, "SampleCNN: end-to-end deep convolutional neural
       networks using very small filters for music classification", Applied Sciences 8(1), 2018.
    """
    if not units or seeds < 1 or steps < 1 or not level_db <= 0:
        raise InvalidValueError(
            f"ascent needs units, at least one seed and step, and a level of at most 0 dBFS; got "
            f"{len(units)} units, {seeds} seeds, {steps} steps, {level_db:g} dBFS"
        )
    excerpt = plan_excerpt(network, layer)
    rows, before, after = [], [], []
    for number, unit in enumerate(units, 1):
        start = _noise(excerpt, seeds, level_db)
        found, first, last = _climb(network, layer, unit, excerpt, start, steps)
        power = torch.fft.rfft(found).abs().square()
        rows.append((power / power.sum(1, keepdim=True).clamp_min(1e-300)).mean(0))
        before.append(first)
        after.append(last)
        if progress is not None:
            progress(f"searching for sounds of {layer}", number, len(units))
    frequencies = torch.fft.rfftfreq(excerpt.n_samples, 1 / excerpt.sample_rate).double()
    return Ascent(
        layer,
        tuple(units),
        frequencies,
        torch.stack(rows),
        torch.stack(before),
        torch.stack(after),
        level_db,
        seeds,
        steps,
        excerpt.seconds,
    )


def _noise(excerpt: Excerpt, seeds: int, level_db: float) -> Tensor:
    """Return white noise at a level, (seeds, time), float64; the same for every unit."""
    drawn = [
        torch.randn(
            excerpt.n_samples, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
        )
        for seed in range(seeds)
    ]
    return _levelled(torch.stack(drawn), level_db)


def _levelled(sounds: Tensor, level_db: float) -> Tensor:
    rms = sounds.square().mean(1, keepdim=True).sqrt()
    scaled: Tensor = sounds * (10 ** (level_db / 20) / rms)
    return scaled


def _climb(
    network: MusicNetwork, layer: str, unit: int, excerpt: Excerpt, start: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sounds that were found, and the mean activations before and after."""
    level_db = float(20 * torch.log10(start[0].square().mean().sqrt()))
    sounds, best = start, start
    first = top = _answer(network, layer, unit, excerpt, start)[0]
    for _ in range(steps):
        values, gradient = _answer(network, layer, unit, excerpt, sounds)
        if not bool(torch.isfinite(gradient).all()):
            raise NetworkError(
                f"the gradient of {layer}:{unit} of {network.card.name!r} is not finite; check "
                "the weights"
            )
        best = torch.where((values > top)[:, None], sounds, best)
        top = torch.maximum(values, top)
        norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        along = gradient / norm.clamp_min(torch.finfo(torch.float64).tiny)
        size = STEP * torch.linalg.vector_norm(sounds, dim=1, keepdim=True)
        sounds = _levelled(sounds + size * along, level_db)
    values = _answer(network, layer, unit, excerpt, sounds)[0]
    best = torch.where((values > top)[:, None], sounds, best)
    return best, first.mean(), torch.maximum(values, top).mean()


def _answer(
    network: MusicNetwork, layer: str, unit: int, excerpt: Excerpt, sounds: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the strongest activation of a unit for each sound, and its gradient; float64."""
    module = network.module
    dtype, device = placement(module)
    with torch.enable_grad():
        samples = sounds.to(device, dtype).detach().requires_grad_()
        output = run_to(module, network.card.frontend.module(samples), layer)
        if unit not in range(output.shape[1]):
            raise InvalidValueError(
                f"layer {layer!r} has {output.shape[1]} units, 0 to {output.shape[1] - 1}; "
                f"there is none of number {unit}"
            )
        values = excerpt.inner(output)[:, unit].amax(1)
        (gradient,) = torch.autograd.grad(values.sum(), samples)
    return values.detach().double().cpu(), gradient.double().cpu()
