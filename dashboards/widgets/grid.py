"""A layer as a grid of its units with their activity; each cell leads to a unit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import numpy as np
from dash import html
from dash.development.base_component import Component

from auralise.output.words import number

from ..activity import Activity
from .pictures import picture_uri

MOST = 256
"""Most units that are shown; of larger layers, the strongest."""


def unit_grid(
    activity: Activity, current: int | None, part: str = "unit", prefix: str = ""
) -> list[Component]:
    """Return one cell per unit.

    Parameters
    ----------
    activity : Activity
    current : int or None
        The unit that is chosen.
    part : str
        Of the address, that a click changes.
    prefix : str
        Of the names by which the script knows the cells; one for each grid of a page.
    """
    channels = sorted(int(channel) for channel in activity.strongest()[:MOST])
    if current is not None and current not in channels:
        channels = sorted([*channels[:-1], current])
    loudest = max(float(activity.peak.max()), 0.0)
    return [
        _cell(activity, channel, loudest, channel == current, part, prefix) for channel in channels
    ]


def caption(activity: Activity) -> str:
    """Say how many units there are, and how many are silent."""
    words = f"{activity.units} units, {activity.dead} of them silent in this excerpt"
    shown = f"; the {MOST} strongest are shown" if activity.units > MOST else ""
    return f"{words}{shown}. Brighter is stronger; time runs to the right, frequency up."


def picture_cell(
    key: str, label: str, picture: str, go: Mapping[str, Any], said: str, current: bool
) -> Component:
    """Return a cell that changes the address.

    Parameters
    ----------
    key : str
        By which the script knows the cell.
    label : str
        Written on it.
    picture : str
        As a URI.
    go : mapping
        What a click changes in the address.
    said : str
        What it is, for readers of the screen and for the pointer.
    current : bool
    """
    more: dict[str, Any] = {
        "data-unit": key,
        "data-go": json.dumps(go),
        "aria-label": said,
        **({"aria-current": "true"} if current else {}),
    }
    return html.A(
        [html.Img(src=picture, alt=""), html.Span(label, className="n")],
        href="?" + urlencode(go),
        className="unit",
        title=said,
        **more,
    )


def _cell(
    activity: Activity, channel: int, loudest: float, current: bool, part: str, prefix: str
) -> Component:
    peak = float(activity.peak[channel])
    silent = not activity.active[channel] > 0
    words = "silent" if silent else f"peak {number(peak)}"
    share = 0.0 if loudest <= 0 else max(0.0, peak) / loudest
    more: dict[str, Any] = {
        "data-unit": f"{prefix}{channel}",
        **({"data-go": json.dumps({part: channel})} if part != "unit" else {}),
        "aria-label": f"Unit {channel}, {words}",
        **({"aria-current": "true"} if current else {}),
    }
    return html.A(
        [_picture(activity, channel), _bar(share), html.Span(str(channel), className="n")],
        href="?" + urlencode({"layer": activity.layer, part: channel}),
        className="unit silent" if silent else "unit",
        title=f"{activity.layer}:{channel}, {words}, active on "
        f"{float(activity.active[channel]):.0%} of its map",
        **more,
    )


def _picture(activity: Activity, channel: int) -> Component:
    if activity.pictures is None:
        return html.Span(className="flat")
    values = np.asarray(activity.pictures[channel], dtype=np.float32)
    return html.Img(src=picture_uri(values, float(values.max())), alt="")


def _bar(share: float) -> Component:
    return html.Span(html.Span(style={"width": f"{share:.1%}"}), className="bar")
