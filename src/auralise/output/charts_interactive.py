"""Charts for the browser, drawn by plotly."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from auralise.output.charts import Axis, Band, Chart, ChartFigure, Image, Series
from auralise.output.interactive import template
from auralise.output.page import drawing_page
from auralise.output.palette import LIGHT, MUTED, WHITE, Theme

_INNER = 300
_GAP = 96
_MARGIN = {"l": 64, "r": 84, "t": 76, "b": 46}
_DASHES = ("solid", "dash", "dot", "dashdot")


def draw_charts(figure: ChartFigure, theme: Theme = LIGHT) -> go.Figure:
    """Draw charts for the browser, one below the other.

    Parameters
    ----------
    figure : ChartFigure
        What is shown.
    theme : Theme
        Colours; a page may change them later by exchanging ``layout.template``.

    Returns
    -------
    plotly.graph_objects.Figure
        Of fixed height and free width; hover tells the filter and its numbers.
    """
    drawn = go.Figure()
    drawn.update_layout(
        template=template(theme),
        height=charts_height(figure),
        margin={**_MARGIN, "autoexpand": False},
        showlegend=False,
        hovermode="closest",
        coloraxis={"colorscale": [list(stop) for stop in theme.magnitude], "showscale": False},
    )
    inner = charts_height(figure) - _MARGIN["t"] - _MARGIN["b"]
    for number, chart in enumerate(figure.charts):
        top = 1 - number * (_INNER + _GAP) / inner
        _add_chart(drawn, chart, number + 1, (max(0.0, top - _INNER / inner), top), theme)
    drawn.add_annotation(
        text=escape(figure.caption), x=0, y=1, xref="paper", yref="paper",
        xanchor="left", yanchor="bottom", yshift=54,
    )  # fmt: skip
    return drawn


def charts_height(figure: ChartFigure) -> int:
    """Return the height of a drawing in pixels."""
    charts = len(figure.charts)
    return charts * _INNER + (charts - 1) * _GAP + _MARGIN["t"] + _MARGIN["b"]


def charts_page(figure: ChartFigure) -> str:
    """Return a page that shows charts and needs no network."""
    return drawing_page(figure.title, figure.words, draw_charts(figure), charts_height(figure))


def _add_chart(
    drawn: go.Figure, chart: Chart, number: int, domain: tuple[float, float], theme: Theme
) -> None:
    """Add a chart with axes of its own; ``domain`` is its share of the height."""
    suffix = "" if number == 1 else str(number)
    on = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    if chart.image is not None:
        drawn.update_layout({"coloraxis": {"cmin": chart.image.floor, "cmax": 0}})
        drawn.add_trace(_image(chart.image, chart, on))
    if chart.band is not None:
        drawn.add_traces(_band(chart.band, on))
    guides = 0
    for series in chart.series:
        colour = theme.accent if chart.image is None else WHITE
        drawn.add_trace(_series(series, _DASHES[guides % len(_DASHES)], colour, on))
        guides += series.role == "guide"
    drawn.update_layout(
        {
            f"xaxis{suffix}": {**_axis(chart.x), "anchor": on["yaxis"]},
            f"yaxis{suffix}": {**_axis(chart.y), "anchor": on["xaxis"], "domain": list(domain)},
        }
    )
    lines = [f"<b>{escape(chart.title)}</b>", escape(_key(chart))]
    drawn.add_annotation(
        text="<br>".join(line for line in lines if line), x=0, y=domain[1],
        xref="paper", yref="paper", xanchor="left", yanchor="bottom", yshift=4, align="left",
    )  # fmt: skip


def _key(chart: Chart) -> str:
    """Say what the signs of a chart mean."""
    signs = []
    if chart.band is not None:
        signs.append(f"grey band: {chart.band.name}")
    guides = 0
    for series in chart.series:
        if series.role == "guide":
            words = ("line", "dashed", "dotted", "dash-dot")
            signs.append(f"{words[guides % len(words)]}: {series.name}")
            guides += 1
        elif len(chart.series) > 1:
            colour = "blue" if series.role == "tuned" else "grey"
            sign = " crosses" if series.role == "untrained" else ""
            signs.append(f"{colour}{sign}: {series.name}")
    return ", ".join(signs)


def _axis(axis: Axis) -> dict[str, Any]:
    low, high = (math.log10(v) if axis.logarithmic else v for v in axis.limits)
    return {
        "type": "log" if axis.logarithmic else "linear",
        "title": {"text": escape(axis.title), "standoff": 8},
        "range": [low, high],
        "tickvals": [place for place, _ in axis.ticks],
        "ticktext": [label for _, label in axis.ticks],
    }


def _image(image: Image, chart: Chart, on: dict[str, str]) -> go.Heatmap:
    rows, columns = image.values.shape
    x, y = (
        np.linspace(axis.limits[0], axis.limits[1], count + 1)
        for axis, count in ((chart.x, columns), (chart.y, rows))
    )
    return go.Heatmap(
        z=image.values.round().astype(np.int8),
        x=x,
        y=y,
        coloraxis="coloraxis",
        hovertemplate="rank %{x:.0f}<br>%{z} dB<extra></extra>",
        **on,
    )


def _band(band: Band, on: dict[str, str]) -> list[go.Scatter]:
    line = {"width": 0, "color": MUTED}
    shared = {"mode": "lines", "line": line, "hoverinfo": "skip", **on}
    return [
        go.Scatter(x=band.x, y=band.low, **shared),
        go.Scatter(
            x=band.x, y=band.high, fill="tonexty", fillcolor="rgba(138,147,155,0.35)", **shared
        ),
    ]


def _series(series: Series, dash: str, guide: str, on: dict[str, str]) -> go.Scatter:
    texts = series.texts or (series.name,) * len(series.x)
    shared: dict[str, Any] = {
        "x": series.x,
        "y": series.y,
        "text": [escape(text) for text in texts],
        "hovertemplate": "%{text}<extra></extra>",
        **on,
    }
    if series.line:
        colour = guide if series.role == "guide" else MUTED
        if series.role == "tuned":
            return go.Scatter(mode="lines", **shared)
        return go.Scatter(mode="lines", line={"color": colour, "dash": dash}, **shared)
    marker: dict[str, Any] = {"size": 5}
    if series.role != "tuned":  # else the template's colour, which follows the reader's
        marker["color"] = MUTED
    if series.role == "untrained":
        marker.update(symbol="x-thin-open", opacity=0.6)
    if series.reach is not None:
        shared["error_y"] = {
            "symmetric": False,
            "array": series.reach[1] - series.y,
            "arrayminus": series.y - series.reach[0],
        }
    return go.Scatter(mode="markers", marker=marker, **shared)
