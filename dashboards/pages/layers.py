"""Layers: what the network consists of, how far each layer sees, and what its units answer to."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from auralise.errors import AuraliseError
from auralise.filters.sweeps import STIMULI
from auralise.output.tuning_figures import tuning_figure
from auralise.output.tuning_interactive import draw_tuning

from .. import ids
from ..drawings import theme_of
from ..jobs import JobState
from ..links import plain, view_of
from ..service import Service
from ..snapshot import Snapshot
from ..studies import TuningStudy
from ..views import View, parse_view, texts_of
from ..widgets import architecture, controls, notice

PATH, TITLE = "/layers", "Layers"

VIEW, PROBLEM, MODEL = "layers-view", "layers-problem", "layers-model"
DIAGRAM, REACH_TICK = "layers-diagram", "layers-reach-tick"
STIMULUS, PLAY, CANCEL = "layers-stimulus", "layers-play", "layers-cancel"
HEADING, JOB, TICK = "layers-heading", "layers-job", "layers-tick"
PROGRESS, STATUS, TUNING = "layers-progress", "layers-status", "layers-tuning"

_REGION: Any = {"role": "region", "aria-label": "Layers of the network, as a table"}
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
                        "Boxes are the input, time to the right and frequency up; the filled part "
                        "is what one unit sees of it. Bars show the time it sees on a logarithmic "
                        "axis. A unit is silent if its map is nowhere above zero in the excerpt.",
                        className="quiet",
                    ),
                    html.Div(id=DIAGRAM),
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
        Output(STIMULUS, "value"),
        Input(VIEW, "data"),
        State(ids.URL, "search"),
    )
    def start(values: dict[str, Any] | None, search: str | None) -> tuple[Any, Any]:
        if values is None:
            return None, no_update
        view, stimulus = view_of(values), stimulus_of(search or "")
        if not stimulus:  # curves are not computed unless the address asks for them
            return None, no_update
        job = service.studies.start_tuning(view.model, view.layer, stimulus=stimulus)
        return job.id, stimulus

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "play_tuning"),
        Output(PLAY, "className"),
        Input(PLAY, "n_clicks"),
        State(STIMULUS, "value"),
        prevent_initial_call=True,
    )

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
        try:
            if job is not None:
                service.jobs.stop(job)
        except AuraliseError:
            return no_update  # it is gone already, as after a restart
        return no_update


def stimulus_of(search: str) -> str:
    """Return which sounds the address asks to be played to the layer; empty for none.

    Raises
    ------
    UnknownNameError
        If there are no such sounds.
    """
    name = texts_of(search, ("tuning",)).get("tuning", "")
    if name:
        STIMULI[name]
    return name


def view_from(service: Service, search: str | None) -> tuple[Any, ...]:
    """Return the view of an address, the problem with it, the network, and the heading."""
    try:
        view = service.resolve(parse_view(search or ""))
        stimulus = stimulus_of(search or "")
    except AuraliseError as error:
        return None, notice.problem(error), no_update, "Tuning"
    values = {**plain(view, "model"), "tuning": stimulus}  # another one starts anew
    return values, None, view.model, ["Tuning of ", html.Code(view.layer)]


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
        parts = _both(service, view, state)
    except AuraliseError as error:
        return notice.problem(error), True
    said = state.error or ("" if state.ended else "Measuring how far each layer sees…")
    return [*parts, html.P(said, role="status", className="quiet")], state.ended


def _both(service: Service, view: View, state: JobState) -> list[Component]:
    """Return the chain of layers and their table, with what is measured so far."""
    layers, activities = service.layers(view.model), service.activities(view)
    reach = {entry.layer.name: entry for entry in state.result or ()}
    return [
        architecture.chain(layers, reach, view.layer),
        html.Div(
            architecture.layers_table(layers, activities, reach, view.layer),
            className="wide",
            tabIndex=0,
            **_REGION,
        ),
    ]


def state_of(service: Service, job: str | None, look: str | None) -> tuple[Any, ...]:
    """Return progress, what is said, the figure, and whether clock and cancel are off."""

    def show(found: object) -> object | None:
        return tuning_graph(found, look) if isinstance(found, TuningStudy) else None

    return notice.underway(service.jobs, job, show)


def tuning_graph(study: TuningStudy, look: str | None) -> Component:
    """Return the curves of a layer in the page's colours."""
    figure = tuning_figure(study.tuning, study.curves)
    drawn = draw_tuning(figure, theme_of(look))
    return dcc.Graph(
        figure=drawn, config=_CONFIG, responsive=True, style={"height": f"{drawn.layout.height}px"}
    )


def export(service: Service, search: str) -> Snapshot:
    """Return the page's state for a file; with tuning curves if the address asks for them."""
    view, stimulus = service.resolve(parse_view(search)), stimulus_of(search)
    state = service.start_reach(view.model)
    while not state.ended:
        state = service.jobs.wait(state.id, 60.0)
    parts: list[Component] = [
        html.H1(f"Layers of {view.model}"),
        html.Section(_both(service, view, state), className="card"),
    ]
    if stimulus:
        state = service.studies.start_tuning(view.model, view.layer, stimulus=stimulus)
        while not state.ended:
            state = service.jobs.wait(state.id, 60.0)
        if isinstance(state.result, TuningStudy):
            title = html.H2(["Tuning of ", html.Code(view.layer), f" to {stimulus}"])
            graph = tuning_graph(state.result, "light")
            parts.append(html.Section([title, graph], className="card"))
    return Snapshot(f"Layers of {view.model}", html.Div(parts), {})
