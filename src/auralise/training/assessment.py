"""All that is measured of one network on clips: votes, scores with intervals, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auralise.datasets.base import Track
from auralise.errors import InvalidValueError
from auralise.training.metrics import (
    Bools,
    Calibration,
    Floats,
    Ints,
    Measure,
    Score,
    accuracy,
    average_precision,
    calibration,
    calibration_error,
    f1,
    macro_f1,
    macro_pr_auc,
    macro_roc_auc,
    roc_auc,
    score,
    segment_accuracy,
)
from auralise.training.voting import Answers, majority_vote, mean_vote

OVER = ("auto", "artist", "group", "clip")
"""What the bootstrap draws together."""


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label or tag.

    Attributes
    ----------
    label : str
    clips : int
        That have it.
    values : mapping of str to float or None
        ``precision``, ``recall``, ``f1`` of a label; ``roc_auc``, ``pr_auc`` of a tag. None where
        there is nothing to measure.
    """

    label: str
    clips: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Assessment:
    """What was measured of a network.

    Attributes
    ----------
    labels : tuple of str
        In the order of the outputs.
    multilabel : bool
    n_clips, n_segments : int
    drawn : str
        What the bootstrap drew together: "artist", "group" or "clip".
    n_drawn : int
        How many of those there are.
    scores : mapping of str to Score
        ``accuracy`` and ``majority_accuracy`` by clip, after mean and majority vote,
        ``segment_accuracy``, ``macro_f1`` and ``calibration_error``; of tags ``roc_auc``,
        ``pr_auc`` and ``calibration_error``.
    per_label : tuple of LabelScore
    confusion : tuple of tuples of int
        Counts after mean vote, row = label, column = answer; empty for tags.
    calibration : Calibration
        Of the clips' answers after mean vote.
    floor : float or None
        Share of the clips that have the label most frequent among them: the best that can be
        reached without listening. None for tags, whose floor is a ROC-AUC of 0.5.
    excluded : tuple of str
        Tags that have no positive or no negative here, and stand in no mean.
    right : array of bool, shape (clips,)
        Whether the mean vote is the clip's label; of tags (clips, tags), at a probability of 0.5.
    """

    labels: tuple[str, ...]
    multilabel: bool
    n_clips: int
    n_segments: int
    drawn: str
    n_drawn: int
    scores: Mapping[str, Score]
    per_label: tuple[LabelScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration
    floor: float | None
    excluded: tuple[str, ...]
    right: Bools


def units_of(tracks: Sequence[Track], over: str = "auto") -> tuple[str, list[str]]:
    """Say what of each track is drawn together in a bootstrap.

    Parameters
    ----------
    tracks : sequence of Track
    over : str
        In `OVER`. "auto" takes artists where all are known, else groups.

    Returns
    -------
    str
        "artist", "group" or "clip".
    list of str
        One for each track.

    Raises
    ------
    InvalidValueError
        If artists are asked for and not all are known.
    """
    if over not in OVER:
        raise InvalidValueError(f"over must be one of {', '.join(OVER)}, got {over!r}")
    unknown = sum(not track.artist for track in tracks)
    if over == "artist" and unknown:
        raise InvalidValueError(
            f"{unknown} of {len(tracks)} clips have no artist; draw groups or clips"
        )
    if over == "auto":
        over = "group" if unknown else "artist"
    if over == "clip":
        return over, [str(number) for number in range(len(tracks))]
    return over, [track.artist if over == "artist" else track.group for track in tracks]


def assess(
    answers: Answers,
    labels: Sequence[str],
    *,
    multilabel: bool = False,
    over: str = "auto",
    draws: int = 2000,
    seed: int = 0,
) -> Assessment:
    """Measure a network by what it answered.

    Parameters
    ----------
    answers : Answers
        Segment by segment.
    labels : sequence of str
        In the order of the outputs.
    multilabel : bool
        Whether clips have tags rather than one label.
    over : str
        What the bootstrap draws together: in `OVER`.
    draws, seed : int
        Of the bootstrap.

    Raises
    ------
    InvalidValueError
        If a clip has a label that is not among ``labels``, or there are as many outputs as not.
    """
    if answers.logits.shape[1] != len(labels):
        raise InvalidValueError(
            f"the network has {answers.logits.shape[1]} outputs for {len(labels)} labels"
        )
    drawn, units = units_of(answers.tracks, over)
    options = _Options(tuple(labels), drawn, tuple(units), draws, seed)
    return _assess_tags(answers, options) if multilabel else _assess_labels(answers, options)


@dataclass(frozen=True, slots=True)
class _Options:
    labels: tuple[str, ...]
    drawn: str
    units: tuple[str, ...]
    draws: int
    seed: int

    def score(self, measure: Measure) -> Score:
        return score(measure, self.units, draws=self.draws, seed=self.seed)


def _assess_labels(answers: Answers, options: _Options) -> Assessment:
    labels = options.labels
    truth = _truth(answers.tracks, labels)
    shares = mean_vote(answers)
    chosen = shares.argmax(1)
    right = chosen == truth
    own = np.arange(len(truth))
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (truth, chosen), 1)
    segments = answers.logits.argmax(1) == truth[answers.clip]
    measures = {
        "accuracy": accuracy(right),
        "majority_accuracy": accuracy(majority_vote(answers) == truth),
        "segment_accuracy": segment_accuracy(segments, answers.clip),
        "macro_f1": macro_f1(truth, chosen, len(labels)),
        "calibration_error": calibration_error(shares.max(1), right, own),
    }
    return Assessment(
        labels=labels,
        multilabel=False,
        n_clips=len(truth),
        n_segments=len(answers.clip),
        drawn=options.drawn,
        n_drawn=len(set(options.units)),
        scores={name: options.score(measure) for name, measure in measures.items()},
        per_label=_label_scores(truth, chosen, labels),
        confusion=tuple(tuple(int(n) for n in row) for row in confusion),
        calibration=calibration(shares.max(1), right),
        floor=float(confusion.sum(1).max() / len(truth)),
        excluded=(),
        right=right,
    )


