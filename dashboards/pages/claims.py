"""Claims: what the literature says of networks, tried on this one, with sounds and numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from auralise.audio.files import encode_wav
from auralise.claims import CLAIMS
from auralise.claims.base import Sound
from auralise.claims.run import Result
from auralise.claims.store import audible
from auralise.errors import AuraliseError
from auralise.output.charts_interactive import draw_charts
from auralise.output.claim_figures import claim_figure
from auralise.output.claim_report import part_words, verdict_of

from .. import ids
from ..drawings import theme_of
from ..links import plain
from ..service import Service
from ..trials import Trial
from ..views import View, parse_view, texts_of
from ..widgets import controls, notice

PATH, TITLE = "/claims", "Claims"

VIEW, PROBLEM, MODEL = "claims-view", "claims-problem", "claims-model"
TRY, CANCEL, JOB, TICK = "claims-try", "claims-cancel", "claims-job", "claims-tick"
PROGRESS, STATUS = "claims-progress", "claims-status"
VERDICTS, DETAIL, DONE = "claims-verdicts", "claims-detail", "claims-done"

_CONFIG: Any = {"displaylogo": False, "responsive": True, "displayModeBar": False}


def layout(service: Service) -> Component:
    """Return the page with nothing chosen yet."""
    return html.Div(
        [
            dcc.Store(id=VIEW),
            dcc.Store(id=JOB),
            dcc.Store(id=DONE),
            dcc.Interval(id=TICK, interval=700, disabled=True),
            html.Div(
                [
                    html.H1("Is it true of this network?"),
                    html.P(
                        "What is said of networks that hear music, each put to the test beside "
                        "untrained networks of the same architecture. Trying all of it takes "
                        "some minutes; what was tried once is kept.",
                        className="lead",
                    ),
                ],
                className="intro",
            ),
            html.Section(
                [
                    controls.choice(MODEL, "Network", controls.model_options(service)),
                    dmc.Button("Try the claims", id=TRY, mt=24),
                    dmc.Button("Cancel", id=CANCEL, variant="default", mt=24, disabled=True),
                ],
                className="card bar-of-choices",
                **{"aria-label": "Network"},  # type: ignore[arg-type]
            ),
            html.Div(id=PROBLEM),
            html.Section(
                [
                    html.H2("Verdicts"),
                    dmc.Progress(id=PROGRESS, value=0, **{"aria-label": "Progress"}),
                    html.P("", id=STATUS, role="status", className="quiet"),
                    html.Div(_listed(()), id=VERDICTS, className="wide"),
                ],
                className="card",
            ),
            html.Section(id=DETAIL, className="card", **{"aria-live": "polite"}),  # type: ignore[arg-type]
        ]
    )


def register(app: Dash, service: Service) -> None:
    """Wire the page to ``service``."""

    @app.callback(
        Output(VIEW, "data"),
        Output(PROBLEM, "children"),
        Output(MODEL, "value"),
        Input(ids.URL, "search"),
    )
    def view(search: str | None) -> tuple[Any, ...]:
        return view_from(service, search)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "choose"),
        Output(PROBLEM, "className"),
        Input(MODEL, "value"),
        State(VIEW, "data"),
    )

    @app.callback(
        Output(JOB, "data"),
        Input(TRY, "n_clicks"),
        Input(VIEW, "data"),
        State(JOB, "data"),
        prevent_initial_call=True,
    )
    def start(_clicks: int | None, values: Any, job: Any) -> Any:  # noqa: ANN401
        return job_of(service, values, job, asked=ctx.triggered_id == TRY)

    @app.callback(
        Output(PROGRESS, "value"),
        Output(STATUS, "children"),
        Output(VERDICTS, "children"),
        Output(TICK, "disabled"),
        Output(CANCEL, "disabled"),
        Output(DONE, "data"),
        Input(JOB, "data"),
        Input(TICK, "n_intervals"),
        State(DONE, "data"),
    )
    def watch(job: Any, _ticks: int | None, done: Any) -> tuple[Any, ...]:  # noqa: ANN401
        return state_of(service, job, done)

    @app.callback(
        Output(DETAIL, "children"),
        Input(DONE, "data"),
        Input(ids.URL, "search"),
        Input(ids.LOOK, "data"),
    )
    def detail(done: Any, search: str | None, look: str | None) -> Any:  # noqa: ANN401
        return detail_of(service, done, search, look)

    @app.callback(
        Output(CANCEL, "n_clicks"),
        Input(CANCEL, "n_clicks"),
        State(JOB, "data"),
        prevent_initial_call=True,
    )
    def cancel(_clicks: int | None, job: Any) -> Any:  # noqa: ANN401
        if isinstance(job, dict):
            service.jobs.stop(str(job.get("id")))
        return no_update


def view_from(service: Service, search: str | None) -> tuple[Any, ...]:
    """Return the view of an address, the problem with it, and the network."""
    try:
        asked = parse_view(search or "")
        view = service.resolve(View(model=asked.model, song=asked.song, start=asked.start))
        _claim(search)
    except AuraliseError as error:
        return None, notice.problem(error), no_update
    return plain(view, "model"), None, view.model


def job_of(service: Service, values: Any, job: Any, *, asked: bool) -> Any:  # noqa: ANN401
    """Return the job of the network that is shown: the one there is, or a new one if asked for."""
    if not isinstance(values, dict):
        return None
    model = str(values.get("model"))
    if not asked:
        if isinstance(job, dict) and job.get("model") == model:
            return no_update
        known = service.trials.known(model)
        return None if known is None else {"id": known.id, "model": model}
    try:
        return {"id": service.trials.start(model).id, "model": model}
    except AuraliseError as error:
        return {"id": "", "model": model, "problem": str(error)}


def state_of(service: Service, job: Any, done: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """Return progress, words, verdicts, whether clock and cancel are off, and what is done."""
    if not isinstance(job, dict):
        return 0, "", _listed(()), True, True, None
    try:
        state = service.jobs.state(str(job.get("id")))
    except AuraliseError as error:
        return 0, job.get("problem") or str(error), _listed(()), True, True, None
    if isinstance(state.result, Trial):
        if done == job:
            return 100, "", no_update, True, True, no_update
        return 100, "", _listed(state.result.results), True, True, job
    said = "Stopped; what was done is kept." if state.status == "stopped" else state.words
    return 100 * (state.share or 0.0), said, no_update, state.ended, state.ended, None


def detail_of(service: Service, done: Any, search: str | None, look: str | None) -> Any:  # noqa: ANN401
    """Return one claim with its numbers, sounds and figure."""
    if not isinstance(done, dict):
        return html.P("Nothing has been tried yet.", className="quiet")
    try:
        trial = service.jobs.state(str(done.get("id"))).result
        result = trial.result(_claim(search)) if isinstance(trial, Trial) else None
    except AuraliseError as error:
        return html.P(str(error), className="quiet")
    return None if result is None else _detail(service, str(done.get("model")), result, look)


def _claim(search: str | None) -> str:
    """Return which claim an address names; empty if none.

    Raises
    ------
    UnknownNameError
        If there is no such claim.
    """
    name = texts_of(search or "", ("claim",)).get("claim", "")
    return CLAIMS[name].name if name else ""


def _listed(results: Sequence[Result]) -> Component:
    """Return all claims with their verdicts, or without where nothing has been tried."""
    found = {result.claim.name: result for result in results}
    rows = []
    for name, claim in CLAIMS.items():
        link = html.A(
            claim.sentence,
            href=f"?claim={name}",
            **{"data-go": json.dumps({"claim": name})},  # type: ignore[arg-type]
        )
        verdict = verdict_of(found[name]) if name in found else ""
        rows.append(html.Tr([html.Th(link, scope="row"), html.Td(html.Strong(verdict))]))
    return html.Table(html.Tbody(rows), className="plain")


def _detail(service: Service, model: str, result: Result, look: str | None) -> list[Any]:
    claim = result.claim
    reason = result.why if result.judgement is None else result.judgement.reason
    parts: list[Any] = [
        html.H2(claim.sentence),
        html.P([html.Strong(f"{verdict_of(result)}. "), reason]),
        html.P(claim.experiment),
        html.P(f"Said by: {claim.source}.", className="quiet"),
    ]
    if result.evidence is None:
        return parts
    parts.append(notice.facts((part.name, part_words(part)) for part in result.evidence.parts))
    parts += [_sound(service, model, claim.name, sound) for sound in result.evidence.sounds]
    figure = claim_figure(result)
    if figure is not None:
        drawn = draw_charts(figure, theme_of(look))
        parts.append(
            html.Div(
                dcc.Graph(
                    figure=drawn,
                    config=_CONFIG,
                    responsive=True,
                    style={"height": f"{drawn.layout.height}px"},
                ),
                className="figure",
                role="img",
                **{"aria-label": figure.words},  # type: ignore[arg-type]
            )
        )
    parts += [html.P(note, className="quiet") for note in result.evidence.notes]
    return parts


def _sound(service: Service, model: str, claim: str, sound: Sound) -> Component:
    weights = str(service.card(model).get("sha256", ""))
    name = service.cache.name(
        "claim", "wav", model=model, weights=weights, claim=claim, sound=sound.name
    )
    service.cache.get_or_make(name, lambda: encode_wav(audible(sound), "PCM_16"))
    return html.Div(
        [
            html.H3(sound.caption),
            html.Audio(
                src=f"/media/{name}",
                controls=True,
                preload="none",
                **{"aria-label": sound.caption},  # type: ignore[arg-type]
            ),
        ]
    )
