"""Measures of answers: by hand, and as scikit-learn and torchmetrics have them."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from torchmetrics.functional.classification import binary_calibration_error

from auralise.errors import InvalidValueError, ShapeError
from auralise.training.comparison import compare, mcnemar
from auralise.training.metrics import (
    accuracy,
    average_precision,
    bootstrap_weights,
    calibration,
    calibration_error,
    macro_f1,
    macro_pr_auc,
    macro_roc_auc,
    roc_auc,
    score,
    segment_accuracy,
)

RANDOM = np.random.default_rng(3)
WEIGHTS = RANDOM.integers(0, 4, (5, 40)).astype(float)
TRUTH = RANDOM.random(40) < 0.3
COARSE = RANDOM.integers(0, 8, 40) / 8  # many ties
FINE = RANDOM.random(40)


@pytest.mark.parametrize("shares", [COARSE, FINE], ids=["ties", "no ties"])
def test_areas_are_those_of_scikit_learn_for_any_weights(shares):
    roc, pr = roc_auc(TRUTH, shares, WEIGHTS), average_precision(TRUTH, shares, WEIGHTS)
    for i, weights in enumerate(WEIGHTS):
        assert roc[i] == pytest.approx(roc_auc_score(TRUTH, shares, sample_weight=weights))
        assert pr[i] == pytest.approx(average_precision_score(TRUTH, shares, sample_weight=weights))


def test_areas_by_hand():
    """Positives at .9 and .4, negatives at .6 and .4: pairs won 1, 1, 0, 1/2."""
    truth = np.array([True, False, True, False])
    shares = np.array([0.9, 0.6, 0.4, 0.4])
    one = np.ones((1, 4))
    assert roc_auc(truth, shares, one)[0] == 0.625
    assert average_precision(truth, shares, one)[0] == (1 + 2 / 4) / 2


def test_areas_without_positives_are_unknown_and_stand_in_no_mean():
    nothing = np.zeros(40, dtype=bool)
    assert np.isnan(roc_auc(nothing, FINE, WEIGHTS)).all()
    assert np.isnan(average_precision(nothing, FINE, WEIGHTS)).all()
    both, shares = np.stack([TRUTH, nothing], 1), np.stack([FINE, COARSE], 1)
    one = np.ones((1, 40))
    assert macro_roc_auc(both, shares)(one)[0] == roc_auc(TRUTH, FINE, one)[0]
    assert macro_pr_auc(both, shares)(one)[0] == average_precision(TRUTH, FINE, one)[0]


def test_macro_f1_is_that_of_scikit_learn():
    truth, answers = RANDOM.integers(0, 4, 40), RANDOM.integers(0, 4, 40)
    found = macro_f1(truth, answers, 4)(WEIGHTS)
    for value, weights in zip(found, WEIGHTS, strict=True):
        wanted = f1_score(truth, answers, average="macro", sample_weight=weights)
        assert value == pytest.approx(wanted)


def test_a_label_that_nobody_has_or_gets_does_not_lower_macro_f1():
    truth = np.array([0, 0, 1])
    assert macro_f1(truth, truth, 5)(np.ones((1, 3)))[0] == 1.0


def test_segment_accuracy_counts_segments():
    """Clip 0 has three segments, two right; clip 1 one, wrong; drawn twice it counts two."""
    measure = segment_accuracy(np.array([True, True, False, False]), np.array([0, 0, 0, 1]))
    assert measure(np.array([[1.0, 1.0], [1.0, 2.0]])).tolist() == [2 / 4, 2 / 5]


def test_calibration_error_is_that_of_torchmetrics_and_of_its_own_diagram():
    confidence, right = FINE, RANDOM.random(40) < FINE**2
    wanted = binary_calibration_error(torch.tensor(confidence), torch.tensor(right).int(), 15)
    diagram = calibration(confidence, right)
    measured = calibration_error(confidence, right, np.arange(40))(np.ones((1, 40)))[0]
    assert diagram.error == pytest.approx(float(wanted), abs=1e-6)
    assert measured == pytest.approx(diagram.error)
    assert diagram.counts.sum() == 40


def test_calibration_by_hand():
    """Four answers at 0.9, three right: off by 0.15. Two at 0.4, one right: off by 0.1."""
    confidence = np.array([0.9] * 4 + [0.4] * 2)
    right = np.array([True, True, True, False, True, False])
    diagram = calibration(confidence, right, bins=2)
    assert diagram.error == pytest.approx((4 * 0.15 + 2 * 0.1) / 6)
    assert diagram.counts.tolist() == [2, 4]


def test_calibration_refuses_what_is_no_probability():
    with pytest.raises(InvalidValueError, match=r"\[0, 1\], got -1 to 2"):
        calibration(np.array([-1.0, 2.0]), np.array([True, False]))
    with pytest.raises(ShapeError, match="one value an answer"):
        calibration(np.ones(3), np.array([True, False]))


def test_a_bootstrap_draws_whole_units_and_as_many_as_there_are():
    units = ["b", "a", "b", "c"]
    weights = bootstrap_weights(units, draws=300, seed=1)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(1) == 3).all()
    assert weights.mean(0) == pytest.approx([1, 1, 1, 1], abs=0.15)
    assert (weights == bootstrap_weights(units, draws=300, seed=1)).all()


def test_the_interval_of_a_share_is_that_of_the_normal_approximation():
    right = np.arange(400) % 4 > 0
    found = score(accuracy(right), [str(i) for i in range(400)])
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert found.value == 0.75
    assert found.interval == pytest.approx((0.75 - half, 0.75 + half), abs=0.006)


def test_draws_without_a_value_are_left_out_of_the_interval():
    truth = np.array([True, False, False])
    measure = macro_roc_auc(truth[:, None], np.array([[0.9], [0.1], [0.2]]))
    assert score(measure, ["a", "b", "c"], draws=50).interval == (1.0, 1.0)


def test_no_clips_are_refused():
    with pytest.raises(InvalidValueError, match="no clip to draw from"):
        bootstrap_weights([], draws=1, seed=0)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 0, 1.0), (3, 3, 1.0), (0, 5, 2 / 32), (5, 0, 2 / 32), (1, 4, 2 * 6 / 32), (2, 3, 1.0)],
)
def test_mcnemar_by_hand(first, second, p):
    assert mcnemar(first, second) == pytest.approx(p)


def test_mcnemar_is_the_exact_binomial_test():
    from scipy.stats import binomtest

    for first, second in ((12, 30), (0, 1), (211, 190)):
        assert mcnemar(first, second) == pytest.approx(binomtest(first, first + second).pvalue)


def test_two_networks_on_the_same_clips():
    one = np.array([True, True, True, False, False, True])
    other = np.array([True, False, False, True, False, True])
    found = compare("a", "b", (one, other), [str(i) for i in range(6)])
    assert (found.both, found.only_first, found.only_second, found.neither) == (2, 2, 1, 1)
    assert found.p == 1.0
    assert found.difference.value == pytest.approx(1 / 6)
    low, high = found.difference.interval
    assert low < 0 < high
    with pytest.raises(InvalidValueError, match="'a' has answered 6 clips and 'b' 5"):
        compare("a", "b", (one, other[:5]), ["x"] * 6)
