"""Gradient, deconvnet and guided backpropagation: one way back with three rules at the ReLUs.

All three send the unit's own value from its place on the layer's map down to the input, each
linear operation answering with its transpose and each max-pooling with its recorded switches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from auralise.activations.graph import nodes_behind
from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.errors import InvalidValueError, NetworkError
from auralise.inversion.base import INVERTERS, Inversion, InversionOptions, Position
from auralise.inversion.layerwise import Target, together
from auralise.inversion.relu_rules import RULES, BackwardRules, Rule
from auralise.inversion.spellings import apply_rule, depends_on_data

DEFAULTS = InversionOptions()
INACTIVE = "inactive"
INPUT_INDEPENDENT = "input-independent: no max-pooling below"


@INVERTERS.register("gradient")
def gradient(
    network: nn.Module,
    features: Tensor,
    unit: Unit,
    *,
    position: Position = "peak",
    options: InversionOptions = DEFAULTS,
) -> Inversion:
    """Follow the derivative as it is; the value at the place keeps its sign.

    See `Inverter` for parameters and errors.

    References
    ----------
    .. [1] K. Simonyan, A. Vedaldi, A. Zisserman, "Deep inside convolutional networks", ICLR
       workshop, 2014.
    """
    return _invert_one(network, features, unit, "gradient", position, options)


@INVERTERS.register("deconvnet")
def deconvnet(
    network: nn.Module,
    features: Tensor,
    unit: Unit,
    *,
    position: Position = "peak",
    options: InversionOptions = DEFAULTS,
) -> Inversion:
    """Keep only what is positive on the way down, wherever a ReLU stands.

    See `Inverter` for parameters and errors.

    References
    ----------
    .. [1] M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV,
       2014.
    """
    return _invert_one(network, features, unit, "deconvnet", position, options)


@INVERTERS.register("guided")
def guided(
    network: nn.Module,
    features: Tensor,
    unit: Unit,
    *,
    position: Position = "peak",
    options: InversionOptions = DEFAULTS,
) -> Inversion:
    """Keep only what is positive on the way down and came through an open ReLU on the way up.

    See `Inverter` for parameters and errors.

    References
    ----------
    .. [1] J. T. Springenberg et al., "Striving for simplicity: the all convolutional net", ICLR
       workshop, 2015, section 3.4.
    """
    return _invert_one(network, features, unit, "guided", position, options)


def invert_layer(
    network: nn.Module,
    features: Tensor,
    layer: str,
    channels: Iterable[int] | None = None,
    method: str = "guided",
    position: Position = "peak",
    options: InversionOptions = DEFAULTS,
) -> Iterator[Inversion]:
    """Invert units of one layer, with one forward pass for all of them.

    Where the network allows it (`auralise.inversion.cropping`) and it is less work, units go back
    in batches, single positions within what they can see of the input; the maps are the same but
    for rounding.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; takes a batch. Left exactly as it was found, also between the units.
    features : Tensor, shape (channels, ...)
        One example without a batch axis; not changed.
    layer : str
        Name as in ``network.named_modules()``.
    channels : iterable of int, optional
        The units, in the order wanted; all of the layer if None.
    method : {"gradient", "deconvnet", "guided"}
        Rule at the ReLUs.
    position : "peak", "whole" or tuple
        Where on each unit's map.
    options : InversionOptions
        Choices that the method leaves open.

    Yields
    ------
    Inversion
        The same as from ``INVERTERS[method]`` for each unit by itself; made when it is asked for.

    Raises
    ------
    UnknownNameError, InvalidValueError, NetworkError, UnsupportedActivationError
        As in `Inverter`; what can be known before the first unit is raised by the call itself.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU()).eval()
    >>> [str(found.unit) for found in invert_layer(network, torch.ones(1, 8), "1")]
    ['1:0', '1:1']
    """
    passed = _forward(network, features, layer, method, options)
    count = passed.output.shape[1]
    units = [Unit(layer, c) for c in (range(count) if channels is None else channels)]
    seeds = [_seed(passed, unit, position) for unit in units]
    maps = _together(passed, units, seeds)
    if maps is None:
        return (_backward(passed, unit, seed) for unit, seed in zip(units, seeds, strict=True))
    passed_on = zip(units, seeds, maps, strict=True)
    return (_inversion(passed, unit, seed, found, set()) for unit, seed, found in passed_on)


def _invert_one(
    network: nn.Module,
    features: Tensor,
    unit: Unit,
    method: str,
    position: Position,
    options: InversionOptions,
) -> Inversion:
    (found,) = invert_layer(
        network, features, unit.layer, [unit.channel], method, position, options
    )
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Pass:
    """A forward pass up to a layer: its recorded graph, and how to go back through it."""

    network: nn.Module
    leaf: Tensor  # (channels, ...)
    output: Tensor  # (1, channels, ...)
    method: str
    rule: Rule | None
    options: InversionOptions
    flags: tuple[str, ...]
    without_rule: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class _Seed:
    """What is sent back: the unit's map, or its value at one place."""

    values: Tensor
    activation: float
    position: tuple[int, ...] | None


