"""How much sound a layer needs, and which of its positions to look at."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from auralise.activations.receptive_field import receptive_field
from auralise.audio.stimuli import silence
from auralise.frontends.base import Frontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork

DEFAULT_SECONDS = 4.0
"""Length of an excerpt for networks that take any."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A length of sound, and the positions of a layer that see it whole.

    Attributes
    ----------
    n_samples : int
        Length of the sound.
    sample_rate : int
        In Hz.
    axis : int or None
        The layer's axis along which time goes, counted behind the channel axis; None if none.
    first, count : int
        The positions along it that see neither padding nor an edge of the sound.
    step : float
        Between positions, in samples; 1 if there is one only.
    """

    n_samples: int
    sample_rate: int
    axis: int | None = None
    first: int = 0
    count: int = 1
    step: float = 1.0

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sample_rate

    def lengthened(self, n_samples: int) -> Excerpt:
        """Return an excerpt of at least the same length, with all positions inside it."""
        if self.axis is None:
            return replace(self, n_samples=n_samples)
        more = math.floor((n_samples - self.n_samples) / self.step)
        return replace(self, n_samples=n_samples, count=self.count + more)

    def inner(self, output: Tensor) -> Tensor:
        """Return the positions looked at, flattened.

        Parameters
        ----------
        output : Tensor, shape (batch, channels, ...)
            Of the layer.

        Returns
        -------
        Tensor, shape (batch, channels, positions)
        """
        if self.axis is not None:
            output = output.narrow(2 + self.axis, self.first, self.count)
        return output.reshape(*output.shape[:2], -1)


def plan_excerpt(network: MusicNetwork, layer: str, least_seconds: float = 0.0) -> Excerpt:
    """Find the shortest excerpt from which a layer's answer to a lasting sound can be read.

    A layer that sees its whole input (behind a flattening, a global pooling) gets an excerpt of
    the length the network was made for, and so the edges of the sound are part of what it sees.

    Parameters
    ----------
    network : MusicNetwork
    layer : str
        As in ``network.module.named_modules()``.
    least_seconds : float
        How much sound the positions looked at must see beyond one receptive field.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    NetworkError
        If the layer's output is no tensor made from the input.
    """
    frontend = network.card.frontend
    rate = frontend.sample_rate
    whole = round((network.card.seconds or DEFAULT_SECONDS) * rate)
    dtype, device = placement(network.module)
    features = frontend.analyse(silence(whole / rate, rate, dtype=dtype)).values.to(device)
    field = receptive_field(network.module, features, layer)
    axis, stride = field.axes[-1], field.stride[-1]
    if axis is None or stride == 0:
        return Excerpt(max(whole, math.ceil(least_seconds * rate)), rate)
    margin = _margin(frontend)
    first = max(0, math.ceil((margin - field.start[-1]) / stride))
    more = max(1, math.ceil(frontend.frame_of(least_seconds) / stride))
    places = first * stride + field.start[-1] + field.size[-1] + more * stride + margin
    n_samples = round(frontend.seconds_of(math.ceil(places)) * rate)
    step = frontend.seconds_of(stride) * rate
    return Excerpt(n_samples, rate, axis, first, more + 1, step)


def placement(module: nn.Module) -> tuple[torch.dtype, torch.device]:
    """Return type and device of a module's weights; float32 on the CPU if it has none.

    Examples
    --------
    >>> placement(nn.Linear(2, 2).double())
    (torch.float64, device(type='cpu'))
    """
    for weight in (*module.parameters(), *module.buffers()):
        if weight.is_floating_point():
            return weight.dtype, weight.device
    return torch.float32, torch.device("cpu")


def _margin(frontend: Frontend) -> int:
    """Return how many places at each end of the frontend's values see an edge of the sound."""
    if isinstance(frontend, SpectrogramFrontend):
        return math.ceil(frontend.spec.n_fft / 2 / frontend.spec.hop)
    return 0
