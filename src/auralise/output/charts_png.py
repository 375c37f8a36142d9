"""Charts for print, drawn by matplotlib."""

from __future__ import annotations

import io
import math

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from auralise.output.charts import Axis, Chart, ChartFigure, Series
from auralise.output.palette import LIGHT, MUTED, WHITE

_COLOURS = {"filters": MUTED, "tuned": LIGHT.line, "untrained": MUTED, "guide": LIGHT.accent}
_DASHES = ("-", "--", ":", "-.")


def encode_charts_png(figure: ChartFigure, *, dots_per_inch: int = 120) -> bytes:
    """Draw charts on white, two beside each other.

    Parameters
    ----------
    figure : ChartFigure
        What is shown.
    dots_per_inch : int
        The figure is eleven inches wide.

    Returns
    -------
    bytes
        A PNG file; the same figure gives the same bytes.
    """
    rows = math.ceil(len(figure.charts) / 2)
    columns = min(2, len(figure.charts))
    inches = 3.5 * rows + 0.7
    canvas = Canvas(figsize=(11.0, inches), dpi=dots_per_inch, facecolor="white")
    FigureCanvasAgg(canvas)
    grid = canvas.add_gridspec(
        rows, columns, left=0.075, right=0.98, bottom=0.5 / inches, top=1 - 0.95 / inches,
        wspace=0.2, hspace=0.4,
    )  # fmt: skip
    texts = [
        canvas.text(0.075, 1 - 0.22 / inches, figure.title, size=12, va="center", weight="bold"),
        canvas.text(0.075, 1 - 0.47 / inches, figure.caption, size=8, va="center"),
    ]
    for text in texts:
        text.set_parse_math(False)
    for number, chart in enumerate(figure.charts):
        _draw(canvas.add_subplot(grid[number // columns, number % columns]), chart)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: Axes, chart: Chart) -> None:
    if chart.image is not None:
        axes.imshow(
            chart.image.values,
            cmap=LinearSegmentedColormap.from_list("magnitude", list(LIGHT.magnitude)),
            vmin=chart.image.floor,
            vmax=0.0,
            extent=(*chart.x.limits, *chart.y.limits),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
        )
    if chart.band is not None:
        band = chart.band
        axes.fill_between(
            band.x, band.low, band.high, color=MUTED, alpha=0.35, linewidth=0, label=band.name
        )
    guides = 0
    for series in chart.series:
        colour = WHITE if chart.image is not None else _COLOURS[series.role]
        _add(axes, series, _DASHES[guides % len(_DASHES)], colour)
        guides += series.role == "guide"
    _dress(axes, chart)


def _add(axes: Axes, series: Series, dash: str, colour: str) -> None:
    if series.line:
        axes.plot(
            series.x, series.y, dash if series.role == "guide" else "-",
            color=colour, linewidth=1.1, label=series.name,
        )  # fmt: skip
        return
    if series.reach is not None:
        axes.vlines(series.x, series.reach[0], series.reach[1], color=colour, linewidth=1.2)
    small = series.role == "untrained" and len(series.x) > 100
    axes.plot(
        series.x, series.y, "." if series.role != "untrained" else "x", color=colour,
        markersize=2.0 if small else 5.0, alpha=0.5 if small else 1.0, label=series.name,
    )  # fmt: skip


def _dress(axes: Axes, chart: Chart) -> None:
    for axis, scale, ticks, limits, label, minor in (
        (chart.x, axes.set_xscale, axes.set_xticks, axes.set_xlim, axes.set_xlabel, axes.xaxis),
        (chart.y, axes.set_yscale, axes.set_yticks, axes.set_ylim, axes.set_ylabel, axes.yaxis),
    ):
        if axis.logarithmic:
            scale("log")
        ticks([place for place, _ in axis.ticks], _labels(axis))
        minor.set_minor_locator(NullLocator())
        limits(*axis.limits)
        label(axis.title, size=8)
    axes.set_title(chart.title, loc="left", size=9, pad=5).set_parse_math(False)
    axes.tick_params(labelsize=7, length=3, color=LIGHT.grid)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if chart.image is None:
        axes.grid(color=LIGHT.grid, linewidth=0.5)
        axes.set_axisbelow(True)
    axes.legend(
        fontsize=7,
        frameon=chart.image is not None,
        facecolor="black",
        loc="best",
        labelcolor=None if chart.image is None else WHITE,
    )


def _labels(axis: Axis) -> list[str]:
    return [label for _, label in axis.ticks]
