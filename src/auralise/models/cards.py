"""A network's card: what a person should read before using it, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auralise.models.base import MODELS


def card_text(name: str, entry: Mapping[str, Any]) -> str:
    """Write the card of a manifest's entry.

    Parameters
    ----------
    name : str
        Of the network.
    entry : mapping
        From `auralise.models.read_manifest`.

    Returns
    -------
    str
        Markdown.
    """
    note = entry.get("note", "")
    return f"""# {name}
{f"{chr(10)}{note}{chr(10)}" if note else ""}
| | |
|---|---|
| architecture | {entry["architecture"]} ({entry["source"]}) |
| differs from the paper in | {MODELS[entry["architecture"]].differs or "nothing"} |
| input | {_input(entry)} |
| answers | {", ".join(entry["labels"])} |
| trained on | {entry["trained_on"]} |
| licence of the weights | {entry["licence"] or "not stated"} |
| weights | `{entry["weights"]}`, sha256 `{entry["sha256"]}` |
| made by | `{entry["command"]}` |

## Scores

{_scores(entry)}

## What the split guarantees, and what it does not

{entry["guarantee"]}
"""


def _input(entry: Mapping[str, Any]) -> str:
    """Say what the network takes."""
    frontend, seconds = entry["frontend"], entry["seconds"]
    if frontend["kind"] == "given":
        return f"{seconds:g} places of {frontend['channels']} features, published without sound"
    if frontend["kind"] == "raw":
        return f"{seconds:g} s, raw audio at {frontend['sample_rate']} Hz"
    spec, compression = frontend["spec"], frontend["compression"]
    return (
        f"{seconds:g} s, spectrogram at {spec['sample_rate']} Hz, n_fft {spec['n_fft']}, "
        f"hop {spec['hop']}, {compression['kind']} compression ({compression['amount']:g})"
    )


def _scores(entry: Mapping[str, Any]) -> str:
    """Write what was measured: of labels the accuracy, of tags the areas under their curves."""
    scores = entry["scores"]
    key = "accuracy" if "accuracy" in scores else "roc_auc"
    low, high = scores[f"{key}_interval"]
    name = "Accuracy" if key == "accuracy" else "Mean ROC-AUC over tags"
    lines = [
        f"{name} {scores[key]:.3f} on {scores['test_clips']} held-out clips in",
        f"{scores['test_groups']} groups; 95 % bootstrap interval over groups {low:.3f} to "
        f"{high:.3f}.",
    ]
    if key == "accuracy":
        lines.append(
            f"Always answering the most frequent label gives {scores['majority_floor']:.3f}."
        )
    else:
        low, high = scores["pr_auc_interval"]
        lines.append(f"Mean PR-AUC {scores['pr_auc']:.3f} ({low:.3f} to {high:.3f}).")
    lines.append(
        f"Trained on {scores['train_clips']} clips; the epoch was chosen on "
        f"{scores['valid_clips']} others."
    )
    if entry.get("skipped"):
        lines.append(f"{entry['skipped']} clips could not be read and were left out.")
    if key == "accuracy":
        lines += ["", "| label | right | of |", "|---|---|---|", _rows(entry)]
    return "\n".join(lines)


def _rows(entry: Mapping[str, Any]) -> str:
    confusion = entry["scores"]["confusion"]
    return "\n".join(
        f"| {label} | {row[i]} | {sum(row)} |"
        for i, (label, row) in enumerate(zip(entry["labels"], confusion, strict=True))
    )
