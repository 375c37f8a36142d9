"""DeepLIFT and occlusion, computed by captum.

captum is optional: without it these methods raise `MissingPackageError`. It hooks modules, and
where that misses an operation its DeepLIFT gives a map that does not add up; such networks are
refused before they run, and what was found is checked by adding it up.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from auralise.activations.graph import nodes_behind, operation
from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.errors import (
    InvalidValueError,
    MissingPackageError,
    NetworkError,
    UnsupportedActivationError,
)
from auralise.inversion.base import INVERTERS, Inversion, InversionOptions, Position
from auralise.inversion.integrated import Baseline, baseline_of, check_baseline, missed
from auralise.inversion.progress import tell
from auralise.inversion.scalars import Relevance, Scalar, Shared, inverted

DEFAULTS = InversionOptions()


@dataclass(frozen=True, slots=True)
class DeepLift:
    """Differences from a baseline, sent back by the rescale rule.

    The map should add up to the unit's value minus its value on the baseline. Refused: ReLUs and
    other activation functions that are not modules or are called more than once, and max-pooling
    whose windows overlap or that is not a module, because captum passes them by or loses what they
    send. Behind other max-pooling it loses what falls to places where input and baseline are equal:
    by how much the sum misses the difference is flagged above 1 % and refused above 50 %.

    Attributes
    ----------
    baseline : {"silence", "zero", "mean"}

    References
    ----------
    .. [1] A. Shrikumar, P. Greenside, A. Kundaje, "Learning important features through propagating
       activation differences", ICML, 2017.
    """

    gives_shares: ClassVar[bool] = True

    baseline: Baseline = "silence"

    def __post_init__(self) -> None:
        check_baseline(self.baseline)

    def __call__(
        self,
        network: nn.Module,
        features: Tensor,
        unit: Unit,
        *,
        position: Position = "peak",
        options: InversionOptions = DEFAULTS,
    ) -> Inversion:
        """Invert ``unit``; see `Inverter`.

        Raises
        ------
        UnsupportedActivationError
            If captum would pass by an operation of the network.
        NetworkError
            If the map misses the difference by more than half of it.
        """

        def make(scalar: Scalar, values: Tensor) -> tuple[Tensor, tuple[str, ...]]:
            _require_modules(scalar, values)
            nothing = baseline_of(values, self.baseline)
            way = _captum().DeepLift(_Neuron(scalar))
            with _quiet():
                found = way.attribute(values[None].requires_grad_(), nothing[None])
            relevance = found[0].detach()
            apart = missed(scalar, values, nothing, relevance)
            if not apart <= 0.5:
                raise NetworkError(
                    f"captum's DeepLIFT of {unit} does not add up: it misses the difference from "
                    f"the baseline by {100 * apart:.0f} %; use integrated-gradients"
                )
            flags = () if apart <= 0.01 else (f"misses the difference by {100 * apart:.0f} %",)
            return relevance, flags

        return inverted("deeplift", make, network, features, unit, position, options)


Occluder = Literal["bands", "stretches", "tiles"]


@dataclass(frozen=True, slots=True)
class Occlusion(Shared):
    """How much the unit's value falls where a part of the sound is taken away.

    The parts are those of sound: bands of frequency over all of the time, stretches of time over
    all frequencies, or tiles of both. They overlap by half, and a place gets the mean over the
    parts that cover it.

    Attributes
    ----------
    occluder : {"bands", "stretches", "tiles"}
        An input with one position axis (raw audio) has stretches only.
    parts : int
        How many make up an axis, without the overlap, at least 2.
    baseline : {"silence", "zero", "mean"}
        What is put in their place.
    batch_size : int
        Occluded inputs that go through the network together, at least 1.

    References
    ----------
    .. [1] M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV,
       2014.
    """

    name: ClassVar[str] = "occlusion"
    gives_shares: ClassVar[bool] = True

    occluder: Occluder = "tiles"
    parts: int = 8
    baseline: Baseline = "silence"
    batch_size: int = 8

    def __post_init__(self) -> None:
        check_baseline(self.baseline)
        if self.batch_size < 1:
            raise InvalidValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.occluder not in get_args(Occluder):
            raise InvalidValueError(
                f"occluder must be one of {', '.join(get_args(Occluder))}, got {self.occluder!r}"
            )
        if self.parts < 2:
            raise InvalidValueError(f"parts must be at least 2, got {self.parts}")

    def window(self, features: Tensor) -> tuple[int, ...]:
        """Return the shape of a part, all channels included.

        Raises
        ------
        InvalidValueError
            If the input has no frequency axis to cut bands from.
        """
        lengths = list(features.shape[1:])
        if len(lengths) == 1 and self.occluder == "bands":
            raise InvalidValueError("an input with one position axis has no bands to occlude")
        for axis in range(len(lengths)):
            time = axis == len(lengths) - 1
            cut = self.occluder == "tiles" or time == (self.occluder == "stretches")
            if cut:
                lengths[axis] = -(-lengths[axis] // self.parts)
        return (len(features), *lengths)

    def relevances(self, scalars: Sequence[Scalar], features: Tensor) -> Iterator[Relevance]:
        """Return map and flags of each unit; see `Shared`."""
        network, layer = scalars[0].network, scalars[0].unit.layer
        window = self.window(features)
        strides = tuple(
            max(1, n // 2) if n < m else m for n, m in zip(window, features.shape, strict=True)
        )
        parts = math.prod(
            1 + -(-(m - n) // stride)
            for n, m, stride in zip(window, features.shape, strides, strict=True)
        )
        done = -1  # captum asks for the whole input first

        def answers(batch: Tensor) -> Tensor:
            nonlocal done
            done += len(batch)
            output = run_to(network, batch, layer)
            if done:
                tell(done, parts)
            return torch.stack([scalar.of(output) for scalar in scalars], 1)

        with torch.no_grad(), _quiet():
            found = (
                _captum()
                .Occlusion(answers)
                .attribute(
                    features[None],
                    window,
                    strides=strides,
                    baselines=baseline_of(features, self.baseline)[None],
                    perturbations_per_eval=self.batch_size,
                )
            )
        for relevance in found:
            yield relevance.to(features, copy=True), (f"constant over {self.occluder}",)


def _captum() -> Any:  # noqa: ANN401
    """Return captum's methods, or say how to get them."""
    try:
        from captum import attr
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "deeplift and occlusion need captum: pip install 'auralise[captum]'"
        ) from error
    return attr


