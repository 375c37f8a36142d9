"""Weights to start from, learned layer by layer from clips without their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from auralise.datasets.clips import Clip, place
from auralise.datasets.sharded import take
from auralise.errors import InvalidValueError, TrainingError
from auralise.frontends.base import Frontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import Architecture
from auralise.training.options import PretrainOptions
from auralise.training.rbm import ConvolutionalRBM
from auralise.training.statistics import spread_of
from auralise.training.voting import at_level

__all__ = ["Pass", "PretrainOptions", "Pretrained", "pretrain", "standardised_for"]


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the clips.

    Attributes
    ----------
    layer : str
    epoch, epochs : int
        Counted from 1, of this layer.
    error : float
        Mean square of what a layer's machine loses of its input, whose variance is 1.
    """

    layer: str
    epoch: int
    epochs: int
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Pretrained:
    """What pretraining has learned.

    Attributes
    ----------
    state : mapping of str to Tensor
        Weights and offsets of the convolutions, and the moments of a normalisation of the input,
        for ``fit(..., start=state)``.
    architecture : Architecture
        With the frontend that they were learned behind: fit with ``standardise=False`` to keep it.
    history : tuple of Pass
    """

    state: dict[str, Tensor]
    architecture: Architecture
    history: tuple[Pass, ...]


def pretrain(
    architecture: Architecture,
    clips: Sequence[Clip],
    options: PretrainOptions | None = None,
    *,
    seed: int = 0,
    report: Callable[[Pass], None] = lambda _: None,
    device: str = "cpu",
) -> Pretrained:
    """Fit a convolutional restricted Boltzmann machine to each convolution's input, from below.

    The machine of a layer takes what the layers below it give, each map brought to mean 0 and
    variance 1; the scaling is then made part of the layer's weights, so that the network computes
    the same drives on its own input.

    Parameters
    ----------
    architecture : Architecture
        Whose convolutions over time stand at the beginning, each followed by ReLU alone, as in
        ``dieleman2011`` and in ``dieleman2014-mel`` without normalisation.
    clips : sequence of Clip
        At the frontend's rate; their labels are not looked at.
    options : PretrainOptions, optional
    seed : int
        Of weights, order, places and units.
    report : callable
        Called after each pass.
    device : str
        As torch names it.

    Returns
    -------
    Pretrained
        The same for the same arguments, on the same machine.

    Raises
    ------
    InvalidValueError
        If there are no clips, or the network has no such convolutions, or another layer that
        learns among them.
    TrainingError
        If a machine's weights do not stay finite.

    References
    ----------
    .. [1] S. Dieleman, P. Brakel, B. Schrauwen, "Audio-based music classification with a pretrained
       convolutional network", Proc. ISMIR, 2011.
    """
    options = options or PretrainOptions()
    if not clips:
        raise InvalidValueError("there are no clips to learn from")
    architecture = standardised_for(architecture, clips)
    source = _Source(architecture.frontend(), architecture.seconds, clips, options, seed)
    state: dict[str, Tensor] = {}
    history: list[Pass] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = torch.Generator(device).manual_seed(seed)
        network = architecture.build(2).to(device).eval()
        below = nn.Sequential()
        for name, layer in _up_to_dense(network):
            for step in _pretrain_layer(name, layer, below, source, generator):
                history.append(step)
                report(step)
            below.append(layer)
            state |= {f"{name}.{k}": v.cpu().clone() for k, v in layer.state_dict().items()}
    return Pretrained(state, architecture, tuple(history))


