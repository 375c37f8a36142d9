"""Figures for the browser, drawn by plotly. The only file that knows plotly."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from auralise.output.figures import Figure, Panel, hertz_ticks
from auralise.output.palette import DARK, LIGHT, Theme
from auralise.output.reduction import envelope, strongest_columns

COLUMNS = 600
"""Most columns an image keeps, and of minimum-maximum pairs a waveform."""

_HEIGHT = {"waveform": 76, "image": 208}
_GAP = 44
_MARGIN = {"l": 64, "r": 84, "t": 30, "b": 46}


def draw(figure: Figure, theme: Theme = LIGHT) -> go.Figure:
    """Draw a figure for the browser.

    Waveforms keep their peaks and images at most `COLUMNS` columns; levels are rounded to 1 dB.

    Parameters
    ----------
    figure : Figure
        What is shown.
    theme : Theme
        Colours; a page may change them later by exchanging ``layout.template``.

    Returns
    -------
    plotly.graph_objects.Figure
        Of fixed height and free width; hover tells seconds, Hz and value.
    """
    bands = _bands(figure.panels)
    layout: dict[str, Any] = {
        "template": template(theme),
        "height": height_of(figure),
        "margin": {**_MARGIN, "autoexpand": False},
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": _time_axis(figure),
        "annotations": [_caption(*pair) for pair in zip(figure.panels, bands, strict=True)],
        "shapes": _limits(figure),
    }
    traces = []
    seen: set[tuple[str, tuple[float, float]]] = set()
    for number, (panel, band) in enumerate(zip(figure.panels, bands, strict=True), start=1):
        first = (panel.scale, panel.limits) not in seen
        if panel.kind == "image":
            seen.add((panel.scale, panel.limits))
            layout[f"coloraxis{number}"] = _colour_axis(panel, band, bar=first)
        traces.append((_image if panel.kind == "image" else _line)(panel, number))
        layout[_axis("yaxis", number)] = _value_axis(panel, band)
    return go.Figure(traces, layout)  # all at once: every later change is checked anew


def _limits(figure: Figure) -> list[dict[str, Any]]:
    """Return the lines at both ends of what is followed."""
    place = figure.place
    return [
        {"type": "line", "x0": seconds, "x1": seconds, "y0": 0, "y1": 1, "yref": "paper"}
        for seconds in (() if place is None else (place.start, place.end))
    ]


def height_of(figure: Figure) -> int:
    """Return the height of a drawing in pixels."""
    return _inner(figure.panels) + _MARGIN["t"] + _MARGIN["b"]


def _inner(panels: tuple[Panel, ...]) -> int:
    return sum(_HEIGHT[panel.kind] for panel in panels) + _GAP * (len(panels) - 1)


def template(theme: Theme) -> go.layout.Template:
    """Return a theme as plotly's layout template; everything coloured comes from it."""
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.grid,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": theme.grid,
    }
    magnitude, signed = (
        [list(stop) for stop in scale] for scale in (theme.magnitude, theme.signed)
    )
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 12, "color": theme.text},
            "colorway": [theme.line],
            "colorscale": {
                "sequential": magnitude,
                "sequentialminus": magnitude,
                "diverging": signed,
            },
            "xaxis": {**axis, "spikecolor": theme.accent},
            "yaxis": axis,
            "shapedefaults": {"line": {"color": theme.accent, "width": 1.5, "dash": "dot"}},
            "annotationdefaults": {"showarrow": False, "font": {"color": theme.text}},
        }
    )


def themes() -> dict[str, Any]:
    """Return both templates as plain values, for pages that follow the reader's preference."""
    return {
        "light": template(LIGHT).to_plotly_json(),
        "dark": template(DARK).to_plotly_json(),
    }


def plotly_script() -> str:
    """Return the source of plotly.js, to be put into a page."""
    return str(get_plotlyjs())


def _bands(panels: tuple[Panel, ...]) -> list[tuple[float, float]]:
    """Return bottom and top of each panel as fractions of the inner height, from top to bottom."""
    heights = [_HEIGHT[panel.kind] for panel in panels]
    whole = _inner(panels)
    tops = [1 - (sum(heights[:i]) + _GAP * i) / whole for i in range(len(panels))]
    return [
        (max(top - height / whole, 0.0), top) for top, height in zip(tops, heights, strict=True)
    ]


