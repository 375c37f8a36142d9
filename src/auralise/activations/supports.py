"""Where a gradient can come from at all: what every operation's answer depends on.

Autograd's derivatives vanish by chance of the data: a ReLU is closed, a max-pooling window has
one winner, two paths cancel. The hooks made here replace them by the set of places that could
have mattered.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.nn import functional as F

from auralise.activations.graph import operation, saved

Grads = tuple[Tensor | None, ...]
Spread = Callable[[Tensor, Tensor], Tensor]
"""From the support of an operation's output and a tensor like its input to the input's support."""


def supporting(
    node: Node, positive: Callable[[Tensor], Tensor], cut: set[int]
) -> Callable[[Grads, Grads], Grads]:
    """Return a hook that turns a node's gradients into positive numbers where its support is.

    Parameters
    ----------
    node : Node
        Of a graph that autograd recorded.
    positive : callable
        Gives positive numbers of the shape of a tensor; not all the same, because a softmax or a
        normalisation sends nothing back from a constant.
    cut : set of int
        The hook adds the axes, counted from the last (-1), on which part of a support lies in
        padding.
    """
    spread = _own(node) or _spread_of(node, cut)

    def hook(inputs: Grads, outputs: Grads) -> Grads:
        signal = outputs[0]
        replaced = []
        for grad in inputs:
            if grad is not None and signal is not None and spread is not None:
                grad = spread((signal != 0).to(signal), grad)
            replaced.append(None if grad is None else torch.where(grad != 0, positive(grad), 0))
        return tuple(replaced)

    return hook


_POINTWISE = frozenset(
    {
        "Abs",
        "Celu",
        "Clamp",
        "ClampMin",
        "ClampMax",
        "Elu",
        "Gelu",
        "Hardshrink",
        "Hardsigmoid",
        "Hardswish",
        "Hardtanh",
        "LeakyRelu",
        "LogSigmoid",
        "Maximum",
        "Minimum",
        "Mish",
        "PreluKernel",
        "Relu",
        "RreluWithNoise",
        "Sigmoid",
        "Silu",
        "Softplus",
        "Softshrink",
        "Tanh",
        "Threshold",
    }
)


def _own(node: Node) -> Spread | None:
    """Return what an operator of somebody's own (`torch.autograd.Function`) says of itself.

    Its ``forward`` may keep a function ``ctx.support``, from its output's support to its input's.
    """
    support = getattr(node, "support", None)
    return None if support is None else lambda signal, grad: support(signal)


def _spread_of(node: Node, cut: set[int]) -> Spread | None:
    """Return what replaces the derivative of operations that depend on the data; else None."""
    name = operation(node)
    if name in _POINTWISE:
        return lambda signal, grad: signal if signal.shape == grad.shape else grad
    if name.startswith(("MaxPool", "AvgPool")):
        return _pool(node, cut)
    if name == "Convolution" and not saved(node, "transposed"):
        return _convolution(node, cut)
    if "Pad" in name:
        return _pad(node, cut)
    if name.startswith("AdaptiveMaxPool"):
        return _adaptive_max_pool
    if name == "Bmm":
        return _product
    if name in {"Max", "Min", "Amax", "Amin", "Median", "Kthvalue", "Topk", "Sort"}:
        return _reduction(node)
    return None


def _numbers(node: Node, name: str) -> list[int]:
    """Return a list of whole numbers that a node keeps; empty if there is none."""
    kept = saved(node, name)
    return [_signed(number) for number in kept] if isinstance(kept, tuple | list) else []


def _pool(node: Node, cut: set[int]) -> Spread:
    """Spread over all windows."""
    kernel, padding = _numbers(node, "kernel_size"), _numbers(node, "padding")
    dilation = _numbers(node, "dilation") or [1] * len(kernel)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    windows = reach, _numbers(node, "stride") or kernel, padding
    return lambda signal, grad: _spread_windows(signal, grad, *windows, cut)


def _convolution(node: Node, cut: set[int]) -> Spread:
    """Spread over all windows, the holes of a dilated kernel included."""
    weight = saved(node, "weight")
    kernel = weight.shape[2:] if isinstance(weight, Tensor) else ()
    dilation = _numbers(node, "dilation")
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    windows = reach, _numbers(node, "stride"), _numbers(node, "padding")

    def spread(signal: Tensor, grad: Tensor) -> Tensor:
        together = _spread_windows(signal.sum(1, keepdim=True), grad[:, :1], *windows, cut)
        return together.expand_as(grad)

    return spread


def _spread_windows(
    signal: Tensor,
    like: Tensor,
    reach: list[int],
    stride: list[int],
    padding: list[int],
    cut: set[int],
) -> Tensor:
    """Give each position's signal to its whole window, axis by axis."""
    for axis, (n, step, before) in enumerate(zip(reach, stride, padding, strict=True)):
        place = axis - len(reach)
        rows = signal.movedim(place, -1)
        wide = F.conv_transpose1d(
            rows.reshape(-1, 1, rows.shape[-1]), signal.new_ones(1, 1, n), stride=step
        )
        size = like.shape[place]
        if wide[..., :before].any() or wide[..., before + size :].any():
            cut.add(place)
        crop = F.pad(wide, [-before, size + before - wide.shape[-1]])
        signal = crop.reshape(*rows.shape[:-1], -1).movedim(-1, place)
    return signal