def _up_to_dense(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the layers as far as the last convolution that a machine can be fitted to."""
    layers = list(network.named_children())
    fitting = [i for i, (_, layer) in enumerate(layers) if _convolution_of(layer) is not None]
    if not fitting:
        raise InvalidValueError(
            "this network has no convolutions over time with ReLU alone behind them, so there is "
            "nothing to pretrain; dieleman2011 has"
        )
    layers = layers[: fitting[-1] + 1]
    for i, (name, layer) in enumerate(layers):
        learns = any(True for _ in layer.parameters())
        if learns and i not in fitting:
            raise InvalidValueError(f"layer {name!r} learns, and no machine can be fitted to it")
    return layers


def _pretrain_layer(
    name: str, layer: nn.Module, below: nn.Module, source: _Source, generator: torch.Generator
) -> Iterator[Pass]:
    """Fill one layer from the clips, if it has anything to fill, and yield the passes."""
    convolution = _convolution_of(layer)
    if isinstance(layer, nn.BatchNorm1d):
        _settle(layer, *source.moments(below, generator.device))
    if convolution is not None:
        machine = _machine(convolution, source.options).to(generator.device)
        yield from _learn(name, machine, below, source, generator)
        _fold(machine, *source.moments(below, generator.device), convolution)


def standardised_for(architecture: Architecture, clips: Sequence[Clip]) -> Architecture:
    """Put mean and deviation of the clips into a spectrogram frontend, as `fit` does."""
    frontend = architecture.frontend()
    if not isinstance(frontend, SpectrogramFrontend):
        return architecture
    mean, std = spread_of(frontend, architecture.seconds, clips)
    found = replace(frontend, mean=mean, std=std)
    return replace(architecture, frontend=lambda: found)


def _convolution_of(layer: nn.Module) -> nn.Conv1d | None:
    """Return the convolution of a layer that is one over time and ReLU, and nothing else."""
    parts = list(layer.children())
    if [type(part) for part in parts] != [nn.Conv1d, nn.ReLU]:
        return None
    convolution = parts[0]
    if not isinstance(convolution, nn.Conv1d):
        return None
    plain = convolution.stride == (1,) and convolution.padding == (0,)
    return convolution if plain else None


def _machine(convolution: nn.Conv1d, options: PretrainOptions) -> ConvolutionalRBM:
    channels, maps = convolution.in_channels, convolution.out_channels
    length = convolution.kernel_size[0]
    return ConvolutionalRBM(channels, maps, length, hidden=options.hidden, pool=options.pool)


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """Batches of excerpts as the network's input."""

    frontend: Frontend
    seconds: float
    clips: Sequence[Clip]
    options: PretrainOptions
    seed: int

    def batches(self, device: torch.device | str, epoch: int) -> Iterator[Tensor]:
        """Yield the clips in random order at random places; epoch 0 has them in the middle."""
        module = self.frontend.module.to(device)
        length = round(self.seconds * self.frontend.sample_rate)
        draw = torch.Generator().manual_seed(self.seed + 1000003 * epoch)
        order = torch.randperm(len(self.clips), generator=draw).tolist()
        shares = torch.rand(len(order), generator=draw).tolist() if epoch else [0.5] * len(order)
        for start in range(0, len(order), self.options.batch_size):
            chosen = range(start, min(start + self.options.batch_size, len(order)))
            found = [(take(self.clips, order[i]), shares[i]) for i in chosen]
            cut = [place(clip.samples, length, share) for clip, share in found if clip is not None]
            if not cut:
                continue
            batch = torch.stack(cut).to(device)
            with torch.no_grad():
                values = module(at_level(batch))
            yield values  # not within no_grad, which would reach the caller

    @torch.no_grad()
    def moments(self, below: nn.Module, device: torch.device | str) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of each map that ``below`` gives, (maps, 1) each."""
        total = square = torch.zeros((), dtype=torch.float64)
        count = 0
        for values in self.batches(device, 0):
            given = below(values).double().transpose(0, 1).flatten(1)
            total, square = total + given.sum(1).cpu(), square + given.square().sum(1).cpu()
            count += given.shape[1]
        mean = total / count
        std = (square / count - mean.square()).clamp(min=0).sqrt()
        std = torch.where(std > 1e-6, std, 1.0)  # a map that never changes
        return mean.float()[:, None].to(device), std.float()[:, None].to(device)


def _learn(
    name: str,
    machine: ConvolutionalRBM,
    below: nn.Module,
    source: _Source,
    generator: torch.Generator,
) -> Iterator[Pass]:
    """Fit one machine and yield its passes."""
    device, options = generator.device, source.options
    mean, std = source.moments(below, device)
    optimizer = torch.optim.SGD(
        machine.parameters(), options.learning_rate, options.momentum, nesterov=False
    )
    for epoch in range(1, options.epochs + 1):
        lost, count = 0.0, 0
        for values in source.batches(device, epoch):
            with torch.no_grad():
                v = (below(values) - mean) / std
            optimizer.zero_grad()
            _loss(machine, v, options, generator).backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(machine.parameters(), 1.0)
            optimizer.step()
            lost, count = lost + machine.reconstruction_error(v) * len(v), count + len(v)
        error = lost / count
        if not error < float("inf"):
            raise TrainingError(
                f"pretraining {name} ran away in pass {epoch} (error {error}); lower learning_rate"
            )
        yield Pass(name, epoch, options.epochs, error)


def _loss(
    machine: ConvolutionalRBM, v: Tensor, options: PretrainOptions, generator: torch.Generator
) -> Tensor:
    """Return contrastive divergence with the decay of the weights and the pull of the offsets."""
    loss = machine.contrast(v, generator)
    loss = loss + options.weight_decay / 2 * machine.weight.square().sum()
    if options.pull:
        off = options.target - machine.hidden_mean(v).mean((0, 2)).detach()
        loss = loss - options.pull * (off * machine.hidden_bias).sum()
    return loss


def _settle(norm: nn.BatchNorm1d, mean: Tensor, std: Tensor) -> None:
    """Give a normalisation the clips' moments."""
    norm.load_state_dict(
        {**norm.state_dict(), "running_mean": mean[:, 0], "running_var": std[:, 0].square()}
    )


@torch.no_grad()
def _fold(machine: ConvolutionalRBM, mean: Tensor, std: Tensor, convolution: nn.Conv1d) -> None:
    """Write a machine's weights into a convolution that sees the maps before standardising."""
    if convolution.bias is None:
        raise InvalidValueError("a convolution without offsets cannot take a machine's")
    weight = machine.weight / std
    convolution.weight.copy_(weight)
    convolution.bias.copy_(machine.hidden_bias - (weight * mean).sum((1, 2)))