def _axis(name: str, number: int) -> str:
    return name if number == 1 else f"{name}{number}"


def _time_axis(figure: Figure) -> dict[str, Any]:
    return {
        "title": {"text": "time (s)", "standoff": 8},
        "range": [0, figure.duration],
        "anchor": _axis("y", len(figure.panels)),
        "showspikes": True,
        "spikemode": "across",
        "spikesnap": "cursor",
        "spikethickness": 1,
        "spikedash": "solid",
    }


def _value_axis(panel: Panel, band: tuple[float, float]) -> dict[str, Any]:
    axis: dict[str, Any] = {"domain": list(band), "anchor": "x"}
    if panel.hertz is None:
        low, high = panel.limits
        return {**axis, "range": [1.05 * low, 1.05 * high], "nticks": 3, "fixedrange": True}
    axis = {**axis, "showline": True, "mirror": True}
    places, labels = zip(*hertz_ticks(panel), strict=True)
    ticks = {"tickvals": list(places), "ticktext": list(labels), "showgrid": False}
    if panel.even:
        return {**axis, **ticks, "range": _edges(panel.hertz)}
    return {**axis, **ticks, "type": "category", "range": [-0.5, len(panel.hertz) - 0.5]}


def _edges(centres: np.ndarray[Any, Any]) -> list[float]:
    half = (centres[1] - centres[0]) / 2 if len(centres) > 1 else 0.5
    return [float(centres[0] - half), float(centres[-1] + half)]


def _caption(panel: Panel, band: tuple[float, float]) -> dict[str, Any]:
    return {
        "text": f"<b>{escape(panel.title)}</b> ({escape(panel.unit)})",
        "x": 0,
        "y": band[1],
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
        "yshift": 4,
    }


def _line(panel: Panel, number: int) -> go.Scatter:
    seconds, values = envelope(panel.seconds, panel.values, COLUMNS)
    return go.Scatter(
        x=seconds.astype(np.float32),
        y=values.astype(np.float32),
        yaxis=_axis("y", number),
        mode="lines",
        line={"width": 1},
        hovertemplate=f"%{{x:.3f}} s<br>%{{y:.4g}} {escape(panel.unit)}<extra></extra>",
    )


def _image(panel: Panel, number: int) -> go.Heatmap:
    floor = panel.limits[0] if panel.scale == "magnitude" else 0.0
    seconds, above = strongest_columns(panel.seconds, panel.values - floor, COLUMNS)
    values = above + floor
    decibels = panel.scale == "magnitude"
    value = "%{z:.0f}" if decibels else "%{z:.3f}"
    frequency = "%{y:.0f} Hz" if panel.even else "%{y}"
    return go.Heatmap(
        z=values.round().astype(np.int8) if decibels else values.astype(np.float32),
        x0=float(seconds[0]),
        dx=float(seconds[1] - seconds[0]) if len(seconds) > 1 else 1.0,
        yaxis=_axis("y", number),
        coloraxis=f"coloraxis{number}",
        hovertemplate=f"%{{x:.3f}} s<br>{frequency}<br>{value} {escape(panel.unit)}<extra></extra>",
        **_rows(panel),
    )


def _rows(panel: Panel) -> dict[str, Any]:
    """Return the heights of an image's rows: Hz, or names in Hz where rows are mel bins."""
    if panel.hertz is None or not panel.even:
        centres = [] if panel.hertz is None else panel.hertz.tolist()
        return {"y": [f"{hertz:.1f} Hz" for hertz in centres]}
    step = panel.hertz[1] - panel.hertz[0] if len(panel.hertz) > 1 else 1.0
    return {"y0": float(panel.hertz[0]), "dy": float(step)}


def _colour_axis(panel: Panel, band: tuple[float, float], *, bar: bool) -> dict[str, Any]:
    low, high = panel.limits
    return {
        "cmin": low,
        "cmax": high,
        "showscale": bar,
        "colorbar": {
            "x": 1.01,
            "xanchor": "left",
            "y": band[0],
            "yanchor": "bottom",
            "len": band[1] - band[0],
            "lenmode": "fraction",
            "ypad": 0,
            "thickness": 10,
            "outlinewidth": 0,
            "nticks": 5,
            "tickformat": ".0f" if panel.scale == "magnitude" else ".2~f",
            "ticksuffix": " dB" if panel.scale == "magnitude" else "",
        },
    }
