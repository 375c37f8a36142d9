"""What is measured of the training clips before a training: labels and levels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from auralise.datasets.clips import Clip, place
from auralise.datasets.sharded import take
from auralise.errors import InvalidValueError
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import Architecture
from auralise.training.identity import tracks_of
from auralise.training.options import FitOptions
from auralise.training.voting import GAIN


def label_weights(labels: Sequence[str], train: Sequence[Clip], multilabel: bool) -> Tensor:
    """Return weights that let rare labels count as much as frequent ones.

    Returns
    -------
    Tensor, shape (labels,)
        Of labels: the mean over the clips is 1. Of tags: how many clips lack it for each that has
        it, at most 100, for the clips that have it.
    """
    tracks = tracks_of(train)
    if multilabel:
        counts = Counter(tag for track in tracks for tag in set(track.tags))
        shares = [(len(tracks) - counts[tag]) / max(1, counts[tag]) for tag in labels]
        return torch.tensor(shares).clamp(max=100.0)
    counts = Counter(track.label for track in tracks)
    filled = sum(counts[label] > 0 for label in labels)
    return torch.tensor([len(tracks) / (filled * max(1, counts[label])) for label in labels])


_NORMALISING = (
    nn.modules.batchnorm._BatchNorm,  # InstanceNorm is one of these
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
)


def standardised(
    architecture: Architecture, network: nn.Module, train: Sequence[Clip], options: FitOptions
) -> Architecture:
    """Return the architecture behind a frontend of mean 0 and deviation 1, if that is wanted."""
    frontend = architecture.frontend()
    wanted = options.standardise
    if wanted is None:
        wanted = not any(isinstance(part, _NORMALISING) for part in network.modules())
    if not wanted or not isinstance(frontend, SpectrogramFrontend):
        return architecture
    mean, std = spread_of(frontend, architecture.seconds, train)
    found = replace(frontend, mean=mean, std=std)
    return replace(architecture, frontend=lambda: found)


@torch.no_grad()
def spread_of(
    frontend: SpectrogramFrontend, seconds: float, clips: Sequence[Clip]
) -> tuple[float, float]:
    """Return mean and standard deviation of a frontend's values over clips, at a peak of -12 dB.

    Of each clip, the excerpt in the middle is taken, and of many clips 512, evenly spaced.
    """
    length = round(seconds * frontend.sample_rate)
    plain = replace(frontend, mean=0.0, std=1.0).module
    total = square = count = 0.0
    for index in range(0, len(clips), max(1, len(clips) // 512)):
        clip = take(clips, index)
        if clip is None:
            continue
        values = plain(place(clip.samples, length, 0.5)[None] * GAIN).double()
        total, square = total + values.sum().item(), square + values.square().sum().item()
        count += values.numel()
    mean = total / count
    deviation = max(square / count - mean**2, 0.0) ** 0.5
    if deviation == 0:
        raise InvalidValueError("all training clips are silent; there is nothing to standardise")
    return float(mean), float(deviation)
