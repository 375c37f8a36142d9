"""What ReLUs and max-pooling do to the signal on its way back.

The rules act on the operators that the backward pass runs, through a `TorchDispatchMode` that is
active only meanwhile. The forward pass is not touched, so it does not matter whether a ReLU is a
module or a function, works in place (also on a view), is called several times or shared by
branches; and each other activation function shows itself by a backward operator of its own. The
alternative, a `TorchFunctionMode` that swaps functions for ones with another derivative while the
forward pass runs, needs a list of every spelling of ReLU, has to imitate in-place operations, and
does not see what compiled (scripted) parts call.

A few spellings have no operator of their own on the way back (``x.clamp(min=0)``,
``torch.maximum(x, zero)``); `auralise.inversion.spellings` finds them in the recorded graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from auralise.errors import UnsupportedActivationError
from auralise.inversion.base import InversionOptions
from auralise.registry import Registry

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Rule:
    """What one method does to the signal at an activation function.

    Attributes
    ----------
    relu : callable
        From the signal that arrives and the ReLU's input (or output: only where it is above 0
        matters) to the signal that goes on.
    rectified : callable
        For other functions under ``activations="rectify"``: from the signal that arrives and its
        product with the function's derivative.
    """

    relu: Callable[[Tensor, Tensor], Tensor]
    rectified: Callable[[Tensor, Tensor], Tensor]


RULES: Registry[Rule | None] = Registry("inversion method")
"""Methods that differ in their rule only; None is the derivative as it is."""

RULES.register("gradient")(None)
RULES.register("deconvnet")(
    Rule(
        relu=lambda signal, _values: signal.clamp(min=0),
        rectified=lambda signal, _derived: signal.clamp(min=0),
    )
)
RULES.register("guided")(
    Rule(
        relu=lambda signal, values: aten.threshold_backward(signal, values, 0).clamp_(min=0),
        rectified=lambda _signal, derived: derived.clamp(min=0),
    )
)

POINTWISE: Mapping[Any, str] = {
    aten.elu_backward: "ELU, CELU or SELU",
    aten.gelu_backward: "GELU",
    aten.glu_backward: "GLU",
    aten.hardshrink_backward: "Hardshrink",
    aten.hardsigmoid_backward: "Hardsigmoid",
    aten.hardswish_backward: "Hardswish",
    aten.hardtanh_backward: "ReLU6 or Hardtanh",
    aten.leaky_relu_backward: "LeakyReLU",
    aten.log_sigmoid_backward: "LogSigmoid",
    aten.mish_backward: "Mish",
    aten._prelu_kernel_backward: "PReLU",
    aten.rrelu_with_noise_backward: "RReLU",
    aten.sigmoid_backward: "Sigmoid",
    aten.silu_backward: "SiLU",
    aten.softplus_backward: "Softplus",
    aten.softshrink_backward: "Softshrink",
    aten.tanh_backward: "Tanh",
}
"""Activation functions without a rule, by the operator that differentiates them."""


def without_rule(name: str, options: InversionOptions) -> UnsupportedActivationError:
    """Return the error that says that no rule covers the activation function ``name``."""
    if options.activations == "rectify":
        return UnsupportedActivationError(
            f"{name} cannot be rectified, because its signal changes shape or its inside is not "
            'seen; use the gradient method or InversionOptions(activations="gradient")'
        )
    return UnsupportedActivationError(
        f"{name} is not a ReLU, and deconvnet and guided have no rule for it; use the gradient "
        'method, or InversionOptions(activations="gradient") to take its derivative as it is, or '
        '"rectify" to keep only the positive signal there as well'
    )


def rectify(
    rule: Rule, name: str, signal: Tensor, derived: Tensor, options: InversionOptions
) -> Tensor:
    """Return what goes on behind a function without a rule under ``activations="rectify"``."""
    rectified = rule.rectified(signal, derived)
    if rectified.shape != derived.shape:
        raise without_rule(name, options)
    return rectified.to(derived.dtype)


class BackwardRules(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Applies a rule to every ReLU, and a policy to dead pooling windows, while it is active.

    Enter it around the backward pass only.

    Parameters
    ----------
    rule : Rule or None
        None leaves derivatives as they are.
    options : InversionOptions
        What to do at other activation functions and at dead windows.

    Attributes
    ----------
    without_rule : set of str
        Activation functions that were met and passed by ``options.activations``.
    """

    def __init__(self, rule: Rule | None, options: InversionOptions) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rule = rule
        self.options = options
        self.without_rule: set[str] = set()

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Run one operator of the backward pass, or what stands in for it."""
        kwargs = kwargs or {}
        operator = func.overloadpacket
        if operator in DEAD_WINDOWS and self.options.dead_windows == "block":
            dead = DEAD_WINDOWS[operator](*args, **kwargs)
            return func(args[0].masked_fill(dead, 0), *args[1:], **kwargs)
        if self.rule is None:
            return func(*args, **kwargs)
        if operator is aten.threshold_backward and args[2] == 0:
            return self.rule.relu(args[0], args[1])
        name = _threshold(args) if operator is aten.threshold_backward else POINTWISE.get(operator)
        if name is None:
            return func(*args, **kwargs)
        return self._without_rule(self.rule, name, args[0], lambda: func(*args, **kwargs))

    def _without_rule(
        self, rule: Rule, name: str, signal: Tensor, differentiate: Callable[[], Any]
    ) -> object:
        """Do what the policy says where there is no rule."""
        if self.options.activations == "raise":
            raise without_rule(name, self.options)
        self.without_rule.add(name)
        derived = differentiate()
        if self.options.activations == "gradient":
            return derived
        if isinstance(derived, tuple):  # PReLU: the second is the slope's
            return rectify(rule, name, signal, derived[0], self.options), *derived[1:]
        return rectify(rule, name, signal, derived, self.options)


def _threshold(args: tuple[Any, ...]) -> str:
    return f"threshold({args[2]:g})"


def _dead(pool: Callable[[Tensor], Tensor], values: Tensor, dimensions: int) -> Tensor:
    """Return where all values of a window are equal and the window has more than one."""
    sizes = values.shape[-dimensions:]
    ramp = torch.arange(sizes.numel(), dtype=torch.float64, device=values.device)
    place = ramp.reshape(1, 1, *sizes)
    several = pool(place) != -pool(-place)
    return (pool(values) == -pool(-values)) & several.reshape(several.shape[-dimensions:])


def _dead_windows(
    signal: Tensor,
    values: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    ceil_mode: bool,
    _switches: Tensor,
) -> Tensor:
    pool: Callable[..., Tensor] = F.max_pool2d if len(kernel) == 2 else F.max_pool3d
    return _dead(
        lambda t: pool(t, kernel, stride or kernel, padding, dilation, ceil_mode),
        values,
        len(kernel),
    )


def _dead_adaptive(dimensions: int) -> Callable[..., Tensor]:
    pool = F.adaptive_max_pool2d if dimensions == 2 else F.adaptive_max_pool3d

    def find(signal: Tensor, values: Tensor, _switches: Tensor) -> Tensor:
        size = list(signal.shape[-dimensions:])
        return _dead(lambda t: pool(t, size), values, dimensions)

    return find


DEAD_WINDOWS: Mapping[Any, Callable[..., Tensor]] = {
    aten.max_pool2d_with_indices_backward: _dead_windows,
    aten.max_pool3d_with_indices_backward: _dead_windows,
    aten.adaptive_max_pool2d_backward: _dead_adaptive(2),
    aten.adaptive_max_pool3d_backward: _dead_adaptive(3),
}
"""From a max-pooling's backward operator to what finds its dead windows; pooling along one axis
runs the operators for two."""
