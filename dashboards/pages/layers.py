"""Layers: what the network consists of, how far each layer sees, and what its units answer to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from auralise.errors import AuraliseError
from auralise.filters.sweeps import STIMULI
from auralise.output.figures import hertz_label
from auralise.output.tuning_figures import tuning_figure
from auralise.output.tuning_interactive import draw_tuning

from .. import ids
from ..activity import Activity
from ..drawings import theme_of
from ..jobs import JobState
from ..links import plain, view_of
from ..networks import Layer
from ..service import Service
from ..studies import LayerReach, TuningStudy
from ..views import parse_view
from ..widgets import controls, notice

PATH, TITLE = "/layers", "Layers"

VIEW, PROBLEM, MODEL = "layers-view", "layers-problem", "layers-model"
DIAGRAM, REACH_TICK = "layers-diagram", "layers-reach-tick"
STIMULUS, PLAY, CANCEL = "layers-stimulus", "layers-play", "layers-cancel"
HEADING, JOB, TICK = "layers-heading", "layers-job", "layers-tick"
PROGRESS, STATUS, TUNING = "layers-progress", "layers-status", "layers-tuning"

_REGION: Any = {"role": "region", "aria-label": "Layers of the network"}
_CONFIG: Any = {"displaylogo": False, "responsive": True, "displayModeBar": False}


def layout(service: Service) -> Component:
    """Return the page with nothing chosen yet."""
    return html.Div(
        [
            dcc.Store(id=VIEW),
            dcc.Store(id=JOB),
            dcc.Interval(id=REACH_TICK, interval=700, disabled=True),
            dcc.Interval(id=TICK, interval=500, disabled=True),
            html.Div(
                [
                    html.H1("How far does each layer see?"),
                    html.P(
                        "From the sound at the top to the answer at the bottom. Choose a layer to "
                        "play simple sounds to its units.",
                        className="lead",
                    ),
                ],
                className="intro",
            ),
            html.Section(
                controls.choice(MODEL, "Network", controls.model_options(service)),
                className="card bar-of-choices",
                **{"aria-label": "Network"},  # type: ignore[arg-type]
            ),
            html.Div(id=PROBLEM),
            html.Section(
                [
                    html.H2("Architecture"),
                    html.P(
                        "Bars show the time one unit sees, on a logarithmic axis. A unit is silent "
                        "if its map is nowhere above zero in the song's excerpt.",
                        className="quiet",
                    ),
                    html.Div(id=DIAGRAM, className="wide", tabIndex=0, **_REGION),
                ],
                className="card",
            ),
            _tuning_part(),
        ]
    )


def _tuning_part() -> Component:
    return html.Section(
        [
            html.H2("Tuning", id=HEADING),
            html.P(
                "Sounds that are known exactly are played to the layer, from low to high; a curve "
                "shows which of them a unit answers to.",
                className="quiet",
            ),
            html.Div(
                [
                    controls.choice(
                        STIMULUS, "Sound", controls.options(tuple(sorted(STIMULI))), value="tone"
                    ),
                    dmc.Button("Play to this layer", id=PLAY, mt=24),
                    dmc.Button("Cancel", id=CANCEL, variant="default", mt=24, disabled=True),
                ],
                className="bar-of-choices",
            ),
            dmc.Progress(id=PROGRESS, value=0, mt=14, **{"aria-label": "Progress"}),
            html.P("", id=STATUS, role="status", className="quiet"),
            html.Div(id=TUNING, className="figure"),
        ],
        className="card",
    )


def register(app: Dash, service: Service) -> None:
    """Wire the page to ``service``."""

    @app.callback(
        Output(VIEW, "data"),
        Output(PROBLEM, "children"),
        Output(MODEL, "value"),
        Output(HEADING, "children"),
        Input(ids.URL, "search"),
    )
    def view(search: str | None) -> tuple[Any, ...]:
        return view_from(service, search)

    @app.callback(
        Output(DIAGRAM, "children"),
        Output(REACH_TICK, "disabled"),
        Input(VIEW, "data"),
        Input(REACH_TICK, "n_intervals"),
    )
    def diagram(values: dict[str, Any] | None, _ticks: int | None) -> tuple[Any, bool]:
        return diagram_of(service, values)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "choose"),
        Output(PROBLEM, "className"),
        Input(MODEL, "value"),
        State(VIEW, "data"),
    )
    _register_tuning(app, service)


def _register_tuning(app: Dash, service: Service) -> None:
    @app.callback(
        Output(JOB, "data"),
        Input(PLAY, "n_clicks"),
        Input(VIEW, "data"),
        State(STIMULUS, "value"),
        prevent_initial_call=True,
    )
    def start(_clicks: int | None, values: dict[str, Any] | None, stimulus: str) -> Any:  # noqa: ANN401
        if ctx.triggered_id != PLAY or values is None:
            return None  # another layer: its curves are not computed unless asked for
        view = view_of(values)
        return service.studies.start_tuning(view.model, view.layer, stimulus=stimulus).id

    @app.callback(
        Output(PROGRESS, "value"),
        Output(STATUS, "children"),
        Output(TUNING, "children"),
        Output(TICK, "disabled"),
        Output(CANCEL, "disabled"),
        Input(JOB, "data"),
        Input(TICK, "n_intervals"),
        Input(ids.LOOK, "data"),
    )
    def watch(job: str | None, _ticks: int | None, look: str | None) -> tuple[Any, ...]:
        return state_of(service, job, look)

    @app.callback(
        Output(CANCEL, "n_clicks"),
        Input(CANCEL, "n_clicks"),
        State(JOB, "data"),
        prevent_initial_call=True,
    )
    def cancel(_clicks: int | None, job: str | None) -> Any:  # noqa: ANN401
        if job is not None:
            service.jobs.stop(job)
        return no_update


def view_from(service: Service, search: str | None) -> tuple[Any, ...]:
    """Return the view of an address, the problem with it, the network, and the heading."""
    try:
        view = service.resolve(parse_view(search or ""))
    except AuraliseError as error:
        return None, notice.problem(error), no_update, "Tuning"
    return plain(view, "model"), None, view.model, ["Tuning of ", html.Code(view.layer)]


def diagram_of(service: Service, values: dict[str, Any] | None) -> tuple[Any, bool]:
    """Return the diagram and whether nothing more will come; without reach while that is measured.

    Parameters
    ----------
    service : Service
    values : dict or None
        From `auralise.dashboards.links.plain`.
    """
    if values is None:
        return None, True
    view = view_of(values)
    try:
        state = service.jobs.wait(service.start_reach(view.model).id, 0.5)
        activities = service.activities(view)
    except AuraliseError as error:
        return notice.problem(error), True
    reach = {entry.layer.name: entry for entry in state.result or ()}
    table = layers_table(service.layers(view.model), activities, reach, view.layer)
    said = state.error or ("" if state.ended else "Measuring how far each layer sees…")
    return [table, html.P(said, role="status", className="quiet")], state.ended


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


def state_of(service: Service, job: str | None, look: str | None) -> tuple[Any, ...]:
    """Return progress, what is said, the figure, and whether clock and cancel are off."""
    if job is None:
        return 0, "", None, True, True
    try:
        state = service.jobs.state(job)
    except AuraliseError as error:
        return 0, str(error), None, True, True
    if isinstance(state.result, TuningStudy):
        return 100, "", tuning_graph(state.result, look), True, True
    return 100 * (state.share or 0.0), _words(state), no_update, state.ended, state.ended


def _words(state: JobState) -> str:
    if state.ended:
        return state.error or "Stopped."
    steps = f", {state.done} of {state.total}" if state.total else ""
    return f"{state.stage or 'waiting for its turn'}{steps}…"


def tuning_graph(study: TuningStudy, look: str | None) -> Component:
    """Return the curves of a layer in the page's colours."""
    figure = tuning_figure(study.tuning, study.curves)
    drawn = draw_tuning(figure, theme_of(look))
    return dcc.Graph(
        figure=drawn, config=_CONFIG, responsive=True, style={"height": f"{drawn.layout.height}px"}
    )
