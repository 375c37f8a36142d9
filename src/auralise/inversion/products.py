"""Input times gradient, Grad-CAM, and Grad-CAM times guided backpropagation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from auralise.activations.layers import Unit
from auralise.errors import InvalidValueError
from auralise.inversion.backprop import guided
from auralise.inversion.base import INVERTERS, Inversion, InversionOptions, Position
from auralise.inversion.scalars import Relevance, Scalar, Shared, gradients_of, inverted, watched

DEFAULTS = InversionOptions()


@dataclass(frozen=True, slots=True)
class InputTimesGradient(Shared):
    """The derivative of the unit's value, times the input itself.

    For a network of ReLUs without biases the map adds up to the value.

    References
    ----------
    .. [1] A. Shrikumar et al., "Not just a black box: learning important features through
       propagating activation differences", arXiv:1605.01713, 2016.
    """

    name: ClassVar[str] = "input-x-gradient"
    gives_shares: ClassVar[bool] = True

    def relevances(self, scalars: Sequence[Scalar], features: Tensor) -> Iterator[Relevance]:
        """Return map and flags of each unit; see `Shared`."""
        for slopes in gradients_of(scalars, features[None]):
            yield features * slopes[0], ()


@dataclass(frozen=True, slots=True)
class GradCam:
    r"""Where the layer below was active for the unit's sake; coarse, and without a sign.

    .. math:: \max\Bigl(0, \sum_c \overline{\partial a / \partial A_c}\; A_c\Bigr)

    Here :math:`a` is the unit's value and :math:`A_c` the maps of a layer below it; the mean is
    over the map. The result is interpolated to the input's shape.

    Attributes
    ----------
    layer : str
        Whose maps are weighted; empty for the last module without parts of its own that gives maps
        and runs before the unit's layer.

    References
    ----------
    .. [1] R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
       gradient-based localization", ICCV, 2017.
    """

    gives_shares: ClassVar[bool] = True

    layer: str = ""

    def __call__(
        self,
        network: nn.Module,
        features: Tensor,
        unit: Unit,
        *,
        position: Position = "peak",
        options: InversionOptions = DEFAULTS,
    ) -> Inversion:
        """Invert ``unit``; see `Inverter`."""
        return inverted("grad-cam", self.map, network, features, unit, position, options)

    def map(self, scalar: Scalar, features: Tensor) -> Relevance:
        """Return the map for `inverted`, with the layer it was made of as a flag."""
        name = self.layer or _layer_below(scalar, features)
        kept: list[Tensor] = []

        def keep(_module: nn.Module, _inputs: object, output: object) -> object:
            if not isinstance(output, Tensor) or output.ndim < 3:
                raise InvalidValueError(f"layer {name!r} gives no maps, so there is no Grad-CAM")
            kept.append(output)
            return output.clone()  # what works in place behind it does not reach what was kept

        with watched(network_layer(scalar.network, name), keep), torch.enable_grad():
            value = scalar(features[None].requires_grad_()).sum()
            if len(kept) != 1 or not kept[0].requires_grad:
                raise InvalidValueError(
                    f"layer {name!r} runs {len(kept)} times on the way to {scalar.unit}; Grad-CAM "
                    "needs one that runs once; name it with GradCam(layer)"
                )
            (slope,) = torch.autograd.grad(value, kept[0], allow_unused=True)
        if slope is None:
            raise InvalidValueError(f"{scalar.unit} does not depend on layer {name!r}")
        maps = kept[0].detach()
        weights = slope.flatten(2).mean(2)
        cam = torch.einsum("bc,bc...->b...", weights, maps).clamp(min=0)
        return _resized(cam, features), (f"interpolated from {name}",)


def network_layer(network: nn.Module, name: str) -> nn.Module:
    """Return a module by name.

    Raises
    ------
    InvalidValueError
        If there is none.
    """
    try:
        return network.get_submodule(name)
    except AttributeError:
        raise InvalidValueError(f"the network has no layer {name!r}") from None


def _layer_below(scalar: Scalar, features: Tensor) -> str:
    """Return the last module without parts that gives maps once, before the unit's layer."""
    target = network_layer(scalar.network, scalar.unit.layer.split("@")[0])
    inside = set(target.modules())
    leaves = {m: n for n, m in scalar.network.named_modules() if not any(m.children())}
    order: list[str] = []

    def keep(module: nn.Module, _inputs: object, output: object) -> None:
        maps = isinstance(output, Tensor) and output.ndim >= 3 and output.requires_grad
        if maps and module not in inside:
            order.append(leaves[module])

    handles = [module.register_forward_hook(keep) for module in leaves]
    try:
        with torch.enable_grad():
            scalar(features[None].requires_grad_())
    finally:
        for handle in handles:
            handle.remove()
    once = [name for name in order if order.count(name) == 1]
    if not once:
        raise InvalidValueError(
            f"no layer below {scalar.unit} gives maps, so there is no Grad-CAM of it; choose a "
            "unit of a later layer"
        )
    return once[-1]


def _resized(cam: Tensor, features: Tensor) -> Tensor:
    """Interpolate a map (1, ...) to the shape of the features; the same for all channels."""
    axes = features.ndim - 1
    if cam.ndim - 1 != axes or axes > 3:
        raise InvalidValueError(
            f"maps with {cam.ndim - 1} axes cannot be laid over an input with {axes}"
        )
    mode = ("linear", "bilinear", "trilinear")[axes - 1]
    wide = functional.interpolate(cam[None], features.shape[1:], mode=mode)
    return wide[0].expand_as(features).clone()


@dataclass(frozen=True, slots=True)
class GuidedGradCam:
    """Guided backpropagation, kept where Grad-CAM sees something.

    Attributes
    ----------
    layer : str
        As in `GradCam`.

    References
    ----------
    .. [1] R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via
       gradient-based localization", ICCV, 2017.
    """

    layer: str = ""

    def __call__(
        self,
        network: nn.Module,
        features: Tensor,
        unit: Unit,
        *,
        position: Position = "peak",
        options: InversionOptions = DEFAULTS,
    ) -> Inversion:
        """Invert ``unit``; see `Inverter`. ``options`` are those of guided backpropagation."""
        fine = guided(network, features, unit, position=position, options=options)
        coarse = GradCam(self.layer)(network, features, unit, position=position)
        flags = tuple(dict.fromkeys((*fine.flags, *coarse.flags)))
        return Inversion(
            fine.relevance * coarse.relevance,
            unit,
            "guided-grad-cam",
            fine.activation,
            fine.position,
            flags,
        )


INVERTERS.register("input-x-gradient")(InputTimesGradient())
INVERTERS.register("grad-cam")(GradCam())
INVERTERS.register("guided-grad-cam")(GuidedGradCam())
