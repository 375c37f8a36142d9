"""Signals with known answers: tones, noise bands, clicks, chirps, silence.

All have one channel and are computed in double precision. Frequencies lie below half the sample
rate, so nothing is aliased. Levels of lasting sounds are those of the part between the ramps, as
root mean square relative to that of a full-scale sine (AES17): a tone of -20 dBFS has amplitude
0.1. A click has no root mean square worth the name; its level is that of its peak.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.units import db_to_amplitude

LEVEL_DB = -20.0
"""Level where none is asked for, in dBFS."""

_SINE_RMS = math.sqrt(0.5)


def silence(seconds: float, sample_rate: int, *, dtype: torch.dtype = torch.float32) -> Waveform:
    """Return zeros.

    Parameters
    ----------
    seconds : float
        Length; rounded to whole samples, at least one.
    sample_rate : int
        In Hz.
    dtype : torch.dtype
        Of the samples.

    Raises
    ------
    InvalidValueError
        If the length is less than one sample.

    Examples
    --------
    >>> silence(0.5, 8000).samples.shape
    torch.Size([1, 4000])
    """
    return _waveform(torch.zeros_like(_time(seconds, sample_rate)), sample_rate, dtype)


def tone(
    frequency: float,
    seconds: float,
    sample_rate: int,
    *,
    level_db: float = LEVEL_DB,
    phase: float = 0.0,
    ramp: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> Waveform:
    r"""Return a pure tone, :math:`A \sin(2 \pi (f t + \varphi))`.

    Parameters
    ----------
    frequency : float
        In Hz, above 0 and below half the sample rate.
    seconds, sample_rate, dtype
        As in `silence`.
    level_db : float
        In dBFS; the amplitude is ``10 ** (level_db / 20)``.
    phase : float
        Where in its period the tone begins, in periods.
    ramp : float
        Length of onset and offset, each half a raised cosine, in seconds.

    Raises
    ------
    InvalidValueError
        If the frequency would be aliased, or both ramps do not fit in.

    Examples
    --------
    >>> tone(1000.0, 0.5, 8000, level_db=-6.0).samples.abs().max().item()  # doctest: +ELLIPSIS
    0.501...
    """
    return harmonic_tone(
        frequency,
        seconds,
        sample_rate,
        harmonics=1,
        level_db=level_db,
        phase=phase,
        ramp=ramp,
        dtype=dtype,
    )


def harmonic_tone(
    fundamental: float,
    seconds: float,
    sample_rate: int,
    *,
    harmonics: int = 10,
    slope_db: float = -6.0,
    level_db: float = LEVEL_DB,
    phase: float = 0.0,
    ramp: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> Waveform:
    """Return a tone with harmonics, all beginning together with their sines' zeros.

    Parameters
    ----------
    fundamental : float
        In Hz, above 0 and below half the sample rate.
    seconds, sample_rate, ramp, dtype
        As in `tone`.
    harmonics : int
        How many, the fundamental included; those from half the sample rate on are left out.
    slope_db : float
        Level of a harmonic an octave higher, relative to the lower one, in dB.
    level_db : float
        Of all harmonics together, in dBFS.
    phase : float
        Where in the fundamental's period the tone begins, in periods.

    Raises
    ------
    InvalidValueError
        If ``harmonics`` is below 1, or as for `tone`.
    """
    _check_frequency("frequency" if harmonics == 1 else "fundamental", fundamental, sample_rate)
    if harmonics < 1:
        raise InvalidValueError(f"harmonics must be at least 1, got {harmonics}")
    time = _time(seconds, sample_rate)
    numbers = torch.arange(1, harmonics + 1, dtype=torch.float64)
    numbers = numbers[numbers * fundamental < sample_rate / 2]
    amplitudes = db_to_amplitude(slope_db * torch.log2(numbers))
    samples = torch.zeros_like(time)
    for number, amplitude in zip(numbers, amplitudes, strict=True):
        samples += amplitude * torch.sin(2 * math.pi * number * (fundamental * time + phase))
    scale = db_to_amplitude(level_db) / float(torch.linalg.vector_norm(amplitudes))
    return _waveform(scale * samples * _ramps(time, ramp, sample_rate), sample_rate, dtype)


def noise_band(
    low: float,
    high: float,
    seconds: float,
    sample_rate: int,
    *,
    seed: int = 0,
    level_db: float = LEVEL_DB,
    ramp: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> Waveform:
    """Return Gaussian noise with nothing outside a band (before the ramps).

    The band is cut in the discrete Fourier transform of the whole signal, so that without ramps
    the edges are exact and the signal can be repeated without a seam.

    Parameters
    ----------
    low, high : float
        Edges of the band in Hz, rising, from 0 to half the sample rate; ``low`` belongs to it.
    seconds, sample_rate, ramp, dtype
        As in `tone`.
    seed : int
        The same seed gives the same noise.
    level_db : float
        In dBFS; met exactly by the whole signal before the ramps.

    Raises
    ------
    InvalidValueError
        If the edges are out of order or range, or the band is so narrow that a signal of this
        length has no frequency in it.
    """
    if not 0 <= low < high <= sample_rate / 2:
        raise InvalidValueError(
            f"a band needs 0 <= low < high <= {sample_rate / 2:g} Hz, got {low:g} to {high:g} Hz"
        )
    time = _time(seconds, sample_rate)
    frequencies = torch.fft.rfftfreq(len(time), 1 / sample_rate, dtype=torch.float64)
    inside = (frequencies >= low) & (frequencies < high) & (frequencies > 0)
    if not inside.any():
        raise InvalidValueError(
            f"no frequency of a signal of {seconds:g} s lies in {low:g} to {high:g} Hz; "
            f"make it at least {1 / (high - low):g} s long"
        )
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(len(frequencies), 2, generator=generator, dtype=torch.float64)
    samples = torch.fft.irfft(torch.view_as_complex(values) * inside, n=len(time))
    rms = float(samples.square().mean().sqrt())
    scale = db_to_amplitude(level_db) * _SINE_RMS / rms
    return _waveform(scale * samples * _ramps(time, ramp, sample_rate), sample_rate, dtype)


def clicks(
    times: Sequence[float],
    seconds: float,
    sample_rate: int,
    *,
    level_db: float = LEVEL_DB,
    dtype: torch.dtype = torch.float32,
) -> Waveform:
    """Return single samples in silence.

    Parameters
    ----------
    times : sequence of float
        In seconds; each is rounded to the nearest sample, which must lie within the signal.
    seconds, sample_rate, dtype
        As in `silence`.
    level_db : float
        Peak of each click in dBFS.

    Raises
    ------
    InvalidValueError
        If a click lies outside the signal.
    """
    samples = torch.zeros_like(_time(seconds, sample_rate))
    for time in times:
        index = round(time * sample_rate)
        if not 0 <= index < len(samples):
            raise InvalidValueError(
                f"a click at {time:g} s lies outside the signal of {seconds:g} s"
            )
        samples[index] = db_to_amplitude(level_db)
    return _waveform(samples, sample_rate, dtype)


def chirp(
    start: float,
    stop: float,
    seconds: float,
    sample_rate: int,
    *,
    scale: Literal["linear", "logarithmic"] = "logarithmic",
    level_db: float = LEVEL_DB,
    ramp: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> Waveform:
    r"""Return a tone that glides from one frequency to another.

    Its frequency at time :math:`t` is :math:`f_0 + (f_1 - f_0) t / T` (linear) or
    :math:`f_0 (f_1 / f_0)^{t / T}` (logarithmic).

    Parameters
    ----------
    start, stop : float
        First and last frequency in Hz, above 0 and below half the sample rate; falling if
        ``stop`` is the lower one.
    seconds, sample_rate, level_db, ramp, dtype
        As in `tone`.
    scale : {"linear", "logarithmic"}
        On which the glide is even.

    Raises
    ------
    InvalidValueError
        If a frequency would be aliased, the scale is neither, or both ramps do not fit in.
    """
    _check_frequency("start", start, sample_rate)
    _check_frequency("stop", stop, sample_rate)
    if scale not in ("linear", "logarithmic"):
        raise InvalidValueError(f"scale must be linear or logarithmic, got {scale!r}")
    time = _time(seconds, sample_rate)
    length = len(time) / sample_rate
    span = math.log(stop / start)
    if scale == "linear" or span == 0:
        periods = start * time + (stop - start) * time.square() / (2 * length)
    else:
        periods = start * length / span * torch.expm1(span * time / length)
    samples = db_to_amplitude(level_db) * torch.sin(2 * math.pi * periods)
    return _waveform(samples * _ramps(time, ramp, sample_rate), sample_rate, dtype)


def _time(seconds: float, sample_rate: int) -> Tensor:
    """Return the time of each sample in seconds, float64."""
    if sample_rate <= 0:
        raise InvalidValueError(f"sample_rate must be positive, got {sample_rate} Hz")
    length = round(seconds * sample_rate) if math.isfinite(seconds) else 0
    if length < 1:
        raise InvalidValueError(
            f"seconds must give at least one sample at {sample_rate} Hz, got {seconds:g} s"
        )
    return torch.arange(length, dtype=torch.float64) / sample_rate


def _ramps(time: Tensor, ramp: float, sample_rate: int) -> Tensor:
    """Return the envelope: from 0 to 1 in ``ramp`` seconds, and back at the end."""
    length = round(ramp * sample_rate)
    if not 0 <= 2 * length <= len(time):
        raise InvalidValueError(
            f"ramp must be from 0 to half the length, {len(time) / sample_rate / 2:g} s, "
            f"got {ramp:g} s"
        )
    envelope = torch.ones_like(time)
    if length:
        rise = torch.sin(math.pi / 2 * torch.arange(length, dtype=torch.float64) / length).square()
        envelope[:length] = rise
        envelope[len(time) - length :] = rise.flip(0)
    return envelope


def _check_frequency(name: str, frequency: float, sample_rate: int) -> None:
    if not 0 < frequency < sample_rate / 2:
        raise InvalidValueError(
            f"{name} must be above 0 and below half the sample rate, {sample_rate / 2:g} Hz, "
            f"got {frequency:g} Hz"
        )


def _waveform(samples: Tensor, sample_rate: int, dtype: torch.dtype) -> Waveform:
    return Waveform(samples[None].to(dtype), sample_rate)
