"""How good a network is on clips it has not seen, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from auralise.datasets.clips import Clip, place
from auralise.models.base import Architecture
from auralise.training.identity import tracks_of
from auralise.training.metrics import accuracy, score
from auralise.training.voting import at_level


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Accuracy with its interval.

    Attributes
    ----------
    accuracy : float
        Share of clips whose largest logit is their label's.
    interval : tuple of float
        95 % bootstrap interval over groups.
    floor : float
        Accuracy of always answering the label that is most frequent in training.
    n_clips, n_groups : int
    confusion : tuple of tuples of int
        Counts, row = label, column = answer.
    """

    accuracy: float
    interval: tuple[float, float]
    floor: float
    n_clips: int
    n_groups: int
    confusion: tuple[tuple[int, ...], ...]


@torch.no_grad()
def logits_of(
    network: nn.Module, architecture: Architecture, clips: Sequence[Clip], batch_size: int = 32
) -> Tensor:
    """Return the network's answers to clips set in the middle of an excerpt, at peak -12 dB.

    Returns
    -------
    Tensor, shape (clips, labels), on the CPU
    """
    network.eval()
    frontend = architecture.frontend()
    length = round(architecture.seconds * frontend.sample_rate)
    device = next(network.parameters()).device
    answers = []
    for start in range(0, len(clips), batch_size):
        batch = [place(c.samples, length, 0.5) for c in clips[start : start + batch_size]]
        samples = at_level(torch.stack(batch)).to(device)
        answers.append(network(frontend.module(samples)).float().cpu())
    return torch.cat(answers)


def accuracy_of(logits: Tensor, clips: Sequence[Clip], labels: Sequence[str]) -> float:
    """Return the share of clips whose largest logit is their label's."""
    answers = logits.argmax(1).tolist()
    right = [labels[a] == track.label for a, track in zip(answers, tracks_of(clips), strict=True)]
    return float(sum(right) / len(right))


def evaluate(
    logits: Tensor,
    clips: Sequence[Clip],
    labels: Sequence[str],
    train: Sequence[Clip],
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Evaluation:
    """Measure accuracy on clips, with a bootstrap interval over their groups.

    Parameters
    ----------
    logits : Tensor, shape (clips, labels)
        The network's answers.
    clips : sequence of Clip
        In the same order.
    labels : sequence of str
        In the order of the logits.
    train : sequence of Clip
        For the majority floor.
    draws : int
        Bootstrap samples of groups.
    seed : int
        Of the bootstrap.
    """
    answers = logits.argmax(1).tolist()
    tracks = tracks_of(clips)
    truth = [labels.index(track.label) for track in tracks]
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (truth, answers), 1)
    groups = [track.group for track in tracks]
    found = score(accuracy(np.equal(truth, answers)), groups, draws=draws, seed=seed)
    majority = Counter(track.label for track in tracks_of(train)).most_common(1)[0][0]
    return Evaluation(
        accuracy=found.value,
        interval=found.interval,
        floor=sum(track.label == majority for track in tracks) / len(tracks),
        n_clips=len(tracks),
        n_groups=len(set(groups)),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
    )
