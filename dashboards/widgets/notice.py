"""What a page says when there is nothing to show: errors, warnings, work under way."""

from __future__ import annotations

from collections.abc import Iterable

from dash import html
from dash.development.base_component import Component

from auralise.errors import AuraliseError
from auralise.output.words import explain


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
