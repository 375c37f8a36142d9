"""Activation functions that show only in the recorded graph, and what else the graph tells.

On the way back ``x.clamp(min=0)`` is a comparison and a selection like many others, so no operator
betrays it; the node that autograd recorded for it does. Recognised as ReLUs, and given the
method's rule: ``clamp(min=0)`` and ``maximum`` with zeros. Answered by the policy for other
activation functions, because a ReLU, or something as crooked, is or may be hidden in them: clamps
with an upper bound; ``maximum`` and ``minimum`` with a constant; ``where``, ``masked_fill`` and
assignment through an index with a constant; multiplication by a mask of zeros and ones; ``abs``,
``sin``, ``cos``, ``erf``; fused recurrent layers; and operations with a derivative of their own
making (`torch.autograd.Function`), which nobody can look into. Passed as they are: a lower bound
other than zero (a guard before a logarithm or a division), the larger of two maps that both
depend on the input (it routes like max-pooling), softmax and normalisations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node

from auralise.activations.graph import operation, saved
from auralise.inversion.base import InversionOptions
from auralise.inversion.relu_rules import Rule, rectify, without_rule

Grads = tuple[Tensor | None, ...]

_NAMES = {
    "Abs": "abs",
    "ClampMax": "clamp with an upper bound",
    "Cos": "cos",
    "Erf": "erf",
    "IndexPut": "assignment through an index",
    "MaskedFill": "masked_fill",
    "Sin": "sin",
}
_FUSED = {
    "CudnnRnn": "a fused recurrent layer",
    "MiopenRnn": "a fused recurrent layer",
    "MkldnnRnnLayer": "a fused recurrent layer",
    "ThnnFusedGruCell": "a fused GRU cell",
    "ThnnFusedLstmCell": "a fused LSTM cell",
}
_CONSTANT = frozenset(
    {
        "AccumulateGrad",
        "AdaptiveAvgPool2D",
        "AdaptiveAvgPool3D",
        "Add",
        "Addbmm",
        "Addmm",
        "Alias",
        "AsStrided",
        "AvgPool2D",
        "AvgPool3D",
        "Baddbmm",
        "Bmm",
        "Cat",
        "Clone",
        "ConstantPadNd",
        "Convolution",
        "CopyBackwards",
        "CopySlices",
        "CudnnBatchNorm",
        "Div",
        "Expand",
        "Index",
        "Mean",
        "Mm",
        "Mul",
        "Mv",
        "NativeBatchNorm",
        "Neg",
        "Permute",
        "ReflectionPad1D",
        "ReflectionPad2D",
        "Relu",
        "Repeat",
        "ReplicationPad1D",
        "ReplicationPad2D",
        "ReshapeAlias",
        "Select",
        "Slice",
        "Split",
        "SplitWithSizes",
        "Squeeze",
        "Stack",
        "Sub",
        "Sum",
        "T",
        "Threshold",
        "ToCopy",
        "Transpose",
        "Unbind",
        "Unfold",
        "UnsafeSplit",
        "UnsafeView",
        "Unsqueeze",
        "UpsampleNearest1D",
        "UpsampleNearest2D",
        "View",
    }
)
"""Operations whose derivative does not depend on the data, once ReLUs follow the deconvnet rule;
those that multiply only if one factor alone comes from the input."""
_PRODUCTS = frozenset(
    {"Addbmm", "Addmm", "Baddbmm", "Bmm", "Convolution", "Div", "Mm", "Mul", "Mv"}
)


def depends_on_data(nodes: Iterable[Node]) -> bool:
    """Return whether the way back by the deconvnet rule differs from input to input.

    Parameters
    ----------
    nodes : iterable of Node
        The recorded graph, with constants (parameters) not recorded.
    """
    return any(
        (operation(node) not in _CONSTANT and _relu_input(node) is None)
        or (operation(node) in _PRODUCTS and len(_inputs(node)) > 1)
        or saved(node, "training") is True  # statistics of the example itself
        for node in nodes
    )


def apply_rule(nodes: Iterable[Node], rule: Rule, options: InversionOptions) -> set[str]:
    """Give a rule to the activation functions that only the graph shows.

    Parameters
    ----------
    nodes : iterable of Node
        The recorded graph; hooks are put on its nodes and go when it goes.
    rule : Rule
        Of the method.
    options : InversionOptions
        What to do where there is no rule.

    Returns
    -------
    set of str
        Functions without a rule that were passed by ``options.activations``.

    Raises
    ------
    UnsupportedActivationError
        If one is met and the policy does not cover it.
    """
    passed = set()
    for node in nodes:
        values = _relu_input(node)
        if values is not None:
            node.register_hook(_relu_hook(rule, values))
            continue
        name = _without_rule(node)
        if name is None:
            continue
        opaque = isinstance(node, BackwardCFunction) or operation(node) in _FUSED
        if options.activations == "raise" or (opaque and options.activations == "rectify"):
            raise without_rule(name, options)
        if options.activations == "rectify":
            node.register_hook(_rectifying_hook(rule, name, options))
        passed.add(name)
    return passed


def _inputs(node: Node) -> list[int]:
    """Return which of a node's inputs come from the network's input."""
    return [i for i, (behind, _) in enumerate(node.next_functions) if behind is not None]


def _relu_input(node: Node) -> Tensor | None:
    """Return the input of a ReLU in disguise; None for anything else."""
    name = operation(node)
    if name in {"Clamp", "ClampMin"}:
        values, bound = saved(node, "self"), saved(node, "min")
        one_sided = saved(node, "max") is None
    elif name == "Maximum" and len(_inputs(node)) == 1:
        ours = _inputs(node)[0]
        values, bound = saved(node, ("self", "other")[ours]), saved(node, ("other", "self")[ours])
        one_sided = True
    else:
        return None
    if not one_sided or not isinstance(values, Tensor) or not _is_zero(bound):
        return None
    grows = isinstance(bound, Tensor) and (values + bound).shape != values.shape
    return None if grows else values.detach()


def _is_zero(bound: object) -> bool:
    return not bound.any() if isinstance(bound, Tensor) else bound == 0


def _without_rule(node: Node) -> str | None:
    """Return the name of an activation function that has no rule; None for other operations."""
    if isinstance(node, BackwardCFunction):
        return f"the custom autograd function {type(node).__name__.removesuffix('Backward')}"
    name = operation(node)
    values = saved(node, "self")
    if name == "Abs" and isinstance(values, Tensor) and values.is_complex():
        return None
    if name == "Clamp":
        return None if saved(node, "max") is None else "clamp with an upper bound"
    if name in {"Maximum", "Minimum", "Where"} and len(_inputs(node)) == 1:
        return f"{name.lower()} with a constant"
    if name == "Mul" and _is_masked(node):
        return "multiplication by a mask of zeros and ones"
    return _NAMES.get(name) or _FUSED.get(name)


def _is_masked(node: Node) -> bool:
    """Return whether a product's constant factor is a mask that both keeps and drops."""
    inputs = _inputs(node)
    constant = saved(node, "self" if inputs == [1] else "other")
    if len(inputs) != 1 or not isinstance(constant, Tensor):
        return False
    kept = constant == 1
    return bool(kept.any()) and not kept.all() and bool((kept | (constant == 0)).all())


def _relu_hook(rule: Rule, values: Tensor) -> Callable[[Grads, Grads], Grads]:
    """Return a hook that puts a rule's answer in place of a derivative."""

    def hook(derived: Grads, arrived: Grads) -> Grads:
        signal = arrived[0]
        if signal is None:
            return derived
        answer = rule.relu(signal, values.to(signal.dtype))
        return tuple(None if d is None else answer.to(d.dtype) for d in derived)

    return hook


def _rectifying_hook(
    rule: Rule, name: str, options: InversionOptions
) -> Callable[[Grads, Grads], Grads]:
    """Return a hook that rectifies a derivative."""

    def hook(derived: Grads, arrived: Grads) -> Grads:
        signal = arrived[0]
        if signal is None:
            return derived
        return tuple(
            None if d is None else rectify(rule, name, signal, d, options) for d in derived
        )

    return hook