def _forward(
    network: nn.Module, features: Tensor, layer: str, method: str, options: InversionOptions
) -> _Pass:
    """Run the network up to the layer and give the method's rule to the graph."""
    rule = RULES[method]
    if not features.is_floating_point():
        raise InvalidValueError(f"features must be of a real floating dtype, got {features.dtype}")
    if not _is_finite(features):
        raise InvalidValueError("features hold NaN or infinity; look at the sound they come from")
    with torch.inference_mode(False), torch.enable_grad(), _frozen(network):
        leaf = features.detach().clone().requires_grad_()
        output = run_to(network, leaf[None], layer)
        nodes = list(nodes_behind(output))
        _require_map(network, layer, output, any(_holds(node, leaf) for node in nodes))
        without_rule = set() if rule is None else apply_rule(nodes, rule, options)
    same_for_all = method == "deconvnet" and not depends_on_data(nodes)
    flags = (INPUT_INDEPENDENT,) if same_for_all else ()
    return _Pass(network, leaf, output, method, rule, options, flags, frozenset(without_rule))


def _holds(node: Node, leaf: Tensor) -> bool:
    return getattr(node, "variable", None) is leaf


def _require_map(network: nn.Module, layer: str, output: Tensor, connected: bool) -> None:
    """Refuse an output that has no units, no gradient or no finite values."""
    if output.ndim < 2 or output.shape[0] != 1:
        raise NetworkError(
            f"layer {layer!r} gives shape {tuple(output.shape)} for one example, where "
            "(1, channels, ...) is needed; choose another layer"
        )
    if not connected:
        raise NetworkError(
            f"layer {layer!r} does not depend on the input by differentiable operations, so "
            "nothing can be sent back from it"
        )
    if not _is_finite(output):
        raise NetworkError(f"layer {layer!r} gives NaN or infinity{_culprit(network)}")


def _is_finite(values: Tensor) -> bool:
    """Return whether all values are finite; most often their sum alone tells."""
    return bool(values.sum().isfinite() or values.isfinite().all())


def _culprit(network: nn.Module) -> str:
    """Return which parameters are to blame for numbers that are not finite, as a clause."""
    named = [*network.named_parameters(), *network.named_buffers()]
    bad = [name for name, p in named if p.is_floating_point() and not p.isfinite().all()]
    if bad:
        return f", as do its parameters {', '.join(bad[:3])}; load the weights again"
    return ", though all parameters are finite; are the features in the range it was trained for?"


