"""Taking away a band, a stretch of time, a region, or one of two parts of a sound."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.perturbations.base import PERTURBATIONS, checked, require_at_least_0, spec_for
from auralise.spectral.stft import StftSpec, istft_samples, stft_samples


@dataclass(frozen=True, slots=True)
class BandMute:
    """Silence one band of frequencies, all the time.

    Linear phase, over the whole sound at once; the gain is 0 within the band and rises to 1 over
    ``edge`` Hz on both sides, as a raised cosine.

    Attributes
    ----------
    low, high : float
        Ends of the band, in Hz; 0 <= low < high.
    edge : float
        Width of either flank, in Hz, at least 0.
    """

    low: float
    high: float
    edge: float = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high < math.inf:
            raise InvalidValueError(
                f"a band needs 0 <= low < high, got {self.low} Hz to {self.high} Hz"
            )
        require_at_least_0("edge", self.edge)

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return the sound without the band; see `Perturbation`."""
        samples = checked(waveform)
        nyquist = waveform.sample_rate / 2
        if self.low >= nyquist:
            raise InvalidValueError(
                f"the band begins at {self.low} Hz, and sound at {waveform.sample_rate} Hz ends at "
                f"{nyquist:g} Hz"
            )
        # Reflected ends, so that muting does not wrap the end of the sound into its beginning.
        around = min(waveform.n_samples - 1, waveform.sample_rate // 4)
        wide = _reflected(samples.double(), around)
        hertz = torch.fft.rfftfreq(wide.shape[-1], 1 / waveform.sample_rate, dtype=torch.float64)
        gain = _outside(hertz, self.low, self.high, self.edge).to(wide.device)
        kept = torch.fft.irfft(torch.fft.rfft(wide) * gain, n=wide.shape[-1])
        kept = kept[..., around : around + waveform.n_samples]
        return Waveform(kept.to(samples.dtype), waveform.sample_rate)


@dataclass(frozen=True, slots=True)
class TimeMask:
    """Silence one stretch of time, all frequencies.

    Attributes
    ----------
    start, end : float
        In seconds of the sound; 0 <= start < end. An end behind the sound's is the sound's.
    fade : float
        Length of the raised cosine on either side, outside the stretch, in seconds, at least 0.
    """

    start: float
    end: float
    fade: float = 0.005

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end:
            raise InvalidValueError(
                f"a stretch needs 0 <= start < end, got {self.start} s to {self.end} s"
            )
        require_at_least_0("fade", self.fade)

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return the sound with a gap; see `Perturbation`."""
        samples = checked(waveform)
        if self.start >= waveform.duration:
            raise InvalidValueError(
                f"the stretch begins at {self.start} s, and the sound ends at "
                f"{waveform.duration:.3f} s"
            )
        seconds = torch.arange(waveform.n_samples, dtype=torch.float64) / waveform.sample_rate
        gain = _outside(seconds, self.start, self.end, self.fade).to(samples)
        return Waveform(samples * gain, waveform.sample_rate)


@dataclass(frozen=True, slots=True)
class RegionMute:
    """Silence a rectangle of time and frequency, in the sound's short-time spectrum.

    Neighbouring bins and frames overlap, so a little of the region stays audible at its edges.

    Attributes
    ----------
    start, end : float
        In seconds; 0 <= start < end.
    low, high : float
        In Hz; 0 <= low < high.
    """

    start: float
    end: float
    low: float
    high: float

    def __post_init__(self) -> None:
        BandMute(self.low, self.high)
        TimeMask(self.start, self.end)

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return the sound without the rectangle; see `Perturbation`."""
        spec = spec_for(waveform)

        def gains(spectrum: Tensor) -> Tensor:
            frames = torch.arange(spectrum.shape[-1]) * spec.hop / spec.sample_rate
            hertz = spec.frequencies()
            hit = (frames >= self.start) & (frames <= self.end)
            band = (hertz >= self.low) & (hertz <= self.high)
            return 1.0 - (band[:, None] & hit).to(spectrum.real)

        return _masked(waveform, spec, gains)


@dataclass(frozen=True, slots=True)
class WithoutPart:
    """Take away what sounds on (harmonic), or what hits (percussive) [1]_.

    Both parts are estimated by medians of the magnitudes along time and along frequency; each bin
    and frame is shared between them by soft masks, so the two results add up to the sound.

    Attributes
    ----------
    part : {"harmonic", "percussive"}
        What is removed.
    kernel : int
        Length of the medians, in bins and frames; odd, at least 3.
    power : float
        Of the soft masks; higher is harder. Positive.

    References
    ----------
    .. [1] D. FitzGerald, "Harmonic/percussive separation using median filtering", Proc. DAFx, 2010.
    """

    part: Literal["harmonic", "percussive"]
    kernel: int = 31
    power: float = 2.0

    def __post_init__(self) -> None:
        if self.part not in ("harmonic", "percussive"):
            raise InvalidValueError(f"part must be harmonic or percussive, got {self.part!r}")
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise InvalidValueError(f"kernel must be odd and at least 3, got {self.kernel}")
        if not self.power > 0:
            raise InvalidValueError(f"power must be positive, got {self.power}")

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return the sound without the part; see `Perturbation`."""
        from librosa.decompose import hpss

        def gains(spectrum: Tensor) -> Tensor:
            magnitude = spectrum.abs().cpu().numpy()
            harmonic, percussive = hpss(
                magnitude, kernel_size=self.kernel, power=self.power, mask=True
            )
            kept = percussive if self.part == "harmonic" else harmonic
            return torch.from_numpy(kept).to(spectrum.real)

        return _masked(waveform, spec_for(waveform), gains)


def bands(sample_rate: int, count: int, lowest: float = 50.0) -> list[BandMute]:
    """Return mutes that together cover all frequencies, at equal distances in octaves.

    Parameters
    ----------
    sample_rate : int
        Of the sound, in Hz; above ``2 * lowest``.
    count : int
        How many, at least 1; the lowest band begins at 0 Hz.
    lowest : float
        Where the second band would begin if there were one more below, in Hz.

    Examples
    --------
    >>> [(round(band.low), round(band.high)) for band in bands(16_000, 3, 1000.0)]
    [(0, 2000), (2000, 4000), (4000, 8000)]
    """
    if count < 1:
        raise InvalidValueError(f"count must be at least 1, got {count}")
    if not 0 < lowest < sample_rate / 2:
        raise InvalidValueError(f"lowest must be in (0, {sample_rate / 2:g}) Hz, got {lowest}")
    ends = [lowest * (sample_rate / 2 / lowest) ** (i / count) for i in range(count + 1)]
    ends[0] = 0.0
    return [BandMute(low, high) for low, high in itertools.pairwise(ends)]


def _outside(axis: Tensor, low: float, high: float, flank: float) -> Tensor:
    """Return gains along an axis: 0 from ``low`` to ``high``, up to 1 a ``flank`` farther out."""
    distance = torch.maximum(low - axis, axis - high).clamp(min=0)
    if flank == 0:
        return (distance > 0).double()
    return 0.5 - 0.5 * torch.cos(torch.pi * (distance / flank).clamp(max=1))


def _reflected(samples: Tensor, around: int) -> Tensor:
    if around == 0:
        return samples
    return torch.nn.functional.pad(samples, (around, around), mode="reflect")


def _masked(waveform: Waveform, spec: StftSpec, gains: Callable[[Tensor], Tensor]) -> Waveform:
    """Multiply a sound's short-time spectrum by gains; silence is added to short sounds first."""
    samples = checked(waveform)
    length = max(-(-waveform.n_samples // spec.hop) * spec.hop, spec.n_fft)
    padded = torch.nn.functional.pad(samples, (0, length - waveform.n_samples))
    spectrum = stft_samples(padded, spec)
    found = istft_samples(spectrum * gains(spectrum), spec, length)
    return Waveform(found[..., : waveform.n_samples], waveform.sample_rate)


PERTURBATIONS.register("without-bass")(BandMute(0.0, 200.0))
PERTURBATIONS.register("without-middle")(BandMute(200.0, 2000.0))
PERTURBATIONS.register("without-treble")(BandMute(2000.0, 1e9))
PERTURBATIONS.register("without-harmonic")(WithoutPart("harmonic"))
PERTURBATIONS.register("without-percussive")(WithoutPart("percussive"))
