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

from auralise.activations.graph import operation

Grads = tuple[Tensor | None, ...]
Spread = Callable[[Tensor, Tensor], Tensor]
"""From the support of an operation's output and a tensor like its input to the input's support."""


def supporting(node: Node, positive: Callable[[Tensor], Tensor]) -> Callable[[Grads, Grads], Grads]:
    """Return a hook that turns a node's gradients into positive numbers where its support is.

    Parameters
    ----------
    node : Node
        Of a graph that autograd recorded.
    positive : callable
        Gives positive numbers of the shape of a tensor; not all the same, because a softmax or a
        normalisation sends nothing back from a constant.
    """
    spread = _spread_of(node)

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


def _spread_of(node: Node) -> Spread | None:
    """Return what replaces the derivative of operations that depend on the data; else None."""
    name = operation(node)
    if name in _POINTWISE:
        return lambda signal, grad: signal if signal.shape == grad.shape else grad
    if name.startswith("MaxPool"):
        return _max_pool(node)
    if name == "Convolution" and not getattr(node, "_saved_transposed", False):
        return _convolution(node)
    if name.startswith("AdaptiveMaxPool"):
        return _adaptive_max_pool
    if name in {"Max", "Min", "Amax", "Amin", "Median", "Kthvalue", "Topk", "Sort"}:
        return _reduction(node)
    return None


def _max_pool(node: Node) -> Spread:
    """Spread over all windows."""
    kernel, stride, padding, dilation = (
        list(getattr(node, f"_saved_{name}"))
        for name in ("kernel_size", "stride", "padding", "dilation")
    )
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    return lambda signal, grad: _spread_windows(signal, grad, reach, stride or kernel, padding)


def _convolution(node: Node) -> Spread | None:
    """Fill the holes of a dilated kernel, so that no window seems to begin behind its padding."""
    dilation = list(node._saved_dilation)  # type: ignore[attr-defined]
    if max(dilation) == 1:
        return None
    kernel = node._saved_weight.shape[2:]  # type: ignore[attr-defined]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    stride, padding = list(node._saved_stride), list(node._saved_padding)  # type: ignore[attr-defined]

    def spread(signal: Tensor, grad: Tensor) -> Tensor:
        filled = _spread_windows(signal.sum(1, keepdim=True), grad[:, :1], reach, stride, padding)
        return filled.expand_as(grad)

    return spread


def _spread_windows(
    signal: Tensor, like: Tensor, reach: list[int], stride: list[int], padding: list[int]
) -> Tensor:
    """Give each position's signal to its whole window, axis by axis."""
    for axis, (n, step, before) in enumerate(zip(reach, stride, padding, strict=True)):
        place = signal.ndim - len(reach) + axis
        rows = signal.movedim(place, -1)
        wide = F.conv_transpose1d(
            rows.reshape(-1, 1, rows.shape[-1]), signal.new_ones(1, 1, n), stride=step
        )
        crop = F.pad(wide, [-before, like.shape[place] + before - wide.shape[-1]])
        signal = crop.reshape(*rows.shape[:-1], -1).movedim(-1, place)
    return signal


def _adaptive_max_pool(signal: Tensor, grad: Tensor) -> Tensor:
    """Spread over the windows, which average-pooling to the same size has too."""
    pool = F.adaptive_avg_pool3d if signal.ndim == 5 else F.adaptive_avg_pool2d
    with torch.enable_grad():
        ones = torch.ones_like(grad, requires_grad=True)
        pooled = pool(ones, list(signal.shape[2:]))  # type: ignore[arg-type]
        (spread,) = torch.autograd.grad(pooled, ones, signal)
    return spread


def _reduction(node: Node) -> Spread:
    """Spread over the reduced axes: each of their places may have been the chosen one."""
    dims = getattr(node, "_saved_dim", ())
    dims = [dims] if isinstance(dims, int) else list(dims)
    kept = getattr(node, "_saved_keepdim", operation(node) in {"Topk", "Sort"})

    def spread(signal: Tensor, grad: Tensor) -> Tensor:
        places = sorted(_signed(dim) % grad.ndim for dim in dims) or list(range(grad.ndim))
        for place in () if kept or signal.ndim == grad.ndim else places:
            signal = signal.unsqueeze(place)
        return signal.sum(places, keepdim=True).expand_as(grad)

    return spread


def _signed(number: int) -> int:
    """Undo the wrap-around with which autograd shows a negative axis."""
    return number - 2**64 if number >= 2**63 else number
