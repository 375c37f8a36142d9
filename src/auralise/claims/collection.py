"""Labelled sounds that claims are tried on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip, place
from auralise.errors import InvalidValueError
from auralise.training.voting import at_level


@dataclass(frozen=True, eq=False)
class LabelledClips:
    """Clips of a collection, decoded at a network's rate.

    Attributes
    ----------
    name : str
        In words, with how the clips were chosen.
    clips : tuple of Clip
        One channel each, at least two labels among them.
    unseen : bool
        Whether the network has not been trained on any of them, as far as is known.
    notes : tuple of str
        What one has to know of the choice.
    """

    name: str
    clips: tuple[Clip, ...]
    unseen: bool = True
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise InvalidValueError(
                f"collection {self.name!r} has {len(self.clips)} clips with {len(self.labels)} "
                "labels; claims need at least two"
            )

    @property
    def tracks(self) -> tuple[Track, ...]:
        """Where the clips are from."""
        return tuple(clip.track for clip in self.clips)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({clip.track.label for clip in self.clips}))

    @cached_property
    def sha256(self) -> str:
        """Of the samples and labels."""
        found = hashlib.sha256(repr([(t.label, t.group) for t in self.tracks]).encode())
        for clip in self.clips:
            found.update(clip.samples.float().contiguous().numpy().tobytes())
        return found.hexdigest()

    def excerpts(self, length: int) -> Tensor:
        """Return the middle of each clip at a peak of -12 dB, (clips, length)."""
        return at_level(torch.stack([place(clip.samples, length, 0.5) for clip in self.clips]))


def balanced(tracks: Sequence[Track], most: int, seed: int = 0) -> list[Track]:
    """Return at most so many tracks, as many of each label as can be, from as many groups.

    Parameters
    ----------
    tracks : sequence of Track
    most : int
    seed : int
        Of the choice among the tracks of a label.
    """
    order = torch.randperm(len(tracks), generator=torch.Generator().manual_seed(seed)).tolist()
    rows: dict[str, list[Track]] = {}
    for index in order:
        rows.setdefault(tracks[index].label, []).append(tracks[index])
    for label, row in rows.items():
        seen: dict[str, int] = {}
        ranks = []
        for track in row:
            ranks.append(seen.get(track.group, 0))
            seen[track.group] = ranks[-1] + 1
        rows[label] = [row[i] for i in sorted(range(len(row)), key=ranks.__getitem__)]
    chosen: list[Track] = []
    turn = 0
    while len(chosen) < min(most, len(tracks)):
        taken = [row[turn] for _, row in sorted(rows.items()) if turn < len(row)]
        chosen += taken[: most - len(chosen)]
        turn += 1
    return sorted(chosen, key=lambda track: (track.label, str(track.path)))
