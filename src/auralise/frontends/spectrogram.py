"""Spectrogram input: linear or mel bins, compressed and standardised; and the way back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor, nn

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.frontends.base import Features
from auralise.frontends.raw import check_rate
from auralise.phase.base import PhaseMethod
from auralise.spectral.compression import Compression
from auralise.spectral.mel import MelBank, mel_bank
from auralise.spectral.spectrogram import Spectrogram, analyse
from auralise.spectral.stft import StftSpec, stft_samples

_bank = lru_cache(maxsize=32)(mel_bank)


@dataclass(frozen=True, slots=True)
class SpectrogramFrontend:
    """Makes (1, frequency, time) input of a sound.

    The steps are: magnitude of the short-time Fourier transform, mel filterbank (if asked for),
    compression, standardisation ``(x - mean) / std``.

    Attributes
    ----------
    spec : StftSpec
        Rate, window and hop.
    n_mels : int or None
        Number of mel bins; None keeps the linear bins.
    fmin, fmax : float
        Band of the mel bins in Hz; ``fmax`` None is half the sample rate.
    compression : Compression
        Of the magnitudes.
    mean, std : float
        Of the compressed magnitudes over the training data.

    Examples
    --------
    >>> import torch
    >>> frontend = SpectrogramFrontend(StftSpec(11025, 512, 256))
    >>> frontend.analyse(Waveform(torch.zeros(1, 44100), 11025)).values.shape
    torch.Size([1, 257, 173])
    """

    spec: StftSpec
    n_mels: int | None = None
    fmin: float = 0.0
    fmax: float | None = None
    compression: Compression = Compression()
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        if not self.std > 0:
            raise InvalidValueError(f"std must be positive, got {self.std}")
        if self.n_mels is not None:
            self._mel()

    @property
    def sample_rate(self) -> int:
        """Rate of the waveforms it takes, in Hz."""
        return self.spec.sample_rate

    @property
    def bins(self) -> int:
        """Length of the frequency axis of the values."""
        return self.spec.bins if self.n_mels is None else self.n_mels

    @property
    def module(self) -> nn.Module:
        """(batch, time) samples to (batch, 1, bins, frames) values, differentiable."""
        return SpectrogramModule(self)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of the values."""
        return ("channel", "frequency", "time")

    def _mel(self) -> MelBank:
        if self.n_mels is None:
            raise InvalidValueError("this frontend has no mel bins")
        return _bank(self.spec, self.n_mels, self.fmin, self.fmax)

    def values_of(self, magnitude: Tensor) -> Tensor:
        """Return the network's input for linear magnitudes, (..., bins, frames) both."""
        if self.n_mels is not None:
            magnitude = self._mel().apply(magnitude)
        return (self.compression.compress(magnitude) - self.mean) / self.std

    def magnitude_of(self, values: Tensor) -> Tensor:
        """Return the linear magnitudes nearest to ``values``; inverse of `values_of`.

        Exact without mel bins (but for what the compression loses); with mel bins, what the
        clipped pseudo-inverse of the bank gives.
        """
        magnitude = self.compression.expand(values * self.std + self.mean)
        return magnitude if self.n_mels is None else self._mel().invert(magnitude)

    def spread(self, relevance: Tensor) -> Tensor:
        """Bring a map over the values' bins to the transform's linear bins, keeping its scale."""
        return relevance if self.n_mels is None else self._mel().spread(relevance)

    def gather(self, gains: Tensor) -> Tensor:
        """Bring gains on the transform's linear bins to the values' bins, as weighted means."""
        if self.n_mels is None:
            return gains
        ones = gains.new_ones(gains.shape[-2], 1)
        return self._mel().apply(gains) / self._mel().apply(ones).clamp(min=1e-30)

    def analyse(self, waveform: Waveform) -> Features:
        """Return the input for ``waveform`` (mixed to one channel), shape (1, bins, frames)."""
        check_rate(waveform, self.sample_rate)
        mono = waveform.mono()
        spectrogram = analyse(mono, self.spec)
        return Features(self.values_of(spectrogram.magnitude), mono, spectrogram)

    def synthesise(self, values: Tensor, like: Features, phase: PhaseMethod) -> Waveform:
        """Return the sound whose features are nearest to ``values``, by magnitude and phase."""
        if values.shape != like.values.shape:
            raise ShapeError(
                f"values must have shape {tuple(like.values.shape)}, got {tuple(values.shape)}"
            )
        target = Spectrogram(self.magnitude_of(values), self.spec, like.source.n_samples)
        return phase(target, like.spectrogram)

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {"kind": "spectrogram", **asdict(self)}

    def seconds_of(self, frame: float) -> float:
        """Return the time of a frame's centre in seconds."""
        return frame * self.spec.hop / self.sample_rate

    def frame_of(self, seconds: float) -> float:
        """Return the (fractional) frame centred at a time in seconds."""
        return seconds * self.sample_rate / self.spec.hop

    def hertz_of(self, bin: float) -> float | None:
        """Return the centre frequency of a (fractional) bin in Hz."""
        if self.n_mels is None:
            return bin * self.sample_rate / self.spec.n_fft
        return float(np.interp(bin, np.arange(self.n_mels), self._mel().centres.numpy()))

    def bin_of(self, hertz: float) -> float | None:
        """Return the (fractional) bin of a frequency in Hz; at the ends, the first or last."""
        if self.n_mels is None:
            return hertz * self.spec.n_fft / self.sample_rate
        return float(np.interp(hertz, self._mel().centres.numpy(), np.arange(self.n_mels)))


class SpectrogramModule(nn.Module):
    """A `SpectrogramFrontend` for batches of samples, through which gradients flow.

    Parameters
    ----------
    frontend : SpectrogramFrontend
    """

    def __init__(self, frontend: SpectrogramFrontend) -> None:
        super().__init__()
        self.frontend = frontend

    def forward(self, samples: Tensor) -> Tensor:
        """Return (batch, 1, bins, frames) values of (batch, time) samples."""
        spectrum = stft_samples(samples, self.frontend.spec)
        return self.frontend.values_of(spectrum.abs())[:, None]
