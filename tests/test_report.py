"""The report page: everything inside, nothing fetched, nothing from outside trusted."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
import torch

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.output import report as report_module
from auralise.output.figures import unit_figure
from auralise.output.interactive import plotly_script
from auralise.output.notebook import html
from auralise.output.page import figure_page
from auralise.output.report import ReportEntry, report
from auralise.output.sounds import level_sounds
from auralise.output.words import FLAGS, explain

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>'&\" onfocus=\"x"


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text outside scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.inside = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag in ("script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def entry(hand_made):
    def make(*args, **options):
        result = hand_made(*args, **options)
        return ReportEntry(result, unit_figure(result), level_sounds(result))

    return make


def written(entries, **options):
    options = {"title": "A title", "facts": {"Song": "song.wav"}, **options}
    return report(entries, **options)


def decode(uri):
    kind, data = uri.split(",", 1)
    assert kind == "data:audio/wav;base64"
    return soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float64")


def test_one_unit_has_three_players_that_hold_its_sounds(entry):
    one = entry()
    players = Page(written([one])).all("audio")
    wanted = (one.sounds.auralised, one.sounds.source, one.sounds.round_trip)
    for player, sound in zip(players, wanted, strict=True):
        samples, rate = decode(player["src"])
        assert rate == 8000
        np.testing.assert_allclose(
            samples, sound.waveform.samples[0].numpy(), rtol=0, atol=2**-16 + 1e-7
        )


def test_several_units_share_the_reference_players(entry):
    players = Page(written([entry(channel=c) for c in range(3)])).all("audio")
    assert [p["id"] for p in players] == [
        "source",
        "round-trip",
        "auralised-0",
        "auralised-1",
        "auralised-2",
    ]


def test_units_with_other_round_trips_keep_their_own(entry, hand_made):
    from dataclasses import replace

    other = hand_made(channel=2)
    changed = replace(other, round_trip=Waveform(0.5 * other.round_trip.samples, 8000))
    second = ReportEntry(changed, unit_figure(changed), level_sounds(changed))
    assert len(Page(written([entry(), second])).all("audio")) == 6


def test_players_beyond_what_browsers_prepare_wait_until_they_are_played(entry, monkeypatch):
    monkeypatch.setattr(report_module, "PRELOADED", 1)
    players = Page(written([entry(channel=1), entry(channel=2)])).all("audio")
    assert [p["preload"] for p in players] == ["metadata", "metadata", "metadata", "none"]


def test_every_player_has_a_name_for_screen_readers(entry):
    page = Page(written([entry(channel=1), entry(channel=2)]))
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for player in page.all("audio"):
        assert {player["aria-labelledby"], player["aria-describedby"]} <= ids


def test_ids_stand_once(entry):
    page = Page(written([entry(channel=1), entry(channel=2)]))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_buttons_and_links_point_at_something(entry):
    page = Page(written([entry(channel=1), entry(channel=2)]))
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {b["data-play"] for b in page.all("button")} <= ids
    assert {a["href"].removeprefix("#") for a in page.all("a")} <= ids
    assert {f["data-figure"] for f in page.all("div") if "data-figure" in f} <= ids


def test_plotly_is_inside_once(entry):
    text = written([entry(channel=1), entry(channel=2)])
    assert text.count(plotly_script()[:200]) == 1


def test_nothing_is_loaded_from_elsewhere(entry):
    page = Page(written([entry()]))
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, value)
    policy = next(m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")
    assert "http" not in policy["content"]


@pytest.mark.parametrize("place", ["title", "fact", "note", "provenance", "model", "flag", "layer"])
def test_markup_from_file_names_is_shown_not_obeyed(entry, place):
    plain = Page(written([entry()], notes=("a",), provenance={"a": "b"}))
    options = {"notes": ("a",), "provenance": {"a": "b"}}
    unit = {}
    if place == "title":
        options["title"] = HOSTILE
    elif place == "fact":
        options["facts"] = {"Song": HOSTILE}
    elif place == "note":
        options["notes"] = (HOSTILE,)
    elif place == "provenance":
        options["provenance"] = {HOSTILE: HOSTILE}
    else:
        value = {"model": HOSTILE, "flag": (HOSTILE,), "layer": HOSTILE}[place]
        unit = {"flags" if place == "flag" else place: value}
    page = Page(written([entry(**unit)], **options))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == len(plain.all("script"))
    assert "img" not in tags
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    if place != "model":  # the model's name is in the label of the figure alone
        assert " ".join(HOSTILE.split()) in page.text


def test_figure_data_cannot_end_its_element(hand_made):
    """Data holds markup of plotly's own, such as bold captions; none of it is bare in the page."""
    text = figure_page(unit_figure(hand_made(model=HOSTILE)))
    data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text)
    assert len(data) == 2
    assert "Source, spectrogram" in data[0]
    assert not any("<" in part for part in data)


def test_flags_are_explained(entry):
    flag = "input-independent: no max-pooling below"
    text = Page(written([entry(flags=(flag, "inactive", "a new one"))])).text
    assert flag in text
    assert FLAGS["inactive"] in text
    assert FLAGS["input-independent"] in text
    assert "a new one" in text
    assert explain("a new one") == ""
    assert explain("no rule for GELU: gradient") == FLAGS["no rule for"]


def test_numbers_stand_in_the_table_with_their_units(entry):
    text = Page(written([entry()])).text
    assert "3.25 3.25 2.75 \N{MINUS SIGN}21.5 dB" in text


def test_a_number_that_is_not_there_is_called_none(entry, hand_made):
    from dataclasses import replace

    silent = replace(hand_made(), waveform=Waveform(torch.zeros(1, 8000), 8000), scores={})
    one = ReportEntry(silent, unit_figure(silent), level_sounds(silent))
    assert "none none none none none" in Page(written([one])).text


def test_a_report_on_nothing_is_refused():
    with pytest.raises(InvalidValueError, match="at least one entry, got none"):
        written([])


def test_the_same_entries_give_the_same_page(entry):
    assert written([entry()]) == written([entry()])


@pytest.mark.parametrize("kind", ["linear", "raw"])
def test_a_notebook_gets_figure_and_players_without_scripts(hand_made, kind):
    page = Page(html(hand_made(kind, flags=("inactive",), layer="conv3<b>")))
    assert len(page.all("audio")) == 3
    assert len(page.all("img")) == 1
    assert not page.all("script")
    assert not page.all("b")
    assert all(p["src"].startswith("data:audio/wav") for p in page.all("audio"))
    assert FLAGS["inactive"] in page.text
    assert not re.search(r"https?://", html(hand_made(kind)))
