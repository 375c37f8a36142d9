"""A stretch of sound: samples and the rate they were taken at."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from auralise.errors import InvalidValueError, ShapeError


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """Audio in memory.

    Attributes
    ----------
    samples : Tensor, shape (channels, time)
        Amplitudes; full scale is [-1, 1], and values outside it are allowed until written.
    sample_rate : int
        Samples per second of one channel, in Hz.
    """

    samples: Tensor
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2:
            raise ShapeError(
                f"samples must have shape (channels, time), got {tuple(self.samples.shape)}; "
                "for one channel pass samples[None]"
            )
        if self.sample_rate <= 0:
            raise InvalidValueError(f"sample_rate must be positive, got {self.sample_rate} Hz")

    @property
    def n_samples(self) -> int:
        """Length of one channel in samples."""
        return self.samples.shape[-1]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate

    def mono(self) -> Waveform:
        """Return the mean of the channels as a one-channel waveform."""
        if len(self.samples) == 1:
            return self
        return Waveform(self.samples.mean(0, keepdim=True), self.sample_rate)
