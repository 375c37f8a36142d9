"""How sure a number of a claim is: bootstrap, untrained twins, and many claims at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from auralise.errors import InvalidValueError
from auralise.filters.resampling import Interval

Array = NDArray[np.float64]
DRAWS = 1000


def mean_interval(values: Array, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Return the mean of numbers with its 95 % bootstrap interval.

    Parameters
    ----------
    values : array, shape (n,)
        Finite.
    draws, seed : int
        Of the bootstrap.

    Raises
    ------
    InvalidValueError
        If there are none.

    Examples
    --------
    >>> mean_interval(np.full(5, 2.0))
    Interval(value=2.0, low=2.0, high=2.0)
    """
    return bootstrap([values], lambda parts: parts[0].mean(-1), draws=draws, seed=seed)


def bootstrap(
    groups: Sequence[Array],
    statistic: Callable[[list[Array]], Array],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """Return a statistic of groups with its 95 % bootstrap interval, each drawn by itself.

    Parameters
    ----------
    groups : sequence of array, shape (n,)
    statistic : callable
        From the groups, with any axes before the last, to numbers over those axes.
    draws, seed : int

    Raises
    ------
    InvalidValueError
        If a group is empty.
    """
    if not groups or any(not len(group) for group in groups):
        raise InvalidValueError("there is nothing to draw from: a group is empty")
    random = np.random.default_rng(seed)
    drawn = [group[random.integers(len(group), size=(draws, len(group)))] for group in groups]
    value = float(statistic([group[None] for group in groups])[0])
    low, high = np.nanquantile(statistic(drawn), [0.025, 0.975])
    return Interval(value, float(low), float(high))


def share_interval(hits: int, total: int) -> Interval:
    """Return a share with Wilson's interval; see `auralise.filters.orientation.wilson`."""
    from auralise.filters.orientation import wilson

    return wilson(hits, total)


def twin_p(
    value: float,
    twins: Sequence[float],
    side: Literal["above", "below"],
    *,
    ratios: bool = False,
) -> float:
    r"""Return how often an untrained twin would be as far on the claimed side.

    Twins differ in the seed of their initialisation, as independent draws. For a new draw,
    :math:`(x - m) / (s \sqrt{1 + 1 / k})` has Student's distribution with :math:`k - 1` degrees of
    freedom, where :math:`m` and :math:`s` are mean and standard deviation of :math:`k` twins; the
    p-value is one-sided. The only assumption is that twins (or the
    logarithms of ratios) are normally distributed.

    Parameters
    ----------
    value : float
        Of the network.
    twins : sequence of float
        At least two.
    side : {"above", "below"}
    ratios : bool
        Whether the numbers are ratios from 0 on, whose logarithms are compared; nothing below a
        millionth counts.

    Raises
    ------
    InvalidValueError
        If there are fewer than two twins.

    Examples
    --------
    >>> round(twin_p(3.0, [0.0, 1.0, -1.0], "above"), 3)
    0.061
    """
    if len(twins) < 2:
        raise InvalidValueError(f"at least two twins are needed, got {len(twins)}")
    if ratios:
        value, *twins = (math.log(max(number, 1e-6)) for number in (value, *twins))
    k = len(twins)
    spread = float(np.std(twins, ddof=1)) * math.sqrt(1 + 1 / k)
    distance = value - float(np.mean(twins))
    distance = distance if side == "above" else -distance
    if spread <= 1e-12 * max(1.0, abs(value)):
        # Twins that all say the same leave no spread to measure by: ranks are what is left.
        return 1 / (k + 1) if distance > 1e-9 * max(1.0, abs(value)) else 1.0
    return float(stats.t.sf(distance / spread, k - 1))


def shuffle_p(value: float, shuffled: Sequence[float]) -> float:
    """Return the share of shuffles that are as large, the network's own order counted as one.

    Examples
    --------
    >>> shuffle_p(2.0, [0.0, 1.0, 3.0])
    0.5
    """
    return (1 + sum(other >= value for other in shuffled)) / (1 + len(shuffled))


def holm(values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of any wrong one stays below the level.

    By Holm's step-down method [1]_.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
       of Statistics 6, 1979.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = least
    return adjusted


def false_discoveries(values: Array) -> Array:
    """Adjust p-values so that the share of wrong ones among those taken stays below the level.

    By Benjamini and Hochberg, as scipy has it; the shape is kept.

    Examples
    --------
    >>> false_discoveries(np.array([0.01, 0.02, 0.5])).round(3).tolist()
    [0.03, 0.03, 0.5]
    """
    flat = stats.false_discovery_control(np.ravel(values), method="bh")
    return np.asarray(flat, dtype=np.float64).reshape(np.shape(values))
