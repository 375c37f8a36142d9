"""Networks set by hand, for which the truth of a claim is known: to try the experiments on.

Each is made from a seed, which draws what is left open (frequencies, small errors of the weights),
and is small enough that hundreds can be tried. Their untrained twins have the same parts with
weights drawn as PyTorch draws them.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from auralise.audio.arrangements import TIMBRES, note
from auralise.audio.stimuli import tone
from auralise.claims import known_bands, known_notes, known_raw  # noqa: F401 - they add to KNOWN
from auralise.claims.known_parts import (
    ERROR,
    KNOWN,
    SECONDS,
    Pool,
    Square,
    draw_weights,
    numbered,
    set_weights,
    stack,
)
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork, wrap
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec
from auralise.training.voting import at_level

__all__ = ["KNOWN", "chroma", "chroma_invariant", "distant_pairs", "evidence", "instruments"]
__all__ += ["neighbours", "onset_detector"]

_SHORT = SpectrogramFrontend(StftSpec(8000, 256, 128), compression=Compression("log", 10.0))
_LONG = SpectrogramFrontend(StftSpec(8000, 2048, 1024), compression=Compression("log", 10.0))


@KNOWN.register("onset-detector")
def onset_detector(seed: int) -> MusicNetwork:
    """Build a network whose first layer answers to beginnings: 24 of 32 filters rise over time.

    The others are held tones, so that there are verticals and horizontals and no diagonals.
    """
    random = torch.Generator().manual_seed(seed)
    rise = torch.tensor([-1.0, -1.0, 0.0, 1.0, 1.0]).expand(5, 5)
    held = torch.tensor([-1.0, 1.0, 0.0, 1.0, -1.0])[:, None].expand(5, 5)
    filters = torch.cat([rise.expand(24, 5, 5), held.expand(8, 5, 5)]) / 10
    module = stack(
        OrderedDict(
            conv1=nn.Conv2d(1, 32, 5, bias=False),
            relu1=nn.ReLU(),
            pool=Pool(),
            output=nn.Linear(32, 4),
        )
    )
    set_weights(module.conv1.weight, filters[:, None], random)
    draw_weights(module.output, random)
    return wrap(module.eval(), _SHORT, ("a", "b", "c", "d"), name="onset detector", seconds=SECONDS)


@KNOWN.register("chroma-invariant")
def chroma_invariant(seed: int) -> MusicNetwork:
    """Build a network that folds the spectrum into 12 classes and takes what turning keeps.

    The squared magnitudes of the Fourier coefficients of a chroma vector are the same in every key;
    they differ between chords, timbres and drums.
    """
    random = torch.Generator().manual_seed(seed)
    turns = torch.arange(7)[:, None] * torch.arange(12) * 2 * math.pi / 12
    module = _chroma(random)
    module.add_module("turn", nn.Conv2d(12, 14, 1, bias=False))
    module.add_module("square", Square())
    module.add_module("sum", nn.Conv2d(14, 7, 1, bias=False))
    module.add_module("relu", nn.ReLU())
    module.add_module("pool", Pool())
    module.add_module("output", nn.Linear(7, 16))
    set_weights(module.turn.weight, torch.cat([turns.cos(), turns.sin()])[:, :, None, None], None)
    set_weights(module.sum.weight, torch.eye(7).repeat(1, 2)[:, :, None, None], None)
    draw_weights(module.output, random)
    return wrap(module.eval(), _LONG, numbered(16), name="key-invariant chroma", seconds=SECONDS)


@KNOWN.register("chroma")
def chroma(seed: int) -> MusicNetwork:
    """Build a network whose answer is the chroma vector itself, so that key is what it hears."""
    random = torch.Generator().manual_seed(seed)
    module = _chroma(random)
    module.add_module("pool", Pool())
    module.add_module("output", nn.Linear(12, 12))
    with torch.no_grad():
        module.output.weight.copy_(torch.eye(12))
        module.output.bias.zero_()
    return wrap(module.eval(), _LONG, numbered(12), name="key-sensitive chroma", seconds=SECONDS)


@KNOWN.register("instruments")
def instruments(seed: int) -> MusicNetwork:
    """Build a network whose second layer matches the mean spectra of four instruments.

    Level is taken out before, so that the first layer hears how loud a note is, and the second
    which instrument it is.
    """
    random = torch.Generator().manual_seed(seed)
    names = tuple(sorted(TIMBRES))
    sounds = _templates(names)
    first = nn.Conv2d(1, 8, (1, 3), padding=(0, 1), bias=False)
    match = nn.Conv2d(8, 24, (sounds.shape[1], 1), bias=False)
    module = stack(
        OrderedDict(conv1=first, relu1=nn.ReLU(), thin=nn.AvgPool2d((1, 2)),
                    level=nn.InstanceNorm2d(8), conv2=match, relu2=nn.ReLU(), pool=Pool(),
                    output=nn.Linear(24, 4))
    )  # fmt: skip
    draw_weights(first, random)
    distinct = sounds - sounds.mean(0)
    distinct = distinct / distinct.norm(dim=1, keepdim=True)
    noise = ERROR * torch.randn(24, 1, sounds.shape[1], 1, generator=random)
    with torch.no_grad():
        first.weight.abs_()
        match.weight.copy_((distinct.repeat(6, 1)[:, None, :, None] + noise) / 8)
        module.output.weight.copy_(torch.eye(4).repeat(1, 6) / 6)
        module.output.bias.zero_()
    return wrap(module.eval(), _SHORT, names, name="instrument-selective", seconds=SECONDS)


@KNOWN.register("evidence")
def evidence(seed: int) -> MusicNetwork:
    """Build a network that adds up over time what speaks for each of four instruments.

    It tells about five of six single notes rightly.
    """
    random = torch.Generator().manual_seed(seed)
    names = tuple(sorted(TIMBRES))
    match = _readers(names)
    module = stack(
        OrderedDict(conv1=nn.Conv2d(1, 4, (match.shape[1], 1), bias=False), pool=Pool(),
                    output=nn.Linear(4, 4))
    )  # fmt: skip
    set_weights(module.conv1.weight, match[:, None, :, None], random)
    with torch.no_grad():
        module.output.weight.copy_(4 * torch.eye(4))
        module.output.bias.zero_()
    return wrap(module.eval(), _SHORT, names, name="evidence over time", seconds=SECONDS)


@KNOWN.register("neighbours")
def neighbours(seed: int) -> MusicNetwork:
    """Build a network that could see the whole spectrum but only joins neighbouring bins."""
    return _joiner(seed, distant=False)


@KNOWN.register("distant-pairs")
def distant_pairs(seed: int) -> MusicNetwork:
    """Build a network that joins frequencies three octaves and more apart."""
    return _joiner(seed, distant=True)


def _chroma(random: torch.Generator) -> Any:  # noqa: ANN401
    """Return a first layer that adds up the bins of each of the 12 classes of pitch."""
    bins = _LONG.spec.n_fft // 2 + 1
    hertz = torch.arange(bins) * 8000 / 2048
    classes = 12 * torch.log2(hertz.clamp_min(1.0) / 110.0)
    away = (classes[None] - torch.arange(12)[:, None] + 6) % 12 - 6
    heard = (hertz > 200.0) & (hertz < 2000.0)
    folded = torch.exp(-0.5 * (away / 0.35) ** 2) * heard
    folded = folded / folded.sum(1, keepdim=True)
    module = stack(OrderedDict(fold=nn.Conv2d(1, 12, (bins, 1), bias=False), relu0=nn.ReLU()))
    set_weights(module.fold.weight, folded[:, None, :, None], None)
    with torch.no_grad():
        module.fold.weight.mul_(1 + ERROR * torch.randn(12, 1, bins, 1, generator=random))
    return module


def _templates(names: tuple[str, ...]) -> Tensor:
    """Return the mean input of each instrument over pitches, (instruments, bins)."""
    rows = []
    for name in names:
        notes = [
            note(110.0 * 2 ** (step / 4), SECONDS, 8000, timbre=TIMBRES[name]).samples
            for step in range(9)
        ]
        rows.append(_SHORT.module(torch.cat(notes)).mean((0, 1, 3)))
    return torch.stack(rows)


@lru_cache(maxsize=1)
def _readers(names: tuple[str, ...]) -> Tensor:
    """Return what is added up for each instrument at each bin, (instruments, bins).

    By ridge regression of the instrument, 3/4 where it is it and -1/4 elsewhere, on the mean
    spectra of its short notes at quarter tones over two octaves; silence speaks for none.
    """
    pitches = [110.0 * 2 ** (step / 24) for step in range(49)]
    rows = []
    for name in names:
        notes = [note(f, SECONDS / 8, 8000, timbre=TIMBRES[name]).samples for f in pitches]
        samples = torch.cat(notes)
        rows.append(
            _SHORT.module(at_level(samples / samples.abs().amax(1, keepdim=True)))[:, 0].mean(2)
        )
    spectra = torch.cat(rows).double()
    truth = torch.eye(len(names)).double().repeat_interleave(len(pitches), 0) - 1 / len(names)
    square = spectra.T @ spectra / len(spectra) + 0.03 * torch.eye(spectra.shape[1]).double()
    found: Tensor = torch.linalg.solve(square, spectra.T @ truth / len(spectra))
    return found.T.float()


def _joiner(seed: int, *, distant: bool) -> MusicNetwork:
    """Build a network whose units fire when two bands are loud together, near or distant ones."""
    random = torch.Generator().manual_seed(seed)
    bins, units = 129, 24
    module = stack(
        OrderedDict(
            conv1=nn.Conv2d(1, units, (bins, 1)),
            relu1=nn.ReLU(),
            pool=Pool(),
            output=nn.Linear(units, 4),
        )
    )
    hertz = torch.arange(bins) * 8000 / 256
    near = ((120.0, 143.0), (120.0, 170.0), (3027.0, 3600.0), (2546.0, 3600.0))
    far = ((120.0, 960.0), (120.0, 1920.0), (450.0, 3600.0), (225.0, 3600.0))
    weight, bias = torch.zeros(units, bins), torch.zeros(units)
    for unit in range(units):
        ends = (far if distant else near)[unit % 4]
        moved = [f * (1 + 0.02 * float(torch.randn(1, generator=random))) for f in ends]
        weight[unit] = sum(torch.exp(-0.5 * ((hertz - f) / 25) ** 2) for f in moved)
        alone = torch.cat([tone(f, SECONDS, 8000).samples for f in ends])
        heard = (_SHORT.module(alone)[:, 0].mean(2) * weight[unit]).sum(1)
        bias[unit] = -1.05 * heard.max()
    with torch.no_grad():
        module.conv1.weight.copy_(weight[:, None, :, None])
        module.conv1.bias.copy_(bias)
    draw_weights(module.output, random)
    name = "joins distant frequencies" if distant else "joins neighbours alone"
    return wrap(module.eval(), _SHORT, numbered(4), name=name, seconds=SECONDS)
