"""What is heard where a sound is not: baselines for methods that take parts away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.perturbations.base import PERTURBATIONS, checked, spec_for
from auralise.spectral.stft import istft_samples, stft_samples


@dataclass(frozen=True, slots=True)
class Silence:
    """Put zeros in place of the sound: the plainest baseline, which no microphone ever gives."""

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return silence of the same length; see `Perturbation`."""
        return Waveform(torch.zeros_like(checked(waveform)), waveform.sample_rate)


Colour = Literal["white", "source"]


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """Put steady noise in place of the sound: the baseline of a room in which nothing plays.

    Attributes
    ----------
    db : float
        Root mean square of the noise, in dB re that of the sound. The noise under silence is
        silence.
    colour : {"white", "source"}
        Equal power at all frequencies, or the sound's own mean spectrum with random phases, which
        keeps its colour and loses all that happens in it.
    seed : int
        In [0, 2**63).
    """

    db: float = -60.0
    colour: Colour = "white"
    seed: int = 0

    def __post_init__(self) -> None:
        if not math.isfinite(self.db):
            raise InvalidValueError(f"db must be finite, got {self.db}")
        if self.colour not in get_args(Colour):
            raise InvalidValueError(f"colour must be white or source, got {self.colour!r}")
        if not 0 <= self.seed < 2**63:
            raise InvalidValueError(f"seed must be in [0, 2**63), got {self.seed}")

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return noise of the same length; see `Perturbation`."""
        samples = checked(waveform).double().cpu()
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(samples.shape, generator=generator, dtype=torch.float64)
        if self.colour == "source":
            noise = self._coloured(noise, waveform)
        wanted = samples.square().mean().sqrt() * 10 ** (self.db / 20)
        level = noise.square().mean().sqrt()
        scaled = noise * (wanted / level) if level > 0 else noise
        return Waveform(scaled.to(waveform.samples), waveform.sample_rate)

    @staticmethod
    def _coloured(noise: Tensor, waveform: Waveform) -> Tensor:
        """Give white noise the mean power spectrum of a sound."""
        spec = spec_for(waveform)
        own = stft_samples(waveform.samples.double().cpu(), spec).abs().square().mean(-1).sqrt()
        return istft_samples(stft_samples(noise, spec) * own[..., None], spec, waveform.n_samples)


PERTURBATIONS.register("silence")(Silence())
PERTURBATIONS.register("noise-floor")(NoiseFloor())
PERTURBATIONS.register("noise-in-its-colour")(NoiseFloor(0.0, "source"))
