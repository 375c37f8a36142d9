"""Tuning figures for the browser, drawn by plotly."""

from __future__ import annotations

from html import escape

import numpy as np
import plotly.graph_objects as go

from auralise.output.interactive import template
from auralise.output.page import drawing_page
from auralise.output.palette import LIGHT, Theme
from auralise.output.tuning_figures import TuningFigure

_MARGIN = {"l": 64, "r": 84, "t": 30, "b": 46}


def draw_tuning(figure: TuningFigure, theme: Theme = LIGHT) -> go.Figure:
    """Draw a tuning figure for the browser.

    Parameters
    ----------
    figure : TuningFigure
        What is shown.
    theme : Theme
        Colours; a page may change them later by exchanging ``layout.template``.

    Returns
    -------
    plotly.graph_objects.Figure
        Of fixed height and free width; hover tells unit, Hz and value.
    """
    rows = np.arange(len(figure.units))
    names = np.broadcast_to(np.array(figure.units)[:, None], figure.values.shape)
    image = go.Heatmap(
        z=figure.values.round(3).astype(np.float32),
        x=figure.edges,
        y=rows,
        customdata=names,
        coloraxis="coloraxis",
        hovertemplate="%{customdata}<br>%{x:.0f} Hz<br>%{z:.2f}<extra></extra>",
    )
    known = ~np.isnan(figure.best)
    points = go.Scatter(
        x=figure.best[known],
        y=rows[known],
        customdata=np.array(figure.units)[known],
        mode="markers",
        marker={"size": 4, "color": theme.accent},
        hovertemplate="%{customdata}<br>best at %{x:.1f} Hz<extra></extra>",
    )
    places, labels = zip(*figure.ticks, strict=True) if figure.ticks else ((), ())
    drawn = go.Figure([image, points])
    drawn.update_layout(
        template=template(theme),
        height=tuning_height(figure),
        margin={**_MARGIN, "autoexpand": False},
        showlegend=False,
        xaxis={
            "type": "log",
            "title": {"text": "frequency", "standoff": 8},
            "range": [float(np.log10(edge)) for edge in (figure.edges[0], figure.edges[-1])],
            "tickvals": list(places),
            "ticktext": list(labels),
            "showgrid": False,
        },
        yaxis={
            "title": {"text": "unit, by best frequency"},
            "range": [-0.5, len(rows) - 0.5],
            "showgrid": False,
        },
        coloraxis={"cmin": 0, "cmax": 1, "colorbar": {"thickness": 10, "outlinewidth": 0}},
    )
    drawn.add_annotation(
        text=escape(figure.caption), x=0, y=1, xref="paper", yref="paper",
        xanchor="left", yanchor="bottom", yshift=4,
    )  # fmt: skip
    return drawn


def tuning_height(figure: TuningFigure) -> int:
    """Return the height of a drawing in pixels."""
    return min(900, max(220, 8 * len(figure.units))) + _MARGIN["t"] + _MARGIN["b"]


def tuning_page(figure: TuningFigure) -> str:
    """Return a page that shows a tuning figure and needs no network."""
    return drawing_page(figure.title, figure.describe(), draw_tuning(figure), tuning_height(figure))
