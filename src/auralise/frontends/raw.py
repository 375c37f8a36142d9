"""Raw audio: the network sees the samples themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.frontends.base import Features
from auralise.phase.base import PhaseMethod


class RawModule(nn.Module):
    """Adds the channel axis: (batch, time) to (batch, 1, time)."""

    def forward(self, samples: Tensor) -> Tensor:
        """Return ``samples`` with a channel axis."""
        return samples[:, None]


@dataclass(frozen=True, slots=True)
class RawFrontend:
    """Hands a network the samples as they are.

    Attributes
    ----------
    sample_rate : int
        In Hz.

    Examples
    --------
    >>> import torch
    >>> RawFrontend(16000).analyse(Waveform(torch.zeros(2, 16000), 16000)).values.shape
    torch.Size([1, 16000])
    """

    sample_rate: int

    def __post_init__(self) -> None:
        if self.sample_rate <= 0:
            raise InvalidValueError(f"sample_rate must be positive, got {self.sample_rate} Hz")

    @property
    def module(self) -> nn.Module:
        """(batch, time) samples to (batch, 1, time)."""
        return RawModule()

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of the values."""
        return ("channel", "time")

    def analyse(self, waveform: Waveform) -> Features:
        """Return the samples, mixed to one channel, shape (1, time)."""
        check_rate(waveform, self.sample_rate)
        mono = waveform.mono()
        return Features(mono.samples, mono, None)

    def synthesise(self, values: Tensor, like: Features, phase: PhaseMethod) -> Waveform:
        """Return ``values`` as sound; there is nothing for ``phase`` to do."""
        if values.shape != like.values.shape:
            raise ShapeError(
                f"values must have shape {tuple(like.values.shape)}, got {tuple(values.shape)}"
            )
        return Waveform(values, self.sample_rate)

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {"kind": "raw", "sample_rate": self.sample_rate}

    def seconds_of(self, frame: float) -> float:
        """Return the time of a sample in seconds."""
        return frame / self.sample_rate

    def frame_of(self, seconds: float) -> float:
        """Return the sample at a time in seconds."""
        return seconds * self.sample_rate

    def hertz_of(self, bin: float) -> float | None:
        """Return None: there is no frequency axis."""
        return None

    def bin_of(self, hertz: float) -> float | None:
        """Return None: there is no frequency axis."""
        return None


def check_rate(waveform: Waveform, sample_rate: int) -> None:
    """Refuse a waveform at another rate than the frontend's."""
    if waveform.sample_rate != sample_rate:
        raise InvalidValueError(
            f"waveform is at {waveform.sample_rate} Hz but the network expects {sample_rate} Hz; "
            "resample it first"
        )
