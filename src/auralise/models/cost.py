"""What a network costs: parameters, multiplications, and how many clips it answers in a second."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from auralise.frontends.base import Frontend
from auralise.models.base import Architecture


@dataclass(frozen=True, slots=True)
class Cost:
    """What an architecture costs.

    Attributes
    ----------
    parameters : int
        That training changes.
    flops_per_second : float
        Floating-point operations of convolutions and matrix products for one second of sound, a
        multiplication and its addition counted as two; the frontend is not in it.
    seconds : float
        Length of an excerpt.
    clips_per_second : float or None
        Excerpts that one forward pass answers in a second, frontend included; None if not timed.
    """

    parameters: int
    flops_per_second: float
    seconds: float
    clips_per_second: float | None


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers training changes."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_flops(network: nn.Module, values: Tensor) -> int:
    """Return the floating-point operations of one forward pass.

    Convolutions and matrix products are counted, two for each multiplication with its addition;
    other operations, such as pooling and ReLU, are not.

    Parameters
    ----------
    network : nn.Module
    values : Tensor, shape (batch, channels, ...)

    Examples
    --------
    >>> count_flops(nn.Linear(10, 3), torch.zeros(2, 10))
    120
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(values)
    return int(counter.get_total_flops())


@torch.no_grad()
def clips_per_second(
    network: nn.Module,
    frontend: Frontend,
    samples: Tensor,
    *,
    device: str = "cpu",
    wanted: float = 0.5,
) -> float:
    """Time forward passes of frontend and network; the best of several passes counts.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; it is moved to the device.
    frontend : Frontend
    samples : Tensor, shape (clips, time)
    device : str
        As torch names it.
    wanted : float
        Seconds to go on timing, after one pass that is not counted.
    """
    network.to(device)
    module = frontend.module.to(device)
    samples = samples.to(device)
    best, spent = float("inf"), 0.0
    _pass(network, module, samples)
    while spent < wanted:
        start = time.perf_counter()
        _pass(network, module, samples)
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return len(samples) / best


def _pass(network: nn.Module, module: nn.Module, samples: Tensor) -> None:
    network(module(samples))
    if samples.is_cuda:
        torch.cuda.synchronize(samples.device)


def cost_of(
    architecture: Architecture,
    n_labels: int,
    *,
    batch_size: int | None = None,
    device: str = "cpu",
) -> Cost:
    """Return what an architecture costs, untrained.

    Parameters
    ----------
    architecture : Architecture
        That takes samples.
    n_labels : int
    batch_size : int, optional
        Clips at a time for timing; not timed if not given.
    device : str
        To time on.
    """
    frontend = architecture.frontend()
    length = round(architecture.seconds * frontend.sample_rate)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = architecture.build(n_labels).eval()
        samples = torch.randn(batch_size or 1, length) * 0.1
    flops = count_flops(network, frontend.module(samples[:1]))
    speed = None
    if batch_size is not None:
        speed = clips_per_second(network, frontend, samples, device=device)
    return Cost(
        parameters=count_parameters(network),
        flops_per_second=flops / architecture.seconds,
        seconds=architecture.seconds,
        clips_per_second=speed,
    )
