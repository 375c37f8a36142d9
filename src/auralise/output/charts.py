"""Charts as plain values: points, lines, a band, an image over two axes; drawn elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auralise.errors import InvalidValueError, ShapeError
from auralise.output.figures import Array

ROLES = ("filters", "tuned", "untrained", "guide")
"""What a series shows: measured filters, those that pass a gate, controls, a line to compare."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a chart.

    Attributes
    ----------
    title : str
        Quantity, with its unit where the ticks have none.
    limits : pair of float
        First and last value shown.
    ticks : tuple of (float, str)
        Places with their labels.
    logarithmic : bool
        Whether equal ratios are equally far apart.
    """

    title: str
    limits: tuple[float, float]
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def __post_init__(self) -> None:
        low, high = self.limits
        if not low < high or (self.logarithmic and low <= 0):
            raise InvalidValueError(
                f"axis {self.title!r} cannot go from {low:g} to {high:g}; limits must rise, and "
                "be positive where the axis is logarithmic"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Points, or a line through them.

    Attributes
    ----------
    name : str
        For the legend.
    role : str
        In `ROLES`.
    x, y : array, shape (points,)
        Finite.
    texts : tuple of str
        What hovering tells, one for each point; empty for the legend's name.
    line : bool
        Whether the points are joined, and not shown themselves.
    reach : array, shape (2, points), or None
        Lower and upper ends of an interval about each point.
    """

    name: str
    role: str
    x: Array
    y: Array
    texts: tuple[str, ...] = ()
    line: bool = False
    reach: Array | None = None

    def __post_init__(self) -> None:
        points = self.x.shape
        if len(points) != 1 or self.y.shape != points or len(self.texts) not in (0, points[0]):
            raise ShapeError(
                f"series {self.name!r} has {self.x.shape} x, {self.y.shape} y and "
                f"{len(self.texts)} texts; they must be one each"
            )
        if self.role not in ROLES:
            raise InvalidValueError(f"role must be one of {', '.join(ROLES)}, got {self.role!r}")
        if not (np.isfinite(self.x).all() and np.isfinite(self.y).all()):
            raise InvalidValueError(f"series {self.name!r} holds values that are not finite")


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """The room between two lines.

    Attributes
    ----------
    name : str
        For the legend.
    x, low, high : array, shape (points,)
    """

    name: str
    x: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """Levels on a grid that fills a chart from limit to limit.

    Attributes
    ----------
    values : array, shape (rows, columns)
        The lowest row first; in dB, at most 0.
    floor : float
        The lowest level, in dB.
    """

    values: Array
    floor: float


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """What is seen over two axes.

    Attributes
    ----------
    title : str
        What is shown.
    x, y : Axis
    series : tuple of Series
        Later ones lie above earlier ones.
    band : Band or None
        Below the series.
    image : Image or None
        Below everything; neither axis is logarithmic then.
    """

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    band: Band | None = None
    image: Image | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ChartFigure:
    """Charts that are read together.

    Attributes
    ----------
    title, caption : str
        What is shown; how it was measured, in one line.
    charts : tuple of Chart
    words : str
        The finding in words, for those who cannot see the charts.
    """

    title: str
    caption: str
    charts: tuple[Chart, ...]
    words: str
