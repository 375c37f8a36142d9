"""What a training is of, in plain values: two that differ cannot continue each other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.models.base import Architecture
from auralise.training.machine import Machine
from auralise.training.options import FitOptions


def tracks_of(clips: Sequence[Clip]) -> list[Track]:
    """Return the tracks of clips, without reading sounds where the collection can."""
    known = getattr(clips, "tracks", None)
    return list(known) if known is not None else [clip.track for clip in clips]


def identity_of(
    architecture: Architecture,
    labels: Sequence[str],
    train: Sequence[Clip],
    valid: Sequence[Clip],
    options: FitOptions,
    machine: Machine,
    start: Mapping[str, Tensor] | None = None,
) -> dict[str, Any]:
    """Say as plain values what a training is of; two that differ cannot continue each other."""
    build = getattr(architecture.build, "func", architecture.build)
    plain = {
        "architecture": f"{build.__module__}.{build.__qualname__}",
        "frontend": architecture.frontend().describe(),
        "seconds": architecture.seconds,
        "labels": list(labels),
        "training clips": _digest(train),
        "validation clips": _digest(valid),
        "processes": machine.processes,
        "starting weights": _digest_weights(start),
    }
    if hasattr(train, "stream"):  # in another order than clips that are picked one by one
        plain["reading"] = "from front to back"
    plain |= {f"option {key}": value for key, value in architecture.options.items()}
    for key, value in asdict(options).items():
        plain[key] = list(value) if isinstance(value, tuple) else value
    return plain


def _digest(clips: Sequence[Clip]) -> str:
    """Return number and hash of clips by names of files, labels and tags."""
    found = hashlib.sha256()
    for track in tracks_of(clips):
        found.update(repr((track.path.name, track.label, track.group, track.tags)).encode())
    return f"{len(clips)} of sha256 {found.hexdigest()[:16]}"


def _digest_weights(weights: Mapping[str, Tensor] | None) -> str:
    found = hashlib.sha256()
    for key in sorted(weights or {}):
        found.update(key.encode() + (weights or {})[key].contiguous().numpy().tobytes())
    return found.hexdigest()[:16] if weights else "none"