def _pad(node: Node, cut: set[int]) -> Spread:
    """Leave the derivative, but note where the signal lies in the padding."""
    amounts = _numbers(node, "pad") or _numbers(node, "padding")

    def spread(signal: Tensor, grad: Tensor) -> Tensor:
        for i, (before, after) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
            rows = signal.movedim(-1 - i, -1)
            inside = rows[..., max(before, 0) : rows.shape[-1] - max(after, 0)]
            if inside.count_nonzero() < rows.count_nonzero():
                cut.add(-1 - i)
        return grad

    return spread


def _adaptive_max_pool(signal: Tensor, grad: Tensor) -> Tensor:
    """Spread over the windows, which average-pooling to the same size has too."""
    pool = F.adaptive_avg_pool3d if signal.ndim == 5 else F.adaptive_avg_pool2d
    with torch.enable_grad():
        ones = torch.ones_like(grad, requires_grad=True)
        pooled = pool(ones, list(signal.shape[2:]))  # type: ignore[arg-type]
        (spread,) = torch.autograd.grad(pooled, ones, signal)
    return spread


def _product(signal: Tensor, grad: Tensor) -> Tensor:
    """Spread over the rows or columns that a product of matrices sums over.

    Both factors may come from the data, and where one of them is 0 the other has no derivative.
    """
    support = torch.zeros_like(grad)
    if grad.shape[-2] == signal.shape[-2]:
        support = support + signal.amax(-1, keepdim=True)
    if grad.shape[-1] == signal.shape[-1]:
        support = support + signal.amax(-2, keepdim=True)
    return support


def _reduction(node: Node) -> Spread:
    """Spread over the reduced axes: each of their places may have been the chosen one."""
    dim = saved(node, "dim")
    dims = [_signed(dim)] if isinstance(dim, int) else _numbers(node, "dim")
    kept = saved(node, "keepdim") or operation(node) in {"Topk", "Sort"}

    def spread(signal: Tensor, grad: Tensor) -> Tensor:
        places = sorted(dim % grad.ndim for dim in dims) or list(range(grad.ndim))
        for place in () if kept or signal.ndim == grad.ndim else places:
            signal = signal.unsqueeze(place)
        return signal.sum(places, keepdim=True).expand_as(grad)

    return spread


def _signed(number: int) -> int:
    """Undo the wrap-around with which autograd shows a negative axis."""
    return number - 2**64 if number >= 2**63 else number
