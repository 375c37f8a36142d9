"""Naming the parts of a network: layers and units."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from auralise.errors import InvalidValueError, NetworkError, UnknownNameError

_UNIT = re.compile(r"(?P<layer>[^:\s]+):(?P<channel>\d+)")
_CALL = re.compile(r"(?P<module>.+)@(?P<number>[1-9]\d*)")


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One channel of one layer, written ``conv3:17``.

    Attributes
    ----------
    layer : str
        Name of a module, as in ``network.named_modules()``. A module that is called several times
        in one pass is named with the call: ``relu@2`` is its second call, ``relu`` its first.
    channel : int
        Index along the first axis of the layer's output (after the batch axis), from 0.

    Examples
    --------
    >>> Unit.parse("conv3:17")
    Unit(layer='conv3', channel=17)
    >>> str(Unit("features.0", 5))
    'features.0:5'
    """

    layer: str
    channel: int

    def __post_init__(self) -> None:
        if self.channel < 0:
            raise InvalidValueError(f"channel must not be negative, got {self.channel}")

    @classmethod
    def parse(cls, text: str) -> Unit:
        """Read ``layer:channel``.

        Raises
        ------
        InvalidValueError
            If the text is not of that form.
        """
        match = _UNIT.fullmatch(text)
        if match is None:
            raise InvalidValueError(
                f"a unit is written layer:channel, as in conv3:17; got {text!r}"
            )
        return cls(match["layer"], int(match["channel"]))

    def __str__(self) -> str:
        return f"{self.layer}:{self.channel}"


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """What one pass told about a layer.

    Attributes
    ----------
    name : str
        As in ``network.named_modules()``.
    kind : str
        Name of the module's class.
    channels : int
        Number of units: length of the output's first axis behind the batch axis.
    shape : tuple of int
        Of the first call's output without the batch axis: (channels, ...).
    calls : int
        How often one pass calls the module; ``name@2`` names the second call.
    parameters : int
        Number of parameter values inside the module, its parts included.
    """

    name: str
    kind: str
    channels: int
    shape: tuple[int, ...]
    calls: int
    parameters: int


def find_layer(network: nn.Module, name: str) -> tuple[nn.Module, int]:
    """Return the module that a layer's name means, and which of its calls.

    Parameters
    ----------
    network : nn.Module
        Any module with named parts.
    name : str
        As in ``network.named_modules()``, with ``@n`` for the n-th call within one pass.

    Returns
    -------
    module : nn.Module
        The part of that name.
    call : int
        From 1.

    Raises
    ------
    UnknownNameError
        If there is no such part; the message has the close names.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU())
    >>> find_layer(network, "1@2")
    (ReLU(), 2)
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    modules.pop("", None)
    if name in modules:
        return modules[name], 1
    match = _CALL.fullmatch(name)
    if match is not None and match["module"] in modules:
        return modules[match["module"]], int(match["number"])
    raise UnknownNameError("layer", name, modules)


def require_evaluation_mode(network: nn.Module) -> None:
    """Refuse a network that answers differently from pass to pass.

    Raises
    ------
    NetworkError
        If the network or a part of it is in training mode, or a batch normalisation has no running
        statistics, so that it mixes the examples of a batch in evaluation mode too.
    """
    for name, module in network.named_modules():
        if module.training:
            part = f"part {name!r} of the network" if name else "the network"
            raise NetworkError(
                f"{part} is in training mode, where dropout and batch statistics change its "
                "outputs; call network.eval() first"
            )
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise NetworkError(
                f"layer {name!r} ({type(module).__name__}) has no running statistics, so it mixes "
                "the examples of a batch; train it with track_running_stats=True"
            )


def list_layers(network: nn.Module, features: Tensor) -> list[LayerInfo]:
    """List the layers whose units can be followed, in the order in which one pass completes them.

    Modules with parts stand in the list behind their parts. The network itself is left out, and
    so are modules whose output is not one tensor with a channel axis for the one example given.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; takes a batch of features. Left as it was found.
    features : Tensor, shape (channels, ...)
        One example, without a batch axis.

    Returns
    -------
    list of LayerInfo

    Raises
    ------
    NetworkError
        If the network is in training mode.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU()).eval()
    >>> [(layer.name, layer.kind, layer.shape) for layer in list_layers(network, torch.zeros(1, 9))]
    [('0', 'Conv1d', (4, 7)), ('1', 'ReLU', (4, 7))]
    """
    require_evaluation_mode(network)
    layers: dict[str, LayerInfo] = {}
    with ExitStack() as undo, torch.no_grad():
        for name, module in network.named_modules():
            if name:
                undo.callback(module.register_forward_hook(_noting(layers, name)).remove)
        network(features.detach().clone()[None])
    return list(layers.values())


def _noting(layers: dict[str, LayerInfo], name: str) -> Callable[..., None]:
    """Return a forward hook that enters a module into ``layers``."""

    def note(module: nn.Module, _inputs: object, output: object) -> None:
        if name in layers:
            layers[name] = replace(layers[name], calls=layers[name].calls + 1)
        elif isinstance(output, Tensor) and output.ndim > 1 and output.shape[0] == 1:
            shape = tuple(output.shape[1:])
            parameters = sum(p.numel() for p in module.parameters())
            layers[name] = LayerInfo(name, type(module).__name__, shape[0], shape, 1, parameters)

    return note
