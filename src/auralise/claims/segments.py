"""Whether short segments lose what matters, and votes repair it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from auralise.audio.waveform import Waveform
from auralise.claims.base import Claim, Curve, Evidence, Need, NotApplicable, Panel, Part, Sound
from auralise.claims.collection import LabelledClips
from auralise.claims.context import Context
from auralise.claims.statistics import DRAWS, Array
from auralise.datasets.clips import place
from auralise.filters.resampling import Interval
from auralise.training.voting import at_level

SHARES = (1.0, 0.5, 0.25, 0.125)
"""Lengths of segments, as shares of what the network was made for."""

SHORT = 0.25
HALF = 0.5


@dataclass(frozen=True, slots=True)
class _Votes:
    """Share of a clip's segments that are right, and whether their mean vote is, (clips,)."""

    single: Array
    voted: Array


def try_segments(context: Context) -> Evidence:
    """Cut clips into ever shorter segments and let the network judge each, alone and by vote."""
    collection = context.collection
    if collection is None or context.network.card.seconds is None:
        raise NotApplicable("there is no collection, or no length to cut")
    found = [_answers(context, collection, share, i) for i, share in enumerate(SHARES)]
    short = SHARES.index(SHORT)
    groups = [track.group for track in collection.tracks]
    whole = found[0].voted
    lost = whole - found[short].single
    kept = found[short].voted - found[short].single
    parts = (
        _part(
            "what short segments lose",
            f"Accuracy of a whole excerpt, less that of a single segment of {SHORT:g} its length",
            lost, groups, 0.0, context.seed,
        ),
        _part(
            "what the vote brings back",
            "Accuracy of the vote over a clip's short segments, less half of what a whole excerpt "
            "has over a single one, less that of a single one",
            kept - HALF * lost, groups, 0.0, context.seed,
        ),
    )  # fmt: skip
    seconds = [share * context.network.card.seconds for share in SHARES]
    excerpt = collection.excerpts(round(context.seconds * context.sample_rate))[0]
    size = round(SHORT * len(excerpt))
    middle = place(excerpt, size, 0.5)
    return Evidence(
        parts,
        (_panel(seconds, found, collection),),
        (
            Sound("whole", "a whole excerpt", Waveform(excerpt[None], context.sample_rate)),
            Sound("short", "a short segment of it", Waveform(middle[None], context.sample_rate)),
        ),
        (
            "A short segment is set into silence, as short clips are in training. A network that "
            "has met none may mind the silence, not only the shortness. Segments follow each other "
            "without overlap, within the middle of each clip; silent ones are left out.",
        ),
    )


@torch.no_grad()
def _answers(context: Context, collection: LabelledClips, share: float, done: int) -> _Votes:
    length = round(context.seconds * context.sample_rate)
    labels = context.network.card.labels
    single, voted = np.zeros(len(collection.clips)), np.zeros(len(collection.clips))
    for number, clip in enumerate(collection.clips):
        batch = at_level(torch.stack(_cut(clip.samples, length, share)))
        logits = context.network.module(context.frontend.module(batch.float()))
        shares = torch.softmax(logits.double(), 1)
        truth = labels.index(clip.track.label)
        single[number] = float((shares.argmax(1) == truth).double().mean())
        voted[number] = float(shares.mean(0).argmax() == truth)
        total = len(SHARES) * len(collection.clips)
        context.progress("segments", done * len(collection.clips) + number + 1, total)
    return _Votes(single, voted)


def _cut(samples: torch.Tensor, length: int, share: float) -> list[torch.Tensor]:
    """Return segments of a share of a length, each set into silence of that length."""
    excerpt = place(samples, length, 0.5)
    size = max(1, round(share * length))
    parts = [excerpt[start : start + size] for start in range(0, length - size + 1, size)]
    heard = [part for part in parts if float(part.abs().max()) > 1e-3]
    return [place(part, length, 0.5) for part in heard or parts[:1]]


def _part(
    name: str, question: str, gains: Array, groups: Sequence[str], threshold: float, seed: int
) -> Part:
    """Return the mean of gains of clips, with an interval and a p-value over their groups."""
    random = np.random.default_rng(seed)
    _, which = np.unique(groups, return_inverse=True)
    total, count = np.bincount(which, gains), np.bincount(which)
    drawn = random.integers(0, len(count), (DRAWS, len(count)))
    means = total[drawn].sum(1) / count[drawn].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    # Under no difference the sign of a group's gain is a toss: flips of whole groups.
    signs = random.choice([-1.0, 1.0], (4 * DRAWS, len(count)))
    flipped = signs @ total / count.sum()
    observed = float(gains.mean())
    p = (1 + int((flipped >= observed - 1e-12).sum())) / (1 + len(flipped))
    return Part(
        name, question, Interval(observed, float(low), float(high)), "groups of clips",
        len(count), "above", threshold, (), "", p,
    )  # fmt: skip


def _panel(seconds: Sequence[float], found: Sequence[_Votes], collection: LabelledClips) -> Panel:
    labels = [track.label for track in collection.tracks]
    floor = max(labels.count(label) for label in set(labels)) / len(labels)
    return Panel(
        "Accuracy against the length of a segment",
        "seconds",
        "share right",
        tuple(f"{length:g}" for length in seconds),
        (
            Curve("vote over segments", tuple(float(votes.voted.mean()) for votes in found)),
            Curve("single segments", tuple(float(votes.single.mean()) for votes in found)),
        ),
        floor,
    )


CLAIM = Claim(
    "segments",
    "Cutting music into short segments loses what matters, and voting repairs it.",
    "the argument for segments and votes in most papers; Li, Chan, Chun 2010, IMECS",
    "The middle of each clip is cut into segments of the network's own length, a half, a quarter "
    "and an eighth of it. Each segment is judged alone and by vote with the others of its clip.",
    (Need.LABELS, Need.SECONDS),
    try_segments,
    plain="A quarter of an excerpt alone gets a share of {0:.2f} fewer clips right. What a "
    "vote over its quarters wins back is half of that {1:+.2f}.",
)
