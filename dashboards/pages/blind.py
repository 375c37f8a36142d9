"""The blind part of Compare: an ABX test, its state kept by the server."""

from __future__ import annotations

import json
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from auralise.errors import AuraliseError

from .. import abx, ids
from ..comparisons import compare, read_pair
from ..security import session_id
from ..service import Service
from ..widgets import controls

TRIALS, START, STATE, BOX = "blind-trials", "blind-start", "blind-state", "blind-box"
IS_A, IS_B, STOP, TITLE = "blind-is-a", "blind-is-b", "blind-stop", "blind-title"
OUTCOME, SAID, PLAYERS = "blind-outcome", "blind-said", "blind-players"

_HIDDEN = {"display": "none"}


def card() -> Component:
    """Return the card with no test under way."""
    return html.Section(
        [
            dcc.Store(id=STATE),
            html.H2("Tell them apart blind"),
            html.P(
                "In each trial X is A or B, drawn by the server. Listen as often as you like, then "
                "answer. The number of trials is settled before the first; the result is shown "
                "after the last.",
                className="quiet",
            ),
            html.Div(
                [
                    controls.choice(
                        TRIALS, "Trials", controls.options(tuple(map(str, abx.TRIALS))), value="10"
                    ),
                    dmc.Button("Start the test", id=START, mt=24),
                ],
                className="bar-of-choices",
            ),
            html.Div(
                [
                    html.H3("", id=TITLE, role="status"),
                    html.Div(
                        [
                            html.Button(
                                html.Span(className="icon"),
                                type="button",
                                className="play",
                                **{"aria-label": "Play", "data-play": "true"},  # type: ignore[arg-type]
                            ),
                            html.Div(id=PLAYERS, className="players blind"),
                        ],
                        className="transport",
                    ),
                    html.Div(
                        [
                            dmc.Button("X is A", id=IS_A),
                            dmc.Button("X is B", id=IS_B),
                            dmc.Button("Give up", id=STOP, variant="default"),
                        ],
                        className="bar-of-choices",
                    ),
                ],
                id=BOX,
                style=_HIDDEN,
            ),
            html.Div(id=OUTCOME, **{"aria-live": "polite"}),  # type: ignore[arg-type]
            html.Span(id=SAID, className="hidden"),
        ],
        className="card",
        **{"aria-label": "Blind test"},  # type: ignore[arg-type]
    )


def register(app: Dash, service: Service) -> None:
    """Wire the test."""

    @app.callback(
        Output(STATE, "data"),
        Input(START, "n_clicks"),
        Input(IS_A, "n_clicks"),
        Input(IS_B, "n_clicks"),
        Input(STOP, "n_clicks"),
        Input(ids.URL, "search"),
        State(TRIALS, "value"),
        State(STATE, "data"),
        prevent_initial_call=True,
    )
    def go_on(
        _start: Any,  # noqa: ANN401
        _a: Any,  # noqa: ANN401
        _b: Any,  # noqa: ANN401
        _stop: Any,  # noqa: ANN401
        search: str | None,
        trials: Any,  # noqa: ANN401
        state: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return next_state(service, ctx.triggered_id, search, trials, state, session_id())

    @app.callback(
        Output(TITLE, "children"),
        Output(BOX, "style"),
        Output(OUTCOME, "children"),
        Output(START, "disabled"),
        Input(STATE, "data"),
    )
    def show(state: Any) -> tuple[Any, ...]:  # noqa: ANN401
        return shown(service, state, session_id())

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "blind"),
        Output(SAID, "children"),
        Input(STATE, "data"),
    )


