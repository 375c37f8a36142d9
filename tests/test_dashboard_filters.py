"""Filters and Compare, without a browser: what is computed, shown and refused."""

import json

import numpy as np
import pytest
import torch
from auralise.dashboards import abx, ids
from auralise.dashboards.banks import filter_numbers, filter_sounds, study_bank
from auralise.dashboards.comparisons import compare, read_pair
from auralise.dashboards.networks import UNTRAINED
from auralise.dashboards.pages import blind, filters
from auralise.dashboards.pages import compare as compare_page
from auralise.dashboards.service import Service
from auralise.dashboards.views import View
from auralise.dashboards.widgets.filterbank import headline

from auralise.audio.levels import measure
from auralise.audio.stimuli import tone
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, UnknownNameError
from auralise.models import load_model
from auralise.output.filter_axes import AXES, axis_figure, warped

RAW = "dieleman2014-raw-instruments"
MELLOW = "choi2016-instruments"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def raw():
    return study_bank(load_model(RAW))


# --- first layers


@pytest.mark.parametrize("axis", AXES)
def test_an_even_bank_is_a_straight_line_on_its_axis(raw, axis):
    charts = raw.figure(axis).charts
    assert len(charts) == 4
    even = charts[1].series[0]
    assert np.ptp(np.diff(even.y)) < 1e-9 * np.ptp(even.y)
    density = charts[3].series[1].y
    assert density.mean() == pytest.approx(1.0, rel=1e-6)
    labels = {label: place for place, label in charts[1].y.ticks}
    assert labels["4 kHz"] == pytest.approx(float(warped(np.array([4000.0]), axis)[0]))


def test_an_unknown_axis_is_answered_with_the_close_one(raw):
    with pytest.raises(UnknownNameError, match="did you mean 'bark'"):
        axis_figure("x", raw.response, raw.controls, raw.verdict, "barkk")


def test_a_filter_passes_a_tone_at_its_centre_and_less_far_from_it(raw):
    tuned = raw.response.selective(raw.verdict.gate) & (raw.response.peak > 500)
    index = int(torch.nonzero(tuned)[0, 0])
    centre = float(raw.response.peak[index])
    heard = [
        measure(filter_sounds(raw, index, tone(hertz, 1.0, 16000))["song"]).rms
        for hertz in (centre, 5000.0)
    ]
    gains = np.interp([centre, 5000.0], raw.response.frequencies, raw.response.power[index])
    assert heard[0] / heard[1] == pytest.approx(np.sqrt(gains[0] / gains[1]), rel=0.05)


def test_clicks_through_a_filter_are_its_impulse_response(raw):
    silence = Waveform(torch.zeros(1, 16000), 16000)
    clicks = filter_sounds(raw, 5, silence)["clicks"].samples[0]
    taps = raw.bank.impulse_responses[5]
    torch.testing.assert_close(clicks[: len(taps)].double(), taps, rtol=1e-4, atol=1e-6)


def test_the_untrained_layer_gets_no_verdict_of_its_own():
    study = study_bank(load_model(RAW), untrained=True)
    assert study.verdict.finding.value == "no verdict"
    assert len(study.controls) == 4
    assert "No verdict" in headline(study)


def test_filters_over_time_and_frequency_have_classes(raw):
    study = study_bank(load_model(MELLOW))
    assert not study.in_time
    assert sorted(study.order()) == list(range(64))
    assert sum(entry.count for entry in study.counts) == 64
    assert filter_numbers(study, 3)["Size"] == "3 bins x 3 frames"
    with pytest.raises(InvalidValueError, match="no sound of their own"):
        filter_sounds(study, 3, Waveform(torch.zeros(1, 100), 11025))


def test_a_filter_that_is_not_there_is_refused(raw):
    with pytest.raises(InvalidValueError, match="has filters 0 to 127, got 128"):
        filter_numbers(raw, 128)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("?model=nothing", "no model named"),
        ("?other=nothing", "no model named"),
        ("?axis=nothing", "axis must be one of"),
        ("?filter=-1", "filter must be a whole number"),
        ("?filter=1e3", "filter must be a whole number"),
        ("?filter=" + "9" * 50, "filter must be a whole number"),
        ("?other=" + "a" * 200, "at most 120 printable"),
    ],
)
def test_an_address_that_filters_cannot_show_is_refused_in_words(service, search, message):
    values, problem, *_ = filters.choices_of(service, search)
    assert values is None
    assert message in str(problem.children[1].children)


def test_a_filter_is_heard_four_ways_at_one_level(service):
    heading, _, sounds = filters.detail_of(service, f"?model={RAW}&filter=107", "light")
    assert heading.children[0].children == "frames.conv:107"
    assert [row["letter"] for row in sounds["sounds"]] == ["S", "A", "N", "C"]
    assert len({row["url"] for row in sounds["sounds"]}) == 4
    _, _, other = filters.detail_of(service, f"?model={RAW}&filter=3000", "light")
    assert other["sounds"] == []


# --- two networks


