"""Compare: two units of two networks on the same song, side by side and blind."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from auralise.errors import AuraliseError
from auralise.output.interactive import draw

from .. import drawings, ids
from ..comparisons import Compared, Pair, compare, read_pair
from ..links import plain
from ..security import session_id
from ..service import Service
from ..snapshot import Snapshot
from ..widgets import controls, grid, heard, notice, versus
from ..widgets.players import players
from . import blind

PATH, TITLE = "/compare", "Compare"

VIEW, PROBLEM = "compare-view", "compare-problem"
SONG, START = "compare-song", "compare-start"
MODEL, LAYER, OTHER, OTHER_LAYER = (
    "compare-model", "compare-layer", "compare-other", "compare-other-layer"
)  # fmt: skip
GRID_A, GRID_B, KEY = "compare-grid-a", "compare-grid-b", "compare-key"
SOUNDS, SAID, HEADING = "compare-sounds", "compare-said", "compare-heading"
TABLE, FIGURES = "compare-table", "compare-figures"

_CHOICES = ("song", "start", "model", "layer", "other", "other_layer")
_CHOOSERS = (SONG, START, MODEL, LAYER, OTHER, OTHER_LAYER)


def layout(service: Service) -> Component:
    """Return the page with nothing chosen yet."""
    return html.Div(
        [
            dcc.Store(id=VIEW),
            dcc.Store(id=SOUNDS),
            dcc.Store(id=KEY),
            html.Div(
                [
                    html.H1("Do two units listen for the same?"),
                    html.P(
                        "Two networks, or one before and after training, on the same song. Look, "
                        "listen, and then find out blind whether you can tell them apart.",
                        className="lead",
                    ),
                ],
                className="intro",
            ),
            _where(service),
            html.Div(id=PROBLEM),
            html.Div(
                [
                    html.Div([_units("A", GRID_A), _units("B", GRID_B)], className="column units"),
                    html.Div([_heard(), blind.card(), _seen()], className="column"),
                ],
                className="two",
            ),
        ]
    )


def _where(service: Service) -> Component:
    networks = controls.options((*service.models, *service.networks.untrained), {})
    return html.Section(
        [
            controls.choice(SONG, "Song"),
            controls.seconds(START),
            controls.choice(MODEL, "Network A", networks),
            controls.choice(LAYER, "Layer of A"),
            controls.choice(OTHER, "Network B", networks),
            controls.choice(OTHER_LAYER, "Layer of B"),
        ],
        className="card bar-of-choices roomy",
        **{"aria-label": "Song and networks"},  # type: ignore[arg-type]
    )


def _units(name: str, id: str) -> Component:
    return html.Section(
        [
            html.H2(f"Units of {name}"),
            html.Div(
                [html.Span(className="unit waiting") for _ in range(64)],
                id=id,
                className="grid short",
                role="group",
                **{"aria-label": f"Units of network {name}"},  # type: ignore[arg-type]
            ),
        ],
        className="card",
    )


def _heard() -> Component:
    return html.Section(
        [
            html.Div(id=HEADING, className="heading", **{"aria-live": "polite"}),  # type: ignore[arg-type]
            players(SAID),
            html.Div(id=TABLE, className="wide"),
        ],
        className="card sighted",
    )


def _seen() -> Component:
    return html.Section(
        [
            html.H2("Seen in time and frequency"),
            html.Div(id=FIGURES, className="pair"),
        ],
        className="card",
    )


def register(app: Dash, service: Service) -> None:
    """Wire the page to ``service``."""

    @app.callback(
        Output(VIEW, "data"),
        Output(PROBLEM, "children"),
        *(Output(name, "value") for name in _CHOOSERS),
        *(Output(name, "data") for name in (SONG, LAYER, OTHER_LAYER)),
        Input(ids.URL, "search"),
    )
    def choices(search: str | None) -> tuple[Any, ...]:
        return choices_of(service, search, session_id())

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "choose"),
        Output(PROBLEM, "className"),
        *(Input(name, "value") for name in _CHOOSERS),
        State(VIEW, "data"),
    )

    @app.callback(
        Output(GRID_A, "children"),
        Output(GRID_B, "children"),
        Output(KEY, "data"),
        Input(VIEW, "data"),
        State(KEY, "data"),
        State(ids.URL, "search"),
    )
    def grids(values: Any, key: Any, search: str | None) -> tuple[Any, ...]:  # noqa: ANN401
        return grids_of(service, search, key) if values else (no_update,) * 3

    @app.callback(
        Output(HEADING, "children"),
        Output(TABLE, "children"),
        Output(SOUNDS, "data"),
        Input(ids.URL, "search"),
    )
    def sounds(search: str | None) -> tuple[Any, ...]:
        return sounds_of(service, search)

    @app.callback(
        Output(FIGURES, "children"),
        Input(SOUNDS, "data"),
        Input(ids.LOOK, "data"),
        State(ids.URL, "search"),
    )
    def figures(sounds: Any, look: str | None, search: str | None) -> Any:  # noqa: ANN401
        if not sounds or not sounds["sounds"] or look is None:
            return no_update
        return figures_of(service, search, look)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "sounds"),
        Output(SAID, "children"),
        Input(SOUNDS, "data"),
    )
    versus.register(app)
    blind.register(app, service)


def choices_of(service: Service, search: str | None, session: str) -> tuple[Any, ...]:
    """Return the view and all choices for an address; an error leaves the choices as they are."""
    try:
        pair = read_pair(service, search)
        songs = controls.song_options(service, session, pair.a.song)
        layers, others = (
            controls.options(tuple(layer.name for layer in service.layers(view.model)))
            for view in (pair.a, pair.b)
        )
    except AuraliseError as error:
        return None, notice.problem(error), *([no_update] * 9)
    values = {
        **plain(pair.a, *_CHOICES),
        "other": pair.b.model,
        "other_layer": pair.b.layer,
        "other_unit": pair.b.unit,
    }
    return values, None, *(values[name] for name in _CHOICES), songs, layers, others


def grids_of(service: Service, search: str | None, key: list[Any] | None) -> tuple[Any, ...]:
    """Return both grids of units, unless they are on show."""
    try:
        pair = read_pair(service, search)
        wanted = [
            [view.model, view.song, view.start, view.layer, view.unit] for view in (pair.a, pair.b)
        ]
        if wanted == key:
            return no_update, no_update, no_update
        a = grid.unit_grid(service.activity(pair.a), pair.a.unit, "unit", "a")
        b = grid.unit_grid(service.activity(pair.b), pair.b.unit, "other_unit", "b")
    except AuraliseError:
        return no_update, no_update, no_update  # said above the page already
    return a, b, wanted


def sounds_of(service: Service, search: str | None) -> tuple[Any, ...]:
    """Return heading, numbers and players of both units."""
    nothing: dict[str, Any] = {"sounds": [], "unit": None}
    try:
        pair = read_pair(service, search)
        found = compare(service, pair)
    except AuraliseError as error:
        return html.H2("Nothing to hear"), html.P(str(error), className="quiet"), nothing
    return versus.heading(pair, found), versus.numbers(pair, found), _player_data(pair, found)


def _player_data(pair: Pair, found: Compared) -> dict[str, Any]:
    rows = (
        ("source", "Song", "S", "as network A hears it"),
        ("a", "A", "A", f"{found.a.unit} of {pair.a.model}"),
        ("b", "B", "B", f"{found.b.unit} of {pair.b.model}"),
    )
    starts = [0.0 if one.place is None else one.place.start for one in (found.a, found.b)]
    return {
        "unit": None,
        "from": max(0.0, min(starts) - heard.LEAD_IN),
        "maps": [],
        "hertz": False,
        "sounds": [
            {
                "key": key,
                "label": label,
                "letter": letter,
                "note": note,
                **found.sounds[key].played,
                "main": key == "a",
            }
            for key, label, letter, note in rows
        ],
    }


def figures_of(service: Service, search: str | None, look: str) -> list[Component]:
    """Return the figures of both units; the browser fetches them as files."""
    try:
        pair = read_pair(service, search)
        narrow = look if look.endswith("-narrow") else f"{look}-narrow"
        urls = [drawings.drawing(service, view, narrow) for view in (pair.a, pair.b)]
    except AuraliseError as error:
        return [html.P(str(error), className="quiet")]
    return [
        versus.figure(name, view, url)
        for name, view, url in zip("AB", (pair.a, pair.b), urls, strict=True)
    ]


def export(service: Service, search: str) -> Snapshot:
    """Return the page's state for a file; a blind test needs the server and is left out."""
    pair = read_pair(service, search)
    found = compare(service, pair)
    grids = [
        html.Section(
            [
                html.H2(f"Units of {name}"),
                html.Div(grid.unit_grid(service.activity(view), view.unit), className="grid short"),
            ],
            className="card",
        )
        for name, view in zip("AB", (pair.a, pair.b), strict=True)
    ]
    sounds = html.Section(
        [
            *versus.heading(pair, found),
            players(),
            html.Div(versus.numbers(pair, found), className="wide"),
        ],
        className="card",
    )
    figures = []
    for name, view, one in zip("AB", (pair.a, pair.b), (found.a, found.b), strict=True):
        drawn = draw(one.figure)
        drawings.fit(drawn)
        figures.append(html.Div([versus.title(name, view), dcc.Graph(figure=drawn)]))
    seen = html.Section(
        [html.H2("Seen in time and frequency"), html.Div(figures, className="pair")],
        className="card",
    )
    song = service.songs.info(pair.a.song)
    body = html.Div(
        [
            html.H1("Two units side by side"),
            html.P(f"In {song.title} from {pair.a.start:g} s", className="lead"),
            html.Div(
                [
                    html.Div(grids, className="column units"),
                    html.Div([sounds, seen], className="column"),
                ],
                className="two",
            ),
        ]
    )
    title = f"{found.a.unit} and {found.b.unit}"
    return Snapshot(title, body, _player_data(pair, found), song.credits)
