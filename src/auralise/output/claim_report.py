"""A report on claims that were tried on a network: one HTML file whose first lines are verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from auralise.claims.base import Part, Sound
from auralise.claims.run import Result
from auralise.claims.store import audible
from auralise.models.base import ModelCard
from auralise.output.charts_interactive import charts_height, draw_charts
from auralise.output.claim_figures import claim_figure
from auralise.output.page import audio_uri, drawing_holder, drawings_page
from auralise.output.words import number

NOT_TRIED = "not tried"


def claim_report(
    results: Sequence[Result],
    card: ModelCard,
    *,
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
    provenance: Mapping[str, str] | None = None,
) -> str:
    """Write the page.

    Parameters
    ----------
    results : sequence of Result
    card : ModelCard
        Of the network.
    facts : mapping of str to str
        What holds for all: data, number of controls.
    notes : sequence of str
        What has to be known before believing the numbers.
    provenance : mapping of str to str, optional
        What is needed to make it again.

    Returns
    -------
    str
        One self-contained HTML page that makes no request.
    """
    figures = {result.claim.name: claim_figure(result) for result in results}
    drawings = {name: draw_charts(f) for name, f in figures.items() if f is not None}
    sections = "".join(_section(result) for result in results if result.judgement is not None)
    sections += _left([result for result in results if result.judgement is None])
    title = f"Claims tried on {card.name}"
    body = (
        '<a class="skip" href="#verdicts">Skip to the verdicts</a>\n'
        f"<header>\n<p class='eyebrow'>auralise claims</p>\n<h1>{escape(title)}</h1>\n"
        f'</header>\n<main>\n<section aria-labelledby="verdicts">'
        f'<h2 id="verdicts">Verdicts</h2>{_verdicts(results)}'
        f'<dl class="facts">{_facts(facts)}</dl>{_flags(notes)}</section>\n'
        f"{sections}{_provenance(provenance or {})}</main>\n"
        "<footer><p>Everything in this page is inside this file; it loads nothing.</p></footer>"
    )
    return drawings_page(title, body, drawings)


def verdict_of(result: Result) -> str:
    """Return the verdict as a word, or that the claim was not tried.

    Examples
    --------
    >>> from auralise.claims import CLAIMS
    >>> verdict_of(Result(CLAIMS["key"], None, None, "It needs a network."))
    'not tried'
    """
    return NOT_TRIED if result.judgement is None else result.judgement.verdict.value


def part_words(part: Part) -> str:
    """Write a part with its threshold, interval and controls."""
    controls = ""
    if part.controls:
        low, high = min(part.controls), max(part.controls)
        controls = f"; {part.control} {number(low)} to {number(high)}"
    return (
        f"{number(part.value.value)} ({number(part.value.low)} to {number(part.value.high)}), "
        f"claimed {part.side} {number(part.threshold)}{controls}"
    )


def _verdicts(results: Sequence[Result]) -> str:
    order = sorted(results, key=lambda result: result.judgement is None)
    items = "".join(
        f'<li>{_badge(r)} <a href="#claim-{r.claim.name}">{escape(r.claim.sentence)}</a></li>'
        for r in order
    )
    return f'<ul class="verdicts">{items}</ul>'


def _badge(result: Result) -> str:
    """Return the verdict as a word in a frame; the frame tells verdicts apart besides the word."""
    verdict = verdict_of(result)
    return f'<strong class="verdict {verdict.replace(" ", "-")}">{escape(verdict)}</strong>'


def _section(result: Result) -> str:
    claim, name = result.claim, result.claim.name
    if result.evidence is None or result.judgement is None:
        return ""
    figure = claim_figure(result)
    drawing = "" if figure is None else drawing_holder(name, charts_height(figure), figure.words)
    plain = result.evidence.in_words(claim.plain)
    return (
        f'<section id="claim-{name}" aria-labelledby="name-{name}">'
        f'<h2 id="name-{name}">{escape(claim.sentence)}</h2>'
        f"<p>{_badge(result)} {escape(result.judgement.reason)}</p>"
        f"{f'<p>{escape(plain)}</p>' if plain else ''}{_said(result)}{_parts(result)}"
        f"{_sounds(name, result.evidence.sounds)}{drawing}{_flags(result.evidence.notes)}"
        "</section>\n"
    )


def _left(results: Sequence[Result]) -> str:
    """Return what was not tried in one section, with why."""
    items = "".join(
        f'<dt id="claim-{r.claim.name}">{escape(r.claim.sentence)}</dt><dd>{escape(r.why)}</dd>'
        for r in results
    )
    return (
        '<section aria-labelledby="left"><h2 id="left">Not tried</h2>'
        f'<dl class="left">{items}</dl></section>\n'
        if items
        else ""
    )


def _said(result: Result) -> str:
    claim = result.claim
    return f'<p>{escape(claim.experiment)}</p><p class="hint">Said by: {escape(claim.source)}.</p>'


def _parts(result: Result) -> str:
    if result.evidence is None:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(part.name)}</th><td>{escape(part_words(part))}</td>'
        f"<td>{part.n} {escape(part.over)}</td>"
        f"<td>{'none' if part.p is None else format(part.p, '.2g')}</td>"
        f"<td>{escape(part.question)}.</td></tr>"
        for part in result.evidence.parts
    )
    heads = "".join(
        f'<th scope="col">{cell}</th>'
        for cell in ("part", "number (95 % interval)", "n", "p", "what is measured")
    )
    return (
        f'<div class="scroll wraps" tabindex="0" role="region" aria-label="Numbers of the claim '
        f'{escape(result.claim.name)}"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _sounds(claim: str, sounds: Sequence[Sound]) -> str:
    players = "".join(
        f'<div class="player"><h3 id="label-{claim}-{sound.name}">{escape(sound.caption)}</h3>'
        f'<audio controls preload="none" aria-labelledby="label-{claim}-{sound.name}" '
        f'src="{audio_uri(audible(sound))}"></audio></div>'
        for sound in sounds
    )
    return f'<div class="players">{players}</div>' if players else ""


def _facts(facts: Mapping[str, str]) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )


def _flags(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="flags notes" aria-label="Read with care">{items}</ul>' if items else ""


def _provenance(provenance: Mapping[str, str]) -> str:
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in provenance.items()
    )
    return (
        '<section aria-labelledby="provenance"><h2 id="provenance">Provenance</h2>'
        f"<details><summary>Versions and checksums</summary><dl>{items}</dl></details></section>\n"
        if items
        else ""
    )
