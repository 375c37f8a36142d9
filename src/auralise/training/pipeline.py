"""From a collection to a network on disk: split, read, fit, evaluate, save."""

from __future__ import annotations

import platform
import shlex
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import lightning
import torch

from auralise import __version__
from auralise.datasets.base import Dataset, Track
from auralise.datasets.cache import open_cache
from auralise.datasets.clips import Clip
from auralise.datasets.duplicates import refuse_duplicates
from auralise.datasets.splits import LeakySplitWarning, Split, split
from auralise.errors import InvalidValueError
from auralise.models.base import MODELS, Architecture, ModelCard, MusicNetwork, Option
from auralise.models.cards import card_text
from auralise.models.weights import read_manifest, save_model
from auralise.training.assessment import assess
from auralise.training.evaluate import evaluate, logits_of
from auralise.training.fit import FitOptions, Fitted, Machine, Progress, check_kind, fit
from auralise.training.protocol import Reader
from auralise.training.recipes import Recipe
from auralise.training.voting import clip_logits


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


@dataclass(frozen=True, slots=True)
class Job:
    """What is asked of a training, but for the data.

    Attributes
    ----------
    architecture : str
        Name in `MODELS`.
    options : FitOptions
        Its seed is that of the split too.
    model : mapping of str to number, str or bool
        Options of the architecture.
    name : str
        Of the network; ``architecture-dataset`` if empty.
    recipe : Recipe or None
        That the rest was taken from; named in the manifest and the command.
    how : str
        Way to split: see `auralise.datasets.splits.split`.
    strict : bool
        Stop at the first clip that cannot be read, rather than leave it out.
    resume : bool
        Go on with a training of the same that was stopped.
    licence : str
        Of the weights, for the card; empty if it is not stated.
    cache : Path or None
        Where decoded clips are kept on disk, as `auralise.datasets.cache.open_cache` keeps them;
        in memory if None.
    machine : Machine
    """

    architecture: str
    options: FitOptions
    model: Mapping[str, Option] = field(default_factory=dict)
    name: str = ""
    recipe: Recipe | None = None
    how: str = "auto"
    strict: bool = False
    resume: bool = True
    licence: str = ""
    cache: Path | None = None
    machine: Machine = field(default_factory=Machine)


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The clips of a split that could be read, and those that could not."""

    split: Split
    train: list[Clip]
    valid: list[Clip]
    test: list[Clip]
    skipped: list[tuple[str, str]]


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
    fitted = fit(
        paper,
        dataset.labels,
        parts.train,
        parts.valid,
        job.options,
        folder=out / f"{name}.training",
        resume=job.resume,
        machine=job.machine,
        multilabel=dataset.multilabel,
        report=_reporter(bar, "ROC-AUC" if dataset.multilabel else "accuracy"),
    )
    if not fitted.leader:
        return None
    scores = scores_of(fitted, dataset, parts)
    card = _card(name, job, fitted.architecture, dataset, parts.split.how, scores)
    extra = _extra(job, card, dataset, parts, fitted, (time.monotonic() - start) / 60)
    save_model(MusicNetwork(fitted.module, card), out, extra)
    text = card_text(name, read_manifest(out)[name])
    (out / f"{name}.md").write_text(text, encoding="utf-8")
    skipped = tuple(parts.skipped)
    weights = out / f"{name}.safetensors"
    return Trained(name, weights, scores, skipped, fitted.why, parts.split.leaky)


def read_parts(
    dataset: Dataset, job: Job, paper: Architecture, bar: Bar, note: Callable[[str], None]
) -> Parts:
    """Split a collection and decode it; see `train_network`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LeakySplitWarning)
        found = split(dataset, how=job.how, seed=job.options.seed)
    for warning in caught:
        note(str(warning.message))
    refuse_duplicates(found)
    tracks = {"train": found.train, "valid": found.valid, "test": found.test}
    skipped: list[tuple[str, str]] = []
    if job.cache is None:
        clips = _in_memory(tracks, job, paper, bar, skipped)
    else:
        clips = _cached(tracks, job, job.cache, paper.frontend().sample_rate, bar, skipped)
    for part, own in clips.items():
        if not own:
            raise InvalidValueError(
                f"none of the {len(tracks[part])} clips of the {part} part of {dataset.name} can "
                f"be read; the last one because {skipped[-1][1]}"
            )
    return Parts(found, clips["train"], clips["valid"], clips["test"], skipped)


