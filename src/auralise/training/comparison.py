"""Two networks on the same clips: which is better, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import comb

import numpy as np

from auralise.errors import InvalidValueError
from auralise.training.metrics import Bools, Score, score


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two networks made of the same clips.

    Attributes
    ----------
    first, second : str
        Their names.
    only_first, only_second : int
        Clips that only this one answered rightly.
    both, neither : int
    p : float
        Of McNemar's exact test, two-sided: how often two equally good networks would disagree as
        lopsidedly, if clips were independent of each other.
    difference : Score
        Accuracy of the first less that of the second, with an interval over the units that are
        drawn together, which does not take clips for independent.
    """

    first: str
    second: str
    only_first: int
    only_second: int
    both: int
    neither: int
    p: float
    difference: Score


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's test, exact by the binomial distribution.

    Under the hypothesis that both are equally good, each clip on which just one is right is a toss
    of a fair coin.

    Parameters
    ----------
    only_first, only_second : int
        Clips that only the one, only the other answered rightly.

    References
    ----------
    .. [1] Q. McNemar, "Note on the sampling error of the difference between correlated proportions
       or percentages", Psychometrika 12, 1947.

    Examples
    --------
    >>> mcnemar(1, 4)
    0.375
    """
    if min(only_first, only_second) < 0:
        raise InvalidValueError(
            f"counts of clips cannot be negative, got {only_first} and {only_second}"
        )
    tosses = only_first + only_second
    tail = sum(comb(tosses, heads) for heads in range(min(only_first, only_second) + 1))
    return min(1.0, float(Fraction(2 * tail, 2**tosses)))


def compare(
    first: str,
    second: str,
    right: tuple[Bools, Bools],
    units: Sequence[str],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two networks on the same clips.

    Parameters
    ----------
    first, second : str
        Their names.
    right : pair of arrays of bool, shape (clips,)
        Whether each answered each clip rightly.
    units : sequence of str
        Of each clip: what is drawn together in the bootstrap.
    draws, seed : int
        Of the bootstrap.
    """
    one, other = right
    if one.shape != other.shape:
        raise InvalidValueError(
            f"{first!r} has answered {len(one)} clips and {second!r} {len(other)}; "
            "only answers to the same clips can be compared"
        )
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    gain = one.astype(np.float64) - other
    return Comparison(
        first=first,
        second=second,
        only_first=only_first,
        only_second=only_second,
        both=int((one & other).sum()),
        neither=int((~one & ~other).sum()),
        p=mcnemar(only_first, only_second),
        difference=score(lambda w: w @ gain / w.sum(1), units, draws=draws, seed=seed),
    )