class _Neuron(nn.Module):
    """A unit's value as a module, which is what captum's DeepLIFT takes."""

    def __init__(self, scalar: Scalar) -> None:
        super().__init__()
        self.network = scalar.network
        self._scalar = scalar
        self.eval()

    def forward(self, batch: Tensor) -> Tensor:
        """Return (batch, 1) values."""
        return self._scalar(batch)[:, None]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep captum's standing warnings, which ask for nothing, from the user."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Setting forward, backward hooks")
        yield


_POINTWISE = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus)
_NONLINEAR = {
    "Relu", "Threshold", "Elu", "LeakyRelu", "Sigmoid", "Tanh", "Softplus",
    "MaxPool1D", "MaxPool2DWithIndices", "MaxPool3DWithIndices", "AdaptiveMaxPool2D",
    "AdaptiveMaxPool3D",
}  # fmt: skip
_OTHERS = {
    "Hardtanh", "Silu", "Gelu", "Hardswish", "Hardsigmoid", "Mish", "Clamp", "ClampMin", "Maximum",
    "Minimum", "Where", "PreluKernel", "Softmax", "Abs", "MaskedFill", "NativeLayerNorm",
    "NativeGroupNorm", "Glu", "Celu", "LogSigmoid",
}  # fmt: skip


def _require_modules(scalar: Scalar, features: Tensor) -> None:
    """Refuse networks of whose operations captum's DeepLIFT would miss some."""
    calls: Counter[nn.Module] = Counter()
    pools = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
    known = [m for m in scalar.network.modules() if isinstance(m, (*_POINTWISE, *pools))]
    handles = [
        m.register_forward_hook(lambda module, _inputs, _output: calls.update([module]))
        for m in known
    ]
    try:
        with torch.enable_grad():
            leaf = features[None].detach().requires_grad_()
            output = run_to(scalar.network, leaf, scalar.unit.layer)
    finally:
        for handle in handles:
            handle.remove()
    met = Counter(operation(node) for node in nodes_behind(output))
    for module, count in calls.items():
        if count > 1:
            raise UnsupportedActivationError(
                f"a {type(module).__name__} is called {count} times, and captum's DeepLIFT keeps "
                "one call of each module; use integrated-gradients"
            )
        if isinstance(module, pools) and _overlaps(module):
            raise UnsupportedActivationError(
                f"{module} has windows that overlap or have gaps, and captum's DeepLIFT loses what "
                "they share; use integrated-gradients"
            )
    other = sorted(set(met) & _OTHERS)
    if other:
        raise UnsupportedActivationError(
            f"captum's DeepLIFT has no rule for {', '.join(other)}; use integrated-gradients"
        )
    if sum(met[name] for name in _NONLINEAR) != sum(calls.values()):
        raise UnsupportedActivationError(
            "the network calls activation functions or max-pooling, but not as modules, which "
            "captum's DeepLIFT passes by; use integrated-gradients"
        )


def _overlaps(pool: nn.Module) -> bool:
    def pair(value: object) -> tuple[object, ...]:
        return tuple(value) if isinstance(value, (tuple, list)) else (value,) * 3

    kernel, stride = pair(pool.kernel_size), pair(pool.stride)
    plain = set(pair(pool.padding)) == {0} and set(pair(pool.dilation)) == {1}
    return kernel != stride or not plain or bool(pool.ceil_mode)


INVERTERS.register("deeplift")(DeepLift())
INVERTERS.register("occlusion")(Occlusion())
