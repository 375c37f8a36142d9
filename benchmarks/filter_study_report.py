"""From kept first layers to the page `docs/filter-study.md`."""

from __future__ import annotations

from pathlib import Path

from filter_study_conditions import read_conditions
from filter_study_figures import draw_figures
from filter_study_runs import LENGTHS
from filter_study_tables import (
    accuracy_table,
    agreement_table,
    answer,
    counts_table,
    differences_table,
    distances_table,
    measures_table,
    shape_table,
    short_table,
)

from auralise.errors import AuraliseError

BEGIN, END = "<!-- {}: made by benchmarks/filter_study.py -->", "<!-- end -->"


def report(docs: Path) -> None:
    """Write tables, sentences and figures into the page."""
    conditions, runs = read_conditions()
    page = docs / "filter-study.md"
    text = page.read_text(encoding="utf-8")
    sections = {
        "short": short_table(conditions),
        "accuracy": accuracy_table(runs["runs"], runs["floors"]),
        "answer": "\n\n".join(answer(conditions, length) for length in LENGTHS),
        "counts": counts_table(conditions),
        "distances": distances_table(conditions),
        "shape": shape_table(conditions),
        "agreement": agreement_table(conditions),
        "differences": differences_table(conditions),
        "measures": measures_table(conditions),
    }
    for name, made in sections.items():
        before, begin, rest = text.partition(BEGIN.format(name))
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise AuraliseError(f"{page} has no markers {BEGIN.format(name)} ... {END}")
        text = f"{before}{begin}\n\n{made}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")
    for name, picture in draw_figures(conditions).items():
        (docs / "images" / f"filter-study-{name}.png").write_bytes(picture)
