"""A network's layers: as a chain of what each sees of the input, and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from dash import html
from dash.development.base_component import Component

from auralise.output.figures import hertz_label

from ..activity import Activity
from ..networks import Layer
from ..studies import LayerReach


def chain(layers: Sequence[Layer], reach: Mapping[str, LayerReach], chosen: str) -> Component:
    """Return one box per layer, in the order of a pass, with what one of its units sees.

    Parameters
    ----------
    layers : sequence of Layer
    reach : mapping of str to LayerReach
        By layer; may lack those that are not measured yet.
    chosen : str
        Name of the layer on show.
    """
    longest = max((entry.seconds for entry in reach.values()), default=1.0)
    widest = max((entry.hertz or 0.0 for entry in reach.values()), default=0.0)
    boxes = [
        html.Li(_box(layer, reach.get(layer.name), longest, widest, layer.name == chosen))
        for layer in layers
    ]
    chain: Component = html.Ol(boxes, className="chain")
    return chain


def _box(
    layer: Layer, entry: LayerReach | None, longest: float, widest: float, current: bool
) -> Component:
    seen = html.Span(className="input")
    said = f"{layer.name}, {layer.kind}, {layer.channels} units"
    if entry is not None:
        width = min(1.0, entry.seconds / longest)
        height = 1.0 if entry.hertz is None or widest == 0 else min(1.0, entry.hertz / widest)
        size = {"width": f"{width:.1%}", "height": f"{height:.1%}"}
        seen = html.Span(html.Span(style=size), className="input")
        band = "" if entry.hertz is None else f" and {_band(entry)}"
        said += f"; a unit sees {_sees(entry)}{band}"
    more: dict[str, Any] = {
        "data-go": json.dumps({"layer": layer.name}),
        **({"aria-current": "true"} if current else {}),
    }
    return html.A(
        [
            seen,
            html.B(layer.name),
            html.Small(
                f"{layer.channels} x {_map(layer)}" if layer.shape[1:] else "one value each"
            ),
        ],
        href=f"?layer={layer.name}",
        title=said,
        **more,
    )


def layers_table(
    layers: Sequence[Layer],
    activities: Mapping[str, Activity],
    reach: Mapping[str, LayerReach],
    chosen: str,
) -> Component:
    """Return one row per layer, from the input to the answer."""
    longest = max((entry.seconds for entry in reach.values()), default=1.0)
    shortest = min((entry.seconds for entry in reach.values()), default=1.0)
    head = ("layer", "kind", "units", "map", "sees", "", "band", "silent units", "active share", "")
    rows = []
    for layer in layers:
        sees, band = _sees(reach.get(layer.name)), _band(reach.get(layer.name))
        bar = _reach_bar(reach.get(layer.name), shortest, longest)
        silent, share = _activity(activities.get(layer.name))
        cells = (layer.kind, str(layer.channels), _map(layer), sees, bar, band, silent, share)
        go = json.dumps({"layer": layer.name})
        link = html.A(
            "listen",
            href=f"/listen?layer={layer.name}",
            className="action",
            **{"data-page": "/listen", "data-go": go},  # type: ignore[arg-type]
        )
        name = html.A(
            html.Code(layer.name),
            href=f"?layer={layer.name}",
            **{"data-go": go},  # type: ignore[arg-type]
        )
        current: Any = {"aria-current": "true"} if layer.name == chosen else {}
        rows.append(
            html.Tr(
                [html.Th(name, scope="row"), *(html.Td(cell) for cell in cells), html.Td(link)],
                **current,
            )
        )
    titles = html.Tr([html.Th(text, scope="col") if text else html.Td() for text in head])
    return html.Table([html.Thead(titles), html.Tbody(rows)], className="plain layers")


def _map(layer: Layer) -> str:
    return " x ".join(map(str, layer.shape[1:])) or "one value"


def _sees(entry: LayerReach | None) -> str:
    return "" if entry is None else f"{entry.seconds * 1000:.0f} ms"


def _band(entry: LayerReach | None) -> str:
    if entry is None or entry.hertz is None:
        return ""
    return hertz_label(float(f"{entry.hertz:.3g}"))


def _reach_bar(entry: LayerReach | None, shortest: float, longest: float) -> Component:
    """Return the seconds a layer sees as a bar on a logarithmic axis, from 8 % to the whole."""
    if entry is None or entry.seconds <= 0:
        return html.Span()
    span = math.log(longest / shortest) if longest > shortest > 0 else 0.0
    share = math.log(entry.seconds / shortest) / span if span else 1.0
    return html.Span(html.Span(style={"width": f"{0.08 + 0.92 * share:.0%}"}), className="reach")


def _activity(activity: Activity | None) -> tuple[str, str]:
    if activity is None:
        return "", ""
    return f"{activity.dead} of {activity.units}", f"{float(activity.active.mean()):.0%}"
