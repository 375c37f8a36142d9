"""What an inversion is, and the table of methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from torch import Tensor, nn

from auralise.activations.layers import Unit
from auralise.errors import InvalidValueError
from auralise.registry import Registry

Position = Literal["peak", "whole"] | tuple[int | None, ...]
"""Where on a unit's map: its strongest place, everywhere, or an index along each axis behind the
channel axis, in which None means "the strongest along this axis"."""

ActivationPolicy = Literal["raise", "gradient", "rectify"]
DeadWindowPolicy = Literal["first", "block"]


@dataclass(frozen=True, slots=True)
class InversionOptions:
    """What to do where a method leaves a choice.

    Attributes
    ----------
    activations : {"raise", "gradient", "rectify"}
        For an activation function that is not a ReLU: refuse; use its derivative as it is;
        or use the method's rule on top of its derivative.
    dead_windows : {"first", "block"}
        For a max-pooling window whose values are all equal (all zero behind a ReLU): send the
        signal to the first of them, as PyTorch does, or block it.
    """

    activations: ActivationPolicy = "raise"
    dead_windows: DeadWindowPolicy = "first"

    def __post_init__(self) -> None:
        for name, known in (("activations", ActivationPolicy), ("dead_windows", DeadWindowPolicy)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise InvalidValueError(
                    f"{name} must be one of {', '.join(get_args(known))}; got {value!r}"
                )


@dataclass(frozen=True, slots=True, eq=False)
class Inversion:
    """One unit's answer, in the shape of the network's input.

    Attributes
    ----------
    relevance : Tensor
        Same shape as the features; signed.
    unit : Unit
        The unit that was followed.
    method : str
        Name in `INVERTERS`.
    activation : float
        The unit's value at the followed position; the sum over its map for ``"whole"``.
    position : tuple of int, or None
        Index behind the channel axis on the unit's map; None for the whole map.
    flags : tuple of str
        What a reader has to know before believing the map: ``"inactive"``,
        ``"input-independent: no max-pooling below"``, ...
    """

    relevance: Tensor
    unit: Unit
    method: str
    activation: float
    position: tuple[int, ...] | None = None
    flags: tuple[str, ...] = field(default=())


class Inverter(Protocol):
    """Sends a unit's activation back to the network's input.

    A method whose map is an input of its own, rather than one over the source's features, has an
    attribute ``gives_input`` that is true; one whose map says how much each value of the features
    counts, rather than how it should change, has ``gives_shares``.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; takes a batch. Left exactly as it was found.
    features : Tensor, shape (channels, ...)
        One example without a batch axis; not changed.
    unit : Unit
        Layer and channel.
    position : "peak", "whole" or tuple
        Where on the unit's map.
    options : InversionOptions
        Choices that the method leaves open.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    InvalidValueError
        If the channel or the position is outside the layer's output.
    NetworkError
        If the network is in training mode, or the layer does not give a tensor.
    UnsupportedActivationError
        If an activation function is met that the method has no rule for.
    """

    def __call__(
        self,
        network: nn.Module,
        features: Tensor,
        unit: Unit,
        *,
        position: Position = "peak",
        options: InversionOptions = InversionOptions(),
    ) -> Inversion:
        """Invert ``unit``."""
        ...


INVERTERS: Registry[Inverter] = Registry("inversion method")
