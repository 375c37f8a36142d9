"""Confusion matrices for print, drawn by matplotlib."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas

from auralise.output.evaluation_figures import ConfusionFigure
from auralise.output.palette import LIGHT, WHITE


def encode_confusion_png(figure: ConfusionFigure, *, dots_per_inch: int = 120) -> bytes:
    """Draw a confusion matrix on white, the first label at the top.

    Parameters
    ----------
    figure : ConfusionFigure
    dots_per_inch : int
        The figure grows with the number of labels.

    Returns
    -------
    bytes
        A PNG file; the same figure gives the same bytes.
    """
    n = len(figure.labels)
    inches = 2.4 + min(9.0, max(1.5, 0.36 * n))
    canvas = Canvas(figsize=(inches, inches), dpi=dots_per_inch, facecolor="white")
    FigureCanvasAgg(canvas)
    axes = canvas.add_axes((1.7 / inches, 1.7 / inches, 1 - 2.0 / inches, 1 - 2.2 / inches))
    colours = LinearSegmentedColormap.from_list("share", ["#f2f4f5", LIGHT.line])
    axes.imshow(figure.shares, cmap=colours, vmin=0.0, vmax=1.0)
    axes.set_xticks(range(n), figure.labels, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), figure.labels)
    axes.set_xlabel("answer", size=8)
    axes.set_ylabel("label of the clip", size=8)
    axes.tick_params(labelsize=7, length=0)
    for row, column in np.argwhere(figure.counts) if n <= 20 else ():
        colour = WHITE if figure.shares[row, column] > 0.5 else LIGHT.text
        axes.text(
            column, row, str(figure.counts[row, column]),
            size=7, ha="center", va="center", color=colour,
        )  # fmt: skip
    for spine in axes.spines.values():
        spine.set_visible(False)
    title = canvas.text(0.03, 1 - 0.25 / inches, figure.title, size=11, weight="bold", va="center")
    for text in (title, *axes.get_xticklabels(), *axes.get_yticklabels()):
        text.set_parse_math(False)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
