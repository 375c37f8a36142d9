"""Dividing a collection so that near-duplicates, and artists where known, stay on one side."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auralise.datasets.assignment import assign, deal
from auralise.datasets.base import Dataset, EmptyLabelWarning, Track
from auralise.errors import InvalidValueError, UnknownNameError

PARTS = ("train", "valid", "test")
WAYS = ("auto", "given", "artist", "group", "stratified", "random")
SHARES = (0.6, 0.2, 0.2)


class LeakySplitWarning(UserWarning):
    """Artists or recordings may stand on both sides of a split: scores will be too high."""


@dataclass(frozen=True, slots=True)
class Split:
    """A collection in three parts.

    Attributes
    ----------
    train, valid, test : tuple of Track
    how : str
        The way it was divided, one of `WAYS` but "auto".
    leaky : bool
        Whether artists or recordings are, or may be, in two of the parts. To be said beside
        every result.
    """

    train: tuple[Track, ...]
    valid: tuple[Track, ...]
    test: tuple[Track, ...]
    how: str = "group"
    leaky: bool = False


def split(
    dataset: Dataset,
    *,
    how: str = "auto",
    seed: int = 0,
    fold: int | None = None,
    folds: int | None = None,
) -> Split:
    """Divide a collection into training, validation and test part.

    Without folds the parts are about 60, 20 and 20 % of it. With them, fold ``fold`` is the test
    part, the next one the validation part and the rest the training part, so that each track is
    tested once.

    Parameters
    ----------
    dataset : Dataset
    how : str
        "given" takes the parts that the collection's makers, or a manifest, have named; tracks
        without one are left out, and where no validation part is named, groups of a fifth of the
        training part's tracks are taken for it. "artist" and "group" keep all tracks of one on one
        side. "stratified" gives each part all labels in the same shares, "random" not even that;
        neither looks at artists. "auto" is the first of "given", "artist" and "group" that can be.
    seed : int
        Of what is random.
    fold, folds : int, optional
        Both or none; ``folds`` at least 3, ``fold`` counted from 0.

    Returns
    -------
    Split

    Raises
    ------
    UnknownNameError
        If there is no such way.
    InvalidValueError
        If folds are not of that form, artists or parts are not known, or a label is too rare to
        be in each part; of tags, and of a random split, in the training part.

    Warns
    -----
    LeakySplitWarning
        If artists or recordings may be in two parts of a split that was not given.
    EmptyLabelWarning
        If a given training part, as of an incomplete copy, has no clips of a label.
    """
    if how not in WAYS:
        raise UnknownNameError("way to split", how, WAYS)
    _check_folds(fold, folds)
    how = _first_possible(dataset) if how == "auto" else how
    if how == "given":
        if folds is not None:
            raise InvalidValueError("the given parts are no folds; take how='artist' or 'group'")
        parts = _given(dataset, seed)
    else:
        parts = _divided(dataset, how, seed, fold, folds)
    _check_parts(dataset, parts, how)
    leaky = crosses(parts) or (how != "given" and not _known(dataset, how))
    if leaky and how != "given":
        warnings.warn(
            f"{dataset.name}: artists or recordings may be both in the training and in the test "
            f"part of this split ({how}; {dataset.grouping}); scores on it will be too high",
            LeakySplitWarning,
            stacklevel=2,
        )
    train, valid, test = (tuple(part) for part in parts)
    return Split(train, valid, test, how, leaky)


def crosses(parts: Sequence[Sequence[Track]]) -> bool:
    """Say whether an artist or a group is in two parts; artists that are not known do not count."""
    for names in (
        [{track.artist for track in part if track.artist} for part in parts],
        [{track.group for track in part} for part in parts],
    ):
        if len(set().union(*names)) < sum(len(part) for part in names):
            return True
    return False


def split_by_group(dataset: Dataset, *, shares: Sequence[float] = SHARES, seed: int = 0) -> Split:
    """Divide each label's groups at random into training, validation and test part.

    Parameters
    ----------
    dataset : Dataset
        Where each group has one label.
    shares : sequence of three floats
        Of the groups of each label; they sum to 1.
    seed : int
        Of the random order.

    Raises
    ------
    InvalidValueError
        If the shares do not sum to 1, or a label has fewer than three groups.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise InvalidValueError(f"shares must be three positive numbers summing to 1, got {shares}")
    random = np.random.default_rng(seed)
    parts: tuple[list[Track], ...] = ([], [], [])
    for label in dataset.labels:
        groups: dict[str, list[Track]] = defaultdict(list)
        for track in dataset.tracks:
            if track.label == label:
                groups[track.group].append(track)
        if len(groups) < 3:
            raise InvalidValueError(
                f"label {label!r} has {len(groups)} groups ({dataset.grouping}); a split into "
                "training, validation and test part needs at least 3"
            )
        order = [sorted(groups)[i] for i in random.permutation(len(groups))]
        first = min(max(1, round(shares[0] * len(order))), len(order) - 2)
        second = min(max(first + 1, round((shares[0] + shares[1]) * len(order))), len(order) - 1)
        for part, names in zip(
            parts, (order[:first], order[first:second], order[second:]), strict=True
        ):
            part.extend(track for name in names for track in groups[name])
    train, valid, test = (tuple(part) for part in parts)
    return Split(train, valid, test)


