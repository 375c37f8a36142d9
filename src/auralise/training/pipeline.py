"""From a collection to a network on disk: read, split, fit, evaluate, save."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from auralise.datasets.base import Dataset, Track
from auralise.datasets.clips import Clip, read_clips
from auralise.datasets.splits import split_by_group
from auralise.models.base import MODELS, ModelCard, MusicNetwork
from auralise.models.cards import card_text
from auralise.models.weights import read_manifest, save_model
from auralise.training.evaluate import Evaluation, evaluate, logits_of
from auralise.training.fit import FitOptions, Progress, fit


class Bar(Protocol):
    """Shows how far long work has come."""

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        """Show that ``done`` of ``total`` steps of ``stage`` are done."""
        ...


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training left behind.

    Attributes
    ----------
    name : str
    weights : Path
    scores : mapping
        As in the manifest: accuracy, its interval, the majority floor, sizes of the parts.
    """

    name: str
    weights: Path
    scores: Mapping[str, Any]


def train_network(
    architecture: str,
    dataset: Dataset,
    options: FitOptions,
    *,
    out: Path,
    bar: Bar,
    name: str | None = None,
    licence: str = "",
    device: str = "cpu",
) -> Trained:
    """Train on a collection's training part, choose the epoch on its validation part, test once.

    Parameters
    ----------
    architecture : str
        Name in `MODELS`.
    dataset : Dataset
    options : FitOptions
        Its seed is that of the split too.
    out : Path
        Folder of networks; other networks in it stay.
    bar : Bar
        Told about progress.
    name : str, optional
        Of the network; ``architecture-dataset`` if not given.
    licence : str
        Of the weights, for the card; empty if it is not stated.
    device : str
        As torch names it.

    Returns
    -------
    Trained
        The same for the same arguments, on the same machine and number of threads.
    """
    paper = MODELS[architecture]
    name = name or f"{architecture}-{dataset.name}"
    split = split_by_group(dataset, seed=options.seed)
    rate = paper.frontend().sample_rate
    parts = {
        part: _read(tracks, rate, bar, f"reading {part}")
        for part, tracks in (("train", split.train), ("valid", split.valid), ("test", split.test))
    }

    def report(progress: Progress) -> None:
        done = (progress.epoch - 1) * progress.steps + progress.step
        text = f"epoch {progress.epoch}, loss {progress.loss:.3f}"
        if progress.valid_accuracy is not None:
            text += f", validation accuracy {progress.valid_accuracy:.3f}"
        bar("training", done, progress.epochs * progress.steps, text)

    fitted = fit(
        paper, dataset.labels, parts["train"], parts["valid"], options, device=device, report=report
    )
    module, paper = fitted.module, fitted.architecture
    logits = logits_of(module, paper, parts["test"])
    scores = _scores(evaluate(logits, parts["test"], dataset.labels, parts["train"]), parts)
    card = ModelCard(
        name,
        paper.frontend(),
        dataset.labels,
        paper.seconds,
        architecture=architecture,
        licence=licence,
        source=paper.source,
        trained_on=f"{dataset.name}: {dataset.licence} Split by {dataset.grouping}.",
        scores=scores,
    )
    command = _command(card, dataset, options)
    extra = {
        "training": asdict(options),
        "command": command,
        "guarantee": _GUARANTEE.format(grouping=dataset.grouping),
    }
    save_model(MusicNetwork(module, card), out, extra)
    text = card_text(name, read_manifest(out)[name])
    (out / f"{name}.md").write_text(text, encoding="utf-8")
    return Trained(name, out / f"{name}.safetensors", scores)


_GUARANTEE = (
    "No group ({grouping}) is on two sides of the split, so no take of a sound that was trained on "
    "is tested on. What else the sides share, such as players, instruments, rooms or artists, is "
    "not controlled: the accuracy says how well the network recognises recordings like these."
)


def _command(card: ModelCard, dataset: Dataset, options: FitOptions) -> str:
    """Return the command that makes the network again, but for the place of the data."""
    words = [
        f"auralise train {card.architecture} --data {dataset.kind}:FOLDER --out OUT",
        f"--name {shlex.quote(card.name)} --epochs {options.epochs}",
        f"--batch-size {options.batch_size} --learning-rate {options.learning_rate:g}",
        f"--semitones {options.semitones:g} --seed {options.seed}",
    ]
    if options.bfloat16:
        words.append("--bfloat16")
    if card.licence:
        words.append(f"--licence {shlex.quote(card.licence)}")
    return " ".join(words)


def _read(tracks: tuple[Track, ...], rate: int, bar: Bar, stage: str) -> list[Clip]:
    clips = []
    for clip in read_clips(tracks, rate):
        clips.append(clip)
        bar(stage, len(clips), len(tracks))
    return clips


def _scores(evaluation: Evaluation, parts: Mapping[str, list[Clip]]) -> dict[str, Any]:
    return {
        "accuracy": evaluation.accuracy,
        "accuracy_interval": list(evaluation.interval),
        "majority_floor": evaluation.floor,
        "confusion": [list(row) for row in evaluation.confusion],
        "train_clips": len(parts["train"]),
        "valid_clips": len(parts["valid"]),
        "test_clips": evaluation.n_clips,
        "test_groups": evaluation.n_groups,
    }
