"""Dividing a collection so that near-duplicates stay on one side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auralise.datasets.base import Dataset, Track
from auralise.errors import InvalidValueError


@dataclass(frozen=True, slots=True)
class Split:
    """A collection in three parts; no group is in two of them.

    Attributes
    ----------
    train, valid, test : tuple of Track
    """

    train: tuple[Track, ...]
    valid: tuple[Track, ...]
    test: tuple[Track, ...]


def split_by_group(
    dataset: Dataset, *, shares: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> Split:
    """Divide each label's groups at random into training, validation and test part.

    Parameters
    ----------
    dataset : Dataset
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
    return Split(*(tuple(part) for part in parts))
