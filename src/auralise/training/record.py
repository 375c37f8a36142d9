"""What is kept of a training in the manifest, with the command that repeats it."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import lightning
import torch

from auralise import __version__
from auralise.datasets.base import Dataset
from auralise.models.base import Architecture, ModelCard
from auralise.training.fit import Fitted
from auralise.training.jobs import Job, Parts
from auralise.training.options import FitOptions, FusionOptions, PretrainOptions

_GUARANTEE = (
    "No group ({grouping}) is on two sides of the split, so no take of a sound that was trained on "
    "is tested on. What else the sides share, such as players, instruments, rooms or artists, is "
    "not controlled: the accuracy says how well the network recognises recordings like these."
)
_NO_GUARANTEE = (
    "Nothing: the collection was split by the way '{how}', and artists or recordings may be on "
    "both sides of it. The scores are too high for anything but recordings by the same artists."
)
_BY = {
    "artist": "by artist, so that no artist is on two sides",
    "given": "as the collection's makers gave it",
    "stratified": "at random within each label",
    "random": "at random",
}


def card_of(
    name: str,
    job: Job,
    paper: Architecture,
    dataset: Dataset,
    how: str,
    scores: Mapping[str, Any],
) -> ModelCard:
    """Return the card of a network that has been trained; ``how`` is the way it was split."""
    by = _BY.get(how, f"by {dataset.grouping}")
    return ModelCard(
        name,
        paper.frontend(),
        dataset.labels,
        paper.seconds,
        architecture="costa2017-fusion" if job.fusion else job.architecture,
        options=paper.options,
        licence=job.licence,
        source=paper.source,
        trained_on=f"{dataset.name}: {dataset.licence} Split {by}.",
        scores=scores,
    )


def extra_of(
    job: Job, card: ModelCard, dataset: Dataset, parts: Parts, fitted: Fitted, minutes: float
) -> dict[str, Any]:
    """Return what the manifest keeps beside the card."""
    how, leaky = parts.split.how, parts.split.leaky
    guarantee = _NO_GUARANTEE if leaky else _GUARANTEE
    return {
        "training": asdict(job.options),
        "pretraining": asdict(job.pretraining) if job.pretraining else None,
        "fusion": asdict(job.fusion) if job.fusion else None,
        "recipe": job.recipe.name if job.recipe else "",
        "command": command(card, job, dataset.kind),
        "guarantee": guarantee.format(grouping=dataset.grouping, how=how),
        "note": job.note,
        "multilabel": dataset.multilabel,
        "split": {"how": how, "leaky": leaky, "seed": job.options.seed},
        "skipped": len(parts.skipped),
        "best_epoch": fitted.best_epoch,
        "ended": fitted.why,
        "minutes": round(minutes, 2),
        "machine": {**asdict(job.machine), "threads": torch.get_num_threads()},
        "versions": {
            "auralise": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
        },
    }


_ALWAYS = ("epochs", "batch_size", "learning_rate", "seed")


def command(card: ModelCard, job: Job, kind: str) -> str:
    """Return the command that makes a network again, but for the place of the data."""
    what = f"--recipe {job.recipe.name}" if job.recipe else job.architecture
    words = [f"auralise train {what} --data {kind}:FOLDER --out OUT"]
    words.append(f"--name {shlex.quote(card.name)}")
    base = job.recipe.training if job.recipe else FitOptions()
    for item in fields(FitOptions):
        value = getattr(job.options, item.name)
        if value != getattr(base, item.name) or item.name in _ALWAYS:
            words.append(_flag(item.name, value))
    words += [f"--option {shlex.quote(f'{key}={value}')}" for key, value in job.model.items()]
    words += _stage_words(job)
    machine = job.machine
    for name, number in (("devices", machine.devices), ("nodes", machine.nodes)):
        if number > 1:
            words.append(f"--{name} {number}")
    if job.how != "auto":
        words.append(f"--split {job.how}")
    if card.licence:
        words.append(f"--licence {shlex.quote(card.licence)}")
    if job.note:
        words.append(f"--note {shlex.quote(job.note)}")
    return " ".join(words)


def _stage_words(job: Job) -> list[str]:
    """Return what a command says of a pretraining and of a fusion, where the recipe does not."""
    recipe = job.recipe
    before, after = (recipe.pretraining, recipe.fusion) if recipe else (None, None)
    words = []
    if (job.pretraining is None) != (before is None):
        words.append("--no-pretrain" if job.pretraining is None else "--pretrain")
    if (job.fusion is None) != (after is None):
        words.append(f"--fuse {job.fusion.rule if job.fusion else 'none'}")
    stages: tuple[tuple[str, Any, Any], ...] = (
        ("pretrain-option", job.pretraining, before or PretrainOptions()),
        ("fusion-option", job.fusion, after or FusionOptions()),
    )
    for flag, options, base in stages:
        for item in fields(options) if options else ():
            value = getattr(options, item.name)
            if value != getattr(base, item.name):
                words.append(f"--{flag} {shlex.quote(f'{item.name}={value}')}")
    return words


def _flag(name: str, value: Any) -> str:  # noqa: ANN401
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    if isinstance(value, tuple):
        return f"--{flag} {shlex.quote(','.join(value))}"
    return f"--{flag} {value:g}" if isinstance(value, float) else f"--{flag} {value}"
