"""The steps of a network that are compared with each other, and its untrained twins."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from auralise.activations.layers import list_layers
from auralise.errors import NetworkError
from auralise.filters.untrained import untrained_networks
from auralise.models.base import MusicNetwork

_BETWEEN = ("Pool", "Dropout", "Flatten", "Identity", "Unflatten")


@dataclass(frozen=True, slots=True)
class Stage:
    """What one weighted layer puts out, behind its normalisation and activation.

    Attributes
    ----------
    layer : str
        Name of the module whose output is taken.
    name : str
        Of the weighted layer, shortened; for tables and figures.
    shape : tuple of int
        Of the output without the batch axis.
    output : bool
        Whether it is the network's answer.
    """

    layer: str
    name: str
    shape: tuple[int, ...]
    output: bool = False

    @property
    def mapped(self) -> bool:
        """Whether the output still has a place in time, with more than one position."""
        return len(self.shape) > 1 and self.shape[-1] > 1


def find_stages(network: MusicNetwork, values: Tensor) -> tuple[Stage, ...]:
    """Return the stages of a network in the order of one pass.

    A stage begins at a module with weights that is no normalisation, and ends before the next
    pooling, dropout, flattening or stage. Modules with parts are left out.

    Parameters
    ----------
    network : MusicNetwork
    values : Tensor, shape (channels, ...)
        One example of the network's input.

    Raises
    ------
    NetworkError
        If nothing in the network has weights.

    Examples
    --------
    >>> from auralise.models.tiny import tiny_network
    >>> [stage.layer for stage in find_stages(tiny_network(), torch.zeros(1, 129, 64))]
    ['conv1.relu', 'conv2.relu']
    """
    modules = dict(network.module.named_modules(remove_duplicate=False))
    leaves = [
        info
        for info in list_layers(network.module, values)
        if next(modules[info.name].children(), None) is None
    ]
    stages: list[Stage] = []
    growing = False
    for info in leaves:
        starts = info.parameters > 0 and "Norm" not in info.kind
        if starts:
            short = info.name
            for tail in (".conv", ".linear"):
                short = short.removesuffix(tail)
            stages.append(Stage(info.name, short, info.shape))
            growing = True
        elif any(word in info.kind for word in _BETWEEN):
            growing = False
        elif growing:
            stages[-1] = replace(stages[-1], layer=info.name, shape=info.shape)
    if not stages:
        raise NetworkError(f"network {network.card.name!r} has no layer with weights")
    labels = len(network.card.labels)
    if stages[-1].shape == (labels,):
        stages[-1] = replace(stages[-1], output=True)
    return tuple(stages)


def twins_of(network: MusicNetwork, seeds: Sequence[int]) -> list[MusicNetwork]:
    """Return the same network before training, once for each seed.

    Built anew where the architecture is known. Otherwise a copy, in which every part that has
    ``reset_parameters`` is drawn anew; the state of PyTorch's random numbers is kept.

    Raises
    ------
    NetworkError
        If some weights cannot be drawn anew, so that no control can be made.
    """
    if network.card.architecture:
        return untrained_networks(network.card, seeds)
    fixed = [
        name
        for name, part in network.module.named_modules()
        if any(p.requires_grad for p in part.parameters(recurse=False))
        and not callable(getattr(part, "reset_parameters", None))
    ]
    if fixed:
        raise NetworkError(
            f"part {fixed[0]!r} of {network.card.name!r} has weights but no reset_parameters, so "
            "its untrained twins cannot be made; give it one, or register the architecture"
        )
    found = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            module = deepcopy(network.module)
            for part in module.modules():
                reset = getattr(part, "reset_parameters", None)
                if callable(reset):
                    reset()
            name = f"{network.card.name}, untrained, seed {seed}"
            card = replace(network.card, name=name, weights="", sha256="")
            found.append(MusicNetwork(module.eval(), card))
    return found


def fingerprint(network: MusicNetwork) -> str:
    """Return the SHA-256 of a network's weights, with their names, and of its frontend's words.

    Two networks with the same answer to everything may differ in it; two with another answer have
    another one, as long as they are built of the same parts.
    """
    found = hashlib.sha256(repr((network.card.frontend, network.card.labels)).encode())
    found.update(str(network.module).encode())
    for name, value in network.module.state_dict().items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def is_dead(responses: Tensor) -> Tensor:
    """Say which units answer the same to everything: bool, (units,).

    Parameters
    ----------
    responses : Tensor, shape (sounds, units)
    """
    spread = responses.amax(0) - responses.amin(0)
    largest = responses.abs().amax().clamp_min(torch.finfo(torch.float64).tiny)
    return spread <= 1e-6 * largest
