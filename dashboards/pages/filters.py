"""Filters: what the first layer is tuned to, on a frequency axis of choice, and how it sounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from auralise.errors import AuraliseError, InvalidValueError
from auralise.output.filter_axes import AXES

from .. import ids
from ..banks import BankStudy
from ..jobs import JobState
from ..links import plain
from ..service import Service
from ..snapshot import Snapshot
from ..views import View, channel_of, parse_view, texts_of
from ..widgets import controls, filterbank, notice
from ..widgets.players import players

PATH, TITLE = "/filters", "Filters"

VIEW, PROBLEM, KEY = "filters-view", "filters-problem", "filters-key"
MODEL, OTHER, AXIS = "filters-model", "filters-other", "filters-axis"
BANKS, CHARTS, STATUS, TICK = "filters-banks", "filters-charts", "filters-status", "filters-tick"
HEADING, DETAIL, SOUNDS = "filters-heading", "filters-detail", "filters-sounds"
SAID, CLICKED = "filters-said", "filters-clicked"

UNTRAINED = "untrained"
_CHOICES = ("model", "other", "axis")
_AXES = {"linear": "linear (Hz)", "mel": "mel", "bark": "Bark", "erb": "ERB rate"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What the page shows.

    Attributes
    ----------
    view : View
        Network and song.
    other : str
        Name of the network beside it, ``untrained``, or empty for none.
    axis : str
        Name in `auralise.output.filter_axes.AXES`.
    filter : int or None
        Which is heard; None for the page's own choice.
    side : str
        ``a``, or ``b`` for a filter of the other network.
    """

    view: View
    other: str = ""
    axis: str = "mel"
    filter: int | None = None
    side: str = "a"

    def banks(self) -> dict[str, tuple[str, bool]]:
        """Return name and whether it is untrained of the bank on each side."""
        found = {"a": (self.view.model, False)}
        if self.other:
            untrained = self.other == UNTRAINED
            found["b"] = (self.view.model if untrained else self.other, untrained)
        return found


def read_choice(service: Service, search: str | None) -> Choice:
    """Read what an address asks for.

    Raises
    ------
    AuraliseError
        If it names what is not there.
    """
    view = parse_view(search or "")
    view = service.resolve(View(model=view.model, song=view.song, start=view.start))
    texts = texts_of(search or "", ("other", "axis", "filter", "side"))
    choice = Choice(view, texts.get("other", ""), texts.get("axis") or "mel")
    if choice.other not in ("", UNTRAINED):
        service.card(choice.other)
    if choice.axis not in AXES:
        raise InvalidValueError(f"axis must be one of {', '.join(AXES)}, got {choice.axis!r}")
    if texts.get("filter"):
        choice = replace(choice, filter=channel_of("filter", texts["filter"]))
    side = "b" if texts.get("side") == "b" and choice.other else "a"
    return replace(choice, side=side)


def layout(service: Service) -> Component:
    """Return the page with nothing chosen yet."""
    return html.Div(
        [
            dcc.Store(id=VIEW),
            dcc.Store(id=KEY),
            dcc.Store(id=SOUNDS),
            dcc.Interval(id=TICK, interval=600, disabled=True),
            html.Div(
                [
                    html.H1("What is the first layer tuned to?"),
                    html.P(
                        "Its filters beside the scales that hearing suggests, and beside the same "
                        "network untrained. Choose a filter to see and hear it.",
                        className="lead",
                    ),
                ],
                className="intro",
            ),
            html.Section(
                [
                    controls.choice(MODEL, "Network", controls.model_options(service)),
                    controls.choice(OTHER, "Beside it", _others(service)),
                    controls.choice(AXIS, "Frequency axis", controls.options(tuple(AXES), _AXES)),
                ],
                className="card bar-of-choices",
                **{"aria-label": "Networks and axis"},  # type: ignore[arg-type]
            ),
            html.Div(id=PROBLEM),
            html.P("", id=STATUS, role="status", className="quiet"),
            html.Div(
                [
                    html.Div(id=BANKS, className="column units"),
                    html.Div([_detail(), _charts()], className="column"),
                ],
                className="two",
            ),
        ]
    )


def _others(service: Service) -> list[dict[str, str]]:
    return [
        {"value": "", "label": "nothing"},
        {"value": UNTRAINED, "label": "itself, untrained"},
        *controls.model_options(service),
    ]


def _detail() -> Component:
    return html.Section(
        [
            html.Div(id=HEADING, className="heading", **{"aria-live": "polite"}),  # type: ignore[arg-type]
            players(SAID),
            html.Div(id=DETAIL),
        ],
        className="card",
    )


def _charts() -> Component:
    return html.Section(
        [
            html.H2("All filters"),
            html.P(
                "A bank that is spread evenly on the axis follows the line marked even. Click a "
                "point to hear its filter.",
                className="quiet",
            ),
            html.Div(id=CHARTS, className="pair"),
            html.Span(id=CLICKED, className="hidden"),
        ],
        className="card",
    )


