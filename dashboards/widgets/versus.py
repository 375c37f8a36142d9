"""Two units beside each other: what they are, their numbers, their figures."""

from __future__ import annotations

from typing import Any

from dash import MATCH, ClientsideFunction, Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from auralise.output.figures import place_in_words
from auralise.output.words import decibels, number

from ..comparisons import Compared, Pair
from ..drawings import blank
from ..rendering import Rendered
from ..views import View

_CONFIG: Any = {"displaylogo": False, "responsive": True, "displayModeBar": False}


def heading(pair: Pair, found: Compared) -> list[Component]:
    """Say what is compared, and what else tells the sounds apart."""
    notes = []
    if found.correlation is None:
        notes.append("One of the two is silent here. ")
    else:
        notes.append(f"The two sounds correlate by {found.correlation:.2f}. ")
    if found.rates[0] != found.rates[1]:
        notes.append(
            f"The networks hear at {found.rates[0]} and {found.rates[1]} Hz: the bandwidth alone "
            "may tell their sounds apart. "
        )
    if abs(found.seconds[0] - found.seconds[1]) > 0.01:
        notes.append(
            f"They hear {found.seconds[0]:.1f} and {found.seconds[1]:.1f} s of the song; the "
            "shorter sound is followed by silence."
        )
    names: list[Any] = [
        html.Code(found.a.unit),
        f" of {pair.a.model} and ",
        html.Code(found.b.unit),
    ]
    return [html.H2([*names, f" of {pair.b.model}"]), html.P(notes, className="quiet")]


def numbers(pair: Pair, found: Compared) -> Component:
    """Return the scores of both units as a table."""
    head = html.Tr([html.Td(), *(html.Th(text, scope="col") for text in ("A", "B"))])
    columns = [_column(view.model, one) for view, one in ((pair.a, found.a), (pair.b, found.b))]
    rows = [
        html.Tr([html.Th(name, scope="row"), *(html.Td(column[name]) for column in columns)])
        for name in columns[0]
    ]
    return html.Table([html.Thead(head), html.Tbody(rows)], className="plain")


def _column(model: str, rendered: Rendered) -> dict[str, str]:
    scores = rendered.scores
    place = "the whole map" if rendered.place is None else place_in_words(rendered.place)
    return {
        "network": model,
        "followed at": place,
        "value there": number(rendered.activation),
        "peak on the song": number(scores["activation_source"]),
        "peak on its own sound": number(scores["activation_auralised"]),
        "spectral convergence": decibels(scores["spectral_convergence_db"]),
        "to know": ", ".join(rendered.flags) or "nothing",
    }


def title(name: str, view: View) -> Component:
    """Return the heading of one unit's figure."""
    unit = html.Code(f"{view.layer}:{view.unit}")
    heading: Component = html.H3([f"{name}: ", unit, f" of {view.model}"])
    return heading


def figure(name: str, view: View, url: str) -> Component:
    """Return one unit's figure, which the browser fetches.

    Parameters
    ----------
    name : str
        A or B.
    view : View
    url : str
        Of the figure, from `auralise.dashboards.drawings.drawing`.
    """
    return html.Div(
        [
            title(name, view),
            dcc.Store(id={"type": "versus-url", "name": name}, data=url),
            html.Div(
                dcc.Graph(
                    id={"type": "versus-figure", "name": name},
                    config=_CONFIG,
                    figure=blank(),
                    responsive=True,
                ),
                className="figure",
            ),
        ]
    )


def register(app: Dash) -> None:
    """Let the browser fetch figures."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "figure"),
        Output({"type": "versus-figure", "name": MATCH}, "figure"),
        Output({"type": "versus-figure", "name": MATCH}, "style"),
        Input({"type": "versus-url", "name": MATCH}, "data"),
    )
