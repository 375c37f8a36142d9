"""How units tell the labels of a collection apart; ranks and tests are those of the atlas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from auralise.claims.stages import is_dead
from auralise.claims.statistics import Array


def label_share(responses: Tensor, labels: Sequence[str]) -> Array:
    """Return the share of each live unit's variance that lies between labels.

    Less what chance gives (as adjusted R squared), so that it is about 0 for a unit that does not
    mind the label, and may be below.

    Parameters
    ----------
    responses : Tensor, shape (sounds, units)
    labels : sequence of str

    Returns
    -------
    array, shape (live units,)

    Examples
    --------
    >>> answers = torch.tensor([[0.0], [0.0], [1.0], [1.0]], dtype=torch.float64)
    >>> label_share(answers, ["a", "a", "b", "b"]).tolist()
    [1.0]
    """
    live = responses[:, ~is_dead(responses)].double()
    names = sorted(set(labels))
    which = torch.tensor([names.index(label) for label in labels])
    inside = torch.zeros_like(live)
    for i in range(len(names)):
        inside[which == i] = live[which == i].mean(0)
    rest = (live - inside).square().sum(0) / max(1, len(live) - len(names))
    total = live.var(0, correction=1)
    return (1 - rest / total).numpy()


def grouped_means(
    responses: Tensor, labels: Sequence[str], groups: Sequence[str]
) -> tuple[Array, list[str]]:
    """Return the mean answer to the clips of each group with one label, and those labels."""
    keys = sorted(set(zip(labels, groups, strict=True)))
    rows = {key: [] for key in keys}  # type: dict[tuple[str, str], list[int]]
    for i, key in enumerate(zip(labels, groups, strict=True)):
        rows[key].append(i)
    values = np.stack([responses[rows[key]].double().mean(0).numpy() for key in keys])
    return values, [label for label, _ in keys]


def exclusivity(values: Array, labels: Sequence[str]) -> Array:
    """Return how well each unit sets one label apart from every other one.

    For each label, the smallest of the probabilities that a sound with it raises the unit more than
    a sound with another label, over those other labels; then the largest over labels. 1 means that
    some label alone makes the unit fire more than anything else does.

    Parameters
    ----------
    values : array, shape (groups, units)
    labels : sequence of str
        Of the groups.

    Returns
    -------
    array, shape (units, labels), in the order of the sorted labels
    """
    names = sorted(set(labels))
    which = np.array([names.index(label) for label in labels])
    parts = [values[which == i] for i in range(len(names))]
    found = np.ones((values.shape[1], len(names)))
    for i, own in enumerate(parts):
        for j, other in enumerate(parts):
            if i != j:
                found[:, i] = np.minimum(found[:, i], _wins(own, other))
    return found


def _wins(own: Array, other: Array) -> Array:
    """Return the share of pairs in which the first is larger, ties counted half, (units,)."""
    larger = (own[:, None] > other[None]).mean((0, 1))
    equal = (own[:, None] == other[None]).mean((0, 1))
    return np.asarray(larger + 0.5 * equal)
