"""What stands before a training and behind it: layers learned without labels, a machine beside."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from auralise.datasets.clips import Clip
from auralise.models.base import Architecture
from auralise.training.checkpoints import read_state, write_state
from auralise.training.fit import Fitted
from auralise.training.identity import identity_of
from auralise.training.jobs import Job
from auralise.training.options import PretrainOptions
from auralise.training.pretraining import Pass, pretrain, standardised_for

PRETRAINED = "pretrained.safetensors"


def start_of(
    job: Job,
    paper: Architecture,
    labels: Sequence[str],
    train: Sequence[Clip],
    folder: Path,
    report: Callable[[Pass], None] = lambda _: None,
) -> tuple[Architecture, Mapping[str, Tensor] | None]:
    """Return the network and the weights that its training starts from, pretrained if asked for.

    What was learned is kept in the folder: a training that is continued does not learn it again.

    Returns
    -------
    architecture : Architecture
        With the frontend that the weights were learned behind.
    state : mapping of str to Tensor, or None
        None without pretraining.

    Raises
    ------
    InvalidValueError
        If the network has no layers that can be pretrained.
    OutputError
        If the weights cannot be kept.
    """
    if job.pretraining is None:
        return paper, None
    identity = _identity(job, job.pretraining, paper, labels, train)
    path = folder / PRETRAINED
    if job.resume and path.exists():
        kept = read_state(path)
        if kept["identity"] == identity:
            return standardised_for(paper, train), kept["state"]
    device = job.machine.device
    learned = pretrain(
        paper, train, job.pretraining, seed=job.options.seed, report=report, device=device
    )
    if os.environ.get("LOCAL_RANK", "0") == "0":  # one process of several writes
        folder.mkdir(parents=True, exist_ok=True)
        write_state({"identity": identity, "state": learned.state}, path)
    return learned.architecture, learned.state


def _identity(
    job: Job,
    options: PretrainOptions,
    paper: Architecture,
    labels: Sequence[str],
    train: Sequence[Clip],
) -> dict[str, Any]:
    """Say what a pretraining is of; labels do not matter, but for the clips' list."""
    said = identity_of(paper, labels, train, train, job.options, job.machine)
    kept = ("architecture", "frontend", "seconds", "training clips", "seed")
    own = {key: value for key, value in said.items() if key in kept or key.startswith("option ")}
    return {**own, **{f"pretraining {key}": value for key, value in asdict(options).items()}}


def fused(job: Job, fitted: Fitted, labels: Sequence[str], train: Sequence[Clip]) -> Fitted:
    """Return a network with the machine beside it, if one was asked for.

    Raises
    ------
    InvalidValueError
        If the machine cannot be calibrated; see `auralise.training.fusion.fit_fusion`.
    """
    if job.fusion is None or not fitted.leader:
        return fitted
    from auralise.training.fusion import fit_fusion  # scikit-learn takes long to import

    made = fit_fusion(fitted.module, fitted.architecture, labels, train, job.fusion)
    return replace(fitted, module=made.module, architecture=made.architecture)