def _seed(passed: _Pass, unit: Unit, position: Position) -> _Seed:
    """Choose the place on the unit's map and take the value there."""
    maps = passed.output.detach()[0]
    if unit.channel >= len(maps):
        raise InvalidValueError(
            f"layer {unit.layer!r} has channels 0 to {len(maps) - 1}, got {unit.channel}"
        )
    values = maps[unit.channel]
    place = None if position == "whole" else _place(values, unit.layer, position)
    followed = values if place is None else values[place]
    kept = followed if passed.rule is None else followed.clamp(min=0)
    return _Seed(kept, followed.sum().item(), place)


def _place(values: Tensor, layer: str, position: Position) -> tuple[int, ...]:
    """Return the index of the strongest value among those that ``position`` leaves open."""
    wanted = (None,) * values.ndim if position == "peak" else position
    if isinstance(wanted, str):
        raise InvalidValueError(f"position must be 'peak', 'whole' or a tuple, got {wanted!r}")
    if len(wanted) != values.ndim or any(
        i is not None and not 0 <= i < length
        for i, length in zip(wanted, values.shape, strict=True)
    ):
        raise InvalidValueError(
            f"position {wanted} is not on the maps of layer {layer!r}, which have shape "
            f"{tuple(values.shape)}; give one index (from 0) or None for each axis"
        )
    if values.ndim == 0:
        return ()
    open_part = values[tuple(slice(None) if i is None else slice(i, i + 1) for i in wanted)]
    best, place = int(open_part.argmax()), list(wanted)
    for axis in reversed(range(values.ndim)):
        best, index = divmod(best, open_part.shape[axis])
        place[axis] = index if wanted[axis] is None else wanted[axis]
    return tuple(i for i in place if i is not None)


def _backward(passed: _Pass, unit: Unit, seed: _Seed) -> Inversion:
    """Send one seed back to the input."""
    relevance, without_rule = _send(passed, unit.channel, seed.position, seed.values)
    return _inversion(passed, unit, seed, relevance, without_rule)


@torch.inference_mode(False)
def _send(
    passed: _Pass, channel: int, place: tuple[int, ...] | None, values: Tensor
) -> tuple[Tensor, set[str]]:
    """Send values back through all of the graph; also return what no rule was found for."""
    signal = torch.zeros_like(passed.output)
    signal[(0, channel, *(place or ()))] = values
    with BackwardRules(passed.rule, passed.options) as rules:
        (relevance,) = torch.autograd.grad(passed.output, passed.leaf, signal, retain_graph=True)
    return relevance, rules.without_rule


def _together(
    passed: _Pass, units: Sequence[Unit], seeds: Sequence[_Seed]
) -> Iterator[Tensor] | None:
    """Return the relevances of units that go back in batches, if they can and it is better."""
    if passed.without_rule:
        return None
    targets = [
        Target(unit.channel, seed.position, seed.values)
        for unit, seed in zip(units, seeds, strict=True)
    ]

    def whole_way(target: Target) -> Tensor:
        return _send(passed, target.channel, target.place, target.values)[0]

    recorded = passed.network, passed.output, passed.leaf
    return together(*recorded, passed.rule, passed.options, targets, whole_way)


def _inversion(
    passed: _Pass, unit: Unit, seed: _Seed, relevance: Tensor, without_rule: set[str]
) -> Inversion:
    """Check a relevance and say what has to be known of it."""
    if not _is_finite(relevance) or not math.isfinite(seed.activation):
        raise NetworkError(
            f"the way back from {unit} gives NaN or infinity{_culprit(passed.network)}"
        )
    flags = (*([] if seed.values.any() else [INACTIVE]), *passed.flags)
    met = sorted(passed.without_rule | without_rule)
    flags += tuple(f"no rule for {name}: {passed.options.activations}" for name in met)
    return Inversion(relevance, unit, passed.method, seed.activation, seed.position, flags)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Keep gradients of parameters from being recorded while the block runs."""
    with ExitStack() as undo:
        for parameter in network.parameters():
            if parameter.requires_grad:
                undo.callback(parameter.requires_grad_, True)
                parameter.requires_grad_(False)
        yield