def test_a_network_before_training_goes_by_a_name_of_its_own(service):
    assert MELLOW + UNTRAINED not in service.models
    assert MELLOW + UNTRAINED in service.networks.untrained
    trained, untrained = (
        service.activity(View(model=name, layer="conv1")) for name in (MELLOW, MELLOW + UNTRAINED)
    )
    assert not np.allclose(trained.peak, untrained.peak)


def test_the_same_unit_is_compared_with_itself_before_training(service):
    pair = read_pair(service, "?layer=conv2&unit=7")
    assert (pair.b.model, pair.b.layer, pair.b.unit) == (MELLOW + UNTRAINED, "conv2", 7)


def test_networks_of_other_rates_are_brought_to_one_rate_length_and_level(service):
    pair = read_pair(service, f"?layer=conv2&unit=7&other={RAW}")
    found = compare(service, pair)
    assert found.rates == (11025, 16000)
    assert {sound.sample_rate for sound in found.sounds.values()} == {44100}
    assert {round(sound.seconds, 3) for sound in found.sounds.values()} == {4.0}
    assert -1 <= found.correlation <= 1
    same = compare(service, read_pair(service, f"?layer=conv2&unit=7&other={MELLOW}"))
    assert same.correlation == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("?other=nothing", "no model named"),
        ("?other_layer=convv1", "did you mean 'conv1'"),
        ("?other_unit=64", "has units 0 to 63, got 64"),
        ("?other_unit=nan", "other_unit must be a whole number"),
    ],
)
def test_an_address_that_compare_cannot_show_is_refused_in_words(service, search, message):
    values, problem, *_ = compare_page.choices_of(service, search, "")
    assert values is None
    assert message in str(problem.children[1].children)


# --- blind tests


def test_a_test_of_ten_is_scored_against_guessing():
    book = abx.AbxBook()
    test = book.start("ann", 10, {})
    for number, x in enumerate(test.key):
        wrong = {"A": "B", "B": "A"}[x]
        test = book.answer(test.id, "ann", number, wrong if number == 0 else x)
    found = abx.results(test)
    assert (found["right"], found["trials"]) == (9, 10)
    assert found["p_value"] == pytest.approx(11 / 1024)


def test_x_is_drawn_anew_for_every_test():
    book = abx.AbxBook()
    keys = [book.start("ann", 20, {}).key for _ in range(200)]
    assert len(set(keys)) == 200
    share = sum(x == "A" for key in keys for x in key) / 4000
    assert 0.45 < share < 0.55  # 6 standard deviations


def test_a_test_is_its_visitors_and_answers_count_once():
    book = abx.AbxBook()
    test = book.start("ann", 8, {})
    with pytest.raises(abx.UnknownTestError, match="start another"):
        book.answer(test.id, "bob", 0, "A")
    book.answer(test.id, "ann", 0, "A")
    assert len(book.answer(test.id, "ann", 0, "B").answers) == 1
    with pytest.raises(InvalidValueError, match="when all of its trials"):
        abx.results(book.find(test.id, "ann"))
    with pytest.raises(InvalidValueError, match="an answer is A or B"):
        book.answer(test.id, "ann", 1, "C")
    with pytest.raises(InvalidValueError, match="one of"):
        book.start("ann", 3, {})


def test_what_the_page_knows_does_not_tell_x(service):
    search = "?layer=conv2&unit=7"
    state = blind.next_state(service, blind.START, search, "8", None, "ann")
    test = service.abx.find(state["id"], "ann")
    urls = {row["key"]: row["url"] for row in state["sounds"]}
    assert len(set(urls.values())) == 3
    assert set(state) == {"id", "search", "number", "sounds"}
    sound, x = (service.cache.read(urls[key].removeprefix("/media/")) for key in (test.x, "X"))
    assert x == sound
    later = blind.next_state(service, blind.IS_A, search, "8", state, "ann")
    assert later["number"] == 1
    assert later["sounds"][2]["url"] != urls["X"]


def test_a_finished_test_can_be_downloaded(service):
    state = blind.next_state(service, blind.START, "?layer=conv2&unit=7", "8", None, "ann")
    for _ in range(8):
        state = blind.next_state(service, blind.IS_B, "?layer=conv2&unit=7", "8", state, "ann")
    assert state["sounds"] == []
    _, style, outcome, disabled = blind.shown(service, state, "ann")
    assert style == {"display": "none"}
    assert not disabled
    name = outcome.children[-1].href.removeprefix("/media/").partition("?")[0]
    kept = json.loads(service.cache.read(name))
    assert len(kept["answers"]) == 8
    assert kept["compared"]["A"]["unit"] == "conv2:7"


def test_a_test_ends_with_the_server_or_another_address(service):
    lost = {"id": "0" * 24, "search": "", "number": 0, "sounds": []}
    assert "start another" in str(blind.shown(service, lost, "ann")[2].children)
    answer = blind.next_state(service, blind.IS_A, "", "8", lost, "ann")
    assert "start another" in answer["error"]
    assert blind.next_state(service, ids.URL, "?unit=1", "8", lost, "ann") is None
