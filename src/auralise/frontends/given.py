"""Features that come as they are, such as those of the Million Song Dataset: no sound at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.frontends.base import Features
from auralise.phase.base import PhaseMethod

NO_SOUND = (
    "this network takes features that were published without their sound (such as timbre and "
    "chroma of beats): it cannot listen to sounds, and its maps have no way back to sound; it can "
    "be trained and evaluated on such features, and INVERTERS give maps over them"
)


class GivenModule(nn.Module):
    """Hands features on, and refuses what is none: (batch, channels, time) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values``.

        Raises
        ------
        InvalidValueError
            If they are samples of sound.
        ShapeError
            If they are other features.
        """
        if values.ndim == 2:
            raise InvalidValueError(NO_SOUND)
        if values.ndim != 3 or values.shape[1] != self.channels:
            raise ShapeError(
                f"the network takes (batch, {self.channels}, time) features, got "
                f"{tuple(values.shape)}"
            )
        return values


@dataclass(frozen=True, slots=True)
class GivenFrontend:
    """Hands a network features as they are, (batch, channels, time).

    Attributes
    ----------
    channels : int
        Features at each place.
    sample_rate : int
        Places for what is called a second; 1 where a place is a beat.
    """

    channels: int
    sample_rate: int = 1

    def __post_init__(self) -> None:
        if self.channels < 1 or self.sample_rate < 1:
            raise InvalidValueError(
                f"channels and sample_rate must be at least 1, got {self.channels} and "
                f"{self.sample_rate}"
            )

    @property
    def module(self) -> nn.Module:
        """(batch, channels, time) features to themselves."""
        return GivenModule(self.channels)

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of the values."""
        return ("feature", "time")

    def analyse(self, waveform: Waveform) -> Features:
        """Refuse: these features are not made of sound here."""
        raise InvalidValueError(NO_SOUND)

    def synthesise(self, values: Tensor, like: Features, phase: PhaseMethod) -> Waveform:
        """Refuse: there is no way back to sound."""
        raise InvalidValueError(NO_SOUND)

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return {"kind": "given", "channels": self.channels, "sample_rate": self.sample_rate}

    def seconds_of(self, frame: float) -> float:
        """Return the time of a place."""
        return frame / self.sample_rate

    def frame_of(self, seconds: float) -> float:
        """Return the place at a time."""
        return seconds * self.sample_rate

    def hertz_of(self, bin: float) -> float | None:
        """Return None: there is no frequency axis."""
        return None

    def bin_of(self, hertz: float) -> float | None:
        """Return None: there is no frequency axis."""
        return None
