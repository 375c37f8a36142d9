"""About: the networks' cards, licences, attribution, versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Dash, html
from dash.development.base_component import Component

from auralise.models import MODELS
from auralise.output.manifest import versions

from ..service import Service
from ..snapshot import Snapshot
from ..widgets import notice

PATH, TITLE = "/about", "About"

_SHIPPED = (
    ("wavesurfer.js", "BSD-3-Clause", "waveforms and players"),
    ("Dash and plotly.js", "MIT", "pages and figures"),
    ("Dash Mantine Components", "MIT", "controls"),
    ("PyTorch", "BSD-3-Clause", "networks"),
)


def layout(service: Service) -> Component:
    """Return the page."""
    return html.Div(
        [
            html.Div(
                [
                    html.H1("What you are listening to"),
                    html.P(
                        "Where the networks and the song come from, how good the networks are, "
                        "and under which terms all of it is shared.",
                        className="lead",
                    ),
                ],
                className="intro",
            ),
            *(_network(name, service.card(name)) for name in service.models),
            _songs(service),
            _software(),
        ]
    )


def register(app: Dash, service: Service) -> None:
    """Wire the page; it has nothing to answer."""


def export(service: Service, _search: str) -> Snapshot:
    """Return the page for a file."""
    return Snapshot(TITLE, layout(service), {})


def _network(name: str, card: Mapping[str, Any]) -> Component:
    parts: list[Component | None] = [
        html.H2(html.Code(name)),
        notice.facts(facts_of(card)),
        html.H3("What the split guarantees") if card.get("guarantee") else None,
        html.P(card["guarantee"]) if card.get("guarantee") else None,
        _labels(card),
        _made_by(card),
    ]
    return html.Section(
        [part for part in parts if part is not None],
        className="card",
        **{"aria-label": f"Network {name}"},  # type: ignore[arg-type]
    )


def facts_of(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a manifest's entry says of a network, in words; what it leaves out is left out.

    Parameters
    ----------
    card : mapping
        From `Service.card`.
    """
    architecture = str(card.get("architecture", ""))
    frontend = card.get("frontend", {})
    differs = MODELS[architecture].differs if architecture in MODELS else ""
    known = [
        ("Architecture", architecture),
        ("After", card.get("source")),
        ("Differs from the paper in", differs),
        ("Hears", _input(frontend, card.get("seconds"))),
        ("Trained on", card.get("trained_on")),
        ("Accuracy", accuracy_in_words(card.get("scores", {}))),
        ("Licence of the weights", card.get("licence")),
    ]
    return [(name, str(value)) for name, value in known if value]


def accuracy_in_words(scores: Mapping[str, Any]) -> str:
    """Write an accuracy with its interval and the floor; empty where it was not measured.

    Examples
    --------
    >>> accuracy_in_words({"accuracy": 0.827, "accuracy_interval": [0.773, 0.877]})
    '82.7 % of held-out clips (95 % interval 77.3 to 87.7 %)'
    """
    if "accuracy" not in scores:
        return ""
    words = f"{100 * scores['accuracy']:.1f} % of held-out clips"
    if "accuracy_interval" in scores:
        low, high = (100 * value for value in scores["accuracy_interval"])
        words += f" (95 % interval {low:.1f} to {high:.1f} %)"
    if "majority_floor" in scores:
        words += f"; always the most frequent label: {100 * scores['majority_floor']:.1f} %"
    return words


def _input(frontend: Mapping[str, Any], seconds: float | None) -> str:
    if not frontend:
        return ""
    rate = frontend.get("sample_rate") or frontend.get("spec", {}).get("sample_rate")
    kind = {"raw": "the samples themselves", "spectrogram": "a spectrogram"}.get(
        str(frontend.get("kind")), str(frontend.get("kind"))
    )
    bins = f" of {frontend['n_mels']} mel bands" if frontend.get("n_mels") else ""
    length = f"{seconds:g} s, " if seconds else ""
    return f"{length}{kind}{bins}" + (f" at {rate} Hz" if rate else "")


def _labels(card: Mapping[str, Any]) -> Component | None:
    """Return how often each label was right; only the names where that was not measured."""
    labels = card.get("labels", [])
    if not labels:
        return None
    confusion = card.get("scores", {}).get("confusion")
    if not confusion or len(confusion) != len(labels):
        return html.P(["Answers: ", ", ".join(labels), "."])
    rows = [
        html.Tr([html.Th(label, scope="row"), html.Td(str(row[i])), html.Td(str(sum(row)))])
        for i, (label, row) in enumerate(zip(labels, confusion, strict=True))
    ]
    head = html.Tr([html.Th(text, scope="col") for text in ("label", "right", "of")])
    table = html.Table([html.Thead(head), html.Tbody(rows)], className="plain")
    return html.Details([html.Summary(f"{len(labels)} labels, one by one"), table])


def _made_by(card: Mapping[str, Any]) -> Component | None:
    if not card.get("command"):
        return None
    digest = html.P(["sha256 of the weights: ", html.Code(str(card.get("sha256", "not kept")))])
    return html.Details(
        [html.Summary("How it was made"), html.P(html.Code(str(card["command"]))), digest]
    )


def _songs(service: Service) -> Component:
    song = service.song_list()[0]
    entries = [
        ("Title", song.title),
        ("By", song.attribution),
        ("Licence", song.licence),
        ("Length", f"{song.seconds:.0f} s"),
    ]
    return html.Section(
        [
            html.H2("The embedded song"),
            notice.facts([entry for entry in entries if entry[1]]),
            html.P(
                "Songs that you drop in are decoded and kept on this machine only, and deleted "
                "after a while and when the server ends.",
                className="quiet",
            ),
        ],
        className="card",
        **{"aria-label": "The embedded song"},  # type: ignore[arg-type]
    )


def _software() -> Component:
    rows = [
        html.Tr([html.Th(name, scope="row"), html.Td(licence), html.Td(use)])
        for name, licence, use in _SHIPPED
    ]
    head = html.Tr([html.Th(text, scope="col") for text in ("part", "licence", "for")])
    return html.Section(
        [
            html.H2("Software"),
            html.P("auralise is free software under the MIT licence."),
            notice.facts(versions().items()),
            html.Table([html.Thead(head), html.Tbody(rows)], className="plain"),
        ],
        className="card",
        **{"aria-label": "Software"},  # type: ignore[arg-type]
    )
