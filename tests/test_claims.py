"""Claims: the form they all have, how verdicts follow from numbers, and results on disk."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from auralise.claims import CLAIMS, Context, Need, Part, Verdict, judge
from auralise.claims.base import Evidence, NotApplicable
from auralise.claims.factors import change_ratios, crossed, pairs_by_factor
from auralise.claims.run import key_of, try_claims
from auralise.claims.stages import find_stages, fingerprint, twins_of
from auralise.claims.statistics import bootstrap, holm, mean_interval, twin_p
from auralise.errors import InvalidValueError, NetworkError, UnknownNameError
from auralise.filters.resampling import Interval
from auralise.frontends.raw import RawFrontend
from auralise.models import load_model
from auralise.models.base import wrap
from auralise.models.tiny import tiny_network

TWINS = (0.3, 0.35, 0.32, 0.31)


def part(low, high, *, side="below", threshold=0.1, n=20, controls=TWINS):
    value = (low + high) / 2
    return Part(
        "part", "What", Interval(value, low, high), "units", n, side, threshold, controls,
        "untrained networks", twin_p(value, controls, side),
    )  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_has_the_form(name):
    claim = CLAIMS[name]
    assert claim.name == name
    assert claim.sentence.endswith(".")
    assert len(claim.experiment) > 60
    assert claim.source
    assert not claim.source.endswith(".")
    assert claim.version >= 1
    assert all(isinstance(need, Need) for need in claim.needs)


def test_verdicts_follow_from_the_interval_and_from_the_controls():
    good = part(0.02, 0.06)
    assert judge([good], good.p).verdict is Verdict.SUPPORTED
    assert judge([part(0.2, 0.3)], 0.01).verdict is Verdict.CONTRADICTED
    assert judge([good, part(0.2, 0.3)], 0.01).verdict is Verdict.CONTRADICTED
    assert judge([part(0.05, 0.15)], 0.01).verdict is Verdict.UNDECIDED
    same = judge([part(0.02, 0.06, controls=(0.03, 0.04, 0.05))], 0.4)
    assert same.verdict is Verdict.UNDECIDED
    assert "untrained networks do as well" in same.reason
    assert judge([], 1.0).verdict is Verdict.UNDECIDED


def test_an_undecided_claim_says_how_many_it_would_take():
    # s = 0.08 / 3.92, d = 0.02: n = 20 ((1.96 + 0.84) 0.0204 / 0.02)^2 = 163.5
    found = part(0.04, 0.12)
    assert found.needed == 164
    assert judge([found], 0.01).needed == 164
    assert "about 170" in judge([found], 0.01).reason
    assert part(0.02, 0.06).needed is None


def test_the_size_that_is_named_settles_it_in_four_runs_of_five():
    random = np.random.default_rng(0)
    first = mean_interval(random.normal(0.08, 0.1, 20))
    asked = Part("p", "q", Interval(0.08, 0.08 - 1.96 * 0.1 / 20**0.5, 0.08 + 1.96 * 0.1 / 20**0.5),
                 "units", 20, "below", 0.1, (), "controls", None)  # fmt: skip
    assert first.low < 0.1
    settled = 0
    for _ in range(200):
        sample = random.normal(0.08, 0.1, asked.needed)
        settled += sample.mean() + 1.96 * 0.1 / asked.needed**0.5 < 0.1
    assert 0.72 < settled / 200 < 0.88


def test_a_number_that_is_none_is_refused():
    with pytest.raises(InvalidValueError, match="must be finite"):
        part(float("nan"), 1.0)


def test_twins_give_p_values_that_are_uniform_where_there_is_no_difference():
    random = np.random.default_rng(0)
    ps = [twin_p(row[0], row[1:].tolist(), "above") for row in random.normal(size=(2000, 9))]
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.015)
    assert twin_p(1.0, [1.0, 1.0], "above") == 1.0
    assert twin_p(2.0, [1.0, 1.0], "above") == pytest.approx(1 / 3)
    with pytest.raises(InvalidValueError, match="at least two"):
        twin_p(1.0, [1.0], "above")


def test_holm_is_what_it_is_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_intervals_hold_the_truth_as_often_as_they_say():
    random = np.random.default_rng(1)
    hits = 0
    for seed in range(200):
        found = mean_interval(random.normal(1.0, 1.0, 40), draws=300, seed=seed)
        hits += found.low < 1.0 < found.high
    assert 0.88 < hits / 200 <= 0.99
    with pytest.raises(InvalidValueError, match="empty"):
        bootstrap([np.zeros(0)], lambda parts: parts[0].mean(-1))


def test_a_unit_that_hears_one_factor_alone_has_ratio_1_and_0():
    cells = crossed(key=range(4), timbre=range(3))
    pairs = pairs_by_factor(cells)
    hears_key = torch.tensor([float(cell["key"]) for cell in cells])[:, None]
    dead = torch.ones(12, 1)
    responses = torch.cat([hears_key, dead], 1)
    ratios = change_ratios(responses, pairs["key"])
    # All pairs hold some of the same key: (1 - 1 / 4) of 12 / 11 of them differ on average.
    assert ratios == pytest.approx([11 / 9])
    assert change_ratios(responses, pairs["timbre"]) == pytest.approx([0.0])


def test_stages_end_behind_the_activation():
    network = load_model("choi2016-gtzan-mini")
    stages = find_stages(network, torch.zeros(1, 257, 173))
    assert [s.layer for s in stages[:2]] == ["conv1.relu", "conv2.relu"]
    assert [s.name for s in stages][-3:] == ["dense1", "dense2", "output"]
    assert stages[-1].output
    assert stages[0].mapped
    assert not stages[-1].mapped


def test_twins_are_the_same_network_with_other_weights():
    network = tiny_network()
    state = torch.get_rng_state()
    one, other = twins_of(network, (0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert len({fingerprint(n) for n in (network, one, other, twins_of(network, (0,))[0])}) == 3
    assert torch.equal(network.module.conv1.conv.weight, tiny_network().module.conv1.conv.weight)


class Fixed(nn.Module):
    """Has a weight and no way to draw it anew."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x):
        return (x * self.weight).relu()


