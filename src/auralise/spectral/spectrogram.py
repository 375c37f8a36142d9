"""A magnitude spectrogram with what is needed to turn it back into sound."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.spectral.stft import StftSpec, stft


@dataclass(frozen=True, slots=True, eq=False)
class Spectrogram:
    """Magnitudes over frequency and time.

    Attributes
    ----------
    magnitude : Tensor, shape (channels, bins, frames)
        Linear, not negative, unnormalised (a full-scale cosine on a bin has ``n_fft / 4``).
    spec : StftSpec
        How the transform was taken.
    n_samples : int
        Length of the signal it belongs to, in samples.
    phase : Tensor, shape (channels, bins, frames), or None
        In radians; None where only magnitudes are known.
    """

    magnitude: Tensor
    spec: StftSpec
    n_samples: int
    phase: Tensor | None = None

    def __post_init__(self) -> None:
        expected = (self.spec.bins, self.spec.frames(self.n_samples))
        if self.magnitude.ndim != 3 or tuple(self.magnitude.shape[1:]) != expected:
            raise ShapeError(
                f"magnitude must have shape (channels, {expected[0]}, {expected[1]}) for "
                f"{self.n_samples} samples, got {tuple(self.magnitude.shape)}"
            )
        if self.phase is not None and self.phase.shape != self.magnitude.shape:
            raise ShapeError(
                f"phase must have the shape of magnitude, {tuple(self.magnitude.shape)}, "
                f"got {tuple(self.phase.shape)}"
            )

    @property
    def complex(self) -> Tensor:
        """The complex spectrum, shape (channels, bins, frames).

        Raises
        ------
        InvalidValueError
            If the phase is not known.
        """
        if self.phase is None:
            raise InvalidValueError(
                "this spectrogram has no phase; give it one with a phase method"
            )
        return torch.polar(self.magnitude, self.phase)


def analyse(waveform: Waveform, spec: StftSpec) -> Spectrogram:
    """Return the spectrogram of a waveform, with its phase.

    Parameters
    ----------
    waveform : Waveform
        At ``spec.sample_rate``, longer than ``spec.n_fft // 2`` samples.
    spec : StftSpec
        Frame length, hop and rate.
    """
    spectrum = stft(waveform, spec)
    return Spectrogram(spectrum.abs(), spec, waveform.n_samples, spectrum.angle())
