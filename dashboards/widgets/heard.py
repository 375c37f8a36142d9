"""What is said of a unit's sound, and what the players are given."""

from __future__ import annotations

import json
from typing import Any

from dash import html
from dash.development.base_component import Component

from auralise.output.figures import place_in_words
from auralise.output.words import decibels, number

from ..rendering import Rendered
from ..views import View
from . import notice

LEAD_IN = 0.15
"""Seconds that are played before what a unit sees begins."""


def player_data(view: View, rendered: Rendered) -> dict[str, Any]:
    """Return what the script needs to fill the players and to answer clicks in the figure."""
    labels = (("source", "Song", "s"), ("round-trip", "Round trip", "r"), ("unit", "Unit", "a"))
    notes = ("as the network hears it", "there and back, nothing removed", rendered.unit)
    maps = [
        index
        for index, panel in enumerate(rendered.figure.panels)
        if panel.kind == "image" and panel.scale == "signed"
    ]
    raw = rendered.sonification == "waveform"
    if raw:
        maps = [i for i, p in enumerate(rendered.figure.panels) if p.title.startswith("Relevance")]
    place = rendered.place
    return {
        "unit": view.unit,
        "from": 0.0 if place is None else max(0.0, place.start - LEAD_IN),
        "maps": maps,
        "hertz": not raw,
        "sounds": [
            {
                "key": key,
                "label": label,
                "letter": letter.upper(),
                "note": note,
                **sound.played,
                "main": key == "unit",
            }
            for (key, label, letter), note, sound in zip(
                labels, notes, rendered.sounds, strict=True
            )
        ],
    }


def heading(view: View, rendered: Rendered) -> list[Component]:
    """Say which unit is heard, where it was followed, and what to know before believing it."""
    where = "the whole map" if rendered.place is None else place_in_words(rendered.place)
    here = view.at == "peak"
    more: dict[str, Any] = {"data-go": json.dumps({"at": "whole" if here else None})}
    back = html.A(
        "follow everywhere" if here else "back to its strongest place",
        href="?at=whole" if here else "?at=peak",
        className="action",
        **more,
    )
    words: list[Any] = [
        f"Followed at {where}, where its value is {number(rendered.activation)}. ",
        back,
    ]
    said = notice.flags(rendered.flags, rendered.notes)
    return [
        html.H2([html.Code(rendered.unit), f" of {view.model}"]),
        html.P(words, className="quiet"),
        *([said] if said else []),
    ]


def numbers(rendered: Rendered) -> Component:
    """Return the scores of a rendering."""
    scores = rendered.scores
    heard = [
        ("on the song", "source"),
        ("round trip", "round_trip"),
        ("on its own sound", "auralised"),
    ]
    entries = [
        *((f"Peak {words}", number(scores[f"activation_{name}"])) for words, name in heard),
        ("Raised for listening by", decibels(rendered.auralised.gain_db)),
        ("Spectral convergence", decibels(scores["spectral_convergence_db"])),
        ("of the round trip", decibels(scores["round_trip_convergence_db"])),
        ("Phase", rendered.phase),
    ]
    return notice.facts(entries)
