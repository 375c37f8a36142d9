"""Following samples into a network as far as its first convolution."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from auralise.activations.layers import find_layer, require_evaluation_mode
from auralise.errors import NetworkError
from auralise.models.kernels import KernelBank

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d)
_NOISE = 2048  # samples


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What noise met on its way to a network's first convolution.

    Attributes
    ----------
    layer : str
        Name of the convolution.
    convolution : nn.Conv1d or KernelBank
        From one channel to the filters.
    before : tuple of nn.Conv1d and nn.BatchNorm1d
        Of one channel each, in order.
    norm : nn.BatchNorm1d or None
        If it takes what the convolution gives.
    noise : Tensor, shape (time,)
        What was sent in; zero at both ends.
    answer : Tensor, shape (filters, frames)
        Of the convolution to the noise, less that to silence.
    """

    layer: str
    convolution: nn.Conv1d | KernelBank
    before: tuple[nn.Conv1d | nn.BatchNorm1d, ...]
    norm: nn.BatchNorm1d | None
    noise: Tensor
    answer: Tensor


class _Done(Exception):
    """Ends a forward pass behind the convolution."""


@dataclass(slots=True)
class _Watch:
    """Collects the calls of one forward pass until the module behind the convolution."""

    target: nn.Module | None
    layer: str = ""
    bank: nn.Conv1d | KernelBank | None = None
    before: list[nn.Conv1d | nn.BatchNorm1d] = field(default_factory=list)
    norm: nn.BatchNorm1d | None = None
    output: Tensor | None = None
    answer: Tensor | None = None  # a copy: a step in place behind the layer would change it

    def see(self, name: str, module: nn.Module, given: object, output: object) -> None:
        """Take note of one call."""
        if self.bank is not None:
            if isinstance(module, nn.BatchNorm1d) and given is self.output:
                self.norm = module
            raise _Done
        if not isinstance(module, nn.Conv1d | KernelBank) or self.target not in (None, module):
            self._pass(name, module)
            return
        _check_convolution(name, module)
        if self.target is None and isinstance(module, nn.Conv1d) and module.out_channels == 1:
            self.before.append(module)
            return
        if not isinstance(output, Tensor):
            raise NetworkError(f"layer {name!r} gives a {type(output).__name__}, not a tensor")
        self.layer, self.bank = name, module
        self.output = output
        self.answer = module.answer(output) if isinstance(module, KernelBank) else output
        self.answer = self.answer.clone()

    def _pass(self, name: str, module: nn.Module) -> None:
        """Let a call before the convolution pass, or refuse it."""
        if isinstance(module, nn.Conv1d) and (module.in_channels, module.out_channels) == (1, 1):
            _check_convolution(name, module)
            self.before.append(module)
        elif isinstance(module, nn.BatchNorm1d) and module.num_features == 1:
            self.before.append(module)
        elif isinstance(module, _CONVOLUTIONS) or any(True for _ in module.parameters()):
            raise NetworkError(
                f"the network begins with layer {name!r} ({type(module).__name__}), which is not "
                "a convolution on raw audio (Conv1d from 1 channel)"
            )


def trace_first_convolution(network: nn.Module, layer: str | None = None) -> Trace:
    """Send noise and silence into a network and record them at its first convolution.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode; takes (batch, 1, time). Left as it was found.
    layer : str, optional
        The convolution. If not given, the first with more than one output channel.

    Raises
    ------
    NetworkError
        If the network is in training mode, or no such convolution is reached.
    UnknownNameError
        If there is no layer of that name.
    """
    require_evaluation_mode(network)
    target = None if layer is None else find_layer(network, layer)[0]
    if target is not None and not isinstance(target, nn.Conv1d | KernelBank):
        raise NetworkError(
            f"layer {layer!r} is a {type(target).__name__}, not a Conv1d on raw audio"
        )
    reach = sum(m.kernel_size[0] * m.dilation[0] for m in _convolutions(network))
    like = next((p for p in network.parameters() if p.is_floating_point()), torch.empty(0))
    noise = torch.zeros(2 * reach + _NOISE, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    noise[reach:-reach] = torch.randn(_NOISE, generator=generator, dtype=torch.float64)
    noise = noise.to(like)
    heard = _watch(network, target, noise)
    silence = _watch(network, target, torch.zeros_like(noise))
    if heard.bank is None or heard.answer is None or silence.answer is None:
        raise NetworkError(
            "the network has no convolution on raw audio (Conv1d from 1 channel to several)"
        )
    answer = (heard.answer - silence.answer)[0]
    return Trace(heard.layer, heard.bank, tuple(heard.before), heard.norm, noise, answer)


def _convolutions(network: nn.Module) -> list[nn.Conv1d | KernelBank]:
    found = [module for module in network.modules() if isinstance(module, nn.Conv1d | KernelBank)]
    if not found:
        raise NetworkError("the network has no one-dimensional convolution (Conv1d)")
    return found


def _watch(network: nn.Module, target: nn.Module | None, samples: Tensor) -> _Watch:
    """Run the network on ``samples`` as far as needed."""
    watch = _Watch(target)
    with ExitStack() as undo, torch.no_grad():
        for name, module in network.named_modules():
            if _is_leaf(module):

                def hook(
                    module: nn.Module, inputs: tuple[object, ...], output: object, name: str = name
                ) -> None:
                    watch.see(name, module, inputs[0] if inputs else None, output)

                undo.callback(module.register_forward_hook(hook).remove)
        try:
            network(samples.clone()[None, None])
        except _Done:
            pass
        except (RuntimeError, ValueError) as error:
            if isinstance(error, NetworkError):
                raise
            if watch.bank is not None:  # what comes behind the layer is of no interest
                return watch
            raise NetworkError(
                f"the network cannot be run on raw audio of shape {(1, 1, len(samples))}: {error}"
            ) from error
    return watch


def _is_leaf(module: nn.Module) -> bool:
    """Whether a module is watched as one step; weights may be parametrised by parts."""
    parts = (child for name, child in module.named_children() if name != "parametrizations")
    return next(parts, None) is None and not isinstance(module, nn.Sequential)


def _check_convolution(name: str, convolution: nn.Conv1d | KernelBank) -> None:
    """Refuse convolutions that are not a bank of real filters on one channel."""
    if convolution.groups != 1:
        raise NetworkError(
            f"layer {name!r} is a grouped convolution (groups={convolution.groups}); only one "
            "input channel can be analysed"
        )
    if isinstance(convolution, nn.Conv1d) and convolution.weight.is_complex():
        raise NetworkError(
            f"layer {name!r} is a complex convolution; pass its kernels, flipped in time, as a "
            "FilterBank"
        )
    if convolution.in_channels != 1:
        raise NetworkError(
            f"layer {name!r} takes {convolution.in_channels} channels; raw audio has 1"
        )
