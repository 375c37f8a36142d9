"""A unit as one number of the input: what methods other than the backward rules work with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
        maps = run_to(self.network, batch, self.unit.layer)[:, self.unit.channel]
        if self.place is None:
            return maps.flatten(1).sum(1)
        for index in self.place:
            maps = maps[:, index]
        return maps

    @property
    def activation(self) -> float:
        """The value on the features."""
        return float(self.values.detach().sum())


def scalar_of(network: nn.Module, features: Tensor, unit: Unit, position: Position) -> Scalar:
    """Choose the place on the unit's map; errors as in `Inverter`."""
    check_features(features)
    with torch.no_grad():
        output = run_to(network, features.detach()[None], unit.layer)
    require_map(network, unit.layer, output, connected=True)
    values = map_of(output, unit)
    place = None if position == "whole" else find_place(values, unit.layer, position)
    return Scalar(network, unit, place, values if place is None else values[place])


Make = Callable[[Scalar, Tensor], tuple[Tensor, tuple[str, ...]]]
"""From a unit's value and the features (on no graph) to relevance and flags."""


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
    if options != InversionOptions():
        raise InvalidValueError(
            f"{name} has no rule for activations or dead windows to choose, got {options}; "
            "gradient, deconvnet and guided have"
        )
    with torch.inference_mode(False), frozen(network):
        scalar = scalar_of(network, features, unit, position)
        if not scalar.values.any():
            return Inversion(torch.zeros_like(features), unit, name, 0.0, scalar.place, (INACTIVE,))
        relevance, flags = make(scalar, features.detach().clone())
    relevance = relevance.detach()
    if not is_finite(relevance) or not math.isfinite(scalar.activation):
        raise NetworkError(f"{name} of {unit} gives NaN or infinity{culprit(network)}")
    return Inversion(relevance, unit, name, scalar.activation, scalar.place, flags)


def gradient_of(function: Callable[[Tensor], Tensor], batch: Tensor, layer: str) -> Tensor:
    """Return the derivative of a value's sum over a batch.

    Raises
    ------
    NetworkError
        If the value does not depend on the batch by differentiable operations.
    """
    with torch.enable_grad():
        leaf = batch.detach().requires_grad_()
        value = function(leaf).sum()
        if not value.requires_grad:
            raise NetworkError(
                f"layer {layer!r} does not depend on the input by differentiable operations, so "
                "nothing can be sent back from it"
            )
        return torch.autograd.grad(value, leaf)[0]


@contextmanager
def watched(module: nn.Module, hook: Callable[..., object]) -> Iterator[None]:
    """Keep a forward hook on a module while the block runs."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()
