"""What convolutions and pooling send back, window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.nn import functional as F

from auralise.activations.graph import saved
from auralise.inversion.relu_rules import DEAD_WINDOWS, aten
from auralise.inversion.transposed import Answer, Asked, Find, numbers
from auralise.inversion.windows import (
    Box,
    Place,
    Window,
    cut_out,
    firsts,
    local_indices,
    offsets,
    settle,
    sizes,
    spans,
    still,
)

FEW_CHANNELS = 4
"""Up to so many input channels a convolution is transposed as one product and a fold."""

_Windows = tuple[list[int], list[int], list[int]]
"""Stride, padding and reach along each axis."""


def _spread(box: Box, lengths: Sequence[int], windows: _Windows) -> Box:
    """Return what the windows of an operation reach; the channels as a whole."""

    def below(axis: int, window: Window | None) -> Window:
        stride, before, reach = (values[axis] for values in windows)
        if window is None:
            return still(-before, (lengths[axis + 1] - 1) * stride + reach)
        return Window(
            window.axis,
            window.step * stride,
            window.start * stride - before,
            (window.size - 1) * stride + reach,
        )

    return spans(box, below)


def _convolution(asked: Asked) -> Answer | None:
    """Answer with the transposed filter."""
    node = asked.node
    weight, groups = saved(node, "weight"), saved(node, "groups")
    if saved(node, "transposed") is not False or asked.inputs != (0,):
        return None
    if not isinstance(weight, Tensor) or not isinstance(groups, int) or weight.ndim > 5:
        return None
    weight = weight.detach()
    stride, padding = numbers(node, "stride"), numbers(node, "padding")
    dilation, kernel = numbers(node, "dilation"), list(weight.shape[2:])
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if asked.below[0][0] != weight.shape[1] * groups or len(stride) != len(asked.lengths) - 1:
        return None
    box: Box = (None, *asked.box[1:])
    below = _spread(box, asked.lengths, (stride, padding, reach))
    transposed = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[len(stride) - 1]

    def send(signal: Tensor, _places: Sequence[Place]) -> Sequence[Tensor]:
        if groups == 1 and weight.shape[1] <= FEW_CHANNELS and len(stride) == 2:
            return [_folded(signal, weight, stride, dilation, reach)]
        return [transposed(signal, weight, None, stride, 0, 0, groups, dilation)]

    return Answer(box, (below,), send)


def _folded(
    signal: Tensor, weight: Tensor, stride: list[int], dilation: list[int], reach: list[int]
) -> Tensor:
    """Transpose a convolution of few input channels: products tap by tap, added in place."""
    columns = weight.flatten(1).T @ signal.flatten(2)
    size = [(n - 1) * s + r for n, s, r in zip(signal.shape[2:], stride, reach, strict=True)]
    return F.fold(
        columns,
        tuple(size),
        tuple(weight.shape[2:]),
        dilation=tuple(dilation),
        stride=tuple(stride),
    )


def _pool_windows(node: Node) -> _Windows:
    kernel = numbers(node, "kernel_size")
    dilation = numbers(node, "dilation") or [1] * len(kernel)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    return numbers(node, "stride") or kernel, numbers(node, "padding"), reach


def _max_pool(asked: Asked) -> Answer | None:
    """Answer by adding each window's signal at the place that won."""
    node, box, (below,) = asked.node, asked.box, asked.below
    values, switches = saved(node, "self"), saved(node, "result1")
    windows = _pool_windows(node)
    if not isinstance(values, Tensor) or not isinstance(switches, Tensor) or len(below) != 3:
        return None
    dead = _dead(node, values, switches, windows) if asked.options.dead_windows == "block" else None
    reached = settle((box[0], *_spread(box, asked.lengths, windows)[1:]), below)
    winners = local_indices(switches, below[1:], reached[1:])
    _, height, width = sizes(reached, below)

    def send(signal: Tensor, places: Sequence[Place]) -> Sequence[Tensor]:
        if dead is not None:
            signal = signal.masked_fill(cut_out(dead, box, places), 0)
        first = torch.tensor(offsets(below[1:], reached[1:], places), device=signal.device)
        at = (cut_out(winners, box, places) - first[:, None, None, None]).flatten(2)
        at = at.clamp_(0, height * width - 1).expand(len(signal), -1, -1)  # 0 arrives beyond edges
        flat = signal.new_zeros(*signal.shape[:2], height * width)
        flat.scatter_add_(2, at, signal.flatten(2))
        return [flat.reshape(*flat.shape[:2], height, width)]

    return Answer(box, (reached,), send)


def _dead(node: Node, values: Tensor, switches: Tensor, windows: _Windows) -> Tensor:
    """Return where a window's values are all equal."""
    find = DEAD_WINDOWS[aten.max_pool2d_with_indices_backward]
    stride, padding, _ = windows
    kernel, dilation = numbers(node, "kernel_size"), numbers(node, "dilation")
    ceil_mode = saved(node, "ceil_mode")
    return find(values, values, kernel, stride, padding, dilation, ceil_mode, switches)


def _average_pool(asked: Asked) -> Answer | None:
    """Answer by spreading each window's signal, divided by what it counts, evenly."""
    node, box, (below,) = asked.node, asked.box, asked.below
    windows = stride, padding, kernel = _pool_windows(node)
    override = saved(node, "divisor_override")
    if len(below) != 3 or len(kernel) != 2:
        return None
    counted = padding if saved(node, "count_include_pad") else [0, 0]
    reached = (box[0], *_spread(box, asked.lengths, windows)[1:])

    def send(signal: Tensor, places: Sequence[Place]) -> Sequence[Tensor]:
        for axis in (0, 1):
            window, size = box[axis + 1], signal.shape[axis + 2]
            first = torch.tensor(firsts(window, places), device=signal.device)
            index = first[:, None] + torch.arange(size, device=signal.device)
            begin = index * stride[axis] - padding[axis]
            end = (begin + kernel[axis]).clamp(max=below[axis + 1] + counted[axis])
            counts = (end - begin.clamp(min=-counted[axis])).clamp(min=1)
            if override is None:
                shape = [len(places), 1, 1, 1]
                shape[axis + 2] = size
                signal = signal / counts.reshape(shape)
        if isinstance(override, int):
            signal = signal / override
        ones = signal.new_ones(signal.shape[1], 1, *kernel)
        return [F.conv_transpose2d(signal, ones, stride=stride, groups=len(ones))]

    return Answer(box, (reached,), send)


ANSWERS: Mapping[str, Find] = {
    "AvgPool2D": _average_pool,
    "Convolution": _convolution,
    "MaxPool2DWithIndices": _max_pool,
}
"""By the name of the operation; pooling along one axis is recorded as along two."""
