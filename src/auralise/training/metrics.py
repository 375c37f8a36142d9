"""How good answers are, for many weightings of the clips at once.

A bootstrap sample of clips is a weighting of them by whole numbers. Each measure here takes many
weightings at once, so that the value that is printed (all weights 1) and its interval come from one
function.

Axes: truth and answers are (clips,) or (clips, tags); weights are (draws, clips).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auralise.errors import InvalidValueError, ShapeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Measure = Callable[[Floats], Floats]
"""From weights, shape (draws, clips), to values, shape (draws,)."""

_AT_ONCE = 2_000_000
"""Weights held in memory at a time."""


@dataclass(frozen=True, slots=True)
class Score:
    """A value with its interval.

    Attributes
    ----------
    value : float
    interval : pair of float
        95 % bootstrap interval, by percentiles.
    """

    value: float
    interval: tuple[float, float]


def score(measure: Measure, units: Sequence[str], *, draws: int = 2000, seed: int = 0) -> Score:
    """Measure, with a 95 % bootstrap interval over units.

    Parameters
    ----------
    measure : callable
        From weights, shape (draws, clips), to values, shape (draws,). NaN where a sample has no
        value, such as one without any positive; those are left out of the interval.
    units : sequence of str
        Of each clip: what is drawn together, such as its group or artist.
    draws : int
    seed : int

    Returns
    -------
    Score
    """
    value = float(measure(np.ones((1, len(units))))[0])
    step = max(1, _AT_ONCE // len(units))
    weights = bootstrap_weights(units, draws=draws, seed=seed)
    parts = [weights[i : i + step].astype(np.float64) for i in range(0, draws, step)]
    values = np.concatenate([measure(part) for part in parts])
    known = values[~np.isnan(values)]
    if not known.size:
        return Score(value, (float("nan"), float("nan")))
    low, high = np.quantile(known, [0.025, 0.975])
    return Score(value, (float(low), float(high)))


def bootstrap_weights(units: Sequence[str], *, draws: int, seed: int) -> NDArray[np.int32]:
    """Draw units with replacement, as many as there are, and say how often each clip is drawn.

    Returns
    -------
    array of int, shape (draws, clips)
    """
    if not units:
        raise InvalidValueError("there is no clip to draw from")
    _, first, of_clip = np.unique(list(units), return_index=True, return_inverse=True)
    n_units = len(first)
    drawn = np.random.default_rng(seed).integers(0, n_units, (draws, n_units))
    counts = np.zeros((draws, n_units), dtype=np.int32)
    np.add.at(counts, (np.arange(draws)[:, None], drawn), 1)
    order = np.argsort(np.argsort(first))  # units in the order in which the clips bring them
    return counts[:, order[of_clip]]


def accuracy(right: Bools) -> Measure:
    """Share of clips answered rightly, shape (clips,)."""
    hits = right.astype(np.float64)
    return lambda weights: weights @ hits / weights.sum(1)


def segment_accuracy(right: Bools, clip: Ints) -> Measure:
    """Share of segments answered rightly; ``clip`` says which clip each is of."""
    hits, sizes = np.bincount(clip, right), np.bincount(clip)
    return lambda weights: weights @ hits / (weights @ sizes)


def macro_f1(truth: Ints, answers: Ints, n_labels: int) -> Measure:
    """Mean F1 over the labels that occur in truth or answers; the others have none."""
    return lambda weights: _mean_known(f1(truth, answers, n_labels, weights))


def f1(truth: Ints, answers: Ints, n_labels: int, weights: Floats) -> Floats:
    """Return F1 per label: 2 hits over (clips of it + answers of it); NaN where there is neither.

    Returns
    -------
    array, shape (draws, labels)
    """
    one = np.eye(n_labels)
    hits = weights @ (one[truth] * one[answers])
    both = weights @ (one[truth] + one[answers])
    return _ratio(2 * hits, both)


def macro_roc_auc(truth: Bools, shares: Floats) -> Measure:
    """Mean area under the ROC curve over tags that have positives and negatives."""
    return lambda weights: _mean_known(
        np.stack([roc_auc(*pair, weights) for pair in zip(truth.T, shares.T, strict=True)], 1)
    )


def macro_pr_auc(truth: Bools, shares: Floats) -> Measure:
    """Mean average precision over tags that have positives."""
    return lambda weights: _mean_known(
        np.stack(
            [average_precision(*pair, weights) for pair in zip(truth.T, shares.T, strict=True)], 1
        )
    )


def roc_auc(truth: Bools, shares: Floats, weights: Floats) -> Floats:
    """Return the chance that a positive stands above a negative, ties counting half.

    Parameters
    ----------
    truth : array of bool, shape (clips,)
    shares : array, shape (clips,)
        Larger for what is more probable.
    weights : array, shape (draws, clips)

    Returns
    -------
    array, shape (draws,)
        NaN where a draw has no positive or no negative.
    """
    positive, negative = _ranked(truth, shares, weights)
    below = negative[:, ::-1].cumsum(1)[:, ::-1] - negative  # negatives at lower shares
    won = (positive * (below + negative / 2)).sum(1)
    pairs = positive.sum(1) * negative.sum(1)
    return _ratio(won, pairs)


def average_precision(truth: Bools, shares: Floats, weights: Floats) -> Floats:
    """Return the mean precision at each positive, from the most probable down (area under PR).

    Parameters and return value are those of `roc_auc`; NaN where a draw has no positive.
    """
    positive, negative = _ranked(truth, shares, weights)
    found = positive.cumsum(1)
    seen = found + negative.cumsum(1)
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    total = positive.sum(1)
    area = (precision * positive).sum(1)
    return _ratio(area, total)


def _ranked(truth: Bools, shares: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return weights of positives and negatives at each different share, the highest first."""
    order = np.argsort(-shares, kind="stable")
    starts = np.flatnonzero(np.diff(shares[order], prepend=np.inf))
    ordered = weights[:, order]
    marks = truth[order]
    return (
        np.add.reduceat(ordered * marks, starts, axis=1),
        np.add.reduceat(ordered * ~marks, starts, axis=1),
    )


