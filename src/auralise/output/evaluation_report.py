"""A report on networks that were evaluated on the same clips: one HTML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from auralise.errors import InvalidValueError
from auralise.models.base import ModelCard
from auralise.output.charts_interactive import charts_height, draw_charts
from auralise.output.evaluation_figures import calibration_figure, confusion_figure
from auralise.output.evaluation_interactive import confusion_height, draw_confusion
from auralise.output.page import drawing_holder, drawings_page
from auralise.output.words import number
from auralise.training.assessment import Assessment
from auralise.training.comparison import Comparison
from auralise.training.metrics import Score

SCORE_NAMES: Mapping[str, str] = {
    "accuracy": "accuracy, mean vote",
    "majority_accuracy": "accuracy, majority vote",
    "segment_accuracy": "accuracy of segments",
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "calibration_error": "calibration error",
}
"""What the scores of an `Assessment` are called, in the order of the tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """One network of a report.

    Attributes
    ----------
    card : ModelCard
    assessment : Assessment
    remarks : tuple of str
        What has to be known before believing the numbers.
    """

    card: ModelCard
    assessment: Assessment
    remarks: tuple[str, ...] = ()


def evaluation_report(
    entries: Sequence[Evaluated],
    comparisons: Sequence[Comparison] = (),
    *,
    title: str,
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
    provenance: Mapping[str, str] | None = None,
) -> str:
    """Write the page.

    Parameters
    ----------
    entries : sequence of Evaluated
        At least one; all on the same clips.
    comparisons : sequence of Comparison
        Of pairs of them.
    title : str
        Plain text, as all other text here: names may hold anything, they are escaped.
    facts : mapping of str to str
        What holds for all: data, part, protocol.
    notes : sequence of str
        What holds for all and has to be known: a split that leaks, clips that could not be read.
    provenance : mapping of str to str, optional
        What is needed to make it again.

    Returns
    -------
    str
        One self-contained HTML page that makes no request.

    Raises
    ------
    InvalidValueError
        If there is no entry.
    """
    if not entries:
        raise InvalidValueError("a report needs at least one network, got none")
    drawings = {}
    for i, entry in enumerate(entries):
        name = entry.card.name
        if not entry.assessment.multilabel:
            drawings[f"confusion-{i}"] = draw_confusion(confusion_figure(name, entry.assessment))
        drawings[f"calibration-{i}"] = draw_charts(calibration_figure(name, entry.assessment))
    sections = "".join(_network(i, entry) for i, entry in enumerate(entries))
    body = (
        '<a class="skip" href="#summary">Skip to the results</a>\n'
        f"<header>\n<p class='eyebrow'>auralise evaluation</p>\n<h1>{escape(title)}</h1>\n"
        f'<dl class="facts">{_facts(facts)}</dl>{_flags(notes)}</header>\n<main>\n'
        f"{_summary(entries)}{_compared(comparisons)}{sections}{_provenance(provenance or {})}"
        "</main>\n"
        "<footer><p>Everything in this page is inside this file; it loads nothing.</p></footer>"
    )
    return drawings_page(title, body, drawings)


def score_words(score: Score) -> str:
    """Write a score with its interval, as in ``0.913 (0.88 to 0.94)``."""
    low, high = score.interval
    return f"{number(score.value, '.3f')} ({number(low, '.3f')} to {number(high, '.3f')})"


def _facts(facts: Mapping[str, str]) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )


def _flags(notes: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="flags notes" aria-label="Read with care">{items}</ul>' if items else ""


def _table(label: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table whose first column names its rows; ``head`` and ``rows`` are plain text."""
    tops = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}"><table>'
        f"<thead><tr>{tops}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _summary(entries: Sequence[Evaluated]) -> str:
    first = entries[0].assessment
    kinds = [kind for kind in SCORE_NAMES if kind in first.scores]
    rows = [
        [SCORE_NAMES[kind], *(score_words(entry.assessment.scores[kind]) for entry in entries)]
        for kind in kinds
    ]
    floor = (
        "A network that has learned nothing has a ROC-AUC of 0.5."
        if first.floor is None
        else f"Always answering the most frequent label would reach {first.floor:.3f}."
    )
    return (
        '<section aria-labelledby="summary"><h2 id="summary">Results</h2>'
        f"{_table('Scores', ['score', *(entry.card.name for entry in entries)], rows)}"
        f'<p class="hint">In brackets 95 % bootstrap intervals over {first.n_drawn} '
        f"{escape(first.drawn)}s. {floor} A calibration error of 0 means that answers are right "
        "as often as the network is sure of them.</p></section>\n"
    )


def _compared(comparisons: Sequence[Comparison]) -> str:
    if not comparisons:
        return ""
    rows = [
        ["difference", *(score_words(c.difference) for c in comparisons)],
        ["only the first right", *(str(c.only_first) for c in comparisons)],
        ["only the second right", *(str(c.only_second) for c in comparisons)],
        ["both right", *(str(c.both) for c in comparisons)],
        ["neither", *(str(c.neither) for c in comparisons)],
        ["p (McNemar)", *(f"{c.p:.3g}" for c in comparisons)],
    ]
    head = ["", *(f"{c.first} less {c.second}" for c in comparisons)]
    return (
        '<section aria-labelledby="compared"><h2 id="compared">Network against network</h2>'
        f"{_table('Comparisons', head, rows)}"
        '<p class="hint">The difference is of accuracy after mean vote, with a 95 % interval over '
        "the same draws as above. p is of McNemar's exact test, which takes clips for independent "
        "of each other; where clips come in groups, trust the interval.</p></section>\n"
    )


def _network(index: int, entry: Evaluated) -> str:
    card, found = entry.card, entry.assessment
    calibrated = calibration_figure(card.name, found)
    confusion = ""
    if not found.multilabel:
        figure = confusion_figure(card.name, found)
        held = drawing_holder(f"confusion-{index}", confusion_height(figure), figure.describe())
        confusion = f"<h3>Confusion matrix</h3>{held}"
    facts = {
        "Architecture": card.architecture or "custom",
        "Segment": "any length" if card.seconds is None else f"{card.seconds:g} s, 50 % overlap",
        "Clips": str(found.n_clips),
        "Segments": str(found.n_segments),
    }
    return (
        f'<section id="network-{index}" aria-labelledby="name-{index}">'
        f'<h2 id="name-{index}"><span class="unit-name">{escape(card.name)}</span></h2>'
        f'{_flags(entry.remarks)}<dl class="facts">{_facts(facts)}</dl>{confusion}'
        f"{_per_label(found)}"
        f"{drawing_holder(f'calibration-{index}', charts_height(calibrated), calibrated.words)}"
        "</section>\n"
    )


def _per_label(found: Assessment) -> str:
    kinds = tuple(found.per_label[0].values)
    heads = [SCORE_NAMES.get(kind, kind.upper() if kind == "f1" else kind) for kind in kinds]
    rows = [
        [row.label, str(row.clips), *(number(row.values[kind], ".3f") for kind in kinds)]
        for row in found.per_label
    ]
    left_out = (
        f'<p class="hint">Without clips that have it, or without clips that do not, and so in no '
        f"mean: {escape(', '.join(found.excluded))}.</p>"
        if found.excluded
        else ""
    )
    what = "tag" if found.multilabel else "label"
    return _table("By label", [what, "clips", *heads], rows) + left_out


def _provenance(provenance: Mapping[str, str]) -> str:
    if not provenance:
        return ""
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in provenance.items()
    )
    return (
        '<section aria-labelledby="provenance"><h2 id="provenance">Provenance</h2>'
        f"<details><summary>Versions and checksums</summary><dl>{items}</dl></details></section>\n"
    )
