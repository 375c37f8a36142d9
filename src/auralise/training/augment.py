"""What is changed in a clip at random before a network sees it in training."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auralise.audio.resampling import resample
from auralise.audio.waveform import Waveform
from auralise.datasets.clips import place
from auralise.training.options import FitOptions


def seed_of(*numbers: int) -> int:
    """Return a seed that depends on all the numbers and in [0, 2**63)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def draw(
    samples: Tensor, length: int, sample_rate: int, options: FitOptions, generator: torch.Generator
) -> Tensor:
    """Set a clip at a random place in an excerpt, at a random level, polarity and speed.

    Of collections of features, (channels, time), only the place is drawn.

    Parameters
    ----------
    samples : Tensor, shape (time,) or (channels, time)
    length : int
        Of the excerpt.
    sample_rate : int
        In Hz.
    options : FitOptions
    generator : torch.Generator
        All that is random comes from it.

    Returns
    -------
    Tensor, shape (length,) or (channels, length)
    """
    share, level, sign, speed = torch.rand(4, generator=generator).tolist()
    if samples.ndim > 1:
        return place(samples, length, share)
    moved = transpose(samples, options.semitones * (2 * speed - 1))
    excerpt = place(moved, length, share)
    if options.effects:
        seed = int(torch.randint(2**31, (1,), generator=generator))
        excerpt = change(excerpt, sample_rate, options.effects, seed)
    gain = float(10 ** (options.lowest_gain_db * level / 20))
    return excerpt * (-gain if sign < 0.5 else gain)


def transpose(samples: Tensor, semitones: float) -> Tensor:
    """Play a sound faster (its pitch rising by ``semitones``) or slower.

    Parameters
    ----------
    samples : Tensor, shape (time,)
    semitones : float

    Returns
    -------
    Tensor, shape (time / 2 ** (semitones / 12),), to rounding
    """
    if semitones == 0:
        return samples
    rate = 48000  # only the ratio of the two rates matters
    slower = round(rate * 2 ** (-semitones / 12))
    return resample(Waveform(samples[None], rate), slower).samples[0]


def change(samples: Tensor, sample_rate: int, effects: Sequence[str], seed: int) -> Tensor:
    """Apply effects of audiomentations, each with probability 0.5.

    The library draws from the generators of `random` and NumPy, which are seeded for it and put
    back afterwards.

    Parameters
    ----------
    samples : Tensor, shape (time,)
    sample_rate : int
        In Hz.
    effects : sequence of str
        "noise": white, 20 to 50 dB below; "filter": a low-pass from 2 kHz to 7.5 kHz; "pitch": by
        at most 2 semitones at the same length; "stretch": by 0.9 to 1.1 at the same pitch.
    seed : int
        In [0, 2**32).

    Returns
    -------
    Tensor, shape (time,)
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        changed = _chain(effects)(samples=samples.numpy(), sample_rate=sample_rate)
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
    return torch.from_numpy(np.ascontiguousarray(changed, dtype=np.float32))


def _chain(effects: Sequence[str]) -> Any:  # noqa: ANN401 (the library has no types)
    from audiomentations import AddGaussianSNR, Compose, LowPassFilter, PitchShift, TimeStretch

    known = {
        "noise": lambda: AddGaussianSNR(min_snr_db=20, max_snr_db=50, p=0.5),
        "filter": lambda: LowPassFilter(min_cutoff_freq=2000, max_cutoff_freq=7500, p=0.5),
        "pitch": lambda: PitchShift(min_semitones=-2, max_semitones=2, p=0.5),
        "stretch": lambda: TimeStretch(min_rate=0.9, max_rate=1.1, leave_length_unchanged=True),
    }
    return Compose([known[effect]() for effect in effects])


def mask(values: Tensor, numbers: Tensor, time: float, frequency: float) -> Tensor:
    """Cover a stretch of frames and a band of bins of each item with the item's mean.

    Parameters
    ----------
    values : Tensor, shape (batch, channels, bins, frames) or (batch, channels, frames)
    numbers : Tensor, shape (batch, 4)
        In [0, 1): width and place of the mask over frames, width and place of that over bins.
    time, frequency : float
        Widest mask as a share of the axis; in [0, 1].

    Returns
    -------
    Tensor, same shape

    References
    ----------
    .. [1] D. S. Park et al., "SpecAugment: a simple data augmentation method for automatic speech
       recognition", Proc. Interspeech, 2019. Time warping is left out.
    """
    mean = values.flatten(1).mean(1).view(-1, *[1] * (values.ndim - 1))
    covered = _covered(values.shape[-1], numbers[:, :2], time)
    result = torch.where(covered.view(len(values), *[1] * (values.ndim - 2), -1), mean, values)
    if values.ndim == 4:
        band = _covered(values.shape[-2], numbers[:, 2:], frequency)
        result = torch.where(band[:, None, :, None], mean, result)
    return result


def _covered(length: int, numbers: Tensor, widest: float) -> Tensor:
    """Return which of ``length`` places are covered, shape (batch, length)."""
    width = torch.floor(numbers[:, :1] * (widest * length + 1))
    start = torch.floor(numbers[:, 1:2] * (length - width + 1))
    places = torch.arange(length, device=numbers.device)
    return (places >= start) & (places < start + width)
