"""A folder that holds an evaluation: scores for programs, a report for people, figures."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from auralise.output.charts_png import encode_charts_png
from auralise.output.evaluation_figures import calibration_figure, confusion_figure
from auralise.output.evaluation_png import encode_confusion_png
from auralise.output.evaluation_report import Evaluated, evaluation_report
from auralise.output.folders import MANIFEST, SCHEMA, whole_folder
from auralise.output.manifest import SCHEMA_VERSION, describe_model, to_json, versions
from auralise.training.comparison import Comparison
from auralise.training.metrics import Calibration, Score


def evaluation_manifest(
    entries: Sequence[Evaluated],
    comparisons: Sequence[Comparison],
    protocol: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what was measured, as plain values.

    Parameters
    ----------
    entries : sequence of Evaluated
    comparisons : sequence of Comparison
    protocol : mapping
        Data, part, seed, what the split guarantees, files that were skipped; plain values.
    """
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "kind": "evaluation",
        "versions": versions(),
        "protocol": dict(protocol),
        "networks": [_describe(entry) for entry in entries],
        "comparisons": [_compared(comparison) for comparison in comparisons],
    }


def _describe(entry: Evaluated) -> dict[str, Any]:
    found = entry.assessment
    return {
        "model": describe_model(entry.card),
        "remarks": list(entry.remarks),
        "labels": list(found.labels),
        "multilabel": found.multilabel,
        "clips": found.n_clips,
        "segments": found.n_segments,
        "interval_over": found.drawn,
        "interval_units": found.n_drawn,
        "majority_floor": found.floor,
        "scores": {name: _score(value) for name, value in found.scores.items()},
        "by_label": [asdict(row) for row in found.per_label],
        "confusion": [list(row) for row in found.confusion],
        "calibration": _calibration(found.calibration),
        "excluded": list(found.excluded),
    }


def _score(value: Score) -> dict[str, Any]:
    return {"value": _number(value.value), "interval": [_number(end) for end in value.interval]}


def _compared(comparison: Comparison) -> dict[str, Any]:
    return {**asdict(comparison), "difference": _score(comparison.difference)}


def _calibration(found: Calibration) -> dict[str, Any]:
    return {
        "edges": [float(edge) for edge in found.edges],
        "confidence": [_number(value) for value in found.confidence],
        "right": [_number(value) for value in found.accuracy],
        "answers": [int(count) for count in found.counts],
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def write_evaluation(
    folder: str | os.PathLike[str],
    entries: Sequence[Evaluated],
    comparisons: Sequence[Comparison],
    *,
    protocol: Mapping[str, Any],
    title: str,
    facts: Mapping[str, str],
    notes: Sequence[str] = (),
    force: bool = False,
) -> Path:
    """Write ``report.html``, figures, and ``manifest.json`` with every number.

    Parameters
    ----------
    folder : str or path-like
        Appears when it is complete.
    entries : sequence of Evaluated
    comparisons : sequence of Comparison
    protocol : mapping
        See `evaluation_manifest`.
    title, facts, notes
        See `auralise.output.evaluation_report.evaluation_report`.
    force : bool
        Replace an older result of that name.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If something is there already, or cannot be written; nothing half-written is left then.
    """
    provenance = {
        **{name: str(version) for name, version in versions().items()},
        **{f"sha256 of {e.card.name}": e.card.sha256 for e in entries if e.card.sha256},
    }
    page = evaluation_report(
        entries, comparisons, title=title, facts=facts, notes=notes, provenance=provenance
    )
    files = {"report.html": page.encode()}
    for number, entry in enumerate(entries, 1):
        name, found = entry.card.name, entry.assessment
        if not found.multilabel:
            picture = encode_confusion_png(confusion_figure(name, found))
            files[f"confusion-{number}.png"] = picture
        files[f"calibration-{number}.png"] = encode_charts_png(calibration_figure(name, found))
    manifest = {
        **evaluation_manifest(entries, comparisons, protocol),
        "notes": list(notes),
        "files": sorted(files),
    }
    with whole_folder(folder, force=force) as aside:
        for name, content in files.items():
            (aside / name).write_bytes(content)
        (aside / MANIFEST).write_bytes(to_json(manifest).encode())
    return Path(folder)
