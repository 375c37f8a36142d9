"""What is drawn of a claim: its numbers at each place, beside those of untrained networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from auralise.claims.base import Curve, Panel
from auralise.claims.run import Result
from auralise.output.charts import Axis, Band, Chart, ChartFigure, Series

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def claim_figure(result: Result) -> ChartFigure | None:
    """Show what an experiment measured; None where it was not made or has nothing to draw.

    Panels are those of the evidence, in its order. Places on the horizontal axis are names, one
    step apart; a place without a number has no point.
    """
    if result.evidence is None or not result.evidence.panels:
        return None
    charts = tuple(_chart(panel) for panel in result.evidence.panels)
    verdict = "" if result.judgement is None else f" {result.judgement.verdict.value}."
    return ChartFigure(
        title=result.claim.sentence,
        caption="Lines: 95 % intervals. Band: all controls.",
        charts=charts,
        words=f"{result.claim.sentence}{verdict} {_words(result)}",
    )


def _words(result: Result) -> str:
    if result.evidence is None:
        return ""
    return " ".join(
        f"{part.name}: {part.value}, threshold {part.threshold:g}."
        for part in result.evidence.parts
    )


def _chart(panel: Panel) -> Chart:
    controls = [curve for curve in panel.curves if curve.control]
    own = [curve for curve in panel.curves if not curve.control]
    series = [_line(curve) for curve in own[1:]]
    if panel.limit is not None:
        ends = np.array([-0.4, len(panel.x) - 0.6])
        series.append(Series("threshold", "guide", ends, np.full(2, panel.limit), line=True))
    series += [_points(curve, panel) for curve in own[:1]]
    return Chart(
        title=panel.title,
        x=Axis(
            panel.x_title,
            (-0.5, len(panel.x) - 0.5),
            tuple((float(i), name) for i, name in enumerate(panel.x)),
        ),
        y=_vertical(panel),
        series=tuple(part for part in series if len(part.x)),
        band=_band(controls[0]) if controls and len(panel.x) > 1 else None,
    )


def _points(curve: Curve, panel: Panel) -> Series:
    x, y = _finite(curve.y)
    reach = None
    if curve.low:
        reach = np.array([np.array(curve.low)[x], np.array(curve.high)[x]])
    texts = tuple(f"{panel.x[i]}: {curve.name} {value:.3g}" for i, value in zip(x, y, strict=True))
    return Series(curve.name, "tuned", x.astype(float), y, texts, reach=reach)


def _line(curve: Curve) -> Series:
    x, y = _finite(curve.y)
    return Series(curve.name, "guide", x.astype(float), y, line=True)


def _finite(values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    row = np.array(values, dtype=np.float64)
    places = np.nonzero(np.isfinite(row))[0]
    return places, row[places]


def _band(curve: Curve) -> Band:
    low, high = (np.nan_to_num(np.array(row or curve.y)) for row in (curve.low, curve.high))
    return Band(curve.name, np.arange(len(low), dtype=np.float64), low, high)


def _vertical(panel: Panel) -> Axis:
    """Return an axis from 0, or lower, to above the largest number, with about five ticks."""
    rows = [row for curve in panel.curves for row in (curve.y, curve.low, curve.high)]
    numbers = [value for row in rows for value in row if math.isfinite(value)]
    if panel.limit is not None:
        numbers.append(panel.limit)
    low, high = min([0.0, *numbers]), max([0.0, *numbers])
    if high <= low:
        high = low + 1.0
    raw = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    step = unit * next(s for s in _STEPS if s * unit >= raw * (1 - 1e-9))
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple((i * step, f"{i * step:g}") for i in range(first, last + 1))
    return Axis(panel.y_title, (first * step, last * step + 0.04 * step), ticks)
