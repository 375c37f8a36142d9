"""Many units of one layer: back from one forward pass, in batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from auralise.errors import LessMemoryWarning, NetworkError
from auralise.inversion.base import InversionOptions
from auralise.inversion.cropping import Crop, crop
from auralise.inversion.relu_rules import Rule

WHOLE_MAPS = 8
"""From so many whole maps on, the planned way back is quicker than autograd's, check included."""

CHUNK_BYTES = {"cpu": 2**22, "cuda": 2**28}
"""Size of a batch of windows where it is largest: little enough for the cache of a CPU."""

_CONFIRMED: WeakKeyDictionary[nn.Module, set[Hashable]] = WeakKeyDictionary()
"""Networks' graphs, operation by operation, for which autograd gave the same map as a plan."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One unit, and what is sent back from it.

    Attributes
    ----------
    channel : int
        The unit.
    place : tuple of int, or None
        Index behind the channel axis of the layer's output; None for the whole map.
    values : Tensor, shape () or that of the unit's map
        The signal there.
    """

    channel: int
    place: tuple[int, ...] | None
    values: Tensor


def together(
    network: nn.Module,
    output: Tensor,
    leaf: Tensor,
    rule: Rule | None,
    options: InversionOptions,
    targets: Sequence[Target],
    whole_way: Callable[[Target], Tensor],
) -> Iterator[Tensor] | None:
    """Send units back, single positions within their receptive fields, many at a time.

    The first time that a network records such a graph, one of the targets, the nearest to an
    edge, goes the way of autograd too; if its two maps differ, all targets go that way.

    Parameters
    ----------
    network : nn.Module
        Whose graph it is.
    output : Tensor, shape (1, channels, ...)
        The layer's output, with its recorded graph.
    leaf : Tensor, shape (channels, ...)
        What the graph begins with.
    rule : Rule or None
        Of the method.
    options : InversionOptions
        Choices that the method leaves open.
    targets : sequence of Target
        In the order wanted; all with a position or all without.
    whole_way : callable
        From a target to its relevance, by autograd.

    Returns
    -------
    iterator of Tensor, shape (channels, ...), or None
        The relevance of each target, expanded to the input's shape when it is asked for; None
        where the graph does not allow it or nothing would be gained.
    """
    whole = any(target.place is None for target in targets)
    few = WHOLE_MAPS if whole else 2
    if leaf.dtype not in {torch.float32, torch.float64} or len(targets) < few:
        return None
    plan = crop(output, leaf, rule, options, whole=whole)
    if plan is None or not (whole or _pays(plan, len(targets))):
        return None
    kind = plan.signature, rule, options, _hooks(network)
    return _relevances(network, plan, kind, targets, whole_way)


def _hooks(network: nn.Module) -> Hashable:
    """Return which hooks the network's modules carry: one more may change what goes back."""
    return tuple(
        (name, *module._forward_hooks, -1, *module._forward_pre_hooks, -1, *module._backward_hooks)
        for name, module in network.named_modules()
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
    )


def _pays(plan: Crop, count: int) -> bool:
    """Return whether the windows are fewer numbers than the maps, the one check included."""
    windows = 2 * plan.elements  # cutting out costs about as much as the operations
    return count * (plan.whole - windows) > plan.whole + windows


def chunk_size(plan: Crop) -> int:
    """Return how many positions go back at a time: all their windows fit in `CHUNK_BYTES`.

    Parameters
    ----------
    plan : Crop
        The way back.
    """
    budget = CHUNK_BYTES.get(plan.leaf.device.type, CHUNK_BYTES["cuda"])
    return max(1, budget // (plan.largest * plan.leaf.element_size()))


def _relevances(
    network: nn.Module,
    plan: Crop,
    kind: Hashable,
    targets: Sequence[Target],
    whole_way: Callable[[Target], Tensor],
) -> Iterator[Tensor]:
    """Yield each target's relevance, chunk by chunk."""
    confirmed = _CONFIRMED.setdefault(network, set())
    if kind not in confirmed:
        witness = _witness(plan, targets)
        if not _agree(_place(plan, witness, *_pieces(plan, [witness])), whole_way(witness)):
            yield from map(whole_way, targets)
            return
        if witness.values.any():
            confirmed.add(kind)
    size, first = chunk_size(plan), 0
    while first < len(targets):
        chunk = targets[first : first + size]
        try:
            pieces = _pieces(plan, chunk)
        except (RuntimeError, MemoryError) as error:
            size = _less(error, len(chunk))
            continue
        for target, piece in zip(chunk, pieces, strict=True):
            yield _place(plan, target, piece)
        first += len(chunk)


def _less(error: RuntimeError | MemoryError, size: int) -> int:
    """Return half as many units as memory has not sufficed for, and say so.

    Raises
    ------
    NetworkError
        If it was one unit alone.
    """
    words = str(error).lower()
    ours = isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate" in words
    if not ours:
        raise error
    if size == 1:
        raise NetworkError(
            "there is not enough memory for one unit's way back; choose a shorter part of the song "
            "or a place in place of the whole map"
        ) from error
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = size // 2
    warnings.warn(
        f"memory did not suffice for {size} units at a time; going on with {half}",
        LessMemoryWarning,
        stacklevel=2,
    )
    return half


def _witness(plan: Crop, targets: Sequence[Target]) -> Target:
    """Return the target nearest to an edge of the map, among those that send anything."""
    lengths = plan.output.shape[2:]

    def distance(target: Target) -> int:
        to_edges = (min(p, lengths[axis] - 1 - p) for axis, p in enumerate(target.place or ()))
        return min(to_edges, default=0)

    return min((t for t in targets if t.values.any()), key=distance, default=targets[0])


def _agree(found: Tensor, expected: Tensor) -> bool:
    """Return whether two maps are the same but for rounding."""
    tolerance = torch.finfo(expected.dtype).eps ** 0.5 * expected.abs().max()
    return bool((found - expected).abs().max() <= tolerance)  # False where there is NaN


@torch.inference_mode(False)
@torch.no_grad()
def _pieces(plan: Crop, targets: Sequence[Target]) -> Tensor:
    values = torch.stack([target.values for target in targets])
    return plan.send([t.channel for t in targets], [t.place or () for t in targets], values)


@torch.inference_mode(False)
def _place(plan: Crop, target: Target, piece: Tensor) -> Tensor:
    return plan.place(piece, target.place or ())
