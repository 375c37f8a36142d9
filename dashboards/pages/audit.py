"""Audit: whether what is heard of a unit can be believed, asked of the network itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from auralise.audit import Audit, audit, quick_options, verdict
from auralise.auralisation import auralise_unit
from auralise.errors import AuraliseError
from auralise.masks import MASK, MaskOptions, native_bfloat16
from auralise.output.audit_rows import AUDIT_HEAD, audit_figure, audit_rows
from auralise.output.charts_interactive import draw_charts

from .. import ids
from ..drawings import fit, is_narrow, theme_of
from ..jobs import JobState, Progress
from ..links import chosen, plain, view_of
from ..rendering import Sound
from ..security import session_id
from ..service import Service
from ..studio import key_of
from ..views import View
from ..widgets import controls, notice

PATH, TITLE = "/audit", "Audit"

VIEW, PROBLEM, HEADING = "audit-view", "audit-problem", "audit-heading"
MODEL, SONG, START = "audit-model", "audit-song", "audit-start"
LAYER, UNIT, METHOD = "audit-layer", "audit-unit", "audit-method"
ASK, CANCEL, JOB, TICK = "audit-ask", "audit-cancel", "audit-job", "audit-tick"
PROGRESS, STATUS, ANSWER = "audit-progress", "audit-status", "audit-answer"

_CHOICES = ("model", "song", "start", "layer", "unit", "method")
_CONFIG: Any = {"displaylogo": False, "responsive": True, "displayModeBar": False}
_METHODS = {**controls.METHODS, MASK: "Mask, found by search"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an audit found, with the sounds it is about."""

    audit: Audit
    sounds: dict[str, Sound]


def layout(service: Service) -> Component:
    """Return the page with nothing chosen yet."""
    return html.Div(
        [
            dcc.Store(id=VIEW),
            dcc.Store(id=JOB),
            dcc.Interval(id=TICK, interval=600, disabled=True),
            html.Div(
                [
                    html.H1("Can this be believed?"),
                    html.P(
                        "The network hears the unit's sound again, and its map is compared with "
                        "those of other units, other sounds and a network in disorder. Beside each "
                        "answer stands what chance reaches.",
                        className="lead",
                    ),
                ],
                className="intro",
            ),
            html.Section(
                [
                    controls.choice(MODEL, "Network", controls.model_options(service)),
                    controls.choice(SONG, "Song"),
                    controls.seconds(START),
                    controls.choice(LAYER, "Layer"),
                    controls.choice(UNIT, "Unit", searchable=True),
                    controls.choice(METHOD, "Method"),
                ],
                className="card bar-of-choices",
                **{"aria-label": "What is audited"},  # type: ignore[arg-type]
            ),
            html.Div(id=PROBLEM),
            html.Section(
                [
                    html.H2("Audit", id=HEADING),
                    html.Div(
                        [
                            dmc.Button("Audit this unit", id=ASK),
                            dmc.Button("Cancel", id=CANCEL, variant="default", disabled=True),
                        ],
                        className="bar-of-choices",
                    ),
                    dmc.Progress(id=PROGRESS, value=0, mt=14, **{"aria-label": "Progress"}),
                    html.P("", id=STATUS, role="status", className="quiet"),
                    html.Div(id=ANSWER),
                ],
                className="card",
            ),
        ]
    )