def register(app: Dash, service: Service) -> None:
    """Wire the page to ``service``."""

    @app.callback(
        Output(VIEW, "data"),
        Output(PROBLEM, "children"),
        *(Output(name, "value") for name in (MODEL, OTHER, AXIS)),
        Input(ids.URL, "search"),
    )
    def view(search: str | None) -> tuple[Any, ...]:
        return choices_of(service, search)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "choose"),
        Output(PROBLEM, "className"),
        *(Input(name, "value") for name in (MODEL, OTHER, AXIS)),
        State(VIEW, "data"),
    )

    @app.callback(
        Output(BANKS, "children"),
        Output(CHARTS, "children"),
        Output(STATUS, "children"),
        Output(TICK, "disabled"),
        Output(KEY, "data"),
        Input(VIEW, "data"),
        Input(TICK, "n_intervals"),
        Input(ids.LOOK, "data"),
        State(KEY, "data"),
        State(ids.URL, "search"),
    )
    def banks(
        values: Any,  # noqa: ANN401
        _ticks: int | None,
        look: str | None,
        key: Any,  # noqa: ANN401
        search: str | None,
    ) -> tuple[Any, ...]:
        if not values or look is None:
            return no_update, no_update, "", True, no_update
        return banks_of(service, search, look, key)

    @app.callback(
        Output(HEADING, "children"),
        Output(DETAIL, "children"),
        Output(SOUNDS, "data"),
        Input(KEY, "data"),
        Input(ids.URL, "search"),
        Input(ids.LOOK, "data"),
    )
    def detail(key: Any, search: str | None, look: str | None) -> tuple[Any, ...]:  # noqa: ANN401
        if not key or look is None:
            return no_update, no_update, no_update
        return detail_of(service, search, look)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "sounds"),
        Output(SAID, "children"),
        Input(SOUNDS, "data"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "point"),
        Output(CLICKED, "children"),
        Input({"type": "filters-graph", "side": ALL, "chart": ALL}, "clickData"),
        prevent_initial_call=True,
    )


def choices_of(service: Service, search: str | None) -> tuple[Any, ...]:
    """Return the choices of an address and the problem with it."""
    try:
        choice = read_choice(service, search)
    except AuraliseError as error:
        return None, notice.problem(error), no_update, no_update, no_update
    values = {
        **plain(choice.view, *_CHOICES),
        "other": choice.other,
        "axis": choice.axis,
    }
    return values, None, choice.view.model, choice.other, choice.axis


def banks_of(
    service: Service, search: str | None, look: str, key: list[Any] | None
) -> tuple[Any, ...]:
    """Return the grids of filters, the charts, what is said, whether it is all, and its key."""
    try:
        choice = read_choice(service, search)
        wanted = [choice.view.model, choice.other, choice.axis, look]
        if wanted == key:
            return no_update, no_update, "", True, no_update
        states = {side: _wait(service, *bank) for side, bank in choice.banks().items()}
    except AuraliseError as error:
        return None, None, str(error), True, None
    if not all(state.ended for state in states.values()):
        said = next(state.words for state in states.values() if not state.ended)
        return no_update, no_update, said, False, no_update
    studies = {side: state.result for side, state in states.items()}
    failed = [state.error for state in states.values() if state.error]
    found = {side: study for side, study in studies.items() if isinstance(study, BankStudy)}
    grids = [
        filterbank.bank_card(study, side, _chosen(choice, found)) for side, study in found.items()
    ]
    charts = [
        filterbank.bank_charts(study, side, choice.axis, look) for side, study in found.items()
    ]
    return grids, charts, " ".join(failed), True, wanted if found else None


def _wait(service: Service, model: str, untrained: bool) -> JobState:
    return service.jobs.wait(service.studies.start_bank(model, untrained=untrained).id, 0.5)


def _chosen(choice: Choice, found: Mapping[str, BankStudy]) -> tuple[str, int]:
    """Return side and number of the filter that is heard: the address's, or one from the middle."""
    side = choice.side if choice.side in found else next(iter(found))
    if choice.filter is not None:
        return side, choice.filter
    return side, filterbank.first_choice(found[side])


def detail_of(service: Service, search: str | None, look: str) -> tuple[Any, ...]:
    """Return heading, picture and numbers, and sounds of the chosen filter."""
    nothing: dict[str, Any] = {"sounds": [], "unit": None}
    try:
        choice = read_choice(service, search)
        bank = choice.banks()[choice.side]
        study = service.studies.bank(bank[0], untrained=bank[1])
        _, index = _chosen(choice, {choice.side: study})
        sounds = filterbank.sounds_of(service, choice.view, study, bank[0], index)
        heading, body = filterbank.filter_card(study, index, look)
    except AuraliseError as error:
        return html.H2("Nothing to hear"), html.P(str(error), className="quiet"), nothing
    return heading, body, {**sounds, "unit": f"{choice.side}{index}"}


def export(service: Service, search: str) -> Snapshot:
    """Return the page's state for a file."""
    choice = read_choice(service, search)
    found = {
        side: service.studies.bank(model, untrained=untrained)
        for side, (model, untrained) in choice.banks().items()
    }
    side, index = _chosen(choice, found)
    model = choice.banks()[side][0]
    sounds = filterbank.sounds_of(service, choice.view, found[side], model, index)
    heading, body = filterbank.filter_card(found[side], index, "light")
    cards = [filterbank.bank_card(study, name, (side, index)) for name, study in found.items()]
    charts = [
        filterbank.bank_charts(study, name, choice.axis, "light") for name, study in found.items()
    ]
    one = html.Section([heading, players(), html.Div(body)], className="card")
    every = html.Section(
        [html.H2("All filters"), html.Div(charts, className="pair")], className="card"
    )
    page = html.Div(
        [
            html.H1("What the first layer is tuned to"),
            html.Div(
                [
                    html.Div(cards, className="column units"),
                    html.Div([one, every], className="column"),
                ],
                className="two",
            ),
        ]
    )
    song = service.songs.info(choice.view.song)
    return Snapshot(f"Filters of {choice.view.model}", page, sounds, song.credits)
