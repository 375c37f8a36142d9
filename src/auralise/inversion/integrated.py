"""Integrated gradients, and the baselines that it shares with DeepLIFT and occlusion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from auralise.errors import InvalidValueError
from auralise.inversion.base import INVERTERS
from auralise.inversion.progress import tell
from auralise.inversion.scalars import Relevance, Scalar, Shared, gradients_of

Baseline = Literal["silence", "zero", "mean"]
"""What counts as nothing: the lowest value of an input with more than one position axis (silence
of a compressed spectrogram) and 0 of one with one axis (silence of raw audio); 0; the mean."""


def baseline_of(features: Tensor, baseline: Baseline) -> Tensor:
    """Return a baseline of the features' shape."""
    if baseline == "mean":
        return features.mean().expand_as(features).clone()
    if baseline == "silence" and features.ndim > 2:
        return features.min().expand_as(features).clone()
    return torch.zeros_like(features)


def check_baseline(baseline: str) -> None:
    """Refuse a baseline that is none."""
    if baseline not in get_args(Baseline):
        raise InvalidValueError(
            f"baseline must be one of {', '.join(get_args(Baseline))}, got {baseline!r}"
        )


def missed(scalar: Scalar, features: Tensor, nothing: Tensor, relevance: Tensor) -> float:
    """Return how far a map is from adding up to the difference from a baseline, relative to it."""
    with torch.no_grad():
        there, here = (float(scalar(x[None])) for x in (features, nothing))
    scale = max(abs(there - here), 1e-6 * max(abs(there), abs(here)), 1e-300)
    return abs(float(relevance.double().sum()) - (there - here)) / scale


@dataclass(frozen=True, slots=True)
class IntegratedGradients(Shared):
    """The mean derivative on the straight way from a baseline, times the way.

    The map adds up to the unit's value minus its value on the baseline; by how much it misses that
    is flagged if it is more than 2 % of the difference.

    Attributes
    ----------
    baseline : {"silence", "zero", "mean"}
    steps : int
        Points on the way (Gauss-Legendre quadrature), at least 1.
    batch_size : int
        Points that go through the network together, at least 1.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML, 2017.
    """

    name: ClassVar[str] = "integrated-gradients"
    gives_shares: ClassVar[bool] = True

    baseline: Baseline = "silence"
    steps: int = 32
    batch_size: int = 8

    def __post_init__(self) -> None:
        check_baseline(self.baseline)
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise InvalidValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def relevances(self, scalars: Sequence[Scalar], features: Tensor) -> Iterator[Relevance]:
        """Return map and flags of each unit; see `Shared`."""
        nothing = baseline_of(features, self.baseline)
        way = features - nothing
        nodes, weights = np.polynomial.legendre.leggauss(self.steps)
        means = [torch.zeros_like(features) for _ in scalars]
        for first in range(0, self.steps, self.batch_size):
            part = slice(first, first + self.batch_size)
            shape = (-1, *(1 for _ in features.shape))
            places = torch.from_numpy((nodes[part] + 1) / 2).to(features).reshape(shape)
            shares = torch.from_numpy(weights[part] / 2).to(features).reshape(shape)
            found = gradients_of(scalars, nothing + places * way)
            for mean, slopes in zip(means, found, strict=True):
                mean += (shares * slopes).sum(0)
            tell(min(first + self.batch_size, self.steps), self.steps)
        for scalar, mean in zip(scalars, means, strict=True):
            relevance = mean * way
            apart = missed(scalar, features, nothing, relevance)
            flags = () if apart <= 0.02 else (f"misses the difference by {100 * apart:.0f} %",)
            yield relevance, flags


INVERTERS.register("integrated-gradients")(IntegratedGradients())
