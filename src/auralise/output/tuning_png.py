"""Tuning figures for print, drawn by matplotlib."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import NullLocator

from auralise.output.palette import LIGHT
from auralise.output.tuning_figures import TuningFigure


def encode_tuning_png(figure: TuningFigure, *, dots_per_inch: int = 120) -> bytes:
    """Draw a tuning figure on white.

    Parameters
    ----------
    figure : TuningFigure
        What is shown.
    dots_per_inch : int
        The figure is nine inches wide.

    Returns
    -------
    bytes
        A PNG file; the same figure gives the same bytes.
    """
    rows = len(figure.units)
    inches = 1.4 + min(6.0, max(1.5, 0.06 * rows))
    canvas = Canvas(figsize=(9.0, inches), dpi=dots_per_inch, facecolor="white")
    FigureCanvasAgg(canvas)
    axes = canvas.add_axes((0.085, 0.6 / inches, 0.835, 1 - 1.25 / inches))
    image = axes.pcolormesh(
        figure.edges,
        np.arange(rows + 1) - 0.5,
        figure.values,
        cmap=LinearSegmentedColormap.from_list("magnitude", list(LIGHT.magnitude)),
        vmin=0.0,
        vmax=1.0,
        rasterized=True,
    )
    axes.plot(figure.best, np.arange(rows), ".", color=LIGHT.accent, markersize=2.5)
    axes.set_xscale("log")
    places, labels = zip(*figure.ticks, strict=True) if figure.ticks else ((), ())
    axes.set_xticks(places, labels)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(figure.edges[0], figure.edges[-1])
    axes.set_xlabel("frequency", size=8)
    axes.set_ylabel("unit, by best frequency", size=8)
    axes.tick_params(labelsize=7, length=3, color=LIGHT.grid)
    for spine in axes.spines.values():
        spine.set_visible(False)
    heading = canvas.text(
        0.085, 1 - 0.22 / inches, figure.title, size=12, va="center", weight="bold"
    )
    caption = canvas.text(0.085, 1 - 0.47 / inches, figure.caption, size=8, va="center")
    for text in (heading, caption):
        text.set_parse_math(False)
    beside = canvas.add_axes((0.93, 0.6 / inches, 0.011, 1 - 1.25 / inches))
    bar = canvas.colorbar(image, cax=beside)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, length=2, color=LIGHT.grid)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
