"""What a network says of a clip: segment by segment, then by vote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip, place
from auralise.datasets.segments import segments
from auralise.errors import InvalidValueError, ShapeError
from auralise.frontends.base import Frontend
from auralise.models.base import Architecture

GAIN = 0.25  # -12 dB: in the middle of the levels drawn in training


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a network said of each segment of each clip.

    Attributes
    ----------
    logits : array, shape (segments, labels)
        The clips' segments one after another.
    clip : array of int, shape (segments,)
        Which clip a segment is of; rising, each clip at least once.
    tracks : tuple of Track
        Of the clips.
    """

    logits: NDArray[np.float64]
    clip: NDArray[np.int64]
    tracks: tuple[Track, ...]

    def __post_init__(self) -> None:
        if self.logits.ndim != 2 or self.clip.shape != self.logits.shape[:1]:
            raise ShapeError(
                f"logits must have shape (segments, labels) and clip (segments,), "
                f"got {self.logits.shape} and {self.clip.shape}"
            )
        if not np.array_equal(np.unique(self.clip), np.arange(len(self.tracks))):
            raise InvalidValueError(
                f"each of the {len(self.tracks)} clips must have a segment, "
                f"got segments of {len(np.unique(self.clip))}"
            )


def clip_logits(
    network: nn.Module,
    architecture: Architecture,
    clips: Iterable[Clip],
    *,
    overlap: float = 0.5,
    batch_size: int = 32,
    device: str = "cpu",
) -> Answers:
    """Let a network of an architecture answer segment by segment; see `segment_logits`."""
    return segment_logits(
        network,
        architecture.frontend(),
        architecture.seconds,
        clips,
        overlap=overlap,
        batch_size=batch_size,
        device=device,
    )


@torch.no_grad()
def segment_logits(
    network: nn.Module,
    frontend: Frontend,
    seconds: float,
    clips: Iterable[Clip],
    *,
    overlap: float = 0.5,
    batch_size: int = 32,
    device: str = "cpu",
) -> Answers:
    """Let a network answer to each segment of each clip, at the clip's peak of -12 dB.

    A clip shorter than a segment is set in the middle of one.

    Parameters
    ----------
    network : nn.Module
        Gives (batch, labels) logits; in evaluation mode.
    frontend : Frontend
        Makes its input.
    seconds : float
        Length of a segment.
    clips : iterable of Clip
        At the frontend's rate; taken one after another, so that a collection that does not fit
        into memory can be read as it is needed.
    overlap : float
        Share of a segment that is in the next one too; 0 <= overlap < 1.
    batch_size : int
        Segments at a time.
    device : str
        As torch names it; the network is moved there.

    Returns
    -------
    Answers

    Raises
    ------
    InvalidValueError
        If there is no clip, or the network is in training mode.
    """
    if network.training:
        raise InvalidValueError("the network is in training mode; call network.eval() first")
    network.to(device)
    module = frontend.module.to(device)
    length = round(seconds * frontend.sample_rate)
    tracks: list[Track] = []
    owners: list[int] = []
    logits = []
    cut = _segments(clips, length, overlap, tracks)
    while batch := list(islice(cut, batch_size)):
        owners.extend(owner for owner, _ in batch)
        samples = at_level(torch.stack([segment for _, segment in batch]))
        logits.append(network(module(samples.to(device))).double().cpu().numpy())
    if not tracks:
        raise InvalidValueError("there is no clip to answer to")
    return Answers(np.concatenate(logits), np.array(owners), tuple(tracks))


def at_level(samples: Tensor) -> Tensor:
    """Bring sounds, (batch, time), to a peak of -12 dB; features, (batch, channels, time), stay."""
    return samples * GAIN if samples.ndim == 2 else samples


def _segments(
    clips: Iterable[Clip], length: int, overlap: float, tracks: list[Track]
) -> Iterator[tuple[int, Tensor]]:
    """Cut clips; each one's track is appended to ``tracks`` when its turn comes."""
    for number, clip in enumerate(clips):
        tracks.append(clip.track)
        if clip.samples.shape[-1] <= length:
            yield number, place(clip.samples, length, 0.5)
            continue
        for start in segments(clip.samples.shape[-1], length, overlap):
            yield number, clip.samples[..., start : start + length]


def segment_probabilities(answers: Answers, *, multilabel: bool = False) -> NDArray[np.float64]:
    """Return softmax of each segment's logits, or the sigmoid where tags are independent.

    Returns
    -------
    array, shape (segments, labels)
    """
    logits = torch.from_numpy(answers.logits)
    shares = logits.sigmoid() if multilabel else logits.softmax(1)
    return np.asarray(shares.numpy(), dtype=np.float64)


def mean_vote(answers: Answers, *, multilabel: bool = False) -> NDArray[np.float64]:
    """Return the mean over each clip's segments of their probabilities.

    Returns
    -------
    array, shape (clips, labels)
    """
    shares = segment_probabilities(answers, multilabel=multilabel)
    return _sum_by_clip(shares, answers) / np.bincount(answers.clip)[:, None]


def majority_vote(answers: Answers) -> NDArray[np.int64]:
    """Return the label that most segments of each clip chose.

    Where labels have equally many, the one of them with the larger mean probability.

    Returns
    -------
    array of int, shape (clips,)
    """
    chosen = np.eye(answers.logits.shape[1])[answers.logits.argmax(1)]
    votes = _sum_by_clip(chosen, answers)
    tied = votes == votes.max(1, keepdims=True)
    return np.asarray(np.where(tied, mean_vote(answers), -1.0).argmax(1), dtype=np.int64)


def _sum_by_clip(values: NDArray[np.float64], answers: Answers) -> NDArray[np.float64]:
    total = np.zeros((len(answers.tracks), values.shape[1]))
    np.add.at(total, answers.clip, values)
    return total
