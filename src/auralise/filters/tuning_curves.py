"""From measured responses to numbers per unit: best frequency, width, and what else it answers to.

A unit's *rise* is its activation above that in silence. Its tuning curve is the rise against
frequency at one level; frequencies are compared on the logarithmic axis, in octaves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auralise.errors import InvalidValueError
from auralise.filters.tuning import Tuning

Array = NDArray[np.float64]

NEGLIGIBLE = 1e-6
"""Rises below this share of the layer's largest activation are rounding errors."""

RESOLVED_POINTS = 3
"""Frequencies of the grid that a peak must hold above half its height to be a peak, not a point."""

_COLUMNS = (
    "height",
    "points",
    "best_frequency",
    "low",
    "high",
    "width_octaves",
    "selectivity",
    "octave",
    "twelfth",
    "level_exponent",
)


@dataclass(frozen=True, slots=True, eq=False)
class TuningCurves:
    """What the tuning curves of a layer's units look like, at one level.

    Every array has shape (channels,); NaN stands where a unit has no such number.

    Attributes
    ----------
    level_db : float
        Level of the curves in dBFS.
    height : array
        Largest rise over all frequencies, at least 0.
    best_frequency : array
        Where it is, in Hz: the vertex of a parabola through the three highest neighbours on the
        logarithmic axis, the middle of a flat top, or an end of the grid. NaN where nothing
        rises, or the same everywhere.
    low, high : array
        Where the rise falls to half the height on either side, in Hz; NaN where it does not
        within the grid.
    width_octaves : array
        From ``low`` to ``high``; NaN if one of them is.
    selectivity : array
        One minus the mean rise (over octaves, nothing counted below 0) in heights: 0 for a flat
        curve, near 1 for a single frequency.
    octave, twelfth : array
        Rise at two and three times the best frequency, in heights; NaN beyond the grid.
    level_exponent : array
        Slope of the logarithm of the rise against that of the amplitude at the best frequency: 1
        for a unit that doubles with its input, 0 for one that is saturated. NaN unless it rises at
        two levels.
    click : array
        Rise for clicks, in heights.
    direction : array
        Difference of the rises for rising and falling chirps over their sum: 1 for a unit that
        answers to rising ones alone, -1 to falling ones; NaN where neither raises it.
    resolved : array of bool
        Whether the peak holds at least `RESOLVED_POINTS` frequencies of the grid above half its
        height; if not, its width is that of the grid, and a finer one may move it.
    dead : array of bool
        Whether nothing that was played changed the unit's activation.
    """

    level_db: float
    height: Array
    best_frequency: Array
    low: Array
    high: Array
    width_octaves: Array
    selectivity: Array
    octave: Array
    twelfth: Array
    level_exponent: Array
    click: Array
    direction: Array
    resolved: NDArray[np.bool_]
    dead: NDArray[np.bool_]

    def sharpest(self) -> list[int]:
        """Return the units that are not dead, the most sharply tuned first.

        Peaks that the grid resolves come first, narrow before wide, then those that it does not,
        then those without a width, by selectivity.
        """

        def key(unit: int) -> tuple[bool, bool, float, float, int]:
            width, selectivity = self.width_octaves[unit], self.selectivity[unit]
            open_ended = bool(np.isnan(width))
            spread = math.inf if np.isnan(selectivity) else -float(selectivity)
            blurred = not self.resolved[unit]
            return open_ended, blurred, 0.0 if open_ended else float(width), spread, unit

        return sorted((unit for unit in range(len(self.dead)) if not self.dead[unit]), key=key)


