"""A unit as one number of the input: what methods other than the backward rules work with."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.errors import InvalidValueError, NetworkError
from auralise.inversion.base import Inversion, InversionOptions, Position
from auralise.inversion.targets import (
    INACTIVE,
    check_features,
    culprit,
    find_place,
    frozen,
    is_finite,
    map_of,
    require_map,
)

DEFAULTS = InversionOptions()


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """One unit's value at a place, or the sum of its map, as a function of a batch of inputs.

    Attributes
    ----------
    network : nn.Module
    unit : Unit
    place : tuple of int, or None
        Index behind the channel axis; None for the whole map.
    values : Tensor
        The unit's value there, or its map, on the features.
    """

    network: nn.Module
    unit: Unit
    place: tuple[int, ...] | None
    values: Tensor

    def __call__(self, batch: Tensor) -> Tensor:
        """Return a value for each input: (batch, channels, ...) to (batch,)."""
        return self.of(run_to(self.network, batch, self.unit.layer))

    def of(self, output: Tensor) -> Tensor:
        """Return the value for each output of the layer: (batch, units, ...) to (batch,)."""
        maps = output[:, self.unit.channel]
        if self.place is None:
            return maps.flatten(1).sum(1)
        for index in self.place:
            maps = maps[:, index]
        return maps

    @property
    def activation(self) -> float:
        """The value on the features."""
        return float(self.values.detach().sum())


def scalars_of(
    network: nn.Module, features: Tensor, units: Sequence[Unit], position: Position
) -> list[Scalar]:
    """Choose the place on each unit's map, all units of one layer; errors as in `Inverter`."""
    layer = units[0].layer
    check_features(features)
    with torch.no_grad():
        output = run_to(network, features.detach()[None], layer)
    require_map(network, layer, output, connected=True)
    scalars = []
    for unit in units:
        values = map_of(output, unit)
        place = None if position == "whole" else find_place(values, layer, position)
        followed = values if place is None else values[place]
        scalars.append(Scalar(network, unit, place, followed.clone()))
    return scalars


Relevance = tuple[Tensor, tuple[str, ...]]
"""A map and what has to be known of it."""

Make = Callable[[Scalar, Tensor], Relevance]
"""From a unit's value and the features (on no graph) to relevance and flags."""

MakeMany = Callable[[Sequence[Scalar], Tensor], Iterable[Relevance]]
"""The same for units of one layer."""


def inverted(
    name: str,
    make: Make,
    network: nn.Module,
    features: Tensor,
    unit: Unit,
    position: Position,
    options: InversionOptions,
) -> Inversion:
    """Do what all these methods do around ``make``.

    A unit that is 0 wherever it is followed is not asked about: its relevance is zero and carries
    the flag ``"inactive"``.

    Raises
    ------
    InvalidValueError
        If ``options`` says something of ReLUs or pooling, where these methods have no choice.
    NetworkError
        If the relevance is not finite, and as in `Inverter`.
    """

    def make_many(scalars: Sequence[Scalar], values: Tensor) -> Iterable[Relevance]:
        return [make(scalar, values) for scalar in scalars]

    (found,) = _inverted(name, make_many, network, features, [unit], position, options)
    return found


class Shared(ABC):
    """An `Inverter` whose units share passes through the network: `invert_layer` asks for many.

    A subclass gives its ``name`` in `INVERTERS` and `relevances`.
    """

    __slots__ = ()

    name: ClassVar[str]

    @abstractmethod
    def relevances(self, scalars: Sequence[Scalar], features: Tensor) -> Iterable[Relevance]:
        """Return map and flags of each of some units of one layer, none of which is inactive."""

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
        (found,) = self.together(network, features, [unit], position, options)
        return found

    def together(
        self,
        network: nn.Module,
        features: Tensor,
        units: Sequence[Unit],
        position: Position,
        options: InversionOptions,
    ) -> Iterator[Inversion]:
        """Invert units of one layer, as many with each pass as memory allows; see `Inverter`."""
        for group in in_groups(units, features):
            yield from _inverted(
                self.name, self.relevances, network, features, group, position, options
            )


def _inverted(
    name: str,
    make: MakeMany,
    network: nn.Module,
    features: Tensor,
    units: Sequence[Unit],
    position: Position,
    options: InversionOptions,
) -> list[Inversion]:
    """Do what all these methods do around ``make``, which is given the units that answer."""
    if options != DEFAULTS:
        raise InvalidValueError(
            f"{name} has no rule for activations or dead windows to choose, got {options}; "
            "gradient, deconvnet and guided have"
        )
    with torch.inference_mode(False), frozen(network):
        scalars = scalars_of(network, features, units, position)
        live = [scalar for scalar in scalars if scalar.values.any()]
        made = iter(make(live, features.detach().clone()) if live else ())
        return [
            _inversion(name, scalar, *next(made))
            if scalar.values.any()
            else Inversion(
                torch.zeros_like(features), scalar.unit, name, 0.0, scalar.place, (INACTIVE,)
            )
            for scalar in scalars
        ]


def _inversion(name: str, scalar: Scalar, relevance: Tensor, flags: tuple[str, ...]) -> Inversion:
    """Refuse what is no number."""
    relevance = relevance.detach()
    if not is_finite(relevance) or not math.isfinite(scalar.activation):
        raise NetworkError(
            f"{name} of {scalar.unit} gives NaN or infinity{culprit(scalar.network)}"
        )
    return Inversion(relevance, scalar.unit, name, scalar.activation, scalar.place, flags)


def in_groups(units: Sequence[Unit], features: Tensor, budget: int = 2**21) -> Iterator[list[Unit]]:
    """Divide units so that the maps of a group hold at most so many numbers together."""
    size = max(1, budget // max(1, features.numel()))
    for first in range(0, len(units), size):
        yield list(units[first : first + size])


def gradients_of(scalars: Sequence[Scalar], batch: Tensor) -> Iterator[Tensor]:
    """Return, for each value, the derivative of its sum over a batch, from one forward pass.

    Raises
    ------
    NetworkError
        If the layer does not depend on the batch by differentiable operations.
    """
    network, layer = scalars[0].network, scalars[0].unit.layer
    with torch.enable_grad():
        leaf = batch.detach().requires_grad_()
        output = run_to(network, leaf, layer)
        if not output.requires_grad:
            raise NetworkError(
                f"layer {layer!r} does not depend on the input by differentiable operations, so "
                "nothing can be sent back from it"
            )
        values = [scalar.of(output).sum() for scalar in scalars]
    for number, value in enumerate(values, 1):
        yield torch.autograd.grad(value, leaf, retain_graph=number < len(values))[0]


@contextmanager
def watched(module: nn.Module, hook: Callable[..., object]) -> Iterator[None]:
    """Keep a forward hook on a module while the block runs."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
