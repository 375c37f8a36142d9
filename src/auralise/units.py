"""Units of frequency, level and time, as pairs of functions that undo each other.

Every function takes a float or a tensor of any shape and returns the same kind; tensors keep
their dtype and device, and gradients pass through.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from auralise.errors import InvalidValueError, UnknownNameError

Value = TypeVar("Value", float, Tensor)

A0_HZ = 27.5
"""Where octave 0 begins, in Hz: the A four octaves below concert pitch (440 Hz)."""

# Slaney's scale: linear below 1 kHz, 200/3 Hz a mel; then 27 mels for every factor of 6.4.
_SLANEY_KNEE_HZ = 1000.0
_SLANEY_KNEE_MEL = 15.0
_SLANEY_LOG_STEP = math.log(6.4) / 27.0


def hz_to_mel(hz: Value, scale: str = "slaney") -> Value:
    r"""Convert frequency to mel.

    ``"htk"``: :math:`2595 \log_{10}(1 + f / 700)` [1]_. ``"slaney"``: linear to 1 kHz, logarithmic
    above [2]_.

    Parameters
    ----------
    hz : float or Tensor
        Frequency in Hz, at least 0.
    scale : str
        ``"slaney"`` or ``"htk"``.

    Returns
    -------
    float or Tensor
        In mel; 0 for 0 Hz.

    Raises
    ------
    InvalidValueError
        If a frequency is negative or not a number.
    UnknownNameError
        If there is no such scale.

    References
    ----------
    .. [1] D. O'Shaughnessy, "Speech Communication: Human and Machine", Addison-Wesley, 1987.
    .. [2] M. Slaney, "Auditory Toolbox, version 2", Interval Research technical report 1998-010.

    Examples
    --------
    >>> hz_to_mel(1000.0)
    15.0
    """
    _check_scale(scale)
    _check_at_least(hz, 0.0, "hz", "Hz")
    if scale == "htk":
        return _apply(hz, lambda f: torch.log1p(f / 700.0) * (2595.0 / math.log(10.0)))
    return _apply(hz, _slaney_mel)


def mel_to_hz(mel: Value, scale: str = "slaney") -> Value:
    """Convert mel to frequency in Hz; inverse of `hz_to_mel`.

    Examples
    --------
    >>> mel_to_hz(15.0)
    1000.0
    """
    _check_scale(scale)
    _check_at_least(mel, 0.0, "mel", "mel")
    if scale == "htk":
        return _apply(mel, lambda m: torch.expm1(m * (math.log(10.0) / 2595.0)) * 700.0)
    return _apply(mel, _slaney_hz)


def hz_to_bark(hz: Value) -> Value:
    r"""Convert frequency to critical-band rate in Bark.

    :math:`z = 26.81 f / (1960 + f) - 0.53`, then the paper's corrections at both ends: below
    2 Bark :math:`0.15 (2 - z)` is added, above 20.1 Bark :math:`0.22 (z - 20.1)` [1]_.

    Parameters
    ----------
    hz : float or Tensor
        Frequency in Hz, at least 0.

    Returns
    -------
    float or Tensor
        In Bark, from -0.1505 (at 0 Hz) to below 27.6396.

    Raises
    ------
    InvalidValueError
        If a frequency is negative or not a number.

    References
    ----------
    .. [1] H. Traunmüller, "Analytical expressions for the tonotopic sensory scale",
       J. Acoust. Soc. Am. 88(1), 1990.

    Examples
    --------
    >>> round(hz_to_bark(1000.0), 3)
    8.527
    """
    _check_at_least(hz, 0.0, "hz", "Hz")

    def formula(f: Tensor) -> Tensor:
        # 26.81 f / (1960 + f), written so that an infinite frequency has its limit.
        z = 26.81 * (1.0 - 1960.0 / (1960.0 + f)) - 0.53
        z = torch.where(z < 2.0, z + 0.15 * (2.0 - z), z)
        return torch.where(z > 20.1, z + 0.22 * (z - 20.1), z)

    return _apply(hz, formula)


def bark_to_hz(bark: Value) -> Value:
    """Convert critical-band rate in Bark to frequency in Hz; inverse of `hz_to_bark`.

    Raises
    ------
    InvalidValueError
        If a value is outside [-0.1505, 27.6396), which no frequency has.
    """
    low, high = -0.53 + 0.15 * 2.53, 26.28 + 0.22 * (26.28 - 20.1)
    _check_at_least(bark, low, "bark", "Bark")
    if not _all(bark < high):
        raise InvalidValueError(
            f"bark must be below {high:.4f}, the limit for infinite frequency, "
            f"got {_worst(bark, largest=True):g}"
        )

    def formula(z: Tensor) -> Tensor:
        z = torch.where(z < 2.0, (z - 0.3) / 0.85, z)
        z = torch.where(z > 20.1, (z + 0.22 * 20.1) / 1.22, z)
        return (1960.0 * (z + 0.53) / (26.28 - z)).clamp_min(0.0)

    return _apply(bark, formula)


def hz_to_erb_rate(hz: Value) -> Value:
    r"""Convert frequency to ERB-rate (the number of equivalent rectangular bandwidths below it).

    .. math:: E = 21.4 \log_{10}(1 + 0.00437 f)

    Parameters
    ----------
    hz : float or Tensor
        Frequency in Hz, at least 0.

    Returns
    -------
    float or Tensor
        ERB-rate; 0 for 0 Hz.

    Raises
    ------
    InvalidValueError
        If a frequency is negative or not a number.

    References
    ----------
    .. [1] B. R. Glasberg, B. C. J. Moore, "Derivation of auditory filter shapes from notched-noise
       data", Hearing Research 47(1-2), 1990.

    Examples
    --------
    >>> round(hz_to_erb_rate(1000.0), 2)
    15.62
    """
    _check_at_least(hz, 0.0, "hz", "Hz")
    return _apply(hz, lambda f: torch.log1p(0.00437 * f) * (21.4 / math.log(10.0)))


def erb_rate_to_hz(erb_rate: Value) -> Value:
    """Convert ERB-rate to frequency in Hz; inverse of `hz_to_erb_rate`."""
    _check_at_least(erb_rate, 0.0, "erb_rate", "")
    return _apply(erb_rate, lambda e: torch.expm1(e * (math.log(10.0) / 21.4)) / 0.00437)


def hz_to_octave(hz: Value) -> Value:
    """Convert frequency to octaves above the lowest A of the piano, 27.5 Hz.

    Concert pitch (440 Hz, A4) is octave 4.

    Parameters
    ----------
    hz : float or Tensor
        Frequency in Hz, above 0.

    Raises
    ------
    InvalidValueError
        If a frequency is 0, negative or not a number.

    Examples
    --------
    >>> hz_to_octave(440.0)
    4.0
    """
    if not _all(hz > 0):
        raise InvalidValueError(f"hz must be above 0 Hz to have an octave, got {_worst(hz):g}")
    return _apply(hz, lambda f: torch.log2(f / A0_HZ))


def octave_to_hz(octave: Value) -> Value:
    """Convert octaves above 27.5 Hz to frequency in Hz; inverse of `hz_to_octave`."""
    return _apply(octave, lambda o: torch.exp2(o) * A0_HZ)


def amplitude_to_db(amplitude: Value) -> Value:
    """Convert amplitude to level in dB re 1; 0 becomes minus infinity.

    Raises
    ------
    InvalidValueError
        If an amplitude is negative or not a number.

    Examples
    --------
    >>> amplitude_to_db(0.1)
    -20.0
    """
    _check_at_least(amplitude, 0.0, "amplitude", "")
    return _apply(amplitude, lambda a: 20.0 * torch.log10(a))


def db_to_amplitude(db: Value) -> Value:
    """Convert level in dB to amplitude; inverse of `amplitude_to_db`."""
    return _apply(db, lambda level: torch.pow(10.0, level / 20.0))


def power_to_db(power: Value) -> Value:
    """Convert power to level in dB re 1; 0 becomes minus infinity.

    Raises
    ------
    InvalidValueError
        If a power is negative or not a number.

    Examples
    --------
    >>> power_to_db(0.01)
    -20.0
    """
    _check_at_least(power, 0.0, "power", "")
    return _apply(power, lambda p: 10.0 * torch.log10(p))


def db_to_power(db: Value) -> Value:
    """Convert level in dB to power; inverse of `power_to_db`."""
    return _apply(db, lambda level: torch.pow(10.0, level / 10.0))


def frames_to_seconds(frames: Value, sample_rate: int, hop: int) -> Value:
    """Convert a position in frames to seconds: the centre of frame 0 is at 0 s.

    Parameters
    ----------
    frames : float or Tensor
        May be fractional or negative.
    sample_rate : int
        In Hz.
    hop : int
        Samples between frames.

    Raises
    ------
    InvalidValueError
        If ``sample_rate`` or ``hop`` is not positive.

    Examples
    --------
    >>> frames_to_seconds(10.0, sample_rate=8000, hop=400)
    0.5
    """
    _check_grid(sample_rate, hop)
    return _apply(frames, lambda position: position * hop / sample_rate)


def seconds_to_frames(seconds: Value, sample_rate: int, hop: int) -> Value:
    """Convert seconds to a position in frames, unrounded; inverse of `frames_to_seconds`."""
    _check_grid(sample_rate, hop)
    return _apply(seconds, lambda time: time * sample_rate / hop)


def _slaney_mel(hz: Tensor) -> Tensor:
    """Slaney's scale; the clamp keeps the logarithm's gradient finite where it is not used."""
    above = torch.log(hz.clamp_min(_SLANEY_KNEE_HZ) / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP
    return torch.where(hz < _SLANEY_KNEE_HZ, hz * 3.0 / 200.0, _SLANEY_KNEE_MEL + above)


def _slaney_hz(mel: Tensor) -> Tensor:
    """Inverse of `_slaney_mel`."""
    above = torch.exp((mel.clamp_min(_SLANEY_KNEE_MEL) - _SLANEY_KNEE_MEL) * _SLANEY_LOG_STEP)
    return torch.where(mel < _SLANEY_KNEE_MEL, mel * 200.0 / 3.0, _SLANEY_KNEE_HZ * above)


def _apply(value: Value, formula: Callable[[Tensor], Tensor]) -> Value:
    """Evaluate a tensor formula on a tensor, or on a float in double precision."""
    if isinstance(value, Tensor):
        exact = value if value.is_floating_point() else value.double()
        return formula(exact)
    return formula(torch.tensor(value, dtype=torch.float64)).item()


def _all(condition: bool | Tensor) -> bool:
    """Whether a comparison holds everywhere."""
    return bool(condition.all()) if isinstance(condition, Tensor) else condition


def _worst(value: float | Tensor, largest: bool = False) -> float:
    """Return the value to show in a message: not a number if there is one, else an extreme."""
    if isinstance(value, Tensor):
        return float(value.max() if largest else value.min())
    return value


def _check_at_least(value: float | Tensor, low: float, name: str, unit: str) -> None:
    """Refuse values below ``low`` and values that are not numbers."""
    if not _all(value >= low):
        rule = f"{low:g} {unit}".rstrip()
        raise InvalidValueError(f"{name} must be at least {rule}, got {_worst(value):g}")


def _check_scale(scale: str) -> None:
    """Refuse unknown mel scales."""
    if scale not in ("slaney", "htk"):
        raise UnknownNameError("mel scale", scale, ("slaney", "htk"))


def _check_grid(sample_rate: int, hop: int) -> None:
    """Refuse a rate or hop that is not positive."""
    if sample_rate <= 0:
        raise InvalidValueError(f"sample_rate must be positive, got {sample_rate} Hz")
    if hop <= 0:
        raise InvalidValueError(f"hop must be positive, got {hop} samples")
