"""Handing out tracks to parts of asked sizes, with labels in equal shares."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from auralise.datasets.base import Track


def assign(
    tracks: Sequence[Track], keys: Sequence[str], shares: Sequence[float], seed: int
) -> list[list[Track]]:
    """Divide tracks so that those with one key stay together and each label is shared out alike.

    The keys are taken in order of falling size, at random among equals, and each goes to the part
    that lacks the largest share of its labels; a rare label counts as much as a frequent one.

    Parameters
    ----------
    tracks : sequence of Track
        With a label, or any number of tags.
    keys : sequence of str
        One for each track.
    shares : sequence of float
        Of the parts; they sum to 1.
    seed : int
        Of the order among equals.

    Returns
    -------
    list of lists of Track
        One for each share; each in the tracks' order.
    """
    counts = _label_counts(tracks, keys)
    names = sorted(counts)
    order = np.random.default_rng(seed).permutation(len(names))
    total = np.sum([counts[name] for name in names], axis=0)
    lack = np.outer(shares, total).astype(np.float64)
    part_of: dict[str, int] = {}
    for name in sorted((names[i] for i in order), key=lambda name: -counts[name].sum()):
        weight = counts[name] / np.maximum(total, 1)
        part = int((lack @ weight / shares).argmax())
        lack[part] -= counts[name]
        part_of[name] = part
    parts: list[list[Track]] = [[] for _ in shares]
    for track, key in zip(tracks, keys, strict=True):
        parts[part_of[key]].append(track)
    return parts


def _label_counts(tracks: Sequence[Track], keys: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    labels = sorted({label for track in tracks for label in (track.tags or (track.label,))})
    number = {label: i for i, label in enumerate(labels)}
    counts: dict[str, NDArray[np.int64]] = defaultdict(lambda: np.zeros(len(labels), np.int64))
    for track, key in zip(tracks, keys, strict=True):
        for label in set(track.tags or (track.label,)):
            counts[key][number[label]] += 1
    return dict(counts)


def deal(tracks: Sequence[Track], shares: Sequence[float], seed: int) -> list[list[Track]]:
    """Divide tracks at random, whatever their labels.

    Returns
    -------
    list of lists of Track
        One for each share, which sum to 1; each in the tracks' order.
    """
    edges = np.rint(np.cumsum(shares) * len(tracks)).astype(int)
    place = np.random.default_rng(seed).permutation(len(tracks))
    part = np.minimum(np.searchsorted(edges, place, side="right"), len(shares) - 1)
    return [[t for t, p in zip(tracks, part, strict=True) if p == i] for i in range(len(shares))]
