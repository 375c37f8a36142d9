"""Texture of spectrograms: how often which grey levels stand beside each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from auralise.errors import InvalidValueError

DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1))
"""Steps in bins and frames: along time, along a rise, along frequency, along a fall."""


class _Memberships(torch.autograd.Function):
    """Share of each value in the two whole levels beside it.

    An operator of its own, so that no method takes its corners for a rectifier's.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, levels: int) -> Tensor:  # noqa: ANN401
        """Return (..., levels, bins, frames) of (..., bins, frames)."""
        grey = torch.arange(levels, dtype=values.dtype, device=values.device)
        distance = values.unsqueeze(-3) - grey[:, None, None]
        ctx.save_for_backward(distance)
        ctx.support = lambda signal: signal.amax(-3)  # any level may be that of any place
        return (1 - distance.abs()).clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Return the derivative: -1 above a level, 1 below, within one level of it."""
        (distance,) = ctx.saved_tensors
        slope = -distance.sign() * (distance.abs() < 1)
        return (signals[0] * slope).sum(-3), None


def cooccurrence(
    values: Tensor, levels: int = 16, directions: tuple[tuple[int, int], ...] = DIRECTIONS
) -> Tensor:
    """Return how often two grey levels stand beside each other: co-occurrence matrices.

    Values between two levels count for both, in proportion to their nearness, so that the matrices
    change smoothly with the spectrogram; for whole values they are those of Haralick et al.

    Parameters
    ----------
    values : Tensor, shape (batch, bins, frames)
        Grey levels, in [0, levels - 1].
    levels : int
        At least 2.
    directions : tuple of (int, int)
        Steps in bins and frames; steps in bins not negative.

    Returns
    -------
    Tensor, shape (batch, directions, levels, levels)
        ``[b, d, i, j]`` is the share of pairs whose first has level i and whose second, one step
        further, level j; each matrix sums to 1.

    Raises
    ------
    InvalidValueError
        If there are fewer than two levels, or the map is smaller than a step.

    References
    ----------
    .. [1] R. M. Haralick, K. Shanmugam, I. Dinstein, "Textural features for image classification",
       IEEE Trans. SMC 3(6), 1973.
    """
    if levels < 2:
        raise InvalidValueError(f"co-occurrence needs at least 2 grey levels, got {levels}")
    bins, frames = values.shape[-2:]
    shares: Tensor = _Memberships.apply(values, levels)  # type: ignore[no-untyped-call]
    matrices = []
    for down, right in directions:
        if bins <= down or frames <= abs(right):
            raise InvalidValueError(
                f"a map of {bins} bins and {frames} frames has no two places {down} bins and "
                f"{right} frames apart"
            )
        first = shares[..., : bins - down, max(0, -right) : frames - max(0, right)]
        second = shares[..., down:, max(0, right) : frames - max(0, -right)]
        pairs = first.flatten(2) @ second.flatten(2).transpose(1, 2)
        matrices.append(pairs / (first.shape[-2] * first.shape[-1]))
    return torch.stack(matrices, 1)
