"""Ranks, what is correlated by rank, and how many findings of many are to be believed."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit

Floats = NDArray[np.float64]


def benjamini_hochberg(p: NDArray[np.floating]) -> Floats:
    """Return the false discovery rate at which each finding is just accepted.

    Parameters
    ----------
    p : ndarray, any shape
        p-values; NaN where there was no test.

    Returns
    -------
    ndarray, same shape
        q-values; NaN stays NaN and does not count as a test.

    References
    ----------
    .. [1] Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate: a practical and
       powerful approach to multiple testing", J. R. Statist. Soc. B 57(1), 1995.

    Examples
    --------
    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    flat = np.asarray(p, np.float64).reshape(-1)
    q = np.full(len(flat), np.nan)
    tested = np.flatnonzero(np.isfinite(flat))
    order = tested[np.argsort(flat[tested], kind="stable")]
    scaled = flat[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q.reshape(np.shape(p))


def ranks(values: Floats) -> Floats:
    """Return the ranks within each column, from 1; equal values share the mean of theirs.

    Examples
    --------
    >>> ranks(np.array([[3.0], [1.0], [3.0]]))[:, 0].tolist()
    [2.5, 1.0, 2.5]
    """
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    number = np.arange(len(values))[:, None]
    new = np.ones(values.shape, bool)
    new[1:] = ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(new, number, 0), axis=0)
    ends = np.ones(values.shape, bool)
    ends[:-1] = new[1:]
    last = np.minimum.accumulate(np.where(ends, number, len(values))[::-1], axis=0)[::-1]
    found = np.empty(values.shape)
    np.put_along_axis(found, order, (first + last) / 2 + 1, axis=0)
    return found


def spearman(peaks: Floats, described: Floats, independent: int) -> tuple[Floats, Floats]:
    """Correlate one unit's peaks with descriptors by rank.

    Parameters
    ----------
    peaks : ndarray, shape (clips,)
    described : ndarray, shape (clips, descriptors)
        NaN where a descriptor has no answer; that clip is left out for that descriptor.
    independent : int
        How many of the clips count as independent; p-values are for that many.

    Returns
    -------
    rho, p : ndarray, shape (descriptors,)
        Spearman's correlation and its two-sided p-value by the t distribution; NaN where there are
        fewer than 10 clips, or either side is constant.
    """
    there = np.isfinite(described)
    rho = np.full(described.shape[1], np.nan)
    p = rho.copy()
    kinds: dict[bytes, list[int]] = {}
    for column, packed in enumerate(np.packbits(there, axis=0).T):
        kinds.setdefault(packed.tobytes(), []).append(column)
    for columns in kinds.values():
        kept = there[:, columns[0]]
        if kept.sum() < 10:
            continue
        x = ranks(peaks[kept][:, None])
        y = ranks(described[kept][:, columns])
        x, y = x - x.mean(), y - y.mean(0)
        scale = np.sqrt((x * x).sum() * (y * y).sum(0))
        found = np.divide((x * y).sum(0), scale, out=np.full(len(columns), np.nan), where=scale > 0)
        share = kept.mean()
        freedom = max(round(independent * share), 3) - 2
        with np.errstate(divide="ignore"):
            t = np.abs(found) * np.sqrt(freedom / np.maximum(1 - found**2, 1e-300))
        rho[columns], p[columns] = found, 2 * stdtr(freedom, -t)
    return rho, p


@dataclass(frozen=True, slots=True, eq=False)
class Selectivity:
    """How units tell labels apart.

    All have shape (units, labels).

    Attributes
    ----------
    auc : ndarray
        Probability that a group with the label has a higher peak than one without, ties counted
        half: 1 if the unit fires for this label only, 0.5 if the label does not matter.
    p : ndarray
        Two-sided, of the Mann-Whitney test with correction for ties; NaN if there are not both
        groups with the label and groups without.
    mean, low, high : ndarray
        Mean of the groups with the label, and its 95 % interval by the t distribution; NaN where
        there are fewer than two.
    """

    auc: Floats
    p: Floats
    mean: Floats
    low: Floats
    high: Floats


_TOGETHER = 16  # units that are ranked at once


def selectivity(values: Floats, members: NDArray[np.bool_]) -> Selectivity:
    """Compare groups with a label and groups without, for all units and labels at once.

    Parameters
    ----------
    values : ndarray, shape (groups, units)
    members : ndarray, shape (groups, labels)
        Which group has which label.

    References
    ----------
    .. [1] H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is
       stochastically larger than the other", Ann. Math. Statist. 18(1), 1947.
    """
    units = values.shape[1]
    if units > _TOGETHER:  # ranking takes many times the memory of what is ranked
        parts = [
            selectivity(values[:, start : start + _TOGETHER], members)
            for start in range(0, units, _TOGETHER)
        ]
        return Selectivity(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(Selectivity)
            )
        )
    groups = len(values)
    ranked = ranks(values)
    inside = members.astype(np.float64)
    n = inside.sum(0)[None, :]
    m = groups - n
    with np.errstate(divide="ignore", invalid="ignore"):
        u = ranked.T @ inside - n * (n + 1) / 2
        auc = u / (n * m)
        ties = _ties(values)[:, None]
        variance = n * m / 12 * (groups + 1 - ties / (groups * (groups - 1)))
        z = (np.abs(u - n * m / 2) - 0.5).clip(min=0) / np.sqrt(variance)
        p = np.where((n > 0) & (m > 0) & (variance > 0), 2 * ndtr(-z), np.nan)
        mean = values.T @ inside / n
        spread = (values**2).T @ inside - n * mean**2
        error = np.sqrt(spread.clip(min=0) / (n - 1) / n)
        reach = stdtrit(np.maximum(n - 1, 1), 0.975) * error
    reach = np.where(n > 1, reach, np.nan)
    return Selectivity(auc, np.minimum(p, 1), mean, mean - reach, mean + reach)


def _ties(values: Floats) -> Floats:
    """Return the sum of t**3 - t over runs of t equal values, for each column."""
    sums = np.zeros(values.shape[1])
    for column, ordered in enumerate(np.sort(values, axis=0).T):
        edges = np.flatnonzero(np.diff(ordered)) + 1
        runs = np.diff(np.concatenate([[0], edges, [len(ordered)]])).astype(np.float64)
        sums[column] = (runs**3 - runs).sum()
    return sums
