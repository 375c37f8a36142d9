"""Inputs found by optimisation: the plainest that a unit answers to alike, and its favourite.

Both give an *input* of their own in place of a map over the source's: what there is to hear is that
input, and not a part of the source. They keep it within the lowest and the highest value of the
source's features, in which the network is at home.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.errors import InvalidValueError, NetworkError
from auralise.inversion.base import INVERTERS, Inversion, InversionOptions, Position
from auralise.inversion.canvas import Box, Fourier
from auralise.inversion.progress import tell
from auralise.inversion.scalars import Scalar, inverted

DEFAULTS = InversionOptions()
_LOUDER = (1.0, 3.0, 10.0)  # of the noise that a search begins with, until the unit answers
OWN_INPUT = "an input of its own, no part of the source"

Flags = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeatureInversion:
    r"""The plainest input to which the unit answers as it does to the source.

    .. math:: \frac{\lVert a(x) - a(s) \rVert^2}{\lVert a(s) \rVert^2}
              + \lambda\, \overline{h} + \mu\, (\overline{|\Delta_t h|} + \overline{|\Delta_f h|})

    Here :math:`a` is the unit's map (or its value at the place that is followed), and :math:`h` how
    far the input stands above silence, over the range of the source's features: where the network
    does not care, nothing is heard, and what is heard is smooth in time and frequency. For raw
    audio, silence is 0 and :math:`h` the magnitude of the samples.

    Attributes
    ----------
    steps : int
        Of Adam at most, at least 1.
    rate : float
        Of Adam, over the range of the features. Positive.
    energy, roughness : float
        Prices :math:`\lambda` and :math:`\mu`, at least 0.
    patience : int
        Ends after so many steps in which nothing got better by a thousandth.
    seed : int
        Of the noise that it starts from.

    References
    ----------
    .. [1] A. Mahendran, A. Vedaldi, "Understanding deep image representations by inverting them",
       CVPR, 2015.
    """

    gives_input: ClassVar[bool] = True

    steps: int = 100
    rate: float = 0.02
    energy: float = 0.1
    roughness: float = 0.1
    patience: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self, ("steps", "patience"), ("rate",), ("energy", "roughness"))

    def __call__(
        self,
        network: nn.Module,
        features: Tensor,
        unit: Unit,
        *,
        position: Position = "peak",
        options: InversionOptions = DEFAULTS,
    ) -> Inversion:
        """Find the input for ``unit``; see `Inverter`."""
        return inverted("feature-inversion", self._make, network, features, unit, position, options)

    def _make(self, scalar: Scalar, features: Tensor) -> tuple[Tensor, Flags]:
        box = Box.around(features)
        wanted = scalar.values
        size = wanted.square().sum()

        def loss(found: Tensor) -> tuple[Tensor, Tensor]:
            answer = _answer(scalar, found)
            apart = (answer - wanted).square().sum() / size
            height = box.height(found)
            price = self.energy * height.mean() + self.roughness * _roughness(height)
            return apart + price, answer

        start = box.noise(self.seed)
        flags: Flags = ()
        if not _moves(loss, start):
            start, flags = features.clone(), ("begun at the source: no gradient from noise",)
        found, steps = _descend(
            loss, start, box.clamp, self.steps, self.rate * box.range, self.patience
        )
        return found, (OWN_INPUT, *flags, _reached(scalar, found, steps))


@dataclass(frozen=True, slots=True)
class ActivationMaximisation:
    r"""The input that the unit answers most, from noise and without a model of music.

    The input is optimised in the Fourier domain with amplitudes that fall with frequency, so that
    steps in neighbouring places belong together [1]_, and is moved about by a few places in each
    step, so that nothing is found that hangs on one grid. A price on its energy leaves silent what
    the unit does not ask for.

    Attributes
    ----------
    steps : int
        Of Adam at most, at least 1.
    rate : float
        Of Adam, on the Fourier coefficients. Positive.
    energy : float
        Price of the mean height above silence, in units of the source's activation; at least 0.
    jitter : int
        Largest move along every axis, in places, at least 0.
    patience : int
        Ends after so many steps in which nothing got better by a thousandth.
    seed : int
        Of the noise that it starts from, and of the moves.

    References
    ----------
    .. [1] C. Olah, A. Mordvintsev, L. Schubert, "Feature visualization", Distill, 2017.
    """

    gives_input: ClassVar[bool] = True

    steps: int = 100
    rate: float = 0.05
    energy: float = 0.5
    jitter: int = 4
    patience: int = 30
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self, ("steps", "patience"), ("rate",), ("energy", "jitter"))

    def __call__(
        self,
        network: nn.Module,
        features: Tensor,
        unit: Unit,
        *,
        position: Position = "peak",
        options: InversionOptions = DEFAULTS,
    ) -> Inversion:
        """Find the input for ``unit``; see `Inverter`."""
        return inverted(
            "activation-maximisation", self._make, network, features, unit, position, options
        )

    def _make(self, scalar: Scalar, features: Tensor) -> tuple[Tensor, Flags]:
        box = Box.around(features)
        painted = Fourier(features.shape, features)
        generator = torch.Generator().manual_seed(self.seed)
        unit_of_answer = max(float(scalar.values.abs().mean()), 1e-12)

        def input_of(coefficients: Tensor) -> Tensor:
            return box.low + box.range * painted(coefficients).sigmoid()

        def loss(coefficients: Tensor) -> tuple[Tensor, Tensor]:
            found = input_of(coefficients)
            answer = _answer(scalar, self._moved(found, generator))
            price = self.energy * box.height(found).mean()
            return price - answer.mean() / unit_of_answer, answer

        noise = painted.noise(self.seed)
        flags: Flags = ()
        start = next((noise * f for f in _LOUDER if _moves(loss, noise * f)), None)
        if start is None:
            start = painted.of(box.inside(features))
            flags = ("begun at the source: no gradient from noise",)
        coefficients, steps = _descend(
            loss, start, lambda t: t, self.steps, self.rate, self.patience
        )
        with torch.no_grad():
            found = input_of(coefficients)
        return found, (OWN_INPUT, *flags, _reached(scalar, found, steps))

    def _moved(self, found: Tensor, generator: torch.Generator) -> Tensor:
        """Roll an input by up to ``jitter`` places along every axis but the channels'."""
        axes = tuple(range(1, found.ndim))
        furthest = [min(self.jitter, found.shape[axis] // 4) for axis in axes]
        moves = [int(torch.randint(-f, f + 1, (), generator=generator)) for f in furthest]
        return found.roll(moves, axes)


Loss = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From what is optimised to the loss and the unit's answer."""


def _answer(scalar: Scalar, found: Tensor) -> Tensor:
    """Return the unit's value at the place, or its map."""
    values = run_to(scalar.network, found[None], scalar.unit.layer)[0, scalar.unit.channel]
    return values if scalar.place is None else values[scalar.place]


def _moves(loss: Loss, start: Tensor) -> bool:
    """Return whether the unit's answer has a gradient at the start."""
    with torch.enable_grad():
        leaf = start.detach().clone().requires_grad_()
        answer = loss(leaf)[1].sum()
        if not answer.requires_grad:
            raise NetworkError(
                "the layer does not depend on the input by differentiable operations, so no input "
                "can be looked for"
            )
        (slope,) = torch.autograd.grad(answer, leaf)
    return bool(slope.any())


def _descend(
    loss: Loss,
    start: Tensor,
    keep: Callable[[Tensor], Tensor],
    steps: int,
    rate: Tensor | float,
    patience: int,
) -> tuple[Tensor, int]:
    """Return the best that Adam found from ``start``, and after how many steps it ended."""
    now = start.detach().clone().requires_grad_()
    adam = torch.optim.Adam([now], float(rate))
    best, lowest, waited = start.detach().clone(), math.inf, 0
    for step in range(1, steps + 1):
        with torch.enable_grad():
            value = loss(now)[0]
            (now.grad,) = torch.autograd.grad(value, now)
        reached = float(value.detach())
        if not math.isfinite(reached):
            raise NetworkError(f"the search left what is finite at step {step}; lower its rate")
        waited += 1
        if reached < lowest - 1e-3 * abs(lowest if math.isfinite(lowest) else 0):
            best, lowest, waited = now.detach().clone(), reached, 0
        tell(step, steps)
        if waited >= patience:
            break
        adam.step()
        with torch.no_grad():
            now.copy_(keep(now))
    tell(steps, steps)
    return best, step


def _roughness(height: Tensor) -> Tensor:
    """Return the mean step between neighbours, summed over the axes behind the channels."""
    total = height.new_zeros(())
    for axis in range(1, height.ndim):
        if height.shape[axis] > 1:
            total = total + height.diff(dim=axis).abs().mean()
    return total


def _reached(scalar: Scalar, found: Tensor, steps: int) -> str:
    """Say what the unit answers to what was found."""
    with torch.no_grad():
        ratio = float(_answer(scalar, found).sum() / scalar.values.sum())
    return f"{ratio:.2f} times the activation on the source, after {steps} steps"


def _check(
    method: object, counts: tuple[str, ...], positive: tuple[str, ...], others: tuple[str, ...]
) -> None:
    """Refuse options that mean nothing."""
    for names, least, rule in (
        (counts, 1, "at least 1"),
        (positive, 1e-300, "positive"),
        (others, 0, "at least 0"),
        (("seed",), 0, "at least 0"),
    ):
        for name in names:
            value = getattr(method, name)
            if not least <= value < math.inf:
                raise InvalidValueError(f"{name} must be {rule}, got {value}")


INVERTERS.register("feature-inversion")(FeatureInversion())
INVERTERS.register("activation-maximisation")(ActivationMaximisation())
