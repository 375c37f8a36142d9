"""Segments, their answers, and what the clip's answer is made of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from auralise.datasets import Track
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError, ShapeError
from auralise.frontends import RawFrontend
from auralise.models.base import Architecture
from auralise.training.assessment import assess, units_of
from auralise.training.voting import (
    GAIN,
    Answers,
    clip_logits,
    majority_vote,
    mean_vote,
    segment_probabilities,
)


def track(label="a", group="g", tags=(), artist=""):
    return Track(Path("x.wav"), label, group, tags, artist)


class Ends(nn.Module):
    """Answers with a segment's first and last sample."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, values):
        return self.scale * torch.stack([values[:, 0, 0], values[:, 0, -1]], 1)


PAPER = Architecture(lambda n: Ends(), lambda: RawFrontend(100), 0.1, "none")


def test_segments_of_ten_samples_begin_every_five():
    clips = [Clip(torch.arange(27.0), track()), Clip(torch.ones(4), track("b"))]
    answers = clip_logits(Ends().eval(), PAPER, iter(clips), batch_size=3)
    assert answers.clip.tolist() == [0, 0, 0, 0, 1]
    starts = answers.logits[:4, 0] / GAIN
    assert starts.tolist() == [0, 5, 10, 15]
    assert (answers.logits[:4, 1] / GAIN).tolist() == [9, 14, 19, 24]
    assert answers.logits[4].tolist() == [0, 0]  # the short clip stands in the middle of silence
    assert [t.label for t in answers.tracks] == ["a", "b"]


def test_overlap_sets_the_distance_of_segments():
    clips = [Clip(torch.arange(27.0), track())]
    starts = clip_logits(Ends().eval(), PAPER, clips, overlap=0.0).logits[:, 0] / GAIN
    assert starts.tolist() == [0, 10]
    with pytest.raises(InvalidValueError, match="below 1, got 1"):
        clip_logits(Ends().eval(), PAPER, clips, overlap=1.0)


def test_a_network_in_training_mode_and_no_clips_are_refused():
    with pytest.raises(InvalidValueError, match=r"network\.eval"):
        clip_logits(Ends().train(), PAPER, [])
    with pytest.raises(InvalidValueError, match="no clip"):
        clip_logits(Ends().eval(), PAPER, [])


def answers_of(shares, clip, tracks):
    return Answers(np.log(np.array(shares)), np.array(clip), tuple(tracks))


# Clip 0: two faint votes for b, one sure vote for a. Clip 1: one vote each, b surer.
SHARES = [[0.9, 0.1], [0.45, 0.55], [0.45, 0.55], [0.6, 0.4], [0.2, 0.8]]
SPLIT = answers_of(SHARES, [0, 0, 0, 1, 1], [track("a", "x"), track("b", "y")])


def test_mean_and_majority_may_disagree():
    assert mean_vote(SPLIT) == pytest.approx(np.array([[0.6, 0.4], [0.4, 0.6]]))
    assert mean_vote(SPLIT).argmax(1).tolist() == [0, 1]
    assert majority_vote(SPLIT).tolist() == [1, 1]


def test_tags_are_judged_one_by_one():
    zero = Answers(np.zeros((1, 3)), np.zeros(1, dtype=int), (track(),))
    assert segment_probabilities(zero, multilabel=True).tolist() == [[0.5, 0.5, 0.5]]


def test_answers_must_fit_their_clips():
    with pytest.raises(ShapeError, match=r"\(segments,\)"):
        Answers(np.zeros((2, 3)), np.zeros(1, dtype=int), (track(),))
    with pytest.raises(InvalidValueError, match="each of the 2 clips"):
        Answers(np.zeros((2, 3)), np.zeros(2, dtype=int), (track(), track()))


def test_an_assessment_by_hand():
    """Clip a is right by mean only; of 5 segments 1 + 1 are right."""
    found = assess(SPLIT, ("a", "b"))
    values = {name: score.value for name, score in found.scores.items()}
    assert values["accuracy"] == 1.0
    assert values["majority_accuracy"] == 0.5
    assert values["segment_accuracy"] == pytest.approx(2 / 5)
    assert values["macro_f1"] == 1.0
    assert values["calibration_error"] == pytest.approx(0.4)
    assert found.confusion == ((1, 0), (0, 1))
    assert (found.drawn, found.n_drawn, found.n_clips, found.n_segments) == ("group", 2, 2, 5)
    assert found.floor == 0.5
    assert found.per_label[0].values == {"precision": 1.0, "recall": 1.0, "f1": 1.0}


def test_a_label_never_answered_has_no_precision():
    found = assess(answers_of([[0.9, 0.1]] * 2, [0, 1], [track("a"), track("b")]), ("a", "b"))
    assert found.per_label[1].values == {"precision": None, "recall": 0.0, "f1": 0.0}
    assert found.confusion == ((1, 0), (1, 0))


def test_tags_without_positives_are_left_out_and_named():
    tracks = [track("", tags=("loud",)), track("", tags=("loud", "fast")), track("")]
    logits = np.array([[2.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-3.0, -2.0, 0.0]])
    answers = Answers(logits, np.arange(3), tuple(tracks))
    found = assess(answers, ("loud", "fast", "sung"), multilabel=True)
    assert found.excluded == ("sung",)
    assert found.scores["roc_auc"].value == 1.0
    assert found.scores["pr_auc"].value == 1.0
    assert [row.clips for row in found.per_label] == [2, 1, 0]
    assert found.per_label[2].values == {"roc_auc": None, "pr_auc": None}
    assert found.floor is None


def test_artists_are_drawn_together_where_all_are_known():
    known = [track(artist="x", group="1"), track(artist="x", group="2")]
    assert units_of(known) == ("artist", ["x", "x"])
    partly = [*known, track(group="3")]
    assert units_of(partly) == ("group", ["1", "2", "3"])
    assert units_of(known, "clip") == ("clip", ["0", "1"])
    with pytest.raises(InvalidValueError, match="1 of 3 clips have no artist"):
        units_of(partly, "artist")
    with pytest.raises(InvalidValueError, match="one of auto, artist"):
        units_of(known, "song")


def test_other_labels_are_refused():
    with pytest.raises(InvalidValueError, match="label 'b', which is none"):
        assess(SPLIT, ("a", "c"))
    with pytest.raises(InvalidValueError, match="2 outputs for 3 labels"):
        assess(SPLIT, ("a", "b", "c"))
