"""Which layers of a network an atlas is of, and what their places see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from auralise.activations.layers import list_layers
from auralise.activations.receptive_field import ReceptiveField, receptive_field
from auralise.errors import InvalidValueError, NetworkError, UnknownNameError
from auralise.models.base import MusicNetwork

WINDOW_SECONDS = 5.0
"""Length of the windows of networks that take any."""

PASSED_ON = frozenset({"Flatten", "Unflatten", "Identity", "Dropout", "Dropout1d", "Dropout2d"})
"""Kinds of modules that hand values on as they are; their units are those of the layer before."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of an atlas.

    Attributes
    ----------
    name : str
    channels : int
    shape : tuple of int
        Of its map behind the channel axis, for one window.
    field : ReceptiveField
        Of the window's features.
    """

    name: str
    channels: int
    shape: tuple[int, ...]
    field: ReceptiveField


def layers_of(
    network: MusicNetwork, seconds: float, wanted: Sequence[str] | None = None
) -> tuple[Layer, ...]:
    """Return layers with what their positions see.

    Parameters
    ----------
    network : MusicNetwork
    seconds : float
        Length of a window.
    wanted : sequence of str, optional
        Names of layers; ``["all"]`` means every module. If not given, those that are not parts of
        another layer, but for modules that hand values on as they are.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    NetworkError
        If the network gives no layers, or takes no windows of that length.
    """
    frontend = network.card.frontend
    silence = torch.zeros(1, round(seconds * frontend.sample_rate))
    try:
        with torch.no_grad():
            features = frontend.module(silence)[0]
            found = {layer.name: layer for layer in list_layers(network.module, features)}
    except RuntimeError as error:
        if isinstance(error, NetworkError):
            raise
        raise NetworkError(
            f"network {network.card.name!r} takes no windows of {seconds:g} s: {error}"
        ) from error
    if wanted is None:
        names = [
            name
            for name, layer in found.items()
            if layer.kind not in PASSED_ON and not _inside(name, found)
        ]
    elif list(wanted) == ["all"]:
        names = list(found)
    else:
        names = list(dict.fromkeys(wanted))
        for name in names:
            if name not in found:
                raise UnknownNameError("layer", name, found)
    if not names:
        raise NetworkError(f"network {network.card.name!r} has no layers to be followed")
    return tuple(
        Layer(
            name,
            found[name].channels,
            found[name].shape[1:],
            receptive_field(network.module, features, name, shape=found[name].shape),
        )
        for name in names
    )


def _inside(name: str, found: Mapping[str, object]) -> bool:
    return any(name.startswith(f"{other}.") for other in found if other != name)


def window_seconds(network: MusicNetwork, wanted: float | None) -> float:
    """Return the length of windows: the network's own, or what is wanted where it takes any.

    Raises
    ------
    InvalidValueError
        If another length is wanted than the only one that the network takes.
    """
    own = network.card.seconds
    if wanted is not None and not wanted > 0:
        raise InvalidValueError(f"windows must be longer than 0 s, got {wanted:g} s")
    if own is not None and wanted not in (None, own):
        raise InvalidValueError(
            f"network {network.card.name!r} takes windows of {own:g} s, got {wanted:g} s"
        )
    return own or wanted or WINDOW_SECONDS
