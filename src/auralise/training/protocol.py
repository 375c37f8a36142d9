"""Which clips a network is tested on, and whether it has met them before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auralise.datasets.base import Dataset, Track
from auralise.datasets.clips import Clip, read_clips
from auralise.datasets.splits import split_by_group
from auralise.errors import AudioFileError, InvalidValueError
from auralise.models.base import ModelCard

PARTS = ("test", "valid", "train", "all")


@dataclass(frozen=True, slots=True)
class Protocol:
    """The clips of an evaluation, and how they were chosen.

    Attributes
    ----------
    dataset : Dataset
    part : str
        In `PARTS`.
    seed : int
        Of the split.
    tracks : tuple of Track
    """

    dataset: Dataset
    part: str
    seed: int
    tracks: tuple[Track, ...]

    def describe(self) -> str:
        """Return the protocol in a sentence."""
        if self.part == "all":
            return f"{len(self.tracks)} clips, all of {self.dataset.name}."
        which = {"test": "test", "valid": "validation", "train": "training"}[self.part]
        return (
            f"{len(self.tracks)} clips, the {which} part of {self.dataset.name}, split by "
            f"{self.dataset.grouping} with seed {self.seed}: no group is in two parts."
        )

    def plain(self, overlap: float, skipped: Sequence[tuple[str, str]]) -> dict[str, Any]:
        """Return the protocol as plain values, with the overlap of segments and unread files."""
        return {
            "collection": self.dataset.name,
            "kind": self.dataset.kind,
            "part": self.part,
            "seed": self.seed,
            "grouping": self.dataset.grouping,
            "sentence": self.describe(),
            "overlap": overlap,
            "skipped": [list(pair) for pair in skipped],
        }


def choose_clips(dataset: Dataset, part: str, seed: int) -> Protocol:
    """Return the clips of one part of the split that training with this seed makes.

    Raises
    ------
    InvalidValueError
        If there is no such part, or the collection cannot be split.
    """
    if part not in PARTS:
        raise InvalidValueError(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    if part == "all":
        return Protocol(dataset, part, seed, dataset.tracks)
    return Protocol(dataset, part, seed, getattr(split_by_group(dataset, seed=seed), part))


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
        Of the network in its manifest; the split is made again from the seed there.
    protocol : Protocol

    Returns
    -------
    int or None
        None where it cannot be said: the network was trained on another collection, or its
        manifest does not say with which seed.
    """
    dataset, seed = protocol.dataset, entry.get("training", {}).get("seed")
    if seed is None or not str(entry.get("trained_on", "")).startswith(f"{dataset.name}: "):
        return None
    if not _split_as_now(entry):
        return None
    split = split_by_group(dataset, seed=seed)
    met = {track.path for track in (*split.train, *split.valid)}
    return sum(track.path in met for track in protocol.tracks)


def _split_as_now(entry: Mapping[str, Any]) -> bool:
    """Say whether a manifest's split is the one by groups; older manifests know no other."""
    return str(entry.get("split", {}).get("how", "group")) in ("group", "auto")


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
    """

    tracks: Sequence[Track]
    sample_rate: int
    strict: bool
    skipped: list[tuple[str, str]]

    def __iter__(self) -> Iterator[Clip]:
        """Yield the clips that can be read.

        Raises
        ------
        AudioFileError
            If ``strict`` and one cannot.
        """
        for track in self.tracks:
            try:
                (clip,) = read_clips([track], self.sample_rate)
            except AudioFileError as error:
                if self.strict:
                    raise
                self.skipped.append((track.path.name, str(error)))
                continue
            yield clip
