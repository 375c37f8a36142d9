"""Weights that let rare labels count as much as frequent ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from auralise.datasets.base import Track
from auralise.errors import InvalidValueError


def class_weights(tracks: Sequence[Track], labels: Sequence[str]) -> Tensor:
    """Return for each label the mean number of clips a label has, divided by its own.

    Parameters
    ----------
    tracks : sequence of Track
        Of the training part, each with one of the labels.
    labels : sequence of str

    Returns
    -------
    Tensor, shape (labels,)
        The mean over the clips is 1.

    Raises
    ------
    InvalidValueError
        If a label has no clips.

    Examples
    --------
    >>> from pathlib import Path
    >>> class_weights([Track(Path(), label, "") for label in "aaab"], "ab").tolist()
    [0.6666666865348816, 2.0]
    """
    counts = Counter(track.label for track in tracks)
    empty = [label for label in labels if not counts[label]]
    if empty:
        raise InvalidValueError(f"label {empty[0]!r} has no clips; leave it out, or add some")
    return torch.tensor([len(tracks) / (len(labels) * counts[label]) for label in labels])
