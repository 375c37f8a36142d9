"""A network set by hand that hears level, then harmonics, then attack and decay."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from auralise.audio.arrangements import Timbre, note
from auralise.claims.known_parts import (
    ERROR,
    KNOWN,
    SECONDS,
    Pool,
    draw_weights,
    numbered,
    set_weights,
    stack,
)
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork, wrap
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

_RATE = 8000
_FINE = SpectrogramFrontend(StftSpec(_RATE, 512, 128), compression=Compression("log", 10.0))
_PITCHES = (55.0, 110.0, 220.0, 440.0)
_COPIES = 2
_BINS = 65  # up to 1 kHz
_RISE, _LATER = 4, 25  # frames: 64 ms and 400 ms


@KNOWN.register("notes")
def notes(seed: int) -> MusicNetwork:
    """Build a network of three layers: level, harmonic structure, attack and decay.

    The units of the third layer fire for a harmonic note of any pitch that begins quickly and is
    gone 400 ms later, or that begins quickly and is still there.
    """
    random = torch.Generator().manual_seed(seed)
    first = nn.Conv2d(1, 2, (1, 3), padding=(0, 1), bias=False)
    combs = nn.Conv2d(2, _COPIES * len(_PITCHES), (_BINS, 1), bias=False)
    course = nn.Conv2d(_COPIES * len(_PITCHES), 8, (1, _LATER + 1))
    module = stack(
        OrderedDict(conv1=first, relu1=nn.ReLU(), conv2=combs, relu2=nn.ReLU(), conv3=course,
                    relu3=nn.ReLU(), pool=Pool(), output=nn.Linear(8, 4))
    )  # fmt: skip
    draw_weights(first, random)
    draw_weights(module.output, random)
    with torch.no_grad():
        first.weight.abs_()
        first.weight.div_(first.weight.sum())
    rows = _combs().repeat(_COPIES, 1)
    set_weights(combs.weight, rows[:, None, :, None].expand(-1, 2, -1, -1), random)
    gains = _gains(module).repeat(_COPIES) / _COPIES
    weight = gains[None, :, None, None] * _courses().repeat(4, 1)[:, None, None, :]
    noise = 1 + 5 * ERROR * torch.randn(weight.shape, generator=random)
    with torch.no_grad():
        course.weight.copy_(weight * noise)
        module.conv3.bias.copy_(-torch.tensor([0.65, 1.7]).repeat(4))
    return wrap(module.eval(), _FINE, numbered(4), name="level, comb, course", seconds=SECONDS)


def _combs() -> Tensor:
    """Return what picks out the harmonics of each pitch up to 1 kHz, (pitches, bins)."""
    bins = torch.arange(_BINS) * _RATE / _FINE.spec.n_fft
    rows = []
    for pitch in _PITCHES:
        away = (bins / pitch + 0.5) % 1 - 0.5
        tooth = torch.exp(-0.5 * (away * pitch / 10.0) ** 2) * (bins > pitch / 2)
        rows.append((tooth - tooth.mean()) / tooth.sum())
    return torch.stack(rows)


def _courses() -> Tensor:
    """Return the two courses in time that the third layer looks for, (2, frames).

    Of a level of 1, a quick attack adds about 0.9 and a slow one 0.5 within the rise.
    """
    rows = torch.zeros(2, _LATER + 1)
    rows[:, 0], rows[:, _RISE] = -1.0, 1.0
    rows[0, _LATER], rows[1, _LATER] = -1.0, 1.0
    return rows


@torch.no_grad()
def _gains(module: Any) -> Tensor:  # noqa: ANN401 - a sequence of named parts
    """Return the weights of the combs with which a held note of each pitch has a level of 1."""
    timbre = Timbre(harmonics=12, slope_db=-4.0, attack=0.005, decay=math.inf)
    held = torch.cat([note(f, SECONDS, _RATE, timbre=timbre).samples for f in _PITCHES])
    levels: Tensor = module[:4](_FINE.module(held))[:, :, 0].quantile(0.5, 2)
    means = levels.reshape(len(held), _COPIES, len(_PITCHES)).mean(1)
    gains: Tensor = torch.linalg.solve(means, torch.ones(len(held)))
    return gains
