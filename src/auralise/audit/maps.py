"""Maps of one layer's units by one method, and how alike two maps are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from auralise.frontends.base import Features
from auralise.inversion import Position, invert_layer
from auralise.masks import MASK, find_masks
from auralise.models.base import MusicNetwork
from auralise.settings import Settings

Report = Callable[[int, int], None]


def silently(done: int, total: int) -> None:
    """Take a report of progress and tell nobody."""


@dataclass(frozen=True, slots=True, eq=False)
class Mapper:
    """One method for the units of one layer, whatever the sound and the network's weights.

    Attributes
    ----------
    network : MusicNetwork
    layer : str
    settings : Settings
        As resolved for the network's frontend.
    """

    network: MusicNetwork
    layer: str
    settings: Settings

    @property
    def searches(self) -> bool:
        """Whether maps are found by search, which takes seconds and knows no positions."""
        return self.settings.method == MASK

    def __call__(
        self,
        features: Features,
        channels: Sequence[int],
        position: Position = "peak",
        report: Report = silently,
    ) -> list[Tensor]:
        """Return the units' maps, each of one shape; all 0 where a unit does not answer."""
        if not channels:
            return []
        if self.searches:
            masks = find_masks(
                self.network,
                features.source,
                self.layer,
                channels,
                self.settings.mask,
                report=report,
            )
            return [mask.gains for mask in masks]
        inversions = invert_layer(
            self.network.module,
            features.values,
            self.layer,
            channels,
            self.settings.method,
            position=position,
            options=self.settings.options,
        )
        return [inversion.relevance for inversion in inversions]

    def of(self, network: MusicNetwork) -> Mapper:
        """Return the same method for another network of the same architecture."""
        return replace(self, network=network)


def cosine(one: Tensor, other: Tensor) -> float | None:
    """Return the cosine between two maps; None where one of them is 0 everywhere.

    Examples
    --------
    >>> cosine(torch.tensor([3.0, 0.0]), torch.tensor([3.0, 4.0]))
    0.6
    >>> cosine(torch.zeros(2), torch.ones(2))
    """
    a, b = one.flatten().double(), other.flatten().double()
    scale = a.norm() * b.norm()
    return float(a @ b / scale) if scale > 0 else None


def rank_correlation(one: Tensor, other: Tensor) -> float | None:
    """Return Spearman's correlation of two maps; None where one of them is constant.

    Equal values get the mean of their ranks.
    """
    a, b = _ranks(one), _ranks(other)
    return cosine(a - a.mean(), b - b.mean())


def _ranks(values: Tensor) -> Tensor:
    flat = values.flatten().contiguous()
    ordered = flat.sort().values
    lower: Tensor = torch.searchsorted(ordered, flat)
    upper: Tensor = torch.searchsorted(ordered, flat, right=True)
    return (lower + upper + 1).double() / 2


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean of those that are there; None if none is."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
