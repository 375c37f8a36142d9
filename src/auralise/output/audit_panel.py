"""An audit as a part of a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from auralise.audit import Audit, verdict
from auralise.output.audit_rows import AUDIT_HEAD, audit_rows


def audit_panel(audit: Audit, name: str, figure: str = "") -> str:
    """Return what a page shows of an audit: a sentence, and the numbers for those who ask.

    Parameters
    ----------
    audit : Audit
    name : str
        Of the panel in the page; without blanks.
    figure : str
        HTML of the place where the curves are drawn; empty for none.
    """
    rows = [row.cells for row in audit_rows(audit)]
    numbers = _table(rows, str(audit.unit)) if rows else ""
    return (
        f'<div class="audit" id="{escape(name)}"><h3>Can this be believed?</h3>'
        f"<p>{escape(verdict(audit))}</p>{figure if rows else ''}{numbers}</div>"
    )


def _table(rows: Sequence[Sequence[str]], unit: str) -> str:
    titles = ("question", *AUDIT_HEAD[1:-1])
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + f'<td class="words">{escape(reads)}</td></tr>'
        for first, *cells, reads in rows
    )
    return (
        "<details><summary>The numbers, with what a random mask and the loudest parts reach"
        '</summary><div class="scroll" tabindex="0" role="region" '
        f'aria-label="Audit of {escape(unit)}"><table><thead><tr>{head}'
        f'<th scope="col" class="words">{AUDIT_HEAD[-1]}</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>"
    )
