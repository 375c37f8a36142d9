"""Networks whose maps have their channels last in memory, which PyTorch's pooling is faster on."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

_TOLERANCE = 1e-4  # of the largest value; what is beyond rounding is another network


def _lay(_network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Lay the input likewise: of one channel, a network's first layer cannot tell it otherwise."""
    return (inputs[0].contiguous(memory_format=torch.channels_last), *inputs[1:])


@torch.no_grad()
def with_channels_last(network: nn.Module, example: Tensor) -> nn.Module:
    """Return a copy that hands on maps with their channels last, if it gives the same values.

    Values differ by rounding at most. Networks without two-dimensional convolutions, and those
    that look at how their maps lie in memory (as ``view`` does), are returned as they are.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; left as it was found.
    example : Tensor, shape (batch, channels, ...)
        What it takes; only its shape matters.

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2)).eval()
    >>> other = with_channels_last(network, torch.zeros(1, 2, 8, 8))
    >>> other(torch.zeros(1, 2, 8, 8)).is_contiguous(memory_format=torch.channels_last)
    True
    """
    if example.ndim != 4 or not any(isinstance(m, nn.Conv2d) for m in network.modules()):
        return network
    other = copy.deepcopy(network)
    for parameter in other.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    other.register_forward_pre_hook(_lay)
    noise = torch.rand(example.shape, generator=torch.Generator().manual_seed(0))
    noise = noise.to(example.dtype)
    before = network(noise)
    try:
        after = other(noise)
    except RuntimeError:  # torch's answer where a map lies otherwise than ``view`` needs
        return network
    if not isinstance(before, Tensor) or not isinstance(after, Tensor):
        return network
    apart = (after - before).abs().max()
    return other if apart <= _TOLERANCE * before.abs().max() else network
