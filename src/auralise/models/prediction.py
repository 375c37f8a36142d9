"""What a network says of a song: window by window, then averaged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.audio.resampling import pad_to, resample
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.models.base import MusicNetwork


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A network's answer to a song.

    Attributes
    ----------
    labels : tuple of str
    probabilities : Tensor, shape (labels,)
        Mean of the windows' softmax outputs.
    windows : Tensor, shape (windows, labels)
        Softmax output of each window.
    starts : tuple of float
        Where each window begins, in seconds.
    """

    labels: tuple[str, ...]
    probabilities: Tensor
    windows: Tensor
    starts: tuple[float, ...]

    def ranking(self) -> list[tuple[str, float]]:
        """Return labels with probabilities, the most probable first."""
        order = self.probabilities.argsort(descending=True).tolist()
        return [(self.labels[i], float(self.probabilities[i])) for i in order]


@torch.no_grad()
def predict(network: MusicNetwork, waveform: Waveform, *, batch_size: int = 16) -> Prediction:
    """Let a network judge a song in windows of its own length with 50 % overlap.

    Parameters
    ----------
    network : MusicNetwork
        With labels.
    waveform : Waveform
        Any rate; padded with silence if shorter than one window.
    batch_size : int
        Windows at a time.

    Raises
    ------
    InvalidValueError
        If the network has no labels, or as many outputs as labels are not what it gives.
    """
    card = network.card
    if not card.labels:
        raise InvalidValueError(f"network {card.name!r} has no labels, so there is nothing to say")
    rate = card.frontend.sample_rate
    samples = resample(waveform.mono(), rate)
    length = round((card.seconds or samples.duration) * rate)
    samples = pad_to(samples, length)
    hop = max(1, length // 2)
    starts = range(0, samples.n_samples - length + 1, hop)
    cut = [samples.samples[0, start : start + length] for start in starts]
    answers = []
    for first in range(0, len(cut), batch_size):
        values = card.frontend.module(torch.stack(cut[first : first + batch_size]))
        answers.append(network.module(values).softmax(1))
    windows = torch.cat(answers)
    if windows.shape[1] != len(card.labels):
        raise InvalidValueError(
            f"network {card.name!r} gives {windows.shape[1]} outputs for {len(card.labels)} labels"
        )
    return Prediction(card.labels, windows.mean(0), windows, tuple(s / rate for s in starts))
