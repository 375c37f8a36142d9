"""What recorded operations send back, window by window instead of map by map.

The answers are those of autograd's own backward operators and of `auralise.inversion.relu_rules`,
computed for the windows of many positions at once. An operation that has no answer, here or in
`auralise.inversion.strided`, or is used in a way that is not covered, sends whoever asks the whole
way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.graph import Node

from auralise.activations.graph import operation, saved
from auralise.inversion.base import InversionOptions
from auralise.inversion.relu_rules import Rule, aten
from auralise.inversion.windows import Box, Place, Window, cut_out, still

Send = Callable[[Tensor, Sequence[Place]], Sequence[Tensor]]


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation and the part of its output that signals arrive in.

    ``lengths`` are those of its output and ``below`` those of its inputs, behind the batch axis;
    ``inputs`` says which of its inputs come from the network's input.
    """

    node: Node
    box: Box
    lengths: tuple[int, ...]
    inputs: tuple[int, ...]
    below: tuple[tuple[int, ...], ...]
    rule: Rule | None
    options: InversionOptions


@dataclass(frozen=True, slots=True)
class Answer:
    """How signals go on.

    ``box`` is where the operation wants them; ``boxes`` where they are afterwards, and ``send``
    what they are, one entry for each input that counts.
    """

    box: Box
    boxes: tuple[Box, ...]
    send: Send


Find = Callable[[Asked], Answer | None]


def _same(change: Callable[[Tensor], Tensor], asked: Asked) -> Answer | None:
    """Answer for an operation with one input of its output's shape."""
    if asked.below != (asked.lengths,):
        return None
    return Answer(asked.box, (asked.box,), lambda signal, _places: [change(signal)])


def _unchanged(asked: Asked) -> Answer | None:
    return _same(lambda signal: signal, asked)


def _negative(asked: Asked) -> Answer | None:
    return _same(torch.neg, asked)


def _relu(asked: Asked) -> Answer | None:
    """Answer with the rule; a threshold counts at 0 only."""
    node, box, rule = asked.node, asked.box, asked.rule
    threshold = operation(node) == "Threshold"
    values = saved(node, "self" if threshold else "result")
    if not isinstance(values, Tensor) or asked.below != (asked.lengths,):
        return None
    if threshold and saved(node, "threshold") != 0:
        return None

    def send(signal: Tensor, places: Sequence[Place]) -> Sequence[Tensor]:
        here = cut_out(values, box, places).expand_as(signal)
        if rule is None:
            return [aten.threshold_backward(signal, here, 0)]
        return [rule.relu(signal, here)]

    return Answer(box, (box,), send)


def _normalisation(asked: Asked) -> Answer | None:
    """Answer with the factor of a batch normalisation by running statistics."""
    node = asked.node
    variance, weight = saved(node, "running_var"), saved(node, "weight")
    eps = saved(node, "eps" if operation(node) == "NativeBatchNorm" else "epsilon")
    if saved(node, "training") is not False or asked.inputs != (0,):
        return None
    if not isinstance(variance, Tensor) or not isinstance(eps, float):
        return None
    factor = (variance + eps).rsqrt()
    if isinstance(weight, Tensor):
        factor = factor * weight
    return _scaled(asked, factor.detach().reshape(1, -1, *[1] * (len(asked.lengths) - 1)))


def _scaled(asked: Asked, factor: Tensor, divide: bool = False) -> Answer | None:
    """Answer with a constant factor (or divisor), which may differ from place to place."""
    if asked.below != (asked.lengths,) or factor.ndim > len(asked.lengths) + 1:
        return None
    wide = factor.reshape(*[1] * (len(asked.lengths) + 1 - factor.ndim), *factor.shape)
    if wide.shape[0] != 1 or wide.is_complex():
        return None

    def send(signal: Tensor, places: Sequence[Place]) -> Sequence[Tensor]:
        here = cut_out(wide, asked.box, places).to(signal.dtype)
        return [signal / here if divide else signal * here]

    return Answer(asked.box, (asked.box,), send)


def _product(asked: Asked) -> Answer | None:
    """Answer for a product with, or a quotient by, a constant."""
    if len(asked.inputs) != 1 or (operation(asked.node) == "Div" and asked.inputs != (0,)):
        return None
    constant = saved(asked.node, "self" if asked.inputs == (1,) else "other")
    if not isinstance(constant, Tensor) or saved(asked.node, "rounding_mode") is not None:
        return None
    return _scaled(asked, constant.detach(), operation(asked.node) == "Div")


def _sum(asked: Asked) -> Answer | None:
    """Answer for a sum or a difference: a copy for each side."""
    alpha = saved(asked.node, "alpha")
    if not isinstance(alpha, int | float) or any(n != asked.lengths for n in asked.below):
        return None
    second = -alpha if operation(asked.node) == "Sub" else alpha
    factors = [(1, second)[i] for i in asked.inputs]
    return Answer(
        asked.box,
        (asked.box,) * len(factors),
        lambda signal, _places: [signal if f == 1 else signal * f for f in factors],
    )


