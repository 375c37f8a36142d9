"""A report on one unit or many: one HTML file with players, figures and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import torch

from auralise.audio.levels import Levelled
from auralise.audit import Audit
from auralise.auralisation import Auralisation
from auralise.errors import InvalidValueError
from auralise.output.audit_panel import audit_panel
from auralise.output.audit_rows import audit_figure
from auralise.output.charts_interactive import charts_height, draw_charts
from auralise.output.figures import SATURATION, Figure, place_in_words
from auralise.output.page import audio_uri, drawing_holder, figure_holder, page
from auralise.output.sounds import Sounds
from auralise.output.words import decibels, explain, number

PRELOADED = 20
"""Units whose players are ready at once; browsers refuse to prepare more than about 75 sounds."""


@dataclass(frozen=True, slots=True, eq=False)
class ReportEntry:
    """One unit in a report.

    Attributes
    ----------
    auralisation : Auralisation
        What was found.
    figure : Figure
        What is shown of it.
    sounds : Sounds
        What is played.
    audit : Audit or None
        What can be believed of it, if that was asked.
    title : str
        In place of the unit's name, where all entries are of one unit.
    """

    auralisation: Auralisation
    figure: Figure
    sounds: Sounds
    audit: Audit | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """The title if there is one, else the unit, written ``conv3:17``."""
        return self.title or str(self.auralisation.inversion.unit)


def report(
    entries: Sequence[ReportEntry],
    *,
    title: str,
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
    provenance: Mapping[str, str] | None = None,
) -> str:
    """Write the page.

    Parameters
    ----------
    entries : sequence of ReportEntry
        At least one; shown in this order.
    title : str
        Plain text, as all other text here: names may hold anything, they are escaped.
    facts : mapping of str to str
        What holds for all entries: song, model, method, phase, sonification.
    notes : sequence of str
        What a listener should know of the excerpt: clipping, padding, silence.
    provenance : mapping of str to str, optional
        What is needed to make it again: versions, checksums, options, licences.

    Returns
    -------
    str
        One self-contained HTML page: sounds, figures and scripts are inside, and its content
        security policy forbids any request. Source and round trip are in it once if all entries
        share them.

    Raises
    ------
    InvalidValueError
        If there is no entry.
    """
    if not entries:
        raise InvalidValueError("a report needs at least one entry, got none")
    shared = len(entries) > 1 and _share_references(entries)
    units = "".join(_unit(i, entry, shared=shared) for i, entry in enumerate(entries))
    body = (
        '<a class="skip" href="#summary">Skip to the results</a>\n'
        f"<header>\n<p class='eyebrow'>auralise report</p>\n<h1>{escape(title)}</h1>\n"
        f"{_facts(facts)}{_notes(notes)}</header>\n<main>\n"
        f"{_guide()}{_summary(entries)}{_references(entries[0]) if shared else ''}{units}"
        f"{_provenance(provenance or {})}</main>\n"
        "<footer><p>Everything in this page is inside this file; it loads nothing.</p></footer>"
    )
    figures = {f"figure-{i}": entry.figure for i, entry in enumerate(entries)}
    return page(title, body, figures, _curves(entries))


def _curves(entries: Sequence[ReportEntry]) -> dict[str, Any]:
    """Draw the curves of those entries that have an audit."""
    found = {i: audit_figure(e.audit) for i, e in enumerate(entries) if e.audit is not None}
    return {f"audit-curves-{i}": draw_charts(f) for i, f in found.items() if f is not None}


def _audit(index: int, entry: ReportEntry) -> str:
    if entry.audit is None:
        return ""
    curves = audit_figure(entry.audit)
    holder = ""
    if curves is not None:
        name = f"audit-curves-{index}"
        holder = drawing_holder(name, charts_height(curves), f"{curves.title}. {curves.words}")
    return audit_panel(entry.audit, f"audit-{index}", holder)


def _share_references(entries: Sequence[ReportEntry]) -> bool:
    """Say whether source and round trip are the same samples in all entries."""
    first = entries[0].sounds
    return all(
        _same(first.source, entry.sounds.source)
        and _same(first.round_trip, entry.sounds.round_trip)
        for entry in entries[1:]
    )


def _same(one: Levelled, other: Levelled) -> bool:
    same_rate = one.waveform.sample_rate == other.waveform.sample_rate
    return same_rate and torch.equal(one.waveform.samples, other.waveform.samples)


def _facts(facts: Mapping[str, str]) -> str:
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    return f'<dl class="facts">{items}</dl>\n' if items else ""


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="flags notes" aria-label="About the excerpt">{items}</ul>' if items else ""


def _guide() -> str:
    columns = {
        "What you hear": (
            "A unit is one channel of one layer of the network. Its auralised sound is what "
            "remains of the recording, or is built from it, when only what drove this unit is kept."
        ),
        "What to compare": (
            "The round trip is the source taken through the same steps without picking a unit. "
            "Noise or smearing that is in both belongs to the method, not to the unit."
        ),
        "What you see": (
            "All panels share one time axis. The relevance is signed: red is positive, blue is "
            "negative. The vertical line follows the sound; click a panel to move there, drag to "
            "zoom, double-click to see all."
        ),
    }
    parts = "".join(f"<div><h3>{name}</h3><p>{text}</p></div>" for name, text in columns.items())
    return (
        '<section aria-labelledby="guide"><h2 id="guide">How to read this page</h2>'
        f'<div class="guide">{parts}</div></section>\n'
    )


_COLUMNS = (
    ("Unit", "", ""),
    ("Activation", "", "the unit's value where it was followed"),
    ("On source", "", "its strongest value when it hears the source"),
    ("On auralised", "", "its strongest value when it hears its own sound"),
    ("Convergence", "", "how far the sound's spectrogram is from the wanted one; lower is nearer"),
    ("Round trip", "", "the same without inversion: what this way can reach at best"),
    ("Level", "", "root mean square, re full scale"),
    ("Remarks", "words", "what to know before believing the sound"),
)


def _summary(entries: Sequence[ReportEntry]) -> str:
    head = "".join(
        f'<th scope="col" class="{kind}" title="{escape(tip)}">{name}</th>'
        for name, kind, tip in _COLUMNS
    )
    rows = "".join(_summary_row(i, entry) for i, entry in enumerate(entries))
    return (
        '<section aria-labelledby="summary"><h2 id="summary">Results</h2>'
        '<p class="quiet">Convergence says how far the sound\'s spectrogram is from the one asked '
        "for (lower is nearer); the round trip is what the same way reaches without a unit.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Table of results"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>\n"
    )


def _summary_row(index: int, entry: ReportEntry) -> str:
    scores = entry.auralisation.scores
    inversion = entry.auralisation.inversion
    cells = (
        number(inversion.activation),
        number(scores.get("activation_source")),
        number(scores.get("activation_auralised")),
        decibels(scores.get("spectral_convergence_db")),
        decibels(scores.get("round_trip_convergence_db")),
        decibels(entry.sounds.auralised.rms_db),
    )
    remarks = ", ".join(inversion.flags) or "none"
    return (
        f'<tr><th scope="row"><a href="#unit-{index}">{escape(entry.name)}</a></th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + f'<td class="words">{escape(remarks)}</td></tr>'
    )


_SOURCE = ("Source", "The excerpt the network heard.")
_ROUND_TRIP = ("Round trip", "The same way back to sound, without picking a unit.")


def _references(entry: ReportEntry) -> str:
    sounds = entry.sounds
    return (
        '<section aria-labelledby="references"><h2 id="references">Reference sounds</h2>'
        '<p class="quiet">The same for all units below. Switching between players keeps the '
        "position.</p>"
        f'<div class="players">{_player("source", *_SOURCE, sounds.source)}'
        f"{_player('round-trip', *_ROUND_TRIP, sounds.round_trip)}</div></section>\n"
    )


def _unit(index: int, entry: ReportEntry, *, shared: bool) -> str:
    name = escape(entry.name)
    sounds = entry.sounds
    note = f"What {entry.name} responds to."
    eager = index < PRELOADED
    parts = [
        _player(
            f"auralised-{index}", "Auralised sound", note, sounds.auralised, eager, shared=shared
        )
    ]
    if not shared:
        parts += [
            _player(f"source-{index}", *_SOURCE, sounds.source, eager),
            _player(f"round-trip-{index}", *_ROUND_TRIP, sounds.round_trip, eager),
        ]
    return (
        f'<section id="unit-{index}" aria-labelledby="name-{index}">'
        f'<h2 id="name-{index}">Unit <span class="unit-name">{name}</span></h2>'
        f"<p>{_sentence(entry)}</p>{_flags(entry.auralisation)}"
        f'<div class="players">{"".join(parts)}</div>'
        f"{figure_holder(f'figure-{index}', entry.figure)}"
        f'<p class="hint">{_hint(entry.figure)}</p>'
        f"{_audit(index, entry)}{_numbers(entry)}</section>\n"
    )


def _player(
    name: str, label: str, note: str, sound: Levelled, eager: bool = True, *, shared: bool = False
) -> str:
    buttons = (
        '<div class="compare" role="group" aria-label="Compare">'
        '<button type="button" data-play="source" aria-pressed="false">Source</button>'
        '<button type="button" data-play="round-trip" aria-pressed="false">Round trip</button>'
        f'<button type="button" data-play="{name}" aria-pressed="false">Auralised</button></div>'
    )
    main = " main" if name.startswith("auralised") else ""
    preload = "metadata" if eager else "none"
    return (
        f'<div class="player{main}"><h3 id="label-{name}">{escape(label)}</h3>'
        f'<p id="note-{name}">{escape(note)}</p>'
        f'<audio id="{name}" controls preload="{preload}" aria-labelledby="label-{name}" '
        f'aria-describedby="note-{name}" src="{audio_uri(sound.waveform)}"></audio>'
        f"{buttons if shared else ''}</div>"
    )


def _flags(auralisation: Auralisation) -> str:
    flags = auralisation.inversion.flags
    items = "".join(
        f"<li><strong>{escape(flag)}</strong>{escape(explain(flag))}</li>" for flag in flags
    )
    return f'<ul class="flags" aria-label="Read with care">{items}</ul>' if items else ""


def _sentence(entry: ReportEntry) -> str:
    inversion, scores = entry.auralisation.inversion, entry.auralisation.scores
    where = "over its whole map" if inversion.position is None else "at the place followed"
    first = f"Activation {number(inversion.activation)} {where}."
    heard = scores.get("activation_auralised")
    if heard is None:
        return first
    return f"{first} Fed its own sound at the source's level, the unit reaches {number(heard)}."


def _hint(figure: Figure) -> str:
    words = []
    if figure.place is not None:
        words.append(
            f"Between the dotted lines lies what the followed place sees: "
            f"{place_in_words(figure.place)}."
        )
    if any(panel.kind == "image" and panel.scale == "signed" for panel in figure.panels):
        words.append(
            f"Colours of the relevance are full at the {SATURATION:g}th percentile of its "
            "non-zero values."
        )
    return " ".join(words)


def _numbers(entry: ReportEntry) -> str:
    auralisation, sounds = entry.auralisation, entry.sounds
    scores = auralisation.scores
    position = auralisation.inversion.position
    facts = {
        "Position on the unit's map": "whole map" if position is None else str(position),
        "Activation on round trip": number(scores.get("activation_round_trip"), ".4g"),
        "Gain applied": decibels(sounds.auralised.gain_db),
        "Peak": decibels(sounds.auralised.peak_db),
        "Level of source (RMS)": decibels(sounds.source.rms_db),
    }
    return _facts(facts).replace('class="facts"', 'class="facts numbers"')


def _provenance(provenance: Mapping[str, str]) -> str:
    items = "".join(_pairs(provenance.items()))
    if not items:
        return ""
    return (
        '<section aria-labelledby="provenance"><h2 id="provenance">Provenance</h2>'
        "<details><summary>Versions, checksums, options and licences</summary>"
        f"<dl>{items}</dl></details></section>\n"
    )


def _pairs(items: Iterable[tuple[str, str]]) -> Iterable[str]:
    for name, value in items:
        yield f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
