"""Which clips a network is tested on, and whether it has met them before."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auralise.datasets.base import Dataset, Track
from auralise.datasets.clips import Clip, read_clips
from auralise.datasets.msd import feature_clips
from auralise.datasets.sharded import ShardClips
from auralise.datasets.splits import LeakySplitWarning, Split, split
from auralise.errors import AudioFileError, InvalidValueError
from auralise.models.base import ModelCard

PARTS = ("test", "valid", "train", "all")


@dataclass(frozen=True, slots=True)
class Division:
    """How a collection is divided: the arguments of `auralise.datasets.splits.split`.

    Attributes
    ----------
    how : str
    seed : int
    fold, folds : int or None
    """

    how: str = "group"
    seed: int = 0
    fold: int | None = None
    folds: int | None = None

    def apply(self, dataset: Dataset) -> Split:
        """Return the parts; whether they leak is in them, and no warning is given."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LeakySplitWarning)
            return split(dataset, how=self.how, seed=self.seed, fold=self.fold, folds=self.folds)

    def describe(self) -> str:
        """Return how, in words."""
        fold = "" if self.folds is None else f", fold {self.fold} of {self.folds}"
        return f"{self.how}, seed {self.seed}{fold}"


def division_of(entry: Mapping[str, Any]) -> Division | None:
    """Return how the collection was divided that a network was trained on.

    Parameters
    ----------
    entry : mapping
        Of the network in its manifest; where it does not say how, by groups.

    Returns
    -------
    Division or None
        None if the manifest does not say with which seed.
    """
    seed = entry.get("training", {}).get("seed")
    if seed is None:
        return None
    said = entry.get("split", {})
    return Division(str(said.get("how", "group")), int(seed), said.get("fold"), said.get("folds"))


@dataclass(frozen=True, slots=True)
class Protocol:
    """The clips of an evaluation, and how they were chosen.

    Attributes
    ----------
    dataset : Dataset
    part : str
        In `PARTS`.
    division : Division
    tracks : tuple of Track
    leaky : bool
        Whether artists or recordings are, or may be, in two parts of the split.
    """

    dataset: Dataset
    part: str
    division: Division
    tracks: tuple[Track, ...]
    leaky: bool

    def describe(self) -> str:
        """Return the protocol in a sentence."""
        if self.part == "all":
            return f"{len(self.tracks)} clips, all of {self.dataset.name}."
        which = {"test": "test", "valid": "validation", "train": "training"}[self.part]
        return (
            f"{len(self.tracks)} clips, the {which} part of {self.dataset.name}, split by "
            f"{self.division.describe()}; groups: {self.dataset.grouping}."
        )

    def warning(self) -> str:
        """Return what a split that leaks means for the scores; empty if it does not."""
        if not self.leaky:
            return ""
        return (
            "The split leaks: artists or recordings may be on both sides of it. The scores are "
            "higher than they would be on artists or recordings that training has not met."
        )

    def plain(self, overlap: float, skipped: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return the protocol as plain values, with the overlap of segments and unread files."""
        return {
            "collection": self.dataset.name,
            "kind": self.dataset.kind,
            "part": self.part,
            "how": self.division.how,
            "seed": self.division.seed,
            "fold": self.division.fold,
            "folds": self.division.folds,
            "leaky": self.leaky,
            "grouping": self.dataset.grouping,
            "sentence": self.describe(),
            "overlap": overlap,
            "skipped": [list(pair) for pair in skipped],
        }


def choose_clips(dataset: Dataset, part: str, division: Division) -> Protocol:
    """Return the clips of one part of a collection.

    Raises
    ------
    InvalidValueError
        If there is no such part, or the collection cannot be split.
    """
    if part not in PARTS:
        raise InvalidValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    if part == "all":
        return Protocol(dataset, part, division, dataset.tracks, leaky=False)
    parts = division.apply(dataset)
    return Protocol(dataset, part, division, getattr(parts, part), leaky=parts.leaky)


def check_labels(card: ModelCard, dataset: Dataset) -> None:
    """Refuse a network whose labels are not those of the collection, in the same order.

    Raises
    ------
    InvalidValueError
        Says which labels only one of them has.
    """
    if card.labels == dataset.labels:
        return
    only_network = sorted(set(card.labels) - set(dataset.labels))
    only_data = sorted(set(dataset.labels) - set(card.labels))
    if not only_network and not only_data:
        why = "the same labels in another order"
    else:
        sides = ((f"the network {card.name!r}", only_network), (dataset.name, only_data))
        why = "; ".join(f"only {name} has {', '.join(own)}" for name, own in sides if own)
    raise InvalidValueError(
        f"network {card.name!r} cannot be evaluated on {dataset.name!r}: {why}; "
        "take the collection that it was trained for"
    )


def met_before(entry: Mapping[str, Any], protocol: Protocol) -> int | None:
    """Count the clips that a network was trained on, or its epoch was chosen on.

    Parameters
    ----------
    entry : mapping
        Of the network in its manifest; the split is made again from what is said there.
    protocol : Protocol

    Returns
    -------
    int or None
        None where it cannot be said: the network was trained on another collection, or its
        manifest does not say with which seed.
    """
    dataset, division = protocol.dataset, division_of(entry)
    if division is None or not str(entry.get("trained_on", "")).startswith(f"{dataset.name}: "):
        return None
    parts = division.apply(dataset)
    met = {track.path for track in (*parts.train, *parts.valid)}
    return sum(track.path in met for track in protocol.tracks)


def reader_of(
    dataset: Dataset, sample_rate: int
) -> Callable[[Sequence[Track]], Iterator[Clip]] | None:
    """Return what reads the clips of a collection that are not sound files; None if they are.

    Raises
    ------
    InvalidValueError
        If the collection's clips are at another rate.
    """
    if dataset.kind == "msd":
        return feature_clips
    if dataset.root is None:
        return None
    clips = ShardClips(dataset.root)
    if clips.sample_rate != sample_rate:
        raise InvalidValueError(
            f"the shards hold clips at {clips.sample_rate} Hz and the network takes {sample_rate} "
            "Hz; write them at that rate"
        )
    index = {track.path: number for number, track in enumerate(clips.tracks)}
    return lambda tracks: iter([clips[index[track.path]] for track in tracks])


@dataclass(slots=True)
class Reader:
    """Reads clips one after another and keeps a list of those that could not be read.

    Attributes
    ----------
    tracks : sequence of Track
    sample_rate : int
    strict : bool
        Stop at the first clip that cannot be read.
    skipped : list of (str, str)
        Name of the file and reason, filled while reading.
    read : callable or None
        Reads tracks of a collection of features; None reads sounds.
    """

    tracks: Sequence[Track]
    sample_rate: int
    strict: bool
    skipped: list[tuple[str, str]]
    read: Callable[[Sequence[Track]], Iterator[Clip]] | None = None

    def __iter__(self) -> Iterator[Clip]:
        """Yield the clips that can be read.

        Raises
        ------
        AudioFileError
            If ``strict`` and one cannot.
        """
        for track in self.tracks:
            try:
                (clip,) = self.read([track]) if self.read else read_clips([track], self.sample_rate)
            except AudioFileError as error:
                if self.strict:
                    raise
                self.skipped.append((track.path.name, str(error)))
                continue
            yield clip
