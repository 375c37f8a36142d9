"""What networks set by hand are built of."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from auralise.models.base import MusicNetwork
from auralise.registry import Registry

KNOWN: Registry[Callable[[int], MusicNetwork]] = Registry("network set by hand")
"""From a seed to a network."""

SECONDS = 2.0
"""Length of what the networks listen to."""

ERROR = 0.02
"""Of weights set by hand: standard deviation of what is added, relative to the largest."""


class Square(nn.Module):
    """Squares its input."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the squares."""
        return values.square()


class Pool(nn.Module):
    """Takes the mean over all places."""

    def forward(self, values: Tensor) -> Tensor:
        """Return (batch, channels)."""
        return values.flatten(2).mean(2)


def stack(parts: OrderedDict[str, nn.Module]) -> Any:  # noqa: ANN401 - parts are found by name
    """Return a sequence of named parts."""
    return nn.Sequential(parts)


def numbered(count: int) -> tuple[str, ...]:
    """Return labels that say nothing."""
    return tuple(f"label {i}" for i in range(count))


def set_weights(weight: Tensor, values: Tensor, random: torch.Generator | None) -> None:
    """Set weights, with errors of a fiftieth of the largest if there is something to draw from."""
    with torch.no_grad():
        weight.copy_(values)
        if random is not None:
            noise = torch.randn(values.shape, generator=random)
            weight.add_(ERROR * float(values.abs().max()) * noise)


def draw_weights(layer: nn.Module, random: torch.Generator) -> None:
    """Draw weights as PyTorch does, from a generator."""
    with torch.no_grad():
        for weight in layer.parameters():
            fan = weight[0].numel() if weight.ndim > 1 else weight.numel()
            weight.copy_((2 * torch.rand(weight.shape, generator=random) - 1) / math.sqrt(fan))