def next_state(
    service: Service,
    pressed: object,
    search: str | None,
    trials: object,
    state: dict[str, Any] | None,
    session: str,
) -> Any:  # noqa: ANN401
    """Return what the page knows of the test after a button was pressed; never what X is.

    Parameters
    ----------
    service : Service
    pressed : object
        Id of the button, or of the address.
    search : str or None
        The address.
    trials : object
        How many, as the list has it.
    state : dict or None
        What was returned before.
    session : str
        Whose test it is.
    """
    if pressed == ids.URL:  # another pair: a test of the old one is over
        return None if state and state.get("search") != search else no_update
    try:
        if pressed == START:
            test = service.abx.start(session, int(str(trials)), _compared(service, search))
            return _state(service, test, search)
        if state is None or "id" not in state:
            return no_update
        if pressed == STOP:
            return None
        answer = "A" if pressed == IS_A else "B"
        number = int(state.get("number", -1))
        test = service.abx.answer(str(state["id"]), session, number, answer)
        return _state(service, test, state.get("search"))
    except AuraliseError as error:
        return {"error": str(error), "search": search, "sounds": []}


def _compared(service: Service, search: str | None) -> dict[str, Any]:
    """Say what A and B are, for the results."""
    pair = read_pair(service, search)
    found = compare(service, pair)
    views = {"A": pair.a, "B": pair.b}
    return {
        "song": service.songs.info(pair.a.song).title,
        "start_seconds": pair.a.start,
        "seconds": found.sounds["a"].seconds,
        "sample_rate": found.sounds["a"].sample_rate,
        "levels": "equal, see the documentation of the dashboard",
        **{
            name: {
                "network": view.model,
                "sha256": service.card(view.model)["sha256"],
                "unit": f"{view.layer}:{view.unit}",
                "method": view.method,
            }
            for name, view in views.items()
        },
    }


def _state(service: Service, test: abx.AbxTest, search: str | None) -> dict[str, Any]:
    state: dict[str, Any] = {
        "id": test.id,
        "search": search,
        "number": len(test.answers),
        "sounds": [],
    }
    if test.done:
        return state
    pair = read_pair(service, search)
    sounds = compare(service, pair).sounds
    number = state["number"]
    name = service.cache.name(
        "x", "wav", test=test.id, number=number
    )  # tells nothing of what it is a copy of
    source = service.cache.read(sounds[test.x.lower()].media)
    if source is not None:
        service.cache.write(name, source)
    urls = {"A": sounds["a"].url, "B": sounds["b"].url, "X": f"/media/{name}"}
    return {
        **state,
        "sounds": [
            {"key": key, "label": key, "letter": key, "note": "", "url": url, "main": key == "X"}
            for key, url in urls.items()
        ],
    }


def shown(service: Service, state: dict[str, Any] | None, session: str) -> tuple[Any, ...]:
    """Return title, whether the trial is shown, the outcome, and whether a test can be started."""
    if not state:
        return "", _HIDDEN, None, False
    if "error" in state:
        return "", _HIDDEN, html.P(state["error"], className="quiet"), False
    try:
        test = service.abx.find(str(state.get("id")), session)
    except AuraliseError as error:
        return "", _HIDDEN, html.P(str(error), className="quiet"), False
    if not test.done:
        return f"Trial {len(test.answers) + 1} of {test.trials}", {}, None, True
    return "", _HIDDEN, _outcome(service, test), False


def _outcome(service: Service, test: abx.AbxTest) -> Component:
    found = abx.results(test)
    name = service.cache.name("abx", "json", test=test.id)
    service.cache.get_or_make(name, lambda: json.dumps(found, indent=2).encode())
    p = found["p_value"]
    words = (
        "Whoever guesses does so well rarely: you can tell them apart."
        if p < 0.05
        else "That is what guessing gives, too: no evidence that you can tell them apart."
    )
    marks = [
        html.Li(f"X was {trial.x}, you said {trial.answer}, after {trial.seconds:.1f} s")
        for trial in test.answers
    ]
    return html.Div(
        [
            html.P(
                html.Strong(f"{test.right} of {test.trials} right, p = {p:.3f}"), className="score"
            ),
            html.P(
                f"p is the probability of {test.right} or more right answers by guessing "
                f"(binomial, one-sided). {words}"
            ),
            html.Details([html.Summary("Trial by trial"), html.Ol(marks)]),
            html.A(
                "Download the results", href=f"/media/{name}?name=abx-results", className="button"
            ),
        ]
    )
