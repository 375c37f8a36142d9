"""What is asked of a training, and the clips that it gets."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from auralise.datasets.base import Dataset, Track
from auralise.datasets.cache import open_cache
from auralise.datasets.clips import Clip
from auralise.datasets.duplicates import find_duplicates, refuse_duplicates
from auralise.datasets.msd import feature_clips
from auralise.datasets.sharded import ShardClips, same_samples
from auralise.datasets.splits import LeakySplitWarning, Split, split
from auralise.errors import InvalidValueError
from auralise.models.base import Architecture, Option
from auralise.training.fit import check_kind, first_of
from auralise.training.identity import tracks_of
from auralise.training.machine import Machine
from auralise.training.options import FitOptions, FusionOptions, PretrainOptions
from auralise.training.protocol import Reader
from auralise.training.recipes import Recipe


class Bar(Protocol):
    """Shows how far long work has come."""

    def __call__(self, stage: str, done: int, total: int, text: str = "") -> None:
        """Show that ``done`` of ``total`` steps of ``stage`` are done."""
        ...


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
    note : str
        What else one has to know of the network, for the card.
    cache : Path or None
        Where decoded clips are kept on disk, as `auralise.datasets.cache.open_cache` keeps them;
        in memory if None.
    machine : Machine
    pretraining : PretrainOptions or None
        Learn the layers from the training clips without their labels first, as
        `auralise.training.pretraining.pretrain` does; None does not.
    fusion : FusionOptions or None
        Fit a support vector machine to the training clips afterwards and fuse it with the network,
        as `auralise.training.fusion.fit_fusion` does; None does not.

    Raises
    ------
    InvalidValueError
        If a network other than ``costa2017`` is to be fused.
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
    note: str = ""
    cache: Path | None = None
    machine: Machine = field(default_factory=Machine)
    pretraining: PretrainOptions | None = None
    fusion: FusionOptions | None = None

    def __post_init__(self) -> None:
        if self.architecture == "costa2017-fusion":
            raise InvalidValueError(
                "costa2017-fusion is made of a costa2017 that has been trained; train costa2017 "
                "with --fuse, or --recipe costa2017-fusion"
            )
        if self.fusion and self.architecture != "costa2017":
            raise InvalidValueError(
                f"only costa2017 can be fused with a machine, not {self.architecture!r}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The clips of a split that could be read, and those that could not."""

    split: Split
    train: Sequence[Clip]
    valid: Sequence[Clip]
    test: Sequence[Clip]
    skipped: list[tuple[str, str]]


def read_parts(
    dataset: Dataset, job: Job, paper: Architecture, bar: Bar, note: Callable[[str], None]
) -> Parts:
    """Split a collection and decode it; see `train_network`."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LeakySplitWarning)
        found = split(dataset, how=job.how, seed=job.options.seed)
    for warning in caught:
        note(str(warning.message))
    root = dataset.root
    refuse_duplicates(found, find_duplicates if root is None else partial(same_samples, root))
    tracks = {"train": found.train, "valid": found.valid, "test": found.test}
    skipped: list[tuple[str, str]] = []
    clips: Mapping[str, Sequence[Clip]]
    if root is not None:
        clips = _from_shards(tracks, job, paper, root, skipped)
    elif job.cache is None:
        clips = _in_memory(tracks, job, paper, bar, skipped, features=dataset.kind == "msd")
    elif dataset.kind == "msd":
        raise InvalidValueError("the cache is for sounds; features are read without --cache")
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
    *,
    features: bool,
) -> dict[str, list[Clip]]:
    read = feature_clips if features else None
    rate = paper.frontend().sample_rate
    clips: dict[str, list[Clip]] = {}
    for part, own in tracks.items():
        clips[part] = []
        for clip in Reader(own, rate, job.strict, skipped, read):
            check_kind(paper, clip)
            clips[part].append(clip)
            bar(f"reading {part}", len(clips[part]), len(own))
    return clips


def _from_shards(
    tracks: Mapping[str, Sequence[Track]],
    job: Job,
    paper: Architecture,
    folder: Path,
    skipped: list[tuple[str, str]],
) -> dict[str, ShardClips]:
    if job.cache is not None:
        raise InvalidValueError("shards are read as they are; leave --cache out")
    clips = {part: ShardClips(folder, own, strict=job.strict) for part, own in tracks.items()}
    has, takes = clips["train"].sample_rate, paper.frontend().sample_rate
    if has != takes:
        raise InvalidValueError(
            f"the shards hold clips at {has} Hz and the network takes {takes} Hz; write them at "
            "that rate"
        )
    check_kind(paper, first_of(clips["train"]))
    test = clips["test"]
    clips["test"] = test.whole()
    skipped += test.skipped
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
    """Say which labels have no training clip, and where one has three times those of another."""
    if dataset.multilabel:
        return
    counts = Counter(track.label for track in tracks_of(parts.train)).most_common()
    lost = sorted(set(dataset.labels) - {label for label, _ in counts})
    if lost:
        note(f"no training clip of {', '.join(lost)} could be read: it cannot be learned")
    (often, most), (rare, fewest) = counts[0], counts[-1]
    if most >= 3 * fewest:
        does = "they are weighted" if options.balance else "--balance weights them"
        note(f"{rare!r} has {fewest} training clips and {often!r} {most}; {does}")
