"""What a claim is, and what an experiment found."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.filters.resampling import Interval
from auralise.registry import Registry

if TYPE_CHECKING:
    from auralise.claims.context import Context

_Z_LEVEL, _Z_POWER = 1.959964, 0.841621


class Need(Enum):
    """What must be there before a claim can be tried; the value says it in words."""

    RAW = "a first layer on raw audio"
    SPECTROGRAM = "a spectrogram as input"
    TWINS = "untrained networks of the same architecture"
    COLLECTION = "a collection of sounds with labels (--data kind:folder)"
    LABELS = "a collection with the labels of the network"
    SECONDS = "a length of excerpt that the network was made for"
    RESULTS = "results of trainings (--results FOLDER)"


@dataclass(frozen=True, slots=True)
class Part:
    """One number that a claim stands on, and what it has to be.

    Attributes
    ----------
    name : str
        Under which tables list it.
    question : str
        What is measured, in one sentence.
    value : Interval
        The number with its 95 % interval.
    over : str
        What was drawn again for the interval, in the plural ("units").
    n : int
        How many of them there are.
    side : {"above", "below"}
        On which side of the threshold the claim wants the number.
    threshold : float
    controls : tuple of float
        The same number of each control (an untrained twin, a shuffle of labels).
    control : str
        What the controls are, in the plural.
    p : float or None
        How often a control would be as far on the claimed side; None where there is none.
    """

    name: str
    question: str
    value: Interval
    over: str
    n: int
    side: Literal["above", "below"]
    threshold: float
    controls: tuple[float, ...]
    control: str
    p: float | None

    def __post_init__(self) -> None:
        numbers = (self.value.value, self.value.low, self.value.high, self.threshold)
        if not all(math.isfinite(number) for number in (*numbers, *self.controls)):
            raise InvalidValueError(f"the numbers of part {self.name!r} must be finite: {numbers}")

    @property
    def holds(self) -> bool | None:
        """Whether the whole interval is on the claimed side; False if on the other, else None."""
        low, high = self.value.low - self.threshold, self.value.high - self.threshold
        if self.side == "below":
            low, high = -high, -low
        return True if low > 0 else False if high < 0 else None

    @property
    def needed(self) -> int | None:
        """How many would have to be drawn for the interval to leave the threshold.

        With the standard error :math:`s` of the interval (its width over 3.92) and the distance
        :math:`d` from the threshold, :math:`n ((1.96 + 0.84) s / d)^2` units give the interval a
        chance of 80 % to lie on one side of it, if the number stays as it is. None if it does
        already, or if the number is at the threshold.
        """
        error = (self.value.high - self.value.low) / (2 * _Z_LEVEL)
        distance = abs(self.value.value - self.threshold)
        if self.holds is not None or distance == 0:
            return None
        return math.ceil(self.n * ((_Z_LEVEL + _Z_POWER) * error / distance) ** 2)


@dataclass(frozen=True, slots=True)
class Curve:
    """A row of numbers in a panel.

    Attributes
    ----------
    name : str
        For the legend.
    y : tuple of float
        One for each place on the panel's axis; NaN where there is none.
    low, high : tuple of float
        Ends of intervals; empty if there are none.
    control : bool
        Whether this is of controls.
    """

    name: str
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    control: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Numbers over an axis of names, as plain values; drawn elsewhere.

    Attributes
    ----------
    title, x_title, y_title : str
    x : tuple of str
        Places on the axis: layers, distances, classes.
    curves : tuple of Curve
    limit : float or None
        A threshold to draw.
    """

    title: str
    x_title: str
    y_title: str
    x: tuple[str, ...]
    curves: tuple[Curve, ...]
    limit: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Something that lets one hear what a claim is about.

    Attributes
    ----------
    name, caption : str
        Of the file; what to listen for.
    waveform : Waveform
    """

    name: str
    caption: str
    waveform: Waveform


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What an experiment found.

    Attributes
    ----------
    parts : tuple of Part
        The claim says that all of them hold.
    panels : tuple of Panel
        What is drawn.
    sounds : tuple of Sound
    notes : tuple of str
        What one has to know when reading the numbers, in sentences.
    needed : int or None
        Where there are too few sounds for any number: how many it would take at least. The first
        note says why.
    """

    parts: tuple[Part, ...]
    panels: tuple[Panel, ...]
    sounds: tuple[Sound, ...] = ()
    notes: tuple[str, ...] = ()
    needed: int | None = None

    @property
    def p(self) -> float:
        """How often controls would do as well in all parts, at most: the largest p of a part."""
        return max((1.0 if part.p is None else part.p for part in self.parts), default=1.0)

    def in_words(self, plain: str) -> str:
        """Return a sentence with the numbers of the parts at ``{0}``, ``{1}`` and so on.

        ``{controls}`` is the range of the first part's controls. Empty where a part that the
        sentence speaks of could not be measured.
        """
        controls = self.parts[0].controls if self.parts else ()
        shown = f"{min(controls):.0%} to {max(controls):.0%}" if controls else "none"
        try:
            return plain.format(*(part.value.value for part in self.parts), controls=shown)
        except IndexError:
            return ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that is put to the test.

    Attributes
    ----------
    name : str
        Under which it is asked for.
    sentence : str
        What is claimed.
    source : str
        Who says so.
    experiment : str
        What is done, in a few sentences that need no mathematics.
    needs : tuple of Need
    test : callable
        From a `Context` to `Evidence`; raises `NotApplicable` where the network lacks something.
    version : int
        Raised when the experiment changes, so that older results are not taken for its own.
    plain : str
        What the numbers say, in words, for `Evidence.in_words`.
    """

    name: str
    sentence: str
    source: str
    experiment: str
    needs: tuple[Need, ...]
    test: Callable[[Context], Evidence] = field(repr=False)
    version: int = 1
    plain: str = ""


class NotApplicable(InvalidValueError):
    """A claim says nothing about this network, or cannot be tried on it; the message says why."""


CLAIMS: Registry[Claim] = Registry("claim")
"""All claims, in the order of the report."""
