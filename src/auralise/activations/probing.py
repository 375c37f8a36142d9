"""Looking through a network backwards: what a few positions of a layer see of one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from auralise.activations.graph import nodes_behind
from auralise.activations.recorder import stop_at
from auralise.activations.supports import supporting
from auralise.errors import NetworkError

Window = tuple[int, int]
"""First and last place of an axis that a position sees."""


@dataclass(frozen=True, slots=True)
class Windows:
    """What was seen on one input.

    ``diagonal`` holds positions that move along all axes at once, each with a window on every
    input axis; ``cut`` the axes, counted from the last (-1), on which padding took part of it;
    ``drivers`` the one layer axis that moves the window on each input axis.
    """

    lengths: tuple[int, ...]
    positions: tuple[int, ...]
    diagonal: Mapping[tuple[int, ...], tuple[Window, ...]]
    cut: Mapping[tuple[int, ...], frozenset[int]]
    drivers: tuple[int | None, ...]


class Probe:
    """Runs a network up to a layer on inputs of any length and sends supports back."""

    def __init__(self, network: nn.Module, layer: str, features: Tensor) -> None:
        self.network = network
        self.layer = layer
        self.features = features
        self.cut: set[int] = set()
        self.noise: dict[torch.Size, Tensor] = {}
        self.random = torch.Generator().manual_seed(0)
        self.weights = {
            name: self.positive(p) / (p[0].numel() if p.ndim > 1 else 1)
            for name, p in network.named_parameters()
            if p.is_floating_point()
        }

    def positive(self, like: Tensor) -> Tensor:
        """Return numbers in [0.5, 1.5) like ``like``; the same ones for the same shape."""
        if like.shape not in self.noise:
            self.noise[like.shape] = torch.rand(like.shape, generator=self.random) + 0.5
        return self.noise[like.shape].to(like.device, like.dtype)

    def windows(self, lengths: tuple[int, ...]) -> Windows:
        """Return what positions at both ends and in the middle of the layer see."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = self.positive(self.features.new_empty(1, self.features.shape[0], *lengths))
            leaf = leaf.clone().requires_grad_()
            output = stop_at(self.network, self.layer, lambda: self._forward(leaf.clone()))
            if output.grad_fn is None or output.ndim < 2:
                raise NetworkError(
                    f"layer {self.layer!r} has no channel axis, or its output of shape "
                    f"{tuple(output.shape)} is not made from the input by differentiable operations"
                )
            for node in nodes_behind(output):
                node.register_hook(supporting(node, self.positive, self.cut))
            positions = tuple(output.shape[2:])
            diagonal, cut = {}, {}
            for position in _probed(positions):
                self.cut.clear()
                diagonal[position] = self._seen(leaf, output, position)
                cut[position] = frozenset(self.cut)
            origin = (0,) * len(positions)
            moved = []
            for axis, length in enumerate(positions):
                corner = (*origin[:axis], length - 1, *origin[axis + 1 :])
                moved.append(diagonal.get(corner) or self._seen(leaf, output, corner))
        return Windows(lengths, positions, diagonal, cut, _drivers(diagonal[origin], moved))

    def _forward(self, batch: Tensor) -> object:
        return torch.func.functional_call(self.network, self.weights, (batch,))

    def _seen(self, leaf: Tensor, output: Tensor, position: tuple[int, ...]) -> tuple[Window, ...]:
        """Return the window on each input axis that one position of the layer sees."""
        seed = torch.zeros_like(output)
        at: tuple[int | slice, ...] = (slice(None), slice(None), *position)
        seed[at] = self.positive(seed[at])  # a softmax sends nothing back from equal ones
        (support,) = torch.autograd.grad(output, leaf, seed, retain_graph=True, allow_unused=True)
        if support is None or not support.any():
            raise NetworkError(f"layer {self.layer!r} does not depend on the input")
        places = support[0].nonzero()[:, 1:]
        low, high = places.amin(0).tolist(), places.amax(0).tolist()
        return tuple(zip(low, high, strict=True))


def _probed(lengths: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return positions along the diagonal: two at each end and three in the middle."""
    axes = []
    for length in lengths:
        middle, last = length // 2, length - 1
        wanted = (0, 1, middle - 1, middle, middle + 1, last - 1, last)
        axes.append([min(max(p, 0), last) for p in wanted])
    return list(dict.fromkeys(zip(*axes, strict=True))) if axes else [()]


def _drivers(
    origin: tuple[Window, ...], moved: Sequence[tuple[Window, ...]]
) -> tuple[int | None, ...]:
    """Return, for each input axis, the one layer axis that moves its window; None if not one."""
    found: list[int | None] = []
    for axis, window in enumerate(origin):
        movers = [driver for driver, at in enumerate(moved) if at[axis] != window]
        found.append(movers[0] if len(movers) == 1 else None)
    return tuple(found)
