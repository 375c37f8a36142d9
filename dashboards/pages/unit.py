"""Unit: everything that an atlas knows of one unit, to be heard and seen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import plotly.graph_objects as go
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from auralise.activations.layers import Unit
from auralise.atlas import AtlasUnit, Example
from auralise.atlas.histogram import edges
from auralise.errors import AuraliseError, InvalidValueError

from .. import ids
from ..atlas import AtlasRoom
from ..service import Service
from ..views import channel_of, texts_of
from ..widgets import notice

PATH, TITLE = "/unit", "Unit"
HEADING, TOP, TENTHS, ABOUT = "unit-heading", "unit-strongest", "unit-tenths", "unit-about"
PROBLEM, SAID = "unit-problem", "unit-said"

_ABOUT_TOP = 9


def layout(service: Service) -> Component:
    """Return the page with nothing chosen yet."""
    left = html.Div([html.Div(id=TOP), html.Div(id=TENTHS)], className="column")
    both = html.Div([left, html.Div(id=ABOUT, className="column")], className="two")
    return html.Div(
        [html.Div(id=PROBLEM), html.Div(id=HEADING), both, html.Div(id=SAID, hidden=True)]
    )


def register(app: Dash, service: Service) -> None:
    """Wire the page to ``service``: what is heard first comes first, then the rest."""

    @app.callback(
        Output(HEADING, "children"),
        Output(TOP, "children"),
        Output(PROBLEM, "children"),
        Input(ids.URL, "search"),
    )
    def first(search: str | None) -> tuple[Any, ...]:
        return content_of(service, search)

    @app.callback(
        Output(TENTHS, "children"),
        Output(ABOUT, "children"),
        Input(SAID, "children"),
        State(ids.URL, "search"),
    )
    def rest(_: Any, search: str | None) -> tuple[Any, ...]:  # noqa: ANN401
        return rest_of(service, search)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise_unit", "players"),
        Output(SAID, "children"),
        Input(TOP, "children"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise_unit", "rest"),
        Output(SAID, "title"),
        Input(TENTHS, "children"),
    )


def content_of(service: Service, search: str | None) -> tuple[Any, ...]:
    """Return heading and strongest clips for an address, and the problem with it."""
    try:
        room = service.require_atlas()
        unit = _chosen(room, search)
        strongest = _examples(room, unit, unit.top(_ABOUT_TOP), "top", "Strongest clips")
        return _heading(room, unit, unit.summary()), strongest, None
    except AuraliseError as error:
        return None, None, notice.problem(error)


def rest_of(service: Service, search: str | None) -> tuple[Any, ...]:
    """Return the clips of each tenth, and what is known of the unit; nothing where that fails."""
    try:
        room = service.require_atlas()
        unit = _chosen(room, search)
        evidence = unit.evidence()
        about = [
            _histogram(unit.summary()),
            _labels(unit.labels()),
            _evidence(evidence),
            _tuning(evidence),
            _nearest(room, unit),
        ]
        return _tenths(room, unit), about
    except AuraliseError:  # said by the heading's side
        return None, None


def _chosen(room: AtlasRoom, search: str | None) -> AtlasUnit:
    """Return the unit of an address; without one the most selective of the atlas."""
    texts = texts_of(search or "", ("layer", "unit"))
    if texts.get("unit"):
        layer = texts.get("layer") or room.default_layer()
        return room.atlas.unit(Unit(layer, channel_of("unit", texts["unit"])))
    rows = room.atlas.units(layer=texts.get("layer", ""), limit=1)
    if not rows:
        raise InvalidValueError("the atlas has no units")
    return room.atlas.unit(rows[0]["unit"])


def _heading(room: AtlasRoom, unit: AtlasUnit, about: dict[str, Any]) -> Component:
    counts = room.atlas.manifest.counts
    state = f" It is {about['state']}." if about["state"] else ""
    channels = next(k.channels for k in room.layers if k.name == unit.unit.layer)
    channel = unit.unit.channel
    steps: list[Any] = [
        _go(unit.unit.layer, (channel - 1) % channels, "← unit before"),
        " · ",
        _go(unit.unit.layer, (channel + 1) % channels, "next unit →"),
        " · ",
        html.A("see it on the map", href="/map", **{"data-page": "/map"}),  # type: ignore[arg-type]
    ]
    layers: list[Any] = ["Layers: "]
    for kept in room.layers:
        layers.extend([_go(kept.name, 0, kept.name), " "])
    return html.Div(
        [
            html.H1(str(unit.unit)),
            html.P(about["name"] or "no name suggested", className="lead", id="unit-name"),
            html.P(
                f"Fires in {about['firing_clips']:.0%} of {counts['clips']} clips, at "
                f"{about['firing_places']:.1%} of all places.{state}",
                className="quiet",
            ),
            html.P(steps),
            html.P(layers, className="quiet"),
        ],
        className="intro",
    )


def _go(layer: str, channel: int, text: str) -> Component:
    return html.A(
        text,
        href=f"{PATH}?{urlencode({'layer': layer, 'unit': channel})}",
        className="to-unit",
        **{"data-page": PATH, "data-go": json.dumps({"layer": layer, "unit": channel})},  # type: ignore[arg-type]
    )


def _examples(
    room: AtlasRoom, unit: AtlasUnit, examples: list[Example], kind: str, title: str
) -> Component:
    rows = [_example(room, unit, one, kind, number) for number, one in enumerate(examples)]
    return html.Section([html.H2(title), *rows], className="card", id=f"unit-{kind}")


def _example(room: AtlasRoom, unit: AtlasUnit, one: Example, kind: str, number: int) -> Component:
    query = urlencode({"unit": str(unit.unit), "kind": kind, "number": number})
    band = "" if one.low is None or one.high is None else f", {one.low:.0f}-{one.high:.0f} Hz"
    label = f"{', '.join(one.labels)}: " if one.labels else ""
    first = kind == "top" and number == 0
    heard = f"/atlas/excerpt?{query}"
    at_once = html.Audio(src=heard, controls=True, preload="auto") if first else _later(heard)
    sounds = [_sound("what it heard", at_once)]
    if room.model:
        sounds.append(_sound("what it listens for", _later(f"/atlas/auralised?{query}")))
    return html.Div(
        [
            html.P(
                [html.B(f"{one.value:.3g} "), f"{label}{_breaking(one.path)}"],
                className="example-title",
            ),
            html.P(f"{one.start:.2f}-{one.end:.2f} s{band}", className="quiet"),
            html.Div(sounds, className="example-sounds"),
        ],
        className="example",
    )


def _breaking(path: str) -> str:
    """Return a path that a narrow column breaks where its parts end, not within a word."""
    return path.replace("/", "/\u200b").replace("_", "_\u200b")


def _sound(name: str, player: Component) -> Component:
    return html.Label([html.Span(name, className="quiet"), player])


def _later(address: str) -> Component:
    """Return a place in which ``assets/unit.js`` puts a player when there is time for it."""
    return html.Span(className="player-later", **{"data-sound": address})  # type: ignore[arg-type]


def _tenths(room: AtlasRoom, unit: AtlasUnit) -> Component:
    examples = unit.quantiles()
    parts: list[Component] = []
    for tenth in reversed(range(10)):
        inside = [(n, one) for n, one in enumerate(examples) if one.quantile == tenth]
        if not inside:
            continue
        values = [one.value for _, one in inside]
        title = f"{10 * tenth}-{10 * tenth + 10} % of the clips: {min(values):.3g} to "
        parts.append(
            html.Details(
                [
                    html.Summary(f"{title}{max(values):.3g}"),
                    *(_example(room, unit, one, "quantiles", number) for number, one in inside),
                ]
            )
        )
    return html.Section(
        [html.H2("From the strongest tenth of the clips to the weakest"), *parts],
        className="card",
        id="unit-quantiles",
    )


def _histogram(about: dict[str, Any]) -> Component:
    borders = edges()
    names = [_between(borders[n], borders[n + 1]) for n in range(len(borders) - 1)]
    counts = about["histogram"]
    kept = [n for n, count in enumerate(counts) if count]
    low, high = (min(kept), max(kept) + 1) if kept else (0, 1)
    figure = go.Figure(go.Bar(x=names[low:high], y=counts[low:high]))
    figure.update_layout(**_LOOK, yaxis_type="log", yaxis_title="places", xaxis_title="value")
    return _card("How often it takes which value", _graph(figure))


def _between(low: float, high: float) -> str:
    return "0" if low == high else f"{low:.3g} to {high:.3g}"


_LOOK: dict[str, Any] = {
    "height": 260,
    "margin": {"l": 55, "r": 10, "t": 10, "b": 60},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": "#7d8b94"},
    "colorway": ["#4b90b0"],
    "xaxis_gridcolor": "rgba(125,139,148,0.3)",
    "yaxis_gridcolor": "rgba(125,139,148,0.3)",
}


def _graph(figure: go.Figure) -> Component:
    return dcc.Graph(figure=figure, config={"displayModeBar": False}, style={"height": "260px"})


def _labels(labels: list[dict[str, Any]]) -> Component:
    rows = [
        (
            row["label"],
            f"{row['mean']:.3g}",
            "-" if row["low"] is None else f"{row['low']:.3g} to {row['high']:.3g}",
            "-" if row["auc"] is None else f"{row['auc']:.2f}",
            "-" if row["q"] is None else f"{row['q']:.2g}",
        )
        for row in labels
    ]
    if not rows:
        return _card("Labels", html.P("The collection has no labels.", className="quiet"))
    head = ("label", "mean peak", "95 % interval", "AUC", "false discovery rate")
    return _card("What it prefers", _table(head, rows))


def _evidence(evidence: list[dict[str, Any]]) -> Component:
    rows = [
        (row["descriptor"], f"{row['rho']:+.2f}", f"{row['q']:.2g}")
        for row in evidence[:10]
        if row["rho"] is not None
    ]
    if not rows:
        return _card("Evidence", html.P("Too few clips to tell.", className="quiet"))
    head = ("descriptor of the excerpts", "rank correlation", "false discovery rate")
    return _card("What the name rests on", _table(head, rows))


def _tuning(evidence: list[dict[str, Any]]) -> Component:
    found = {row["descriptor"]: row["rho"] for row in evidence}
    bands = [name for name in found if name.startswith("band ")]
    bands.sort(key=lambda name: float(name.split()[1]))
    tones = [f"chroma {n}" for n in ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#")]
    tones.append("chroma B")
    names = [*bands, *tones]
    texts = [name.removeprefix("band ").removeprefix("chroma ") for name in names]
    figure = go.Figure(go.Bar(x=texts, y=[found.get(name) for name in names]))
    figure.update_layout(**_LOOK, yaxis_title="rank correlation", yaxis_range=[-1, 1])
    return _card("Tuning: octaves and pitch classes", _graph(figure))


def _nearest(room: AtlasRoom, unit: AtlasUnit) -> Component:
    rows = [
        html.Li(
            [
                _go(one["other_layer"], one["other_channel"],
                    f"{one['other_layer']}:{one['other_channel']}"),
                f" (r = {one['r']:.2f})",
            ]
        )
        for one in unit.nearest()
    ]  # fmt: skip
    return _card("Units that fire for the same clips", html.Ul(rows))


def _card(title: str, content: Component) -> Component:
    return html.Section([html.H2(title), content], className="card")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Component:
    return html.Div(
        html.Table(
            [
                html.Thead(html.Tr([html.Th(text) for text in head])),
                html.Tbody([html.Tr([html.Td(text) for text in row]) for row in rows]),
            ]
        ),
        className="wide",
    )