def _truth(tracks: Sequence[Track], labels: Sequence[str]) -> Ints:
    numbers = {label: number for number, label in enumerate(labels)}
    strange = sorted({track.label for track in tracks} - set(numbers))
    if strange:
        raise InvalidValueError(
            f"clips have the label {strange[0]!r}, which is none of the network's: "
            f"{', '.join(labels)}"
        )
    return np.array([numbers[track.label] for track in tracks])


def _label_scores(truth: Ints, chosen: Ints, labels: Sequence[str]) -> tuple[LabelScore, ...]:
    sizes = np.bincount(truth, minlength=len(labels))
    given = np.bincount(chosen, minlength=len(labels))
    hits = np.bincount(truth[truth == chosen], minlength=len(labels))
    both = f1(truth, chosen, len(labels), np.ones((1, len(truth))))[0]
    return tuple(
        LabelScore(
            label,
            int(sizes[i]),
            {
                "precision": float(hits[i] / given[i]) if given[i] else None,
                "recall": float(hits[i] / sizes[i]) if sizes[i] else None,
                "f1": _number(both[i]),
            },
        )
        for i, label in enumerate(labels)
    )


def _assess_tags(answers: Answers, options: _Options) -> Assessment:
    labels = options.labels
    truth = np.array([[tag in set(track.tags) for tag in labels] for track in answers.tracks])
    shares = mean_vote(answers, multilabel=True)
    usable = np.asarray(truth.any(0) & ~truth.all(0))
    if not usable.any():
        raise InvalidValueError("no tag has clips with it and clips without it; nothing to measure")
    own = np.repeat(np.arange(len(truth)), len(labels))
    measures = {
        "roc_auc": macro_roc_auc(truth[:, usable], shares[:, usable]),
        "pr_auc": macro_pr_auc(truth[:, usable], shares[:, usable]),
        "calibration_error": calibration_error(shares.ravel(), truth.ravel(), own),
    }
    return Assessment(
        labels=labels,
        multilabel=True,
        n_clips=len(truth),
        n_segments=len(answers.clip),
        drawn=options.drawn,
        n_drawn=len(set(options.units)),
        scores={name: options.score(measure) for name, measure in measures.items()},
        per_label=_tag_scores(truth, shares, labels),
        confusion=(),
        calibration=calibration(shares.ravel(), truth.ravel()),
        floor=None,
        excluded=tuple(tag for tag, kept in zip(labels, usable.tolist(), strict=True) if not kept),
        right=(shares >= 0.5) == truth,
    )


def _tag_scores(truth: Bools, shares: Floats, tags: Sequence[str]) -> tuple[LabelScore, ...]:
    alone = np.ones((1, len(truth)))
    return tuple(
        LabelScore(
            tag,
            int(truth[:, i].sum()),
            {
                "roc_auc": _number(roc_auc(truth[:, i], shares[:, i], alone)[0]),
                "pr_auc": _number(average_precision(truth[:, i], shares[:, i], alone)[0]),
            },
        )
        for i, tag in enumerate(tags)
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
