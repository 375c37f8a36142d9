"""Players on one playhead; ``assets/players.js`` fills them."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from .. import ids


def players(said: str = ids.SAID) -> Component:
    """Return the transport and the place for the players.

    Parameters
    ----------
    said : str
        Id of the element that the page's clientside callback ``sounds`` writes to.
    """
    return html.Div(
        [
            html.Div(
                [
                    html.Button(
                        html.Span(className="icon"),
                        id="transport-play",
                        type="button",
                        className="play",
                        **{"aria-label": "Play", "aria-keyshortcuts": "Space"},  # type: ignore[arg-type]
                    ),
                    html.Span("", id="transport-time", className="time"),
                    html.Button(
                        "", id="transport-loop", type="button", className="chip", hidden=True
                    ),
                    html.Span(
                        [
                            html.Kbd("space"),
                            " plays, letters switch, arrows move between units; "
                            "drag over a waveform to loop",
                        ],
                        className="quiet hint",
                    ),
                ],
                className="transport",
            ),
            html.Div(id=ids.PLAYERS, className="players", **{"data-state": "empty"}),  # type: ignore[arg-type]
            html.Span(id=said, className="hidden"),
        ],
        role="group",
        **{"aria-label": "Players"},  # type: ignore[arg-type]
    )
