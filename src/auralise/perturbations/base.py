"""What a perturbation is, the table of them, and what several share."""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.registry import Registry
from auralise.spectral.stft import StftSpec


class Perturbation(Protocol):
    """Changes a sound in one respect.

    Parameters
    ----------
    waveform : Waveform
        Any rate and number of channels; finite samples.

    Raises
    ------
    InvalidValueError
        If a sample is NaN or infinite, or the options do not fit the sound's rate or length.
    """

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return the changed sound."""
        ...


PERTURBATIONS: Registry[Perturbation] = Registry("perturbation")


def checked(waveform: Waveform) -> Tensor:
    """Return the samples, off the graph, once they are known to be finite."""
    samples = waveform.samples.detach()
    if samples.numel() == 0:
        raise ShapeError("the sound has no samples, so there is nothing to change")
    if not bool(samples.isfinite().all()):
        raise InvalidValueError("the sound has NaN or infinite samples; look at where it is from")
    return samples


def require_at_least_0(name: str, value: float) -> None:
    """Refuse a negative, infinite or NaN option."""
    if not 0 <= value < math.inf:
        raise InvalidValueError(f"{name} must be at least 0 and finite, got {value}")


def spec_for(waveform: Waveform) -> StftSpec:
    """Return a transform with windows of about 46 to 93 ms, four to a hop."""
    n_fft = 2 ** math.ceil(math.log2(0.046 * waveform.sample_rate))
    n_fft = max(n_fft, 16)
    return StftSpec(waveform.sample_rate, n_fft, n_fft // 4)
