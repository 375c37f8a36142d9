"""A network set by hand whose units are known to hear bands of frequencies."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from auralise.audio.arrangements import Bar
from auralise.claims.known_parts import KNOWN, Pool, numbered, set_weights, stack
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork, wrap
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

_BANDS = 12
_SECONDS = 1.0
_FRAMES = 45  # of 63: what a unit hears at its peak is most of the excerpt
_FRONTEND = SpectrogramFrontend(StftSpec(8000, 256, 128), compression=Compression("log", 10.0))


@KNOWN.register("bands")
def bands(seed: int) -> MusicNetwork:
    """Build a network that hears twelve bands, joins them in pairs and answers with the loudest.

    No band is in two units of a layer, so that what a unit hears is its own bands and nothing else.
    """
    random = torch.Generator().manual_seed(seed)
    pairs = _BANDS // 2
    edges = torch.logspace(4.6, 12, _BANDS + 1, base=2.0)  # 24 Hz to 4 kHz
    hertz = torch.arange(129) * 8000 / 256
    inside = (hertz[None] >= edges[:-1, None]) & (hertz[None] < edges[1:, None])
    first = nn.Conv2d(1, _BANDS, (129, 1), bias=False)
    second = nn.Conv2d(_BANDS, pairs, (1, 3), bias=False)
    module = stack(
        OrderedDict(smooth=nn.AvgPool2d((1, _FRAMES), 1), conv1=first, relu1=nn.ReLU(),
                    conv2=second, relu2=nn.ReLU(), pool=Pool(), output=nn.Linear(pairs, pairs))
    )  # fmt: skip
    rows = inside / inside.sum(1, keepdim=True).clamp_min(1)
    set_weights(first.weight, rows[:, None, :, None], random)
    joined = torch.eye(pairs).repeat(1, 2)[:, :, None, None].expand(-1, -1, 1, 3) / 6
    set_weights(second.weight, joined, random)
    _decide(module)
    return wrap(module.eval(), _FRONTEND, numbered(pairs), name="bands in pairs", seconds=_SECONDS)


@torch.no_grad()
def _decide(module: Any) -> None:  # noqa: ANN401 - a sequence of named parts
    """Set the answer so that on music one label is likely and the others are not ruled out."""
    music = Bar(drums="eight-beat").render(_SECONDS, _FRONTEND.sample_rate).samples
    loudness = module[:6](_FRONTEND.module(music))[0]
    module.output.weight.copy_(3 / loudness.std() * torch.eye(len(loudness)))
    module.output.bias.zero_()
