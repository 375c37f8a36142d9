"""Operations written down, so that a signal can go back through them without the network.

`RECORDERS` says for each operation of a recorded graph what has to be kept of it; `REPLAYS` what it
sends back, given that. Nothing here asks autograd on the way back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node
from torch.nn import functional as F

from auralise.activations.graph import operation, saved
from auralise.errors import NetworkError
from auralise.inversion.relu_rules import DEAD_WINDOWS, RULES, aten
from auralise.inversion.steps import Policies, Shape, Step
from auralise.inversion.transposed import numbers

Kept = tuple[str, dict[str, Any], dict[str, Tensor]]
Recorder = Callable[[Node], Kept]
Replay = Callable[[Tensor, Step, Policies], list[Tensor]]


def keep(node: Node) -> Kept:
    """Return what has to be kept of an operation: kind, values, arrays.

    Raises
    ------
    NetworkError
        If it is none that can be written down.
    """
    name = operation(node)
    if name not in RECORDERS:
        raise NetworkError(
            f"the operation {name} cannot be written down; recording takes convolution, dense "
            "layers, batch normalisation, ReLU, pooling, sums, concatenation and reshaping"
        )
    return RECORDERS[name](node)


def _convolution(node: Node) -> Kept:
    weight = saved(node, "weight")
    if saved(node, "transposed") is not False or not isinstance(weight, Tensor):
        raise NetworkError("a transposed convolution cannot be written down")
    values = {name: numbers(node, name) for name in ("stride", "padding", "dilation")}
    return "convolution", {**values, "groups": saved(node, "groups")}, {"weight": weight}


def _send_convolution(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    values, weight = step.values, step.arrays["weight"]
    axes = len(values["stride"])
    transposed = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1]
    reach = [
        (n - 1) * s - 2 * p + d * (k - 1) + 1
        for n, s, p, d, k in zip(
            step.shape[1:],
            values["stride"],
            values["padding"],
            values["dilation"],
            weight.shape[2:],
            strict=True,
        )
    ]
    unseen = [n - r for n, r in zip(step.below_shapes[0][1:], reach, strict=True)]
    back = transposed(
        signal[None],
        weight,
        None,
        values["stride"],
        values["padding"],
        unseen,
        values["groups"],
        values["dilation"],
    )
    return [back[0]]


def _normalisation(node: Node) -> Kept:
    variance, weight, eps = (saved(node, n) for n in ("running_var", "weight", "eps"))
    known = isinstance(variance, Tensor) and isinstance(eps, float)
    if saved(node, "training") is not False or not known:
        raise NetworkError("batch normalisation without running statistics cannot be written down")
    factor = torch.rsqrt(variance + eps)  # type: ignore[operator]
    return "factor", {}, {"factor": factor * weight if isinstance(weight, Tensor) else factor}


def _send_factor(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    return [signal * step.arrays["factor"].reshape(-1, *(1 for _ in step.shape[1:]))]


def _relu(node: Node) -> Kept:
    result = saved(node, "result")
    values = result if isinstance(result, Tensor) else saved(node, "self")
    if not isinstance(values, Tensor) or saved(node, "threshold") not in (None, 0):
        raise NetworkError("a threshold other than 0 cannot be written down")
    return "relu", {}, {"open": values[0] > 0}


def _send_relu(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    rule, opened = RULES[policies.method], step.arrays["open"]
    if rule is None:
        return [signal * opened]
    return [rule.relu(signal, opened.to(signal))]


def _max_pool(node: Node) -> Kept:
    values, won = saved(node, "self"), saved(node, "result1")
    if not isinstance(values, Tensor) or not isinstance(won, Tensor):
        raise NetworkError("this max-pooling cannot be written down")
    find = DEAD_WINDOWS[aten.max_pool2d_with_indices_backward]
    names = ("kernel_size", "stride", "padding", "dilation")
    dead = find(values, values, *(numbers(node, n) for n in names), saved(node, "ceil_mode"), won)
    return "max-pool", {}, {"switches": won[0], "dead": dead[0]}


def _send_max_pool(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    below = step.below_shapes[0]
    if policies.dead_windows == "block":
        signal = signal.masked_fill(step.arrays["dead"], 0)
    flat = signal.new_zeros(below[0], math.prod(below[1:]))
    how = {"sum": "sum", "mean": "mean", "largest": "amax"}[policies.overlap]
    won = step.arrays["switches"].flatten(1)
    flat.scatter_reduce_(1, won, signal.flatten(1), how, include_self=False)
    return [flat.reshape(below)]


def _average_pool(node: Node) -> Kept:
    values = {n: numbers(node, n) for n in _POOLING[:3]}
    return "average-pool", {**values, **{n: saved(node, n) for n in _POOLING[3:]}}, {}


def _send_average_pool(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    like = signal.new_empty(1, *step.below_shapes[0])
    options = [step.values[name] for name in _POOLING]
    back: Tensor = aten.avg_pool2d_backward(signal[None], like, *options)
    return [back[0]]


_POOLING = (
    "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override",
)  # fmt: skip


def _mean(node: Node) -> Kept:
    return "mean", {"axes": numbers(node, "dim")}, {}


def _send_mean(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    below = step.below_shapes[0]
    axes = [axis % (len(below) + 1) - 1 for axis in step.values["axes"]]
    shape = [1 if axis in axes else n for axis, n in enumerate(below)]
    count = math.prod(below[axis] for axis in axes)
    return [(signal.reshape(shape) / count).expand(below)]


def _product(node: Node) -> Kept:
    constant = saved(node, "self" if _inputs(node) == [1] else "other")
    divides = operation(node) == "Div"
    if len(_inputs(node)) != 1 or not isinstance(constant, Tensor):
        raise NetworkError("a product of two maps cannot be written down")
    if divides and (_inputs(node) != [0] or saved(node, "rounding_mode") is not None):
        raise NetworkError("a quotient by a map cannot be written down")
    return "constant", {"divides": divides}, {"constant": constant}


def _send_product(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    constant = step.arrays["constant"].to(signal)
    back = signal[None] / constant if step.values["divides"] else signal[None] * constant
    return [back[0]]


def _bare(kind: str) -> Recorder:
    """Return what keeps nothing but the shapes."""
    return lambda node: (kind, {}, {})


def _send_adaptive_mean(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    like = signal.new_empty(1, *step.below_shapes[0])
    back: Tensor = aten._adaptive_avg_pool2d_backward(signal[None], like)
    return [back[0]]


def _sum(node: Node) -> Kept:
    alpha = saved(node, "alpha")
    factor = float(alpha) if isinstance(alpha, (int, float)) else 1.0
    if operation(node) == "Sub":
        factor = -factor
    return "sum", {"second": factor, "inputs": _inputs(node)}, {}


def _inputs(node: Node) -> list[int]:
    return [i for i, (below, _) in enumerate(node.next_functions) if below is not None]


def _send_sum(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    factors = (1.0, step.values["second"])
    return [signal * factors[i] for i in step.values["inputs"]]


def _joined(node: Node) -> Kept:
    axis = saved(node, "dim")
    if not isinstance(axis, int) or len(_inputs(node)) != len(node.next_functions):
        raise NetworkError("a concatenation with constants cannot be written down")
    return "joined", {"axis": axis - 2**64 if axis >= 2**63 else axis}, {}


def _send_joined(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    axis = step.values["axis"] % (len(step.shape) + 1) - 1
    return list(torch.split(signal, [shape[axis] for shape in step.below_shapes], axis))


def _dense(node: Node) -> Kept:
    weight = saved(node, "mat2")
    if not isinstance(weight, Tensor):
        raise NetworkError("a product of two maps cannot be written down")
    return "dense", {}, {"weight": weight}


def _send_dense(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    return [signal @ step.arrays["weight"].T]


def _send_reshaped(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    return [signal.reshape(step.below_shapes[0])]


def _permuted(node: Node) -> Kept:
    if operation(node) == "Permute":
        return "permuted", {"order": numbers(node, "dims")}, {}
    return "permuted", {"swap": [saved(node, "dim0"), saved(node, "dim1")]}, {}


def _send_permuted(signal: Tensor, step: Step, policies: Policies) -> list[Tensor]:
    count = len(step.shape) + 1
    order = list(range(count))
    if "order" in step.values:
        order = [n % count for n in step.values["order"]]
    else:
        one, other = (n % 2**64 if n < 2**63 else n - 2**64 for n in step.values["swap"])
        one, other = one % count, other % count
        order[one], order[other] = order[other], order[one]
    back = [order.index(axis) for axis in range(count)]
    return [signal[None].permute(back)[0]]


_RESHAPED = _bare("reshaped")

RECORDERS: Mapping[str, Recorder] = {
    "AdaptiveAvgPool2D": _bare("adaptive-mean"),
    "Add": _sum,
    "Addmm": _dense,
    "AvgPool2D": _average_pool,
    "Cat": _joined,
    "Clone": _RESHAPED,
    "Convolution": _convolution,
    "Div": _product,
    "MaxPool2DWithIndices": _max_pool,
    "Mean": _mean,
    "Mm": _dense,
    "Mul": _product,
    "NativeBatchNorm": _normalisation,
    "Permute": _permuted,
    "Relu": _relu,
    "ReshapeAlias": _RESHAPED,
    "Squeeze": _RESHAPED,
    "Sub": _sum,
    "Threshold": _relu,
    "Transpose": _permuted,
    "UnsafeView": _RESHAPED,
    "Unsqueeze": _RESHAPED,
    "View": _RESHAPED,
}
"""By the name of the operation in a recorded graph."""

REPLAYS: Mapping[str, Replay] = {
    "adaptive-mean": _send_adaptive_mean,
    "average-pool": _send_average_pool,
    "constant": _send_product,
    "convolution": _send_convolution,
    "dense": _send_dense,
    "factor": _send_factor,
    "joined": _send_joined,
    "max-pool": _send_max_pool,
    "mean": _send_mean,
    "permuted": _send_permuted,
    "relu": _send_relu,
    "reshaped": _send_reshaped,
    "sum": _send_sum,
}
"""By the kind of a step: what arrives, to what goes to each of those below."""


@torch.no_grad()
def send_back(steps: tuple[Step, ...], signal: Tensor, shape: Shape, policies: Policies) -> Tensor:
    """Send a signal from the output of the first step down to the input.

    Parameters
    ----------
    steps : tuple of Step
        Each before all that it sends to.
    signal : Tensor
        At the first step.
    shape : tuple of int
        Of the input.
    policies : Policies
    """
    arrived: dict[int, Tensor] = {0: signal}
    for number, step in enumerate(steps):
        sent = REPLAYS[step.kind](arrived.pop(number), step, policies)
        for below, part in zip(step.below, sent, strict=True):
            arrived[below] = arrived[below] + part if below in arrived else part
    return arrived[-1].reshape(shape)