def _joined(asked: Asked) -> Answer | None:
    """Answer for a concatenation along any axis, all parts of which come from the input."""
    axis = _axis(asked.node, "dim", len(asked.lengths) + 1)
    parts = [n[axis - 1] for n in asked.below] if axis > 0 else []
    if not parts or sum(parts) != asked.lengths[axis - 1]:
        return None
    box = (*asked.box[: axis - 1], None, *asked.box[axis:])
    return Answer(
        box, (box,) * len(parts), lambda signal, _places: torch.split(signal, parts, dim=axis)
    )


def _permuted(asked: Asked) -> Answer | None:
    """Answer for axes in another order."""
    count = len(asked.lengths) + 1
    order = list(range(count))
    if operation(asked.node) == "Permute":
        order = [number % count for number in numbers(asked.node, "dims")]
    else:
        one, other = (_axis(asked.node, name, count) for name in ("dim0", "dim1"))
        order[one], order[other] = order[other], order[one]
    if sorted(order) != list(range(count)) or order[0] != 0:
        return None
    back = [order.index(axis) for axis in range(count)]
    box = tuple(asked.box[axis - 1] for axis in back[1:])
    return Answer(asked.box, (box,), lambda signal, _places: [signal.permute(back)])


def _unsqueezed(asked: Asked) -> Answer | None:
    """Answer for a new axis of length 1, the batch axis of the network's own input included."""
    axis = _axis(asked.node, "dim", len(asked.lengths) + 1)
    if axis == 0:
        return _unchanged(asked)
    box = (*asked.box[: axis - 1], *asked.box[axis:])
    return Answer(asked.box, (box,), lambda signal, _places: [signal.squeeze(axis)])


def _squeezed(asked: Asked) -> Answer | None:
    """Answer for an axis that is dropped."""
    (below,) = asked.below
    if below == asked.lengths:
        return _unchanged(asked)
    axis = _axis(asked.node, "dim", len(below) + 1)
    if axis == 0 or (*below[: axis - 1], *below[axis:]) != asked.lengths:
        return None
    box = (*asked.box[: axis - 1], None, *asked.box[axis - 1 :])
    return Answer(asked.box, (box,), lambda signal, _places: [signal.unsqueeze(axis)])


def _shifted(asked: Asked, shifts: Sequence[int]) -> Answer:
    """Answer for an output that is its input seen from another first place."""
    box = tuple(
        still(shift, n) if w is None else Window(w.axis, w.step, w.start + shift, w.size)
        for w, shift, n in zip(asked.box, shifts, asked.lengths, strict=True)
    )
    return Answer(asked.box, (box,), lambda signal, _places: [signal])


def _sliced(asked: Asked) -> Answer | None:
    """Answer for a stretch of one axis."""
    axis, start = _axis(asked.node, "dim", len(asked.lengths) + 1), saved(asked.node, "start")
    if axis == 0 or saved(asked.node, "step") != 1 or not isinstance(start, int):
        return None
    length = asked.below[0][axis - 1]
    start = _signed(start)
    first = min(max(start + length if start < 0 else start, 0), length)
    return _shifted(asked, [first if a == axis - 1 else 0 for a in range(len(asked.lengths))])


def _padded(asked: Asked) -> Answer | None:
    """Answer for constants around the map, or for less of it."""
    before = [-n for n in numbers(asked.node, "pad")[::2]]
    missing = len(asked.lengths) - len(before)
    if missing < 0:
        return None
    return _shifted(asked, [0] * missing + before[::-1])


def _axis(node: Node, name: str, count: int) -> int:
    """Return which of ``count`` axes a node keeps under ``name``."""
    kept = saved(node, name)
    return _signed(kept) % count if isinstance(kept, int) else 0


def numbers(node: Node, name: str) -> list[int]:
    """Return a list of whole numbers that a node keeps; empty if there is none."""
    kept = saved(node, name)
    return [_signed(number) for number in kept] if isinstance(kept, tuple | list) else []


def _signed(number: int) -> int:
    """Undo the wrap-around with which autograd shows a negative number."""
    return number - 2**64 if number >= 2**63 else number


ANSWERS: Mapping[str, Find] = {
    "Add": _sum,
    "Alias": _unchanged,
    "Cat": _joined,
    "Clone": _unchanged,
    "ConstantPadNd": _padded,
    "CudnnBatchNorm": _normalisation,
    "Div": _product,
    "Mul": _product,
    "NativeBatchNorm": _normalisation,
    "Neg": _negative,
    "Permute": _permuted,
    "Relu": _relu,
    "Slice": _sliced,
    "Squeeze": _squeezed,
    "Sub": _sum,
    "Threshold": _relu,
    "Transpose": _permuted,
    "Unsqueeze": _unsqueezed,
    "View": _unchanged,
    "ReshapeAlias": _unchanged,
    "UnsafeView": _unchanged,
}
"""By the name of the operation; None from one of them means a use that is not covered."""
