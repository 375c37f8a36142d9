"""From a collection to a network on disk: split, read, fit, evaluate, save."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from auralise.datasets.base import Dataset
from auralise.datasets.sharded import ShardClips
from auralise.errors import InvalidValueError
from auralise.models.base import MODELS, MusicNetwork
from auralise.models.cards import card_text
from auralise.models.weights import read_manifest, save_model
from auralise.training.assessment import assess
from auralise.training.evaluate import evaluate, logits_of
from auralise.training.fit import Fitted, Progress, fit
from auralise.training.identity import tracks_of
from auralise.training.jobs import Bar, Job, Parts, read_parts, tell_imbalance
from auralise.training.pretraining import Pass
from auralise.training.record import card_of, extra_of
from auralise.training.stages import fused, start_of
from auralise.training.voting import clip_logits

__all__ = ["Bar", "Job", "Trained", "scores_of", "train_network", "unread"]


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training left behind.

    Attributes
    ----------
    name : str
    weights : Path
    scores : mapping
        As in the manifest: accuracy, its interval, the majority floor, sizes of the parts; of tags
        ROC-AUC and PR-AUC.
    skipped : tuple of (str, str)
        Clips that could not be read, with the reason.
    why : str
        Why training ended where it did.
    leaky : bool
        Whether artists or recordings may be on two sides of the split.
    """

    name: str
    weights: Path
    scores: Mapping[str, Any]
    skipped: tuple[tuple[str, str], ...] = ()
    why: str = ""
    leaky: bool = False


def train_network(
    job: Job,
    dataset: Dataset,
    *,
    out: Path,
    bar: Bar,
    note: Callable[[str], None] = lambda _: None,
) -> Trained | None:
    """Train on a collection's training part, choose the epoch on its validation part, test once.

    While it trains, the state is kept in ``out/NAME.training``.

    Parameters
    ----------
    job : Job
    dataset : Dataset
    out : Path
        Folder of networks; other networks in it stay.
    bar : Bar
        Told about progress.
    note : callable
        Told what a person should know of the data before the results.

    Returns
    -------
    Trained or None
        The same for the same arguments, on the same machine and number of threads. None in all
        but one of several processes.

    Raises
    ------
    InvalidValueError
        If the collection cannot be split, the same file is in two parts, or one part cannot be
        read at all.
    """
    paper = MODELS[job.architecture].configure(**job.model)
    name = job.name or f"{job.architecture}-{dataset.name}"
    start = time.monotonic()
    parts = read_parts(dataset, job, paper, bar, note)
    tell_imbalance(dataset, parts, job.options, note)
    folder = out / f"{name}.training"
    paper, state = start_of(job, paper, dataset.labels, parts.train, folder, _passes(bar))
    # A pretraining has measured the frontend's values already.
    options = job.options if state is None else replace(job.options, standardise=False)
    fitted = fit(
        paper,
        dataset.labels,
        parts.train,
        parts.valid,
        options,
        folder=folder,
        resume=job.resume,
        machine=job.machine,
        multilabel=dataset.multilabel,
        start=state,
        report=_reporter(bar, "ROC-AUC" if dataset.multilabel else "accuracy"),
    )
    if not fitted.leader:
        return None
    parts = _after(parts)
    fitted = fused(job, fitted, dataset.labels, parts.train)
    scores = scores_of(fitted, dataset, parts)
    card = card_of(name, job, fitted.architecture, dataset, parts.split.how, scores)
    extra = extra_of(job, card, dataset, parts, fitted, (time.monotonic() - start) / 60)
    save_model(MusicNetwork(fitted.module, card), out, extra)
    text = card_text(name, read_manifest(out)[name])
    (out / f"{name}.md").write_text(text, encoding="utf-8")
    skipped = tuple(parts.skipped)
    weights = out / f"{name}.safetensors"
    return Trained(name, weights, scores, skipped, fitted.why, parts.split.leaky)


def _after(parts: Parts) -> Parts:
    """Leave out, and list, what was damaged on the disk while a network was trained."""
    test = parts.test
    whole = test.whole() if isinstance(test, ShardClips) else test
    for clips in (parts.train, parts.valid, test):
        parts.skipped.extend(getattr(clips, "skipped", ()))
    if not whole:
        raise InvalidValueError(
            "no clip of the test part can be read any more; mend it and train again, "
            "which goes on with what is there"
        )
    return replace(parts, test=whole)


def scores_of(fitted: Fitted, dataset: Dataset, parts: Parts) -> dict[str, Any]:
    """Measure a network on the test part."""
    sizes = {
        "train_clips": len(parts.train),
        "valid_clips": len(parts.valid),
        "test_clips": len(parts.test),
        "test_groups": len({track.group for track in tracks_of(parts.test)}),
    }
    if dataset.multilabel:
        answers = clip_logits(fitted.module, fitted.architecture, parts.test)
        found = assess(answers, dataset.labels, multilabel=True).scores
        values = {key: score.value for key, score in found.items()}
        intervals = {f"{key}_interval": list(score.interval) for key, score in found.items()}
        return {**values, **intervals, **sizes}
    logits = logits_of(fitted.module, fitted.architecture, parts.test)
    measured = evaluate(logits, parts.test, dataset.labels, parts.train)
    return {
        "accuracy": measured.accuracy,
        "accuracy_interval": list(measured.interval),
        "majority_floor": measured.floor,
        "confusion": [list(row) for row in measured.confusion],
        **sizes,
    }


def _reporter(bar: Bar, score: str) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        done = (progress.epoch - 1) * progress.steps + progress.step
        text = f"epoch {progress.epoch}, loss {progress.loss:.3f}"
        if progress.valid_accuracy is not None:
            text += f", validation {score} {progress.valid_accuracy:.3f}"
        bar("training", done, progress.epochs * progress.steps, text)

    return report


def _passes(bar: Bar) -> Callable[[Pass], None]:
    def report(step: Pass) -> None:
        bar(f"pretraining {step.layer}", step.epoch, step.epochs, f"error {step.error:.3f}")

    return report


def unread(skipped: Sequence[tuple[str, str]]) -> str:
    """Return a list of clips that could not be read, a line each, for people."""
    return "\n".join(f"  {name}: {reason}" for name, reason in skipped)