def test_a_network_without_twins_is_told_so():
    network = wrap(Fixed().eval(), RawFrontend(8000), seconds=0.5)
    with pytest.raises(NetworkError, match="no reset_parameters"):
        twins_of(network, (0, 1))
    for result in try_claims(Context(network)):
        assert result.evidence is None
        assert result.why.startswith(("It needs", "It cannot be tried on this network: "))
    assert Context(network).lacks([Need.TWINS, Need.RAW]) == [Need.TWINS]


def test_an_unknown_claim_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'onsets'"):
        try_claims(Context(tiny_network()), ["onset"])


def test_results_are_stored_and_taken_up_again(tmp_path, monkeypatch):
    seen = []

    def run(context):
        return try_claims(
            context, ["onsets"], folder=tmp_path, told=lambda name, stored: seen.append(stored)
        )[0]

    context = Context(tiny_network(), twins=3)
    first, second = run(context), run(Context(tiny_network(), twins=3))
    assert seen == [False, True]
    assert first.evidence.parts == second.evidence.parts
    assert first.evidence.panels == second.evidence.panels
    assert first.judgement == second.judgement
    run(Context(tiny_network(), twins=4))
    assert seen == [False, True, False]
    stored = json.loads((tmp_path / "onsets" / "result.json").read_text())
    assert stored["key"] == key_of(Context(tiny_network(), twins=4), CLAIMS["onsets"])


def test_an_interrupted_run_keeps_the_claims_that_were_done(tmp_path, monkeypatch):
    calls = []

    def interrupted(claim_test):
        def test(context):
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return Evidence((), ())

        return test

    for name in ("onsets", "key"):
        monkeypatch.setitem(
            CLAIMS._entries, name, replace_test(CLAIMS[name], interrupted(CLAIMS[name].test))
        )
    context = Context(tiny_network(), twins=2)
    with pytest.raises(KeyboardInterrupt):
        try_claims(context, ["onsets", "key"], folder=tmp_path)
    seen = {}
    try_claims(context, ["onsets", "key"], folder=tmp_path, told=seen.__setitem__)
    assert seen == {"onsets": True, "key": False}


def replace_test(claim, test):
    from dataclasses import replace

    return replace(claim, test=test)


def test_what_cannot_be_tried_says_why(monkeypatch):
    def refuse(context):
        raise NotApplicable("it has no time")

    monkeypatch.setitem(CLAIMS._entries, "key", replace_test(CLAIMS["key"], refuse))
    (result,) = try_claims(Context(tiny_network(), twins=2), ["key"])
    assert result.why == "It cannot be tried on this network: it has no time."


def test_dead_units_are_left_out_and_counted():
    network = tiny_network()
    with torch.no_grad():
        network.module.conv1.conv.weight[0] = 0.0
    (result,) = try_claims(Context(network, twins=3), ["onsets"])
    assert result.evidence.parts[0].n == 2
    assert "1 of 3 units never answer" in " ".join(result.evidence.notes)
    with torch.no_grad():
        network.module.conv1.conv.weight[:] = 0.0
    (result,) = try_claims(Context(network, twins=3), ["onsets"])
    assert result.judgement is None or result.judgement.verdict is Verdict.UNDECIDED
