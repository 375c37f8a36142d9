"""Figures for print and for notebooks, drawn by matplotlib. The only file that knows matplotlib."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.image import AxesImage
from matplotlib.text import Text

from auralise.output.figures import Figure, Panel, hertz_ticks, place_in_words
from auralise.output.palette import LIGHT, Theme
from auralise.output.reduction import envelope

_HEIGHT = {"waveform": 0.7, "image": 1.7}
_INCHES_WIDE = 9.0
_GAP_INCHES = 0.42


def encode_png(figure: Figure, *, dots_per_inch: int = 120) -> bytes:
    """Draw a figure on white.

    Parameters
    ----------
    figure : Figure
        What is shown.
    dots_per_inch : int
        The figure is nine inches wide.

    Returns
    -------
    bytes
        A PNG file; the same figure gives the same bytes.
    """
    heights = [_HEIGHT[panel.kind] for panel in figure.panels]
    inches = sum(heights) + _GAP_INCHES * len(heights) + 0.75
    canvas = Canvas(figsize=(_INCHES_WIDE, inches), dpi=dots_per_inch, facecolor="white")
    FigureCanvasAgg(canvas)
    grid = canvas.add_gridspec(
        len(heights), 2, height_ratios=heights, width_ratios=(1, 0.013),
        left=0.085, right=0.92, bottom=0.5 / inches, top=1 - 0.68 / inches,
        wspace=0.02, hspace=_GAP_INCHES * len(heights) / sum(heights),
    )  # fmt: skip
    title = canvas.text(0.085, 1 - 0.22 / inches, figure.title, size=12, va="center", weight="bold")
    _plain(title)
    if figure.place is not None:
        place = f"dotted: the followed place sees {place_in_words(figure.place)}"
        _plain(canvas.text(0.92, 1 - 0.22 / inches, place, size=8, va="center", ha="right"))
    for row, panel in enumerate(figure.panels):
        axes = canvas.add_subplot(grid[row, 0])
        mappable = _draw(axes, panel, LIGHT)
        if mappable is not None:
            _colour_bar(canvas, canvas.add_subplot(grid[row, 1]), mappable, panel)
        _dress(axes, figure, panel, last=row == len(heights) - 1)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: Axes, panel: Panel, theme: Theme) -> AxesImage | None:
    if panel.hertz is None:
        seconds, values = envelope(panel.seconds, panel.values, 2000)
        axes.plot(seconds, values, color=theme.line, linewidth=0.6)
        axes.set_ylim(1.05 * panel.limits[0], 1.05 * panel.limits[1])
        axes.set_yticks([0.0, panel.limits[1]])
        axes.yaxis.set_major_formatter("{x:.3g}")
        return None
    colours = theme.magnitude if panel.scale == "magnitude" else theme.signed
    left, right = _edges(panel.seconds)
    rows = panel.hertz if panel.even else np.arange(len(panel.hertz))
    bottom, top = _edges(np.asarray(rows, dtype=np.float64))
    places, labels = zip(*hertz_ticks(panel), strict=True)
    image = axes.imshow(
        panel.values,
        cmap=LinearSegmentedColormap.from_list(panel.scale, list(colours)),
        vmin=panel.limits[0],
        vmax=panel.limits[1],
        extent=(left, right, bottom, top),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    axes.set_yticks(places, labels)
    return image


def _edges(centres: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    half = float(centres[1] - centres[0]) / 2 if len(centres) > 1 else 0.5
    return float(centres[0]) - half, float(centres[-1]) + half


def _colour_bar(canvas: Canvas, axes: Axes, mappable: AxesImage, panel: Panel) -> None:
    bar = canvas.colorbar(mappable, cax=axes)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2, color=LIGHT.grid)
    if panel.scale == "magnitude":
        bar.ax.yaxis.set_major_formatter("{x:.0f} dB")


def _dress(axes: Axes, figure: Figure, panel: Panel, *, last: bool) -> None:
    axes.set_xlim(0, figure.duration)
    _plain(axes.set_title(f"{panel.title} ({panel.unit})", loc="left", size=9, pad=4))
    axes.tick_params(labelsize=7, length=3, color=LIGHT.grid, labelbottom=last)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if figure.place is not None:
        for seconds in (figure.place.start, figure.place.end):
            axes.axvline(seconds, color=LIGHT.accent, linewidth=1, linestyle=":")
    if last:
        axes.set_xlabel("time (s)", size=8)


def _plain(text: Text) -> None:
    """Take dollar signs as they are; names of layers are not formulas."""
    text.set_parse_math(False)
