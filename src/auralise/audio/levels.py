"""How loud a sound is, and how loud it is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.registry import Registry

CEILING_DB = -1.0
"""No policy leaves a peak above this level, in dB re full scale, unless it was there unclipped."""


@dataclass(frozen=True, slots=True)
class Level:
    """Two measures of how loud a sound is.

    Attributes
    ----------
    peak : float
        Largest magnitude of any sample; 1 is full scale.
    rms : float
        Root mean square over all samples of all channels.
    """

    peak: float
    rms: float


LevelPolicy = Callable[[Level, Level], float]
"""From the levels of a sound and of its source to the peak that the sound shall have."""

LEVELS: Registry[LevelPolicy] = Registry("level policy")


@dataclass(frozen=True, slots=True, eq=False)
class Levelled:
    """A sound whose level was set.

    Attributes
    ----------
    waveform : Waveform
        The sound after the gain.
    gain_db : float
        What was added to its level, in dB; 0 for silence.
    peak_db, rms_db : float or None
        Its levels after the gain, in dB re full scale; None for silence.
    policy : str
        Name of the policy, from `LEVELS`.
    """

    waveform: Waveform
    gain_db: float
    peak_db: float | None
    rms_db: float | None
    policy: str


@LEVELS.register("source-rms")
def source_rms(sound: Level, source: Level) -> float:
    """As loud as its source in root mean square; lowered where the peak would pass -1 dBFS."""
    if source.rms == 0:
        return unchanged(sound, source)
    return min(sound.peak / sound.rms * source.rms, _ceiling())


@LEVELS.register("peak")
def full_peak(sound: Level, source: Level) -> float:
    """Peak at -1 dBFS."""
    return _ceiling()


@LEVELS.register("none")
def unchanged(sound: Level, source: Level) -> float:
    """As it is; a sound that would clip is lowered to a peak of -1 dBFS."""
    return sound.peak if sound.peak <= 1 else _ceiling()


def apply_level(waveform: Waveform, source: Waveform, policy: str = "source-rms") -> Levelled:
    """Return a sound at the level that a policy gives it; the result never clips.

    One gain for all channels and all time. Silence stays silent.

    Parameters
    ----------
    waveform : Waveform
        The sound; any finite amplitudes.
    source : Waveform
        The sound it is compared with; may have another rate, length and number of channels.
    policy : str
        From `LEVELS`: ``"source-rms"``, ``"peak"`` or ``"none"``.

    Returns
    -------
    Levelled
        The sound, in its own dtype, with its gain and levels.

    Raises
    ------
    UnknownNameError
        If there is no such policy.
    InvalidValueError
        If a sample of either sound is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> sound = Waveform(torch.tensor([[0.5, -0.25]]), 8000)
    >>> result = apply_level(sound, sound, "peak")
    >>> round(result.gain_db, 2), round(result.peak_db, 2)
    (5.02, -1.0)
    """
    rule = LEVELS[policy]
    sound, reference = measure(waveform), measure(source)
    if sound.peak == 0:
        return Levelled(waveform, 0.0, None, None, policy)
    peak = rule(sound, reference)
    if peak == sound.peak:
        return Levelled(waveform, 0.0, peak_db(waveform), rms_db(waveform), policy)
    # Through the peak, not through the gain: a gain from 1e-310 to 1 is no double.
    samples = waveform.samples
    scaled = (samples.double() / sound.peak * peak).to(samples.dtype)
    result = Waveform(scaled, waveform.sample_rate)
    gain_db = _db(peak) - _db(sound.peak)
    return Levelled(result, gain_db, peak_db(result), rms_db(result), policy)


def measure(waveform: Waveform) -> Level:
    """Return the peak and the root mean square of a sound.

    Raises
    ------
    InvalidValueError
        If a sample is NaN or infinite.
    """
    samples = waveform.samples.detach().double()
    if samples.numel() == 0:
        return Level(0.0, 0.0)
    peak = samples.abs().max().item()
    if not math.isfinite(peak):
        raise InvalidValueError(
            f"{_not_finite(samples)} of {samples.numel()} samples are NaN or infinite; "
            "a level needs finite samples"
        )
    if peak == 0:
        return Level(0.0, 0.0)
    # Squares of very small or very large samples leave the range of doubles; ratios do not.
    return Level(peak, peak * (samples / peak).square().mean().sqrt().item())


def peak_db(waveform: Waveform) -> float | None:
    """Return the largest magnitude in dB re full scale; None for silence.

    Examples
    --------
    >>> import torch
    >>> round(peak_db(Waveform(torch.tensor([[0.0, -0.1]]), 8000)), 3)
    -20.0
    """
    peak = measure(waveform).peak
    return _db(peak) if peak > 0 else None


def rms_db(waveform: Waveform) -> float | None:
    """Return the root mean square in dB re 1, so a full-scale sine has -3.01; None for silence."""
    rms = measure(waveform).rms
    return _db(rms) if rms > 0 else None


def _ceiling() -> float:
    """Return the highest allowed peak as an amplitude."""
    return float(10.0 ** (CEILING_DB / 20.0))


def _db(amplitude: float) -> float:
    """Return an amplitude above 0 in dB."""
    return 20.0 * math.log10(amplitude)


def _not_finite(samples: Tensor) -> int:
    """Return how many samples are NaN or infinite."""
    return int((~samples.isfinite()).sum())