def _check_folds(fold: int | None, folds: int | None) -> None:
    if (fold is None) != (folds is None):
        raise InvalidValueError(f"give both fold and folds, or none; got {fold} and {folds}")
    if folds is not None and fold is not None and not (folds >= 3 and 0 <= fold < folds):
        raise InvalidValueError(
            f"folds must be at least 3 and fold from 0 to folds - 1, got fold {fold} of {folds}"
        )


def _first_possible(dataset: Dataset) -> str:
    given = {track.part for track in dataset.tracks}
    if {"train", "test"} <= given:
        return "given"
    return "artist" if all(track.artist for track in dataset.tracks) else "group"


def _known(dataset: Dataset, how: str) -> bool:
    """Whether it is known what belongs together: artists for some ways, at least groups."""
    if all(track.artist for track in dataset.tracks):
        return True
    groups = {track.group for track in dataset.tracks}
    return how == "group" and len(groups) < len(dataset.tracks)


def _given(dataset: Dataset, seed: int) -> list[list[Track]]:
    strange = {track.part for track in dataset.tracks} - {*PARTS, ""}
    if strange:
        raise InvalidValueError(
            f"{dataset.name} names a part {min(strange)!r}; parts are {', '.join(PARTS)}"
        )
    parts = [[track for track in dataset.tracks if track.part == name] for name in PARTS]
    if not parts[0] or not parts[2]:
        raise InvalidValueError(
            f"{dataset.name} names no training part or no test part ({len(parts[0])} and "
            f"{len(parts[2])} tracks); divide it with how='artist' or 'group'"
        )
    if not parts[1]:
        keys = [track.artist or track.group for track in parts[0]]
        found = assign(parts[0], keys, (0.8, 0.2), seed)
        parts[0], parts[1] = found
    return parts


def _divided(
    dataset: Dataset, how: str, seed: int, fold: int | None, folds: int | None
) -> list[list[Track]]:
    tracks = dataset.tracks
    if how == "group" and folds is None and not dataset.multilabel and _one_label_a_group(tracks):
        found = split_by_group(dataset, seed=seed)
        return [list(found.train), list(found.valid), list(found.test)]
    shares = SHARES if folds is None else (1 / folds,) * folds
    if how == "random":
        pieces = deal(tracks, shares, seed)
    else:
        pieces = assign(tracks, _keys(dataset, how), shares, seed)
    if fold is None or folds is None:
        return pieces
    after = (fold + 1) % folds
    rest = [t for i, piece in enumerate(pieces) if i not in (fold, after) for t in piece]
    return [rest, pieces[after], pieces[fold]]


def _one_label_a_group(tracks: Sequence[Track]) -> bool:
    return len({(t.group, t.label) for t in tracks}) == len({t.group for t in tracks})


def _keys(dataset: Dataset, how: str) -> list[str]:
    """Return for each track what must stay together."""
    if how == "stratified":
        return [str(number) for number in range(len(dataset.tracks))]
    if how == "group":
        return [track.group for track in dataset.tracks]
    unknown = sum(not track.artist for track in dataset.tracks)
    if unknown:
        raise InvalidValueError(
            f"of {unknown} of the {len(dataset.tracks)} tracks of {dataset.name} the artist is not "
            "known; name them in a manifest, or divide by group"
        )
    return [track.artist for track in dataset.tracks]


def _check_parts(dataset: Dataset, parts: Sequence[Sequence[Track]], how: str) -> None:
    for name, part in zip(PARTS, parts, strict=True):
        there = {tag for track in part for tag in (track.tags or (track.label,))}
        missing = [label for label in dataset.labels if label not in there]
        if not part or (missing and _must_have_all(dataset, name, how)):
            label = missing[0]
            clips = sum(label in (t.tags or (t.label,)) for t in dataset.tracks)
            raise InvalidValueError(
                f"label {label!r} has no clips in the {name} part of {dataset.name} ({how}), "
                f"and {clips} in all; each label needs clips in each part, from different "
                "artists or groups where those stay together. Add some, or leave the label out"
            )
        if missing and how == "given" and name == "train":
            warnings.warn(
                f"{dataset.name}: {', '.join(missing)} have no clips in the given training part; "
                "a network cannot learn them",
                EmptyLabelWarning,
                stacklevel=3,
            )


def _must_have_all(dataset: Dataset, name: str, how: str) -> bool:
    """Whether a part may lack no label; given parts are taken as they are."""
    if how == "given":
        return False
    return name == "train" or (how != "random" and not dataset.multilabel)
