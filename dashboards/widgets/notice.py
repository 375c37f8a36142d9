"""What a page says when there is nothing to show: errors, warnings, work under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dash import html, no_update
from dash.development.base_component import Component

from auralise.errors import AuraliseError
from auralise.output.words import explain

from ..jobs import Jobs


def problem(error: AuraliseError) -> Component:
    """Return an error in the reader's words, and a way out."""
    notes = [html.P(note, className="quiet") for note in getattr(error, "__notes__", ())]
    return html.Div(
        [
            html.Strong("This cannot be shown"),
            html.P(str(error)),
            *notes,
            html.A("Start again with the embedded song", href="/listen", className="button"),
        ],
        className="problem",
        role="alert",
    )


def underway(jobs: Jobs, job: str | None, show: Callable[[Any], object | None]) -> tuple[Any, ...]:
    """Return where a job is, for callbacks that ask again until it has ended.

    Parameters
    ----------
    jobs : Jobs
    job : str or None
        Its id; None if nothing was asked for.
    show : callable
        Makes what is seen of a result; None if it is none of the page's.

    Returns
    -------
    tuple
        Progress in percent, what is said, what is shown, whether the clock is off, and whether
        there is nothing to cancel.
    """
    if job is None:
        return 0, "", None, True, True
    try:
        state = jobs.state(job)
    except AuraliseError as error:
        return 0, str(error), None, True, True
    shown = None if state.result is None else show(state.result)
    if shown is not None:
        return 100, "", shown, True, True
    return 100 * (state.share or 0.0), state.words, no_update, state.ended, state.ended


def flags(names: Iterable[str], notes: Iterable[str] = ()) -> Component | None:
    """Return what has to be known before believing a map; None if there is nothing."""
    items = [html.Li([html.Strong(name), explain(name)]) for name in names]
    items += [html.Li(note) for note in notes]
    return html.Ul(items, className="flags", **{"aria-label": "Notes"}) if items else None  # type: ignore[arg-type]


def facts(entries: Iterable[tuple[str, str]]) -> Component:
    """Return names and values as a list of definitions."""
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value)]) for name, value in entries], className="facts"
    )