def register(app: Dash, service: Service) -> None:
    """Wire the page to ``service``."""

    @app.callback(
        Output(VIEW, "data"),
        Output(PROBLEM, "children"),
        Output(HEADING, "children"),
        *(Output(name, "data") for name in (SONG, LAYER, UNIT, METHOD)),
        *(Output(name, "value") for name in (MODEL, SONG, START, LAYER, UNIT, METHOD)),
        Input(ids.URL, "search"),
    )
    def view(search: str | None) -> tuple[Any, ...]:
        return view_from(service, search, session_id())

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "choose"),
        Output(PROBLEM, "className"),
        *(Input(name, "value") for name in (MODEL, SONG, START, LAYER, UNIT, METHOD)),
        State(VIEW, "data"),
    )

    @app.callback(
        Output(JOB, "data"),
        Input(ASK, "n_clicks"),
        Input(VIEW, "data"),
        prevent_initial_call=True,
    )
    def start(_clicks: int | None, values: dict[str, Any] | None) -> Any:  # noqa: ANN401
        if ctx.triggered_id != ASK or values is None:
            return None  # another unit: nothing is computed unless asked for
        return start_audit(service, view_of(values)).id

    @app.callback(
        Output(PROGRESS, "value"),
        Output(STATUS, "children"),
        Output(ANSWER, "children"),
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


def view_from(service: Service, search: str | None, session: str) -> tuple[Any, ...]:
    """Return the view of an address, the problem with it, the heading, choices and their values."""
    try:
        view = chosen(service, search)
        songs = controls.song_options(service, session, view.song)
    except AuraliseError as error:
        return None, notice.problem(error), "Audit", *([no_update] * 10)
    layers = service.layers(view.model)
    count = next(layer.channels for layer in layers if layer.name == view.layer)
    methods = tuple(dict.fromkeys((*service.methods, MASK)))
    return (
        plain(view, *_CHOICES),
        None,
        ["Audit of ", html.Code(f"{view.layer}:{view.unit}")],
        songs,
        controls.options(tuple(layer.name for layer in layers)),
        controls.options(tuple(str(channel) for channel in range(count))),
        controls.options(methods, _METHODS),
        view.model,
        view.song,
        view.start,
        view.layer,
        str(view.unit),
        view.method,
    )


def start_audit(service: Service, view: View) -> JobState:
    """Start the audit of a view's unit, or return the one there is; its result: `Answer`.

    Raises
    ------
    AuraliseError
        As `Service.resolve`.
    """
    view = service.resolve(view)

    def work(progress: Progress) -> Answer:
        network = service.networks.fresh(view.model)
        source = service.excerpt(view)
        settings = replace(view.settings, mask=MaskOptions(bfloat16=native_bfloat16()))
        unit = f"{view.layer}:{view.unit}"

        def searching(done: int, total: int) -> None:
            progress("searching for the mask", done, total)

        def asking(done: int, total: int) -> None:
            progress("asking the network", done, total)

        progress("finding the unit's sound", 0, 0)
        found = auralise_unit(network, source, unit, settings=settings, report=searching)
        asking(0, 4)
        answer = audit(network, found, settings, quick_options(settings), report=asking)
        heard = {"Source": found.source, "Unit's sound": found.waveform}
        return Answer(answer, service.sounds(view, heard, kind="audit", of=view.query()))

    return service.jobs.start(("audit", *key_of(view, unit=True)), work)


def state_of(service: Service, job: str | None, look: str | None) -> tuple[Any, ...]:
    """Return progress, what is said, the answer, and whether clock and cancel are off."""

    def show(found: object) -> object | None:
        return answer_parts(found, look) if isinstance(found, Answer) else None

    return notice.underway(service.jobs, job, show)


def answer_parts(answer: Answer, look: str | None) -> list[Component]:
    """Return the sentence, the sounds, the curves and the numbers of an audit."""
    parts: list[Component] = [html.P(verdict(answer.audit), className="verdict"), _players(answer)]
    figure = audit_figure(answer.audit)
    if figure is not None:
        drawn = draw_charts(figure, theme_of(look))
        if is_narrow(look):
            fit(drawn)
        height = {"height": f"{drawn.layout.height}px"}
        graph = dcc.Graph(figure=drawn, config=_CONFIG, responsive=True, style=height)
        parts.append(html.Div(graph, className="figure"))
    rows = [row.cells for row in audit_rows(answer.audit)]
    if rows:
        parts.append(_table(rows, str(answer.audit.unit)))
    return parts


def _players(answer: Answer) -> Component:
    return html.Div(
        [
            html.Div(
                [
                    html.H3(name),
                    html.Audio(src=sound.url, controls=True, **{"aria-label": name}),  # type: ignore[arg-type]
                ]
            )
            for name, sound in answer.sounds.items()
        ],
        className="bar-of-choices",
    )


def _table(rows: Sequence[Sequence[str]], unit: str) -> Component:
    head = html.Tr([html.Th(title, scope="col") for title in ("question", *AUDIT_HEAD[1:])])
    body = [
        html.Tr([html.Th(first, scope="row"), *(html.Td(cell) for cell in cells)])
        for first, *cells in rows
    ]
    region: Any = {"role": "region", "aria-label": f"Audit of {unit}"}
    table = html.Table([html.Thead(head), html.Tbody(body)], className="plain audit")
    return html.Div(table, className="wide", tabIndex=0, **region)
