"""Claims on disk: a folder with a report, the verdicts as JSON, and each claim's figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auralise.claims.run import Result
from auralise.claims.store import RESULT, evidence_to_plain
from auralise.errors import OutputError
from auralise.models.base import ModelCard
from auralise.output.charts_png import encode_charts_png
from auralise.output.claim_figures import claim_figure
from auralise.output.claim_report import claim_report, verdict_of
from auralise.output.manifest import versions

RESULTS, CACHE, VERDICTS, REPORT = "results", "answers", "claims.json", "report.html"


def check_claims_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than claims.

    Unlike other results, claims are written one after another, so that a run goes on where it was
    interrupted: a folder of claims may be there already.

    Raises
    ------
    OutputError
        If it is no folder, or has files that auralise did not write.
    """
    if not folder.exists():
        return
    known = {RESULTS, CACHE, VERDICTS, REPORT}
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - known:
        raise OutputError(
            f"{str(folder)!r} is there and holds something else than claims; choose another folder"
        )


def claims_manifest(
    results: Sequence[Result], card: ModelCard, facts: Mapping[str, str], notes: Sequence[str]
) -> dict[str, Any]:
    """Return all verdicts and numbers as values that JSON can hold."""
    return {
        "schema": "auralise.claims",
        "model": card.name,
        "sha256": card.sha256,
        "facts": dict(facts),
        "notes": list(notes),
        "claims": [_entry(result) for result in results],
        "versions": versions(),
    }


def _entry(result: Result) -> dict[str, Any]:
    claim, judgement = result.claim, result.judgement
    return {
        "name": claim.name,
        "sentence": claim.sentence,
        "source": claim.source,
        "experiment": claim.experiment,
        "version": claim.version,
        "verdict": verdict_of(result),
        "reason": result.why if judgement is None else judgement.reason,
        "p_adjusted": None if judgement is None else judgement.p,
        "needed": None if judgement is None else judgement.needed,
        "in_words": "" if result.evidence is None else result.evidence.in_words(result.claim.plain),
        "evidence": None if result.evidence is None else evidence_to_plain(result.evidence),
    }


def write_claims(
    folder: Path,
    results: Sequence[Result],
    card: ModelCard,
    *,
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
) -> Path:
    """Write report, verdicts and figures beside the stored results.

    Returns
    -------
    Path
        Of the report.

    Raises
    ------
    OutputError
        If something cannot be written.
    """
    provenance = {
        "sha256 of the weights": card.sha256 or "not from a file",
        **{name: str(found) for name, found in versions().items()},
    }
    page = claim_report(results, card, facts=facts, notes=notes, provenance=provenance)
    manifest = claims_manifest(results, card, facts, notes)
    text = json.dumps(manifest, indent=2, sort_keys=True, allow_nan=False) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for result in results:
            figure, place = claim_figure(result), folder / RESULTS / result.claim.name
            if figure is not None and (place / RESULT).exists():
                (place / "figure.png").write_bytes(encode_charts_png(figure))
        for name, content in ((VERDICTS, text), (REPORT, page)):
            part = folder / f"{name}.part"
            part.write_text(content, encoding="utf-8")
            part.replace(folder / name)
    except OSError as error:
        raise OutputError(
            f"cannot write {str(folder)!r}: {error.strerror or error}; what was there stays"
        ) from error
    return folder / REPORT
