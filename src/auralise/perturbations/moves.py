"""The same sound at another pitch, tempo or level."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.perturbations.base import PERTURBATIONS, checked, spec_for


@dataclass(frozen=True, slots=True)
class PitchShift:
    """Move all frequencies by one interval; tempo and length stay.

    Attributes
    ----------
    semitones : float
        Upwards where positive; within two octaves.
    """

    semitones: float

    def __post_init__(self) -> None:
        if not -24 <= self.semitones <= 24:
            raise InvalidValueError(f"semitones must be in [-24, 24], got {self.semitones}")

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return the transposed sound; see `Perturbation`."""
        from librosa.effects import pitch_shift

        def shifted(samples: NDArray[np.floating]) -> NDArray[np.floating]:
            rate = waveform.sample_rate
            n_fft = spec_for(waveform).n_fft
            moved: NDArray[np.floating] = pitch_shift(
                samples, sr=rate, n_steps=self.semitones, n_fft=n_fft
            )
            return moved

        return _by_librosa(waveform, shifted) if self.semitones else waveform


@dataclass(frozen=True, slots=True)
class Tempo:
    """Play faster or slower at the same pitch; the length changes by 1 / factor.

    Attributes
    ----------
    factor : float
        Above 1 is faster; in [0.25, 4].
    """

    factor: float

    def __post_init__(self) -> None:
        if not 0.25 <= self.factor <= 4:
            raise InvalidValueError(f"factor must be in [0.25, 4], got {self.factor}")

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return the sound at another tempo; see `Perturbation`."""
        from librosa.effects import time_stretch

        def stretched(samples: NDArray[np.floating]) -> NDArray[np.floating]:
            n_fft = spec_for(waveform).n_fft
            found: NDArray[np.floating] = time_stretch(samples, rate=self.factor, n_fft=n_fft)
            return found

        return _by_librosa(waveform, stretched) if self.factor != 1 else waveform


@dataclass(frozen=True, slots=True)
class Gain:
    """Make the sound louder or softer.

    Attributes
    ----------
    db : float
        Added to the level, in dB; finite. Nothing is clipped.
    """

    db: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.db):
            raise InvalidValueError(f"db must be finite, got {self.db}; use Silence for no sound")

    def __call__(self, waveform: Waveform) -> Waveform:
        """Return the sound at another level; see `Perturbation`."""
        return Waveform(checked(waveform) * 10 ** (self.db / 20), waveform.sample_rate)


def _by_librosa(
    waveform: Waveform, change: Callable[[NDArray[np.floating]], NDArray[np.floating]]
) -> Waveform:
    """Run a function of NumPy arrays (channels, time) on a sound."""
    samples = checked(waveform)
    found = torch.from_numpy(np.ascontiguousarray(change(samples.cpu().numpy())))
    return Waveform(found.to(samples), waveform.sample_rate)


PERTURBATIONS.register("semitone-up")(PitchShift(1))
PERTURBATIONS.register("semitone-down")(PitchShift(-1))
PERTURBATIONS.register("octave-up")(PitchShift(12))
PERTURBATIONS.register("faster")(Tempo(1.25))
PERTURBATIONS.register("slower")(Tempo(0.8))
PERTURBATIONS.register("6-db-softer")(Gain(-6.0))
PERTURBATIONS.register("20-db-softer")(Gain(-20.0))
