"""Networks on raw audio set by hand, for which the truth of a claim is known."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from auralise.claims.known_parts import (
    KNOWN,
    SECONDS,
    Pool,
    draw_weights,
    numbered,
    set_weights,
    stack,
)
from auralise.filters.known import gabor_bank
from auralise.frontends.raw import RawFrontend
from auralise.models.base import MusicNetwork, wrap
from auralise.units import hz_to_mel, mel_to_hz

BANK_RATE = 16000


@KNOWN.register("mel-bank")
def mel_bank(seed: int) -> MusicNetwork:
    """Build a raw network with 96 Gabor filters evenly spaced on the mel scale, low ones wide."""
    return _bank(seed, *_mel_centres(96, BANK_RATE), "mel bank")


@KNOWN.register("linear-bank")
def linear_bank(seed: int) -> MusicNetwork:
    """Build a raw network with 96 Gabor filters an equal number of Hz apart."""
    centres = torch.linspace(100.0, 7900.0, 96, dtype=torch.float64)
    return _bank(seed, centres, torch.full((96,), 120.0, dtype=torch.float64), "linear bank")


@KNOWN.register("phase-pairs")
def phase_pairs(seed: int) -> MusicNetwork:
    """Build a raw network whose second layer adds four filters a quarter of a period apart.

    Each is rectified before, and the sum is smoothed over an eighth of a second.
    """
    random = torch.Generator().manual_seed(seed)
    pairs, length = 24, 256
    centres, _ = _mel_centres(pairs, 8000, low=200.0)
    time = torch.arange(length, dtype=torch.float64) - length / 2
    angle = 2 * math.pi * centres[:, None] * time / 8000
    window = torch.hann_window(length, dtype=torch.float64)
    four = torch.cat([(angle + math.pi / 2 * i).cos() * window for i in range(4)])
    module = stack(
        OrderedDict(
            conv1=nn.Conv1d(1, 4 * pairs, length, stride=64, bias=False),
            relu1=nn.ReLU(),
            conv2=nn.Conv1d(4 * pairs, pairs, 16, bias=False),
            relu2=nn.ReLU(),
            pool=Pool(),
            output=nn.Linear(pairs, 4),
        )
    )
    set_weights(module.conv1.weight, (four / length)[:, None].float(), random)
    smooth = torch.hann_window(18)[1:-1]
    set_weights(module.conv2.weight, torch.eye(pairs).repeat(1, 4)[:, :, None] * smooth, None)
    draw_weights(module.output, random)
    frontend = RawFrontend(8000)
    return wrap(module.eval(), frontend, numbered(4), name="phase-invariant pairs", seconds=SECONDS)


def _mel_centres(count: int, rate: int, low: float = 100.0) -> tuple[Tensor, Tensor]:
    """Return frequencies evenly spaced on the mel scale and their distances, float64."""
    ends = hz_to_mel(torch.tensor([low, 0.97 * rate / 2], dtype=torch.float64), "htk")
    centres = mel_to_hz(torch.linspace(float(ends[0]), float(ends[1]), count).double(), "htk")
    return centres, torch.gradient(centres)[0].clamp_min(60.0)


def _bank(seed: int, centres: Tensor, widths: Tensor, name: str) -> MusicNetwork:
    random = torch.Generator().manual_seed(seed)
    bank = gabor_bank(centres, widths, length=512, sample_rate=BANK_RATE, seed=seed)
    module = stack(
        OrderedDict(
            conv1=nn.Conv1d(1, len(centres), 512, stride=256, bias=False),
            relu1=nn.ReLU(),
            pool=Pool(),
            output=nn.Linear(len(centres), 4),
        )
    )
    taps = bank.impulse_responses.real.float().flip(1)
    set_weights(module.conv1.weight, (taps / taps.norm(dim=1, keepdim=True))[:, None], random)
    draw_weights(module.output, random)
    return wrap(module.eval(), RawFrontend(BANK_RATE), numbered(4), name=name, seconds=SECONDS)
