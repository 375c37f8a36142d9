"""Gradient, deconvnet and guided backpropagation: one way back with three rules at the ReLUs.

All three send the unit's own value from its place on the layer's map down to the input, each
linear operation answering with its transpose and each max-pooling with its recorded switches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from auralise.activations.graph import nodes_behind
from auralise.activations.layers import Unit
from auralise.activations.recorder import run_to
from auralise.errors import NetworkError
from auralise.inversion.base import INVERTERS, Inversion, InversionOptions, Position
from auralise.inversion.layerwise import Target, together
from auralise.inversion.relu_rules import RULES, BackwardRules, Rule
from auralise.inversion.scalars import Shared
from auralise.inversion.spellings import apply_rule, depends_on_data
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
    method : str
        Name in `INVERTERS`; gradient, deconvnet and guided share one forward pass, those that are
        `Shared` share theirs; others invert unit after unit.
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
    if method not in RULES:
        return _without_rule(network, features, layer, channels, method, position, options)
    passed = _forward(network, features, layer, method, options)
    count = passed.output.shape[1]
    units = [Unit(layer, c) for c in (range(count) if channels is None else channels)]
    seeds = _seeds(passed, units, position)
    maps = _together(passed, units, seeds)
    if maps is None:
        return (_backward(passed, unit, seed) for unit, seed in zip(units, seeds, strict=True))
    passed_on = zip(units, seeds, maps, strict=True)
    return (_inversion(passed, unit, seed, found, set()) for unit, seed, found in passed_on)


def _without_rule(
    network: nn.Module,
    features: Tensor,
    layer: str,
    channels: Iterable[int] | None,
    method: str,
    position: Position,
    options: InversionOptions,
) -> Iterator[Inversion]:
    """Invert units with a method that is none of the rules."""
    invert = INVERTERS[method]
    if channels is None:
        with torch.no_grad():
            channels = range(run_to(network, features[None], layer).shape[1])
    units = [Unit(layer, channel) for channel in channels]
    if isinstance(invert, Shared):
        return invert.together(network, features, units, position, options)
    return (invert(network, features, unit, position=position, options=options) for unit in units)


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
    check_features(features)
    with torch.inference_mode(False), torch.enable_grad(), frozen(network):
        leaf = features.detach().clone().requires_grad_()
        output = run_to(network, leaf[None], layer)
        nodes = list(nodes_behind(output))
        require_map(network, layer, output, any(_holds(node, leaf) for node in nodes))
        without_rule = set() if rule is None else apply_rule(nodes, rule, options)
    same_for_all = method == "deconvnet" and not depends_on_data(nodes)
    flags = (INPUT_INDEPENDENT,) if same_for_all else ()
    return _Pass(network, leaf, output, method, rule, options, flags, frozenset(without_rule))


def _holds(node: Node, leaf: Tensor) -> bool:
    return getattr(node, "variable", None) is leaf


def _seeds(passed: _Pass, units: Sequence[Unit], position: Position) -> list[_Seed]:
    """Choose the place of every unit; all peaks at once, since there may be many."""
    maps = passed.output.detach()[0]
    many = len(units) > 1 and position == "peak" and maps.ndim > 1
    if not many or any(unit.channel >= len(maps) for unit in units):
        return [_seed(passed, unit, position) for unit in units]
    followed, places = maps.flatten(1)[[unit.channel for unit in units]].max(1)
    kept = followed if passed.rule is None else followed.clamp(min=0)
    axes = torch.unravel_index(places, maps.shape[1:])
    rows = torch.stack(axes, 1).tolist()
    return [
        _Seed(values, activation, tuple(place))
        for values, activation, place in zip(kept, followed.tolist(), rows, strict=True)
    ]


def _seed(passed: _Pass, unit: Unit, position: Position) -> _Seed:
    """Choose the place on the unit's map and take the value there."""
    values = map_of(passed.output, unit)
    place = None if position == "whole" else find_place(values, unit.layer, position)
    followed = values if place is None else values[place]
    kept = followed if passed.rule is None else followed.clamp(min=0)
    return _Seed(kept, followed.sum().item(), place)


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
    if not is_finite(relevance) or not math.isfinite(seed.activation):
        raise NetworkError(
            f"the way back from {unit} gives NaN or infinity{culprit(passed.network)}"
        )
    flags = (*([] if seed.values.any() else [INACTIVE]), *passed.flags)
    met = sorted(passed.without_rule | without_rule)
    flags += tuple(f"no rule for {name}: {passed.options.activations}" for name in met)
    return Inversion(relevance, unit, passed.method, seed.activation, seed.position, flags)
