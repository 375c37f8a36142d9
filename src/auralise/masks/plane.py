"""From coarse masks over mel and time to sounds, and what happens to sounds on their way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from auralise.audio.waveform import Waveform
from auralise.frontends.base import Frontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.masks.options import MaskOptions
from auralise.spectral.stft import StftSpec, istft_samples, stft_samples
from auralise.units import hz_to_mel

RAW_SECONDS = 0.064
"""Window for networks on raw audio, which have none of their own."""

SPREAD = (9, 3)
"""Bins and frames that a coder's noise is spread over."""


def spec_of(frontend: Frontend) -> StftSpec:
    """Return the transform that masks multiply: the frontend's, or one of about 64 ms."""
    if isinstance(frontend, SpectrogramFrontend):
        return frontend.spec
    n_fft = max(4, 2 ** round(math.log2(RAW_SECONDS * frontend.sample_rate)))
    return StftSpec(frontend.sample_rate, n_fft, n_fft // 4)


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The source's spectrum, and the way from a coarse mask to a sound.

    Attributes
    ----------
    spec : StftSpec
    spectrum : Tensor, complex, shape (bins, frames)
    rms : Tensor, shape ()
        Of the source.
    n_samples : int
    rows : Tensor, shape (bins, bands)
        How a bin is mixed from the mask's bands.
    grid : tuple of int
        Bands and steps in time of a coarse mask.
    """

    spec: StftSpec
    spectrum: Tensor
    rms: Tensor
    n_samples: int
    rows: Tensor
    grid: tuple[int, int]

    @staticmethod
    def of(frontend: Frontend, sound: Waveform, options: MaskOptions) -> Plane:
        """Analyse a sound of one channel."""
        spec = spec_of(frontend)
        samples = sound.samples
        steps = max(1, round(sound.n_samples / sound.sample_rate / options.seconds)) + 1
        return Plane(
            spec,
            stft_samples(samples, spec)[0],
            samples.square().mean().sqrt(),
            sound.n_samples,
            _mixing(spec, options.bands).to(samples),
            (options.bands, steps),
        )

    def gains(self, logits: Tensor) -> Tensor:
        """Return (units, bins, frames) gains of (units, bands, steps) logits."""
        wide = functional.interpolate(
            logits.sigmoid(), self.spectrum.shape[-1], mode="linear", align_corners=True
        )
        return self.rows @ wide

    def kept(self, gains: Tensor) -> Tensor:
        """Return (units, time) samples of what (units, bins, frames) gains let through."""
        return istft_samples(self.spectrum * gains, self.spec, self.n_samples)

    def levelled(self, samples: Tensor) -> Tensor:
        """Bring (units, time) samples to the source's root mean square; silence stays silent."""
        power = samples.square().mean(-1, keepdim=True)
        least = (self.rms * 1e-9).square().clamp(min=1e-30)
        return samples * (self.rms / power.clamp(min=least).sqrt())

    def moved(self, gains: Tensor, options: MaskOptions, generator: torch.Generator) -> Tensor:
        """Return masked sounds a little later or earlier, and otherwise as they are."""
        return self._later(self.levelled(self.kept(gains)), options, generator)

    def disturbed(self, gains: Tensor, options: MaskOptions, generator: torch.Generator) -> Tensor:
        """Return masked sounds as they arrive elsewhere: coded, a little later, with some noise."""
        spectrum = self._coded(self.spectrum * gains, options, generator)
        samples = self.levelled(istft_samples(spectrum, self.spec, self.n_samples))
        noise = torch.randn(self.n_samples, generator=generator).to(samples)
        noise *= self.rms * 10 ** (options.noise_db / 20)
        return self._later(samples, options, generator) + noise

    def _later(self, samples: Tensor, options: MaskOptions, generator: torch.Generator) -> Tensor:
        furthest = min(round(options.shift * self.spec.sample_rate), self.n_samples - 1)
        late = int(torch.randint(-furthest, furthest + 1, (), generator=generator))
        return samples.roll(late, -1)

    def _coded(self, spectrum: Tensor, options: MaskOptions, generator: torch.Generator) -> Tensor:
        """Add noise in the shape of the spectrum; now and then leave out the top of the band."""
        if math.isfinite(options.coder_db):
            height, width = SPREAD
            around = functional.avg_pool2d(
                spectrum.abs().square()[:, None], SPREAD, 1, (height // 2, width // 2)
            )[:, 0]
            drawn = torch.randn(2, *spectrum.shape[1:], generator=generator).to(around)
            noise = torch.complex(drawn[0], drawn[1]) * 2**-0.5
            least = (self.rms * 1e-6).square().clamp(min=1e-30)  # a root's slope at 0 is infinite
            spectrum = spectrum + noise * (around + least).sqrt() * 10 ** (options.coder_db / 20)
        if options.cutoff < 1 and torch.rand((), generator=generator) < 0.5:
            top = options.cutoff * self.spec.sample_rate / 2
            below = (self.spec.frequencies() <= top).to(self.rows)
            spectrum = spectrum * below[:, None]
        return spectrum


def _mixing(spec: StftSpec, bands: int) -> Tensor:
    """Return, for each bin, the shares of the two bands beside it, at equal distances in mel."""
    mel = hz_to_mel(spec.frequencies().double())
    place = mel / mel[-1] * (bands - 1)
    distance = (place[:, None] - torch.arange(bands, dtype=torch.float64)).abs()
    return (1 - distance).clamp(min=0)
