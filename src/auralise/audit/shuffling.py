"""The same network with its weights in disorder: what is left without what it has learnt."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from auralise.activations.recorder import run_to
from auralise.frontends.base import Features
from auralise.models.base import MusicNetwork

_BatchNorm = nn.modules.batchnorm._BatchNorm
_NORMS = (_BatchNorm, nn.GroupNorm, nn.LayerNorm)


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
    groups: list[tuple[str, ...]] = []
    names = dict(network.module.named_modules())
    for name in _outputs(network.module, features, layer):
        if isinstance(names[name], _NORMS) and groups:
            groups[-1] = (*groups[-1], name)
        else:
            groups.append((name,))
    return groups[::-1]


def _outputs(module: nn.Module, features: Features, layer: str) -> dict[str, torch.Size]:
    """Return the shapes that modules with weights give, up to a layer, in the order they run."""
    found: dict[str, torch.Size] = {}

    def noting(name: str) -> Callable[..., None]:
        def note(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, torch.Tensor):
                found.setdefault(name, output.shape[1:])

        return note

    with ExitStack() as undo, torch.no_grad():
        for name, part in module.named_modules():
            if name and _has_weights(part):
                undo.callback(part.register_forward_hook(noting(name)).remove)
        run_to(module, features.values[None], layer)
    return found


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def shuffled(
    network: MusicNetwork, modules: Sequence[str], features: Features, layer: str, seed: int
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
    layer : str
        How far the network is run for that.
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
    _measure_anew(module, modules, features, layer)
    return MusicNetwork(module, network.card)


def _measure_anew(
    module: nn.Module, modules: Sequence[str], features: Features, layer: str
) -> None:
    """Set means and variances of batch normalisations to those of one sound.

    One after the other, each behind those that have been set.
    """
    for name, shape in _outputs(module, features, layer).items():
        part = module.get_submodule(name)
        if name not in modules or not isinstance(part, _BatchNorm) or shape[1:].numel() < 2:
            continue
        if part.running_mean is None or part.running_var is None:
            continue
        with record_input(part) as seen, torch.no_grad():
            run_to(module, features.values[None], layer)
        values = seen[0].transpose(0, 1).flatten(1)
        part.running_mean.copy_(values.mean(1))
        part.running_var.copy_(values.var(1))


@contextmanager
def record_input(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect what a module is given while the block runs."""
    seen: list[torch.Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    try:
        yield seen
    finally:
        handle.remove()


def _tensors(part: nn.Module, buffers: bool) -> Iterator[torch.Tensor]:
    yield from part.parameters(recurse=False)
    if buffers:
        yield from (b for b in part.buffers(recurse=False) if b.is_floating_point() and b.ndim)
