"""Confusion matrices for the browser, drawn by plotly."""

from __future__ import annotations

from html import escape

import numpy as np
import plotly.graph_objects as go

from auralise.output.evaluation_figures import ConfusionFigure
from auralise.output.interactive import template
from auralise.output.palette import LIGHT, WHITE, Theme

COUNTED = 20
"""Most labels whose cells have their count written in them."""


def draw_confusion(figure: ConfusionFigure, theme: Theme = LIGHT) -> go.Figure:
    """Draw a confusion matrix, the first label at the top.

    Parameters
    ----------
    figure : ConfusionFigure
    theme : Theme
        Colours; a page may change them later by exchanging ``layout.template``.

    Returns
    -------
    plotly.graph_objects.Figure
        Of fixed height and free width; hover tells labels, count and share.
    """
    names = [escape(label) for label in figure.labels]
    counts, shares = figure.counts, figure.shares
    texts = np.where(counts > 0, counts.astype(str), "")
    hover = [
        [
            f"{a} taken for {b}: {counts[i, j]} of {counts[i].sum()}"
            for j, b in enumerate(names)
        ]
        for i, a in enumerate(names)
    ]  # fmt: skip
    drawn = go.Figure(
        go.Heatmap(
            z=shares,
            zmin=0,
            zmax=1,
            colorscale=[[0, "rgba(138,147,155,0.12)"], [1, "#2f6079"]],
            showscale=False,
            text=texts if len(names) <= COUNTED else None,
            texttemplate="%{text}" if len(names) <= COUNTED else None,
            hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>",
            xgap=1,
            ygap=1,
        )
    )
    places = list(range(len(names)))
    ticks = {"tickmode": "array", "tickvals": places, "ticktext": names, "automargin": True}
    drawn.update_layout(
        template=template(theme),
        height=confusion_height(figure),
        margin={"l": 64, "r": 24, "t": 12, "b": 64},
        xaxis={
            **ticks,
            "tickangle": -60,
            "title": {"text": "answer", "standoff": 8},
            "showgrid": False,
            "fixedrange": True,
        },
        yaxis={
            **ticks,
            "autorange": "reversed",
            "title": {"text": "label of the clip", "standoff": 8},
            "showgrid": False,
            "fixedrange": True,
        },
        dragmode=False,
    )
    drawn.update_traces(hoverlabel={"font": {"color": WHITE}, "bgcolor": "#20262b"})
    return drawn


def confusion_height(figure: ConfusionFigure) -> int:
    """Return the height of the drawing, in pixels."""
    return 158 + max(150, min(900, 28 * len(figure.labels)))
