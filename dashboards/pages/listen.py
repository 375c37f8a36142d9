"""Listen: choose a unit, hear what it responds to."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from auralise.errors import AuraliseError
from auralise.output.interactive import draw

from .. import drawings, ids
from ..links import chosen, plain
from ..security import session_id
from ..service import Service
from ..snapshot import Snapshot
from ..widgets import controls, grid, heard, notice
from ..widgets.players import players

PATH, TITLE = "/listen", "Listen"

_CHOICES = ("song", "model", "layer", "start", "method", "sonification", "phase")
_CHOOSERS = (
    ids.SONG, ids.MODEL, ids.LAYER, ids.START, ids.METHOD, ids.SONIFICATION, ids.PHASE
)  # fmt: skip


def layout(service: Service) -> Component:
    """Return the page with nothing chosen yet."""
    return html.Div(
        [
            dcc.Store(id=ids.VIEW),
            dcc.Store(id=ids.SOUNDS),
            dcc.Store(id=ids.GRID_KEY),
            dcc.Store(id=ids.FIGURE_URL),
            html.Div(
                [
                    html.H1("What does this unit listen for?"),
                    html.P(
                        "Choose a unit of the network. You hear what remains of the song when "
                        "only what made this unit answer is kept.",
                        className="lead",
                    ),
                ],
                className="intro",
            ),
            _where(service),
            html.Div(id=ids.PROBLEM),
            html.Div(
                [_units(), html.Div([_sounds(), _map()], className="column")], className="two"
            ),
        ]
    )


def _where(service: Service) -> Component:
    return html.Section(
        [
            controls.song_choice(),
            controls.choice(ids.MODEL, "Network", controls.model_options(service)),
            controls.choice(ids.LAYER, "Layer"),
            controls.seconds(ids.START),
        ],
        className="card bar-of-choices",
        **{"aria-label": "Song and network"},  # type: ignore[arg-type]
    )


def _units() -> Component:
    return html.Section(
        [
            html.H2("Units"),
            html.P(id=ids.GRID_CAPTION, className="quiet"),
            html.Div(
                [html.Span(className="unit waiting") for _ in range(64)],
                id=ids.GRID,
                className="grid",
                role="group",
                **{"aria-label": "Units of the layer"},  # type: ignore[arg-type]
            ),
        ],
        className="card units",
    )


def _sounds() -> Component:
    return html.Section(
        [
            html.Div(id=ids.RESULT, className="heading", **{"aria-live": "polite"}),  # type: ignore[arg-type]
            players(),
            html.Div(
                [
                    controls.choice(ids.METHOD, "Method"),
                    controls.choice(ids.SONIFICATION, "Made audible as"),
                    controls.choice(ids.PHASE, "Phase"),
                ],
                className="bar-of-choices inner",
            ),
        ],
        className="card",
    )


def _map() -> Component:
    return html.Section(
        [
            html.Div(
                [
                    html.H2("Seen in time and frequency"),
                    dmc.Button("Download all of it", id=ids.DOWNLOAD, variant="light", size="xs"),
                ],
                className="split",
            ),
            html.P(
                "Dotted lines show what the followed place can see. Click in the relevance map to "
                "follow the unit there instead; elsewhere a click moves the playhead.",
                className="quiet",
            ),
            html.Div(
                html.Div("The picture follows the sounds.", className="figure-to-come"),
                id=ids.FIGURE_BOX,
                className="figure",
            ),
            html.Div(id="numbers"),
            dcc.Store(id=ids.DOWNLOAD_URL),
            html.Span(id="download-said", className="hidden"),
            html.Span(id="picked", className="hidden"),
        ],
        className="card",
    )


def register(app: Dash, service: Service) -> None:
    """Wire the page to ``service``."""
    _register_choices(app, service)
    _register_units(app, service)
    _register_sound(app, service)
    _register_download(app, service)


def _register_choices(app: Dash, service: Service) -> None:
    @app.callback(
        Output(ids.VIEW, "data"),
        Output(ids.PROBLEM, "children"),
        *(Output(name, "value") for name in _CHOOSERS),
        *(Output(name, "data") for name in (ids.SONG, ids.LAYER, ids.METHOD)),
        *(Output(name, "data") for name in (ids.SONIFICATION, ids.PHASE)),
        *(Output(name, "disabled") for name in (ids.SONIFICATION, ids.PHASE)),
        Input(ids.URL, "search"),
        State(ids.VIEW, "data"),
    )
    def choices(search: str | None, before: Any) -> tuple[Any, ...]:  # noqa: ANN401
        return choices_of(service, search, session_id(), before)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "choose"),
        Output(ids.PROBLEM, "className"),
        *(Input(name, "value") for name in _CHOOSERS),
        State(ids.VIEW, "data"),
    )


def choices_of(
    service: Service, search: str | None, session: str, before: object = None
) -> tuple[Any, ...]:
    """Return the view and all choices for an address; an error leaves the choices as they are.

    What is as it was in the view ``before`` is not sent again: showing it takes the browser longer
    than all the rest of a click.
    """
    try:
        view = chosen(service, search)
        layers = controls.options(tuple(layer.name for layer in service.layers(view.model)))
    except AuraliseError as error:
        return None, notice.problem(error), *([no_update] * 14)
    sonifications = controls.sonification_options(service, view.model)
    phases = controls.phase_options(service, view.model)
    songs = controls.song_options(service, session, view.song)
    known = before if isinstance(before, dict) else {}
    values = [
        no_update if known.get(name, no_update) == getattr(view, name) else getattr(view, name)
        for name in _CHOICES
    ]
    if all(known.get(name) == getattr(view, name) for name in ("model", "song")):
        return plain(view, *_CHOICES), None, *values, *([no_update] * 7)
    return (
        plain(view, *_CHOICES),
        None,
        *values,
        songs,
        layers,
        controls.options(service.methods, controls.METHODS),
        sonifications,
        phases,
        len(sonifications) == 1,
        len(phases) == 1,
    )


def _register_units(app: Dash, service: Service) -> None:
    @app.callback(
        Output(ids.GRID, "children"),
        Output(ids.GRID_CAPTION, "children"),
        Output(ids.GRID_KEY, "data"),
        Input(ids.URL, "search"),
        State(ids.GRID_KEY, "data"),
    )
    def units(search: str | None, key: list[Any] | None) -> tuple[Any, ...]:
        return units_of(service, search, key)


def units_of(service: Service, search: str | None, key: list[Any] | None) -> tuple[Any, ...]:
    """Return the grid, unless it is the one on show; nothing for an address that is wrong."""
    try:
        view = chosen(service, search)
    except AuraliseError:  # `choices_of` says what is wrong with the address
        return no_update, no_update, no_update
    wanted = [view.model, view.song, view.start, view.seconds, view.layer]
    if wanted == key:
        return no_update, no_update, no_update
    activity = service.activity(view)
    return grid.unit_grid(activity, view.unit), grid.caption(activity), wanted


def _register_sound(app: Dash, service: Service) -> None:
    @app.callback(
        Output(ids.SOUNDS, "data"),
        Output(ids.RESULT, "children"),
        Output("numbers", "children"),
        Input(ids.URL, "search"),
    )
    def sounds(search: str | None) -> tuple[Any, ...]:
        return sounds_of(service, search)

    @app.callback(
        Output(ids.FIGURE_URL, "data"),
        Input(ids.SOUNDS, "data"),
        Input(ids.LOOK, "data"),
        State(ids.URL, "search"),
    )
    def figure(sounds: dict[str, Any] | None, look: str | None, search: str | None) -> Any:  # noqa: ANN401
        if not sounds or not sounds["sounds"] or look is None:
            return None
        return drawings.drawing(service, chosen(service, search), look)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "late_figure"),
        Output(ids.FIGURE_BOX, "children"),
        Input(ids.FIGURE_URL, "data"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "sounds"),
        Output(ids.SAID, "children"),
        Input(ids.SOUNDS, "data"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "picked"),
        Output("picked", "children"),
        Input(ids.FIGURE, "clickData"),
        State(ids.SOUNDS, "data"),
        prevent_initial_call=True,
    )


def sounds_of(service: Service, search: str | None) -> tuple[Any, ...]:
    """Return the players, the heading and the numbers for an address."""
    try:
        view = chosen(service, search)
        rendered = service.render(view)
    except AuraliseError as error:
        empty: dict[str, Any] = {"sounds": [], "unit": None}
        return empty, html.H2("Nothing to hear"), html.P(str(error), className="quiet")
    return heard.player_data(view, rendered), heard.heading(view, rendered), heard.numbers(rendered)


def _register_download(app: Dash, service: Service) -> None:
    @app.callback(
        Output(ids.DOWNLOAD_URL, "data"),
        Input(ids.DOWNLOAD, "n_clicks"),
        State(ids.URL, "search"),
        running=[(Output(ids.DOWNLOAD, "loading"), True, False)],
        prevent_initial_call=True,
    )
    def bundle(clicks: int | None, search: str | None) -> Any:  # noqa: ANN401
        if not clicks:
            return no_update
        view = chosen(service, search)
        return f"/media/{service.bundle(view)}?name=auralise-{view.layer}-{view.unit}&n={clicks}"

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "fetch"),
        Output("download-said", "children"),
        Input(ids.DOWNLOAD_URL, "data"),
        prevent_initial_call=True,
    )


def export(service: Service, search: str) -> Snapshot:
    """Return the page's state for a file."""
    view = chosen(service, search)
    rendered, activity = service.render(view), service.activity(view)
    units = html.Section(
        [
            html.H2(f"Units of {view.layer}"),
            html.P(grid.caption(activity), className="quiet"),
            html.Div(grid.unit_grid(activity, view.unit), className="grid"),
        ],
        className="card units",
    )
    graph = dcc.Graph(figure=draw(rendered.figure))
    sounds = html.Section([*heard.heading(view, rendered), players()], className="card")
    seen = html.Section(
        [
            html.H2("Seen in time and frequency"),
            html.Div(graph, id=ids.FIGURE_BOX, className="figure"),
            heard.numbers(rendered),
        ],
        className="card",
    )
    song = service.songs.info(view.song)
    body = html.Div(
        [
            html.H1(f"What {rendered.unit} listens for"),
            html.P(f"{view.model}, in {song.title} from {view.start:g} s", className="lead"),
            html.Div([units, html.Div([sounds, seen], className="column")], className="two"),
        ]
    )
    data = heard.player_data(view, rendered)
    return Snapshot(f"{rendered.unit} of {view.model}", body, data, song.credits)
