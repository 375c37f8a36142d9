"""What of a source a map points at, and masks that point at nothing in particular."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from auralise.audio.waveform import Waveform
from auralise.auralisation import Auralisation
from auralise.frontends.sonification import soft_mask
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.masks import MASK
from auralise.masks.plane import spec_of
from auralise.spectral.stft import StftSpec, istft_samples, stft_samples

GRID_SECONDS = 0.064
GRID_BINS = 8
"""A random mask's values lie so far apart, with lines between them: as coarse as music is."""


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """The source, where masks multiply it.

    Attributes
    ----------
    source : Waveform
        One channel.
    spec : StftSpec or None
        Masks multiply the bins and frames of this transform; None where they multiply samples.
    spectrum : Tensor
        Complex, shape (bins, frames); the samples, shape (1, time), where there is no transform.
    """

    source: Waveform
    spec: StftSpec | None
    spectrum: Tensor

    @staticmethod
    def of(source: Waveform, spec: StftSpec | None) -> Canvas:
        """Lay out a source of one channel."""
        samples = source.samples
        return Canvas(source, spec, samples if spec is None else stft_samples(samples, spec)[0])

    def kept(self, masks: Tensor) -> Tensor:
        """Return (count, time) samples of what (count, bins, frames) masks let through."""
        masked = self.spectrum * masks.to(self.source.samples)
        if self.spec is None:
            return masked[:, 0]
        return istft_samples(masked, self.spec, self.source.n_samples)

    def energy(self) -> Tensor:
        """Return the source's magnitude where masks multiply it, shape (bins, frames)."""
        if self.spec is not None:
            return self.spectrum.abs()
        width = 2 * round(0.005 * self.source.sample_rate) + 1
        power = self.spectrum.square()
        return functional.avg_pool1d(power, width, 1, width // 2).sqrt()

    def random(self, seed: int) -> Tensor:
        """Return a field of random values as coarse as music is, shape (bins, frames)."""
        generator = torch.Generator().manual_seed(seed)
        bins, frames = self.spectrum.shape
        rows = 1 if bins == 1 else max(2, bins // GRID_BINS)
        columns = max(2, round(self.source.duration / GRID_SECONDS))
        coarse = torch.randn(1, 1, rows, columns, generator=generator)
        fine = functional.interpolate(coarse, (bins, frames), mode="bilinear", align_corners=True)
        return fine[0, 0].to(self.source.samples)


def part_of(auralisation: Auralisation) -> tuple[Canvas, Tensor]:
    """Return the source with the mask that an auralisation's map puts on it.

    Maps over a spectrogram multiply the source's transform, scaled as `soft_mask` does it; masks
    found by search do as they are. A map over samples multiplies the samples, by its absolute
    value; for a mask found by search the gains are had back from what it let through.

    Returns
    -------
    canvas : Canvas
    mask : Tensor, shape (bins, frames), or (1, time) for maps over samples
        In [0, 1]; all 0 if the map is.
    """
    frontend, inversion = auralisation.frontend, auralisation.inversion
    source = auralisation.features.source
    searched = inversion.method == MASK
    if isinstance(frontend, SpectrogramFrontend):
        relevance = inversion.relevance
        scaled = relevance.clamp(0, 1) if searched else soft_mask(relevance, "positive")
        return Canvas.of(source, frontend.spec), frontend.spread(scaled)[0].clamp(0, 1)
    if not searched:
        return Canvas.of(source, None), soft_mask(inversion.relevance, "absolute")
    canvas = Canvas.of(source, spec_of(frontend))
    kept = stft_samples(inversion.relevance, spec_of(frontend))[0].abs()
    magnitude = canvas.energy()
    gains = kept / magnitude.clamp(min=1e-12)
    return canvas, torch.where(magnitude > 0, gains, torch.zeros_like(gains)).clamp(0, 1)


def rearranged(mask: Tensor, order: Tensor) -> Tensor:
    """Return the values of a mask put where another tensor of its shape is as large.

    Whatever is said of the mask's values (its area, its sparseness) holds for the result as well.
    """
    values = mask.flatten().sort().values
    places = order.flatten().argsort(stable=True)
    return torch.empty_like(values).scatter_(0, places, values).reshape(mask.shape)
