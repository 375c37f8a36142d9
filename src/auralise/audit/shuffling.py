"""The same network with its weights in disorder: what is left without what it has learnt."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from auralise.activations.layers import find_layer, list_layers
from auralise.frontends.base import Features
from auralise.models.base import MusicNetwork

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm)


def weight_layers(network: MusicNetwork, features: Features, layer: str) -> list[tuple[str, ...]]:
    """Return the modules with weights that a layer depends on, from the layer down to the input.

    Parameters
    ----------
    network : MusicNetwork
    features : Features
        Of any sound.
    layer : str
        A name as in ``network.module.named_modules()``.

    Returns
    -------
    list of tuple of str
        A convolution or dense layer comes together with the normalisations behind it.
    """
    module = network.module
    target, _ = find_layer(module, layer)
    inside = {id(part) for part in target.modules()}
    names = dict(module.named_modules())
    groups: list[tuple[str, ...]] = []
    for info in list_layers(module, features.values):
        part = names[info.name.split("@")[0]]
        leaf = not any(True for _ in part.children())
        if leaf and _has_weights(part):
            if isinstance(part, _NORMS) and groups:
                groups[-1] = (*groups[-1], info.name)
            elif info.name not in {name for group in groups for name in group}:
                groups.append((info.name,))
        if part is target:
            break
        if id(part) in inside:
            continue
    return groups[::-1]


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def shuffled(
    network: MusicNetwork, modules: Sequence[str], features: Features, seed: int
) -> MusicNetwork:
    """Return a copy of a network in which some modules' weights have changed places.

    The values of each weight stay the same, so that signals keep their size; only what has been
    learnt by putting them where they were is gone. A normalisation's values change places
    together, channel by channel, and its means and variances are measured anew on the sound:
    else most units of a network in disorder would be silent, and tell nothing.

    Parameters
    ----------
    network : MusicNetwork
        Not changed.
    modules : sequence of str
    features : Features
        Of the sound that normalisations are measured on.
    seed : int
    """
    module = copy.deepcopy(network.module)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name in modules:
            part = module.get_submodule(name)
            together = isinstance(part, _NORMS)
            order: torch.Tensor | None = None
            for tensor in _tensors(part, together):
                if order is None or not together or len(order) != tensor.numel():
                    order = torch.randperm(tensor.numel(), generator=generator)
                tensor.copy_(tensor.flatten()[order.to(tensor.device)].reshape(tensor.shape))
    _measure_anew(module, modules, features)
    return MusicNetwork(module, network.card)


def _measure_anew(module: nn.Module, modules: Sequence[str], features: Features) -> None:
    """Set means and variances of batch normalisations to those of one sound."""
    lengths = {i.name: math.prod(i.shape[1:]) for i in list_layers(module, features.values)}
    norms = [
        part
        for part, length in ((module.get_submodule(n), lengths.get(n, 1)) for n in modules)
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and length > 1
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        module(features.values[None].clone())
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum


def _tensors(part: nn.Module, buffers: bool) -> Iterator[torch.Tensor]:
    yield from part.parameters(recurse=False)
    if buffers:
        yield from (b for b in part.buffers(recurse=False) if b.is_floating_point() and b.ndim)
