"""How sure a number is: drawing filters, and training seeds, again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.errors import InvalidValueError


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with the interval that 95 % of bootstrap draws fall into.

    Attributes
    ----------
    value, low, high : float
        As measured, and the 2.5th and 97.5th percentile.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def percentiles(value: float, draws: Tensor) -> Interval:
    """Return a number with the percentiles of its bootstrap draws, shape (draws,)."""
    ends = torch.quantile(draws, torch.tensor([0.025, 0.975], dtype=draws.dtype))
    return Interval(value, float(ends[0]), float(ends[1]))


def resample(groups: Tensor | Sequence[Tensor], draws: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draw numbers again with replacement: groups first, then members of the groups drawn.

    Parameters
    ----------
    groups : Tensor, shape (n,), or sequence of Tensor
        One tensor, or one for each training seed.
    draws : int
        How often.
    seed : int
        Of the drawing.

    Returns
    -------
    values : Tensor, shape (n,), float64
        All members, sorted.
    index : Tensor, shape (draws, n), int64
        Into ``values``; sorted in each draw, so that ``values[index]`` is.

    Raises
    ------
    InvalidValueError
        If there is nothing to draw from, or ``draws`` is not positive.
    """
    values, order, index = draw(groups, draws, seed)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    return values[order], rank[index].sort(-1).values


def draw(groups: Tensor | Sequence[Tensor], draws: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Do as `resample`, in the order of the groups: values, what sorts them, unsorted index."""
    parts = [groups] if isinstance(groups, Tensor) else list(groups)
    parts = [part.double() for part in parts if part.numel()]
    if not parts:
        raise InvalidValueError("there is nothing to draw from: every group is empty")
    if draws <= 0:
        raise InvalidValueError(f"draws must be positive, got {draws}")
    values = torch.cat(parts)
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor([part.numel() for part in parts])
    first = sizes.cumsum(0) - sizes
    chosen = torch.randint(len(parts), (draws, len(parts)), generator=generator)
    if len(parts) == 1:
        member_of = torch.zeros(draws, values.numel(), dtype=torch.long)
    else:
        share = sizes[chosen].double()
        slot = torch.multinomial(share, values.numel(), replacement=True, generator=generator)
        member_of = chosen.gather(1, slot)
    place = torch.rand(draws, values.numel(), generator=generator, dtype=torch.float64)
    index = first[member_of] + (place * sizes[member_of]).long()
    return values, torch.argsort(values, stable=True), index