def _in_memory(
    tracks: Mapping[str, Sequence[Track]],
    job: Job,
    paper: Architecture,
    bar: Bar,
    skipped: list[tuple[str, str]],
) -> dict[str, list[Clip]]:
    rate = paper.frontend().sample_rate
    clips: dict[str, list[Clip]] = {}
    for part, own in tracks.items():
        clips[part] = []
        for clip in Reader(own, rate, job.strict, skipped):
            check_kind(paper, clip)
            clips[part].append(clip)
            bar(f"reading {part}", len(clips[part]), len(own))
    return clips


def _cached(
    tracks: Mapping[str, Sequence[Track]],
    job: Job,
    folder: Path,
    rate: int,
    bar: Bar,
    skipped: list[tuple[str, str]],
) -> dict[str, list[Clip]]:
    cache = open_cache(
        [track for own in tracks.values() for track in own],
        rate,
        folder,
        strict=job.strict,
        workers=max(1, job.machine.workers),
        progress=lambda done, total: bar("decoding", done, total),
    )
    skipped += [(item.path.name, item.reason) for item in cache.skipped]
    return {part: cache.clips_of(own) for part, own in tracks.items()}


def tell_imbalance(
    dataset: Dataset, parts: Parts, options: FitOptions, note: Callable[[str], None]
) -> None:
    """Say so where the most frequent label has three times the clips of the rarest, or more."""
    if dataset.multilabel:
        return
    counts = Counter(clip.track.label for clip in parts.train).most_common()
    (often, most), (rare, fewest) = counts[0], counts[-1]
    if most >= 3 * fewest:
        does = "they are weighted" if options.balance else "--balance weights them"
        note(f"{rare!r} has {fewest} training clips and {often!r} {most}; {does}")


def scores_of(fitted: Fitted, dataset: Dataset, parts: Parts) -> dict[str, Any]:
    """Measure a network on the test part."""
    sizes = {
        "train_clips": len(parts.train),
        "valid_clips": len(parts.valid),
        "test_clips": len(parts.test),
        "test_groups": len({clip.track.group for clip in parts.test}),
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


def _card(
    name: str,
    job: Job,
    paper: Architecture,
    dataset: Dataset,
    how: str,
    scores: Mapping[str, Any],
) -> ModelCard:
    by = _BY.get(how, f"by {dataset.grouping}")
    return ModelCard(
        name,
        paper.frontend(),
        dataset.labels,
        paper.seconds,
        architecture=job.architecture,
        options=paper.options,
        licence=job.licence,
        source=paper.source,
        trained_on=f"{dataset.name}: {dataset.licence} Split {by}.",
        scores=scores,
    )


def _extra(
    job: Job, card: ModelCard, dataset: Dataset, parts: Parts, fitted: Fitted, minutes: float
) -> dict[str, Any]:
    """Return what the manifest keeps beside the card."""
    how, leaky = parts.split.how, parts.split.leaky
    guarantee = _NO_GUARANTEE if leaky else _GUARANTEE
    return {
        "training": asdict(job.options),
        "recipe": job.recipe.name if job.recipe else "",
        "command": command(card, job, dataset.kind),
        "guarantee": guarantee.format(grouping=dataset.grouping, how=how),
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
    what = f"--recipe {job.recipe.name}" if job.recipe else card.architecture
    words = [f"auralise train {what} --data {kind}:FOLDER --out OUT"]
    words.append(f"--name {shlex.quote(card.name)}")
    base = job.recipe.training if job.recipe else FitOptions()
    for item in fields(FitOptions):
        value = getattr(job.options, item.name)
        if value != getattr(base, item.name) or item.name in _ALWAYS:
            words.append(_flag(item.name, value))
    words += [f"--option {shlex.quote(f'{key}={value}')}" for key, value in job.model.items()]
    machine = job.machine
    for name, number in (("devices", machine.devices), ("nodes", machine.nodes)):
        if number > 1:
            words.append(f"--{name} {number}")
    if job.how != "auto":
        words.append(f"--split {job.how}")
    if card.licence:
        words.append(f"--licence {shlex.quote(card.licence)}")
    return " ".join(words)


def _flag(name: str, value: Any) -> str:  # noqa: ANN401
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    if isinstance(value, tuple):
        return f"--{flag} {shlex.quote(','.join(value))}"
    return f"--{flag} {value:g}" if isinstance(value, float) else f"--{flag} {value}"


def unread(skipped: Sequence[tuple[str, str]]) -> str:
    """Return a list of clips that could not be read, a line each, for people."""
    return "\n".join(f"  {name}: {reason}" for name, reason in skipped)