def _mean_known(values: Floats) -> Floats:
    """Return the mean of each row's known values; NaN where none is."""
    known = ~np.isnan(values)
    count = known.sum(1)
    total = np.where(known, values, 0.0).sum(1)
    return _ratio(total, count)


def _ratio(part: Floats | Ints, whole: Floats | Ints) -> Floats:
    """Divide; NaN where the whole is nothing."""
    shape = np.shape(part)
    out: Floats = np.divide(part, whole, out=np.full(shape, np.nan), where=np.asarray(whole) > 0)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How often answers of a certain confidence are right.

    Attributes
    ----------
    edges : array, shape (bins + 1,)
        Equal steps from 0 to 1.
    confidence, accuracy : array, shape (bins,)
        Means in each bin; NaN where it is empty.
    counts : array of int, shape (bins,)
    """

    edges: Floats
    confidence: Floats
    accuracy: Floats
    counts: Ints

    @property
    def error(self) -> float:
        """Mean distance of the two, each bin by what it holds (expected calibration error)."""
        filled = self.counts > 0
        gaps = np.abs(self.confidence[filled] - self.accuracy[filled])
        return float((gaps * self.counts[filled]).sum() / self.counts.sum())


def calibration(confidence: Floats, right: Bools, bins: int = 15) -> Calibration:
    """Sort answers by their confidence into equal bins (Guo et al. 2017).

    Parameters
    ----------
    confidence : array, shape (answers,)
        In [0, 1]: the largest probability; or each tag's.
    right : array of bool, shape (answers,)
        Whether the label is the clip's; whether the clip has the tag.
    bins : int

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks",
       Proc. ICML, 2017.
    """
    place, counts = _binned(confidence, right, bins)
    sums = [np.bincount(place, values, bins) for values in (confidence, right)]
    means = [_ratio(total, counts) for total in sums]
    return Calibration(np.linspace(0, 1, bins + 1), means[0], means[1], counts)


def calibration_error(confidence: Floats, right: Bools, clip: Ints, bins: int = 15) -> Measure:
    """Measure the expected calibration error; ``clip`` says which clip each answer is of."""
    place, _ = _binned(confidence, right, bins)
    gaps = (confidence - right)[:, None] * np.eye(bins)[place]
    per_clip = np.zeros((int(clip.max()) + 1, bins))
    np.add.at(per_clip, clip, gaps)
    sizes = np.bincount(clip)
    return lambda weights: np.abs(weights @ per_clip).sum(1) / (weights @ sizes)


def _binned(confidence: Floats, right: Bools, bins: int) -> tuple[Ints, Ints]:
    """Return the bin of each answer, (low, high], and how many are in each."""
    if confidence.shape != right.shape or confidence.ndim != 1:
        raise ShapeError(
            f"confidence and right must have one value an answer, got {confidence.shape} "
            f"and {right.shape}"
        )
    if confidence.size and not (confidence.min() >= 0 and confidence.max() <= 1):
        raise InvalidValueError(
            f"confidence must be in [0, 1], got {confidence.min():g} to {confidence.max():g}"
        )
    place = np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), confidence) - 1, 0, bins - 1)
    return place, np.bincount(place, minlength=bins)
