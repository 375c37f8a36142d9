"""What stands between a waveform and a network's input, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor, nn

from auralise.audio.waveform import Waveform
from auralise.phase.base import PhaseMethod
from auralise.spectral.spectrogram import Spectrogram


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """A network's input, and the sound it was made from.

    Attributes
    ----------
    values : Tensor, shape (channels, ...)
        What the network sees, without a batch axis: (channels, bins, frames) for spectrograms,
        (1, time) for raw audio.
    source : Waveform
        One channel, at the frontend's rate.
    spectrogram : Spectrogram or None
        Of ``source``, with its phase; None for raw audio.
    """

    values: Tensor
    source: Waveform
    spectrogram: Spectrogram | None = None


class Frontend(Protocol):
    """Makes a network's input from sound, and sound from something of that input's shape."""

    @property
    def sample_rate(self) -> int:
        """Rate of the waveforms it takes, in Hz."""
        ...

    @property
    def module(self) -> nn.Module:
        """The same way for batches: (batch, time) samples to (batch, channels, ...) values.

        Differentiable, so that gradients reach the waveform.
        """
        ...

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of the axes of the values, e.g. ("channel", "frequency", "time")."""
        ...

    def analyse(self, waveform: Waveform) -> Features:
        """Return the network's input for ``waveform`` (mixed to one channel).

        Raises
        ------
        InvalidValueError
            If the waveform is at another rate.
        ShapeError
            If it is too short to be analysed.
        """
        ...

    def synthesise(self, values: Tensor, like: Features, phase: PhaseMethod) -> Waveform:
        """Return the sound whose features are nearest to ``values``.

        Parameters
        ----------
        values : Tensor
            Same shape as ``like.values``, in the network's input domain.
        like : Features
            The features of the source: its length, and its phase for methods that want it.
        phase : PhaseMethod
            Not used by raw audio, whose values are a waveform already.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain values, of which `frontends.build` makes it again."""
        ...

    def seconds_of(self, frame: float) -> float:
        """Return the time of a position on the values' time axis, in seconds."""
        ...

    def frame_of(self, seconds: float) -> float:
        """Return the position on the time axis at a time in seconds; inverse of `seconds_of`."""
        ...

    def hertz_of(self, bin: float) -> float | None:
        """Return the frequency in Hz of a position on the frequency axis; None if there is none."""
        ...

    def bin_of(self, hertz: float) -> float | None:
        """Return the position on the frequency axis of a frequency; inverse of `hertz_of`."""
        ...