def tuning_curves(tuning: Tuning, level_db: float | None = None) -> TuningCurves:
    """Describe the tuning curve of every unit at one level.

    Parameters
    ----------
    tuning : Tuning
        From `auralise.filters.tuning.tune`.
    level_db : float, optional
        One of ``tuning.levels_db``; the highest if not given.

    Raises
    ------
    InvalidValueError
        If nothing was played at that level.
    """
    levels = tuning.levels_db.tolist()
    if level_db is not None and level_db not in levels:
        raise InvalidValueError(
            f"nothing was played at {level_db:g} dBFS; choose from "
            + ", ".join(f"{level:g}" for level in levels)
        )
    index = len(levels) - 1 if level_db is None else levels.index(level_db)
    quiet = tuning.silence.numpy()
    rises = tuning.responses.numpy() - quiet[:, None, None]
    probes = np.stack([part.numpy() for part in (tuning.click, tuning.rising, tuning.falling)])
    probes = probes - quiet
    octaves = np.log2(tuning.frequencies.numpy())
    least = NEGLIGIBLE * max(_largest(tuning), np.finfo(np.float64).tiny)
    rows = [_row(octaves, curve, index, tuning.levels_db.numpy(), least) for curve in rises]
    columns = dict(zip(_COLUMNS, np.array(rows, dtype=np.float64).T, strict=True))
    height = columns["height"]
    with np.errstate(invalid="ignore", divide="ignore"):
        click = np.where(height > 0, probes[0] / height, np.nan)
        up, down = (np.where(probe > least, probe, 0.0) for probe in probes[1:])
        direction = np.where(up + down > 0, (up - down) / (up + down), np.nan)
    moved = np.maximum(np.abs(rises).max(axis=(1, 2)), np.abs(probes).max(axis=0))
    return TuningCurves(
        float(levels[index]),
        resolved=columns.pop("points") >= RESOLVED_POINTS,
        **columns,
        click=click,
        direction=direction,
        dead=moved <= least,
    )


def _largest(tuning: Tuning) -> float:
    parts = (tuning.responses, tuning.silence, tuning.click, tuning.rising, tuning.falling)
    return max(float(part.abs().max()) for part in parts)


def _row(
    octaves: Array, rises: Array, level: int, levels_db: Array, least: float
) -> tuple[float, ...]:
    """Return one unit's numbers, in the order of `_COLUMNS`."""
    curve = rises[:, level]
    peak = int(curve.argmax())
    height = float(curve[peak])
    if height <= least:
        return (0.0, 0.0, *[math.nan] * 8)
    exponent = _exponent(rises, peak, levels_db, least)
    if height - float(curve.min()) <= least:  # the same at every frequency
        return (height, len(curve), *[math.nan] * 4, 0.0, math.nan, math.nan, exponent)
    best = _vertex(octaves, curve, peak, least)
    low, high = (_crossing(octaves, curve, peak, side, height / 2) for side in (-1, 1))
    mean = np.trapezoid(curve.clip(min=0.0), octaves) / (octaves[-1] - octaves[0])
    at = [np.interp(best + math.log2(n), octaves, curve, right=math.nan) / height for n in (2, 3)]
    return (
        height,
        _points(curve, peak),
        2.0**best,
        2.0**low,
        2.0**high,
        high - low,
        1.0 - float(mean) / height,
        *map(float, at),
        exponent,
    )


def _points(curve: Array, peak: int) -> int:
    """Return how many neighbours around the peak, itself included, are above half its height."""
    below = np.flatnonzero(curve <= curve[peak] / 2)
    return (
        int(min(below[below > peak], default=len(curve)) - max(below[below < peak], default=-1)) - 1
    )


def _vertex(octaves: Array, curve: Array, peak: int, least: float) -> float:
    """Return where the curve is highest, between the points of the grid."""
    level = curve[peak] - least
    end = peak
    while end + 1 < len(curve) and curve[end + 1] >= level:
        end += 1
    if end > peak:
        return float(octaves[peak] + octaves[end]) / 2
    if peak in (0, len(curve) - 1):
        return float(octaves[peak])
    (x0, x1, x2), (y0, y1, y2) = octaves[peak - 1 : peak + 2], curve[peak - 1 : peak + 2]
    left, right = (y1 - y0) * (x2 - x1), (y1 - y2) * (x1 - x0)
    return float(x1 + (right * (x0 - x1) + left * (x2 - x1)) / (2 * (left + right)))


def _crossing(octaves: Array, curve: Array, peak: int, side: int, level: float) -> float:
    """Return where the curve first falls to a level on one side of its peak; NaN if nowhere."""
    place = peak
    while 0 <= place + side < len(curve):
        place += side
        if curve[place] <= level:
            inner = place - side
            share = (curve[inner] - level) / (curve[inner] - curve[place])
            return float(octaves[inner] + share * (octaves[place] - octaves[inner]))
    return math.nan


def _exponent(rises: Array, peak: int, levels_db: Array, least: float) -> float:
    """Return the slope of the logarithm of the rise against that of the amplitude."""
    rise = rises[peak]
    seen = rise > least
    if seen.sum() < 2:
        return math.nan
    x = levels_db[seen] * math.log(10) / 20
    return float(np.polyfit(x - x.mean(), np.log(rise[seen]), 1)[0])
