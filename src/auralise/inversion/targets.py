"""What all methods share: checks of network and features, and the place that is followed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from auralise.activations.layers import Unit
from auralise.errors import InvalidValueError, NetworkError
from auralise.inversion.base import Position

INACTIVE = "inactive"


def check_features(features: Tensor) -> None:
    """Refuse features that are not real, finite floating-point numbers."""
    if not features.is_floating_point():
        raise InvalidValueError(f"features must be of a real floating dtype, got {features.dtype}")
    if not is_finite(features):
        raise InvalidValueError("features hold NaN or infinity; look at the sound they come from")


def require_map(network: nn.Module, layer: str, output: Tensor, connected: bool) -> None:
    """Refuse an output that has no units, no gradient or no finite values."""
    if output.ndim < 2 or output.shape[0] != 1:
        raise NetworkError(
            f"layer {layer!r} gives shape {tuple(output.shape)} for one example, where "
            "(1, channels, ...) is needed; choose another layer"
        )
    if not connected:
        raise NetworkError(
            f"layer {layer!r} does not depend on the input by differentiable operations, so "
            "nothing can be sent back from it"
        )
    if not is_finite(output):
        raise NetworkError(f"layer {layer!r} gives NaN or infinity{culprit(network)}")


def is_finite(values: Tensor) -> bool:
    """Return whether all values are finite; most often their sum alone tells."""
    return math.isfinite(values.detach().sum().item()) or bool(values.isfinite().all())


def culprit(network: nn.Module) -> str:
    """Return which parameters are to blame for numbers that are not finite, as a clause."""
    named = [*network.named_parameters(), *network.named_buffers()]
    bad = [name for name, p in named if p.is_floating_point() and not p.isfinite().all()]
    if bad:
        return f", as do its parameters {', '.join(bad[:3])}; load the weights again"
    return ", though all parameters are finite; are the features in the range it was trained for?"


def map_of(output: Tensor, unit: Unit) -> Tensor:
    """Return the unit's map of a layer's output (1, channels, ...), off the graph."""
    maps = output.detach()[0]
    if unit.channel >= len(maps):
        raise InvalidValueError(
            f"layer {unit.layer!r} has channels 0 to {len(maps) - 1}, got {unit.channel}"
        )
    return maps[unit.channel]


def find_place(values: Tensor, layer: str, position: Position) -> tuple[int, ...]:
    """Return the index of the strongest value among those that ``position`` leaves open."""
    wanted = (None,) * values.ndim if position == "peak" else position
    if isinstance(wanted, str):
        raise InvalidValueError(f"position must be 'peak', 'whole' or a tuple, got {wanted!r}")
    if len(wanted) != values.ndim or any(
        i is not None and not 0 <= i < length
        for i, length in zip(wanted, values.shape, strict=True)
    ):
        raise InvalidValueError(
            f"position {wanted} is not on the maps of layer {layer!r}, which have shape "
            f"{tuple(values.shape)}; give one index (from 0) or None for each axis"
        )
    if values.ndim == 0:
        return ()
    open_part = values[tuple(slice(None) if i is None else slice(i, i + 1) for i in wanted)]
    best, place = int(open_part.argmax()), list(wanted)
    for axis in reversed(range(values.ndim)):
        best, index = divmod(best, open_part.shape[axis])
        place[axis] = index if wanted[axis] is None else wanted[axis]
    return tuple(i for i in place if i is not None)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Keep gradients of parameters from being recorded while the block runs."""
    with ExitStack() as undo:
        for parameter in network.parameters():
            if parameter.requires_grad:
                undo.callback(parameter.requires_grad_, True)
                parameter.requires_grad_(False)
        yield
