"""Filters that are seen and played: what is heard is what the filter does, never too loud."""

import re
import shutil
from base64 import b64decode

import pytest
import torch

from auralise.audio.levels import measure
from auralise.errors import InvalidValueError, ShapeError
from auralise.filters import FilterBank, respond
from auralise.filters.known import gabor_bank, scale_bank
from auralise.output import filter_page as pages
from auralise.output.charts import Axis, Chart, ChartFigure, Series
from auralise.output.filter_sounds import CLICK_DB, NOISE_DB, filter_sound

RATE = 16000


def tone_bank(*hertz):
    centres = torch.tensor(hertz)
    return gabor_bank(centres, torch.full_like(centres, 150.0), length=256, sample_rate=RATE)


def a_figure():
    import numpy as np

    series = Series("filters", "tuned", np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    axis = Axis("x", (0.0, 3.0), ((1.0, "1"),))
    return ChartFigure("First layer", "caption", (Chart("chart", axis, axis, (series,)),), "words")


@pytest.mark.parametrize("gain", [1e-9, 1.0, 1e9])
def test_the_level_is_the_same_whatever_the_gain_of_the_filter(gain):
    taps = gain * tone_bank(1000.0).impulse_responses[0]
    sound = filter_sound(taps, RATE)
    clicks, noise = sound.samples[0, : int(0.4 * RATE)], sound.samples[0, int(0.4 * RATE) :]
    assert clicks.abs().max().item() == pytest.approx(10 ** (CLICK_DB / 20), rel=1e-6)
    assert 20 * torch.log10(noise.square().mean().sqrt()).item() == pytest.approx(
        NOISE_DB, abs=1e-3
    )


def test_the_noise_has_the_response_of_the_filter():
    sound = filter_sound(tone_bank(1000.0).impulse_responses[0], RATE)
    noise = sound.samples[0, int(0.4 * RATE) :].double()
    power = torch.fft.rfft(noise).abs().square()
    hertz = torch.fft.rfftfreq(len(noise), 1 / RATE)
    assert (power * hertz).sum().item() / power.sum().item() == pytest.approx(1000, abs=20)
    near = (hertz - 1000).abs() < 300
    assert power[near].sum() / power.sum() > 0.98


def test_the_clicks_are_the_impulse_response_twice():
    taps = tone_bank(700.0).impulse_responses[0]
    sound = filter_sound(taps, RATE).samples[0].double()
    heard = taps / taps.abs().max() * 10 ** (CLICK_DB / 20)
    for start in (0, int(0.2 * RATE)):
        torch.testing.assert_close(sound[start : start + 256], heard, rtol=0, atol=1e-7)


def test_the_narrowest_filter_does_not_clip():
    taps = torch.cos(2 * torch.pi * 50 * torch.arange(4096).double() / RATE)
    assert measure(filter_sound(taps, RATE)).peak <= 10 ** (-1 / 20) + 1e-6


def test_of_a_complex_filter_the_real_part_is_heard():
    taps = tone_bank(1000.0).impulse_responses[0]
    both = filter_sound(torch.complex(taps, torch.zeros_like(taps)), RATE)
    assert torch.equal(both.samples, filter_sound(taps, RATE).samples)


def test_what_has_no_sound_is_refused():
    with pytest.raises(InvalidValueError, match="has no sound"):
        filter_sound(torch.zeros(8).double(), RATE)
    with pytest.raises(InvalidValueError, match="not finite"):
        filter_sound(torch.tensor([1.0, float("nan")]).double(), RATE)
    with pytest.raises(ShapeError, match=r"\(length,\)"):
        filter_sound(torch.zeros(2, 8).double(), RATE)


def test_each_filter_that_sounds_has_its_drawing_and_its_player_tuned_ones_first():
    taps = tone_bank(2000.0, 500.0, 1000.0, 4000.0).impulse_responses.clone()
    taps[3] = 0
    bank = FilterBank(taps, RATE)
    tuned = torch.tensor([True, False, True, False])
    page = pages.filter_page(a_figure(), bank, respond(bank), tuned)
    heads = re.findall(r'<h3 id="f(\d)">filter:\d: (\d+) Hz', page)
    assert heads == [("2", "1000"), ("0", "2000"), ("1", "500")]
    sounds = re.findall(r'<audio [^>]*src="data:audio/wav;base64,([^"]+)"', page)
    assert len(sounds) == page.count("<svg viewBox") == 3
    assert b64decode(sounds[0])[:4] == b"RIFF"
    cards = page[page.index("<div class='players'>") : page.index("</main>")]
    assert "http" not in cards


def test_the_drawn_spectrum_peaks_where_the_filter_does():
    bank = tone_bank(1000.0)
    response = respond(bank)
    places, levels = pages._spectrum(response, 0)
    from auralise.units import hz_to_mel

    top = hz_to_mel(torch.tensor(8000.0), "htk").item()
    peak = hz_to_mel(torch.tensor(1000.0), "htk").item()
    assert places[levels.argmax()] == pytest.approx(peak / top, abs=1.5 / 160)
    assert levels.max() == 0
    assert levels.min() == -40


def test_a_bank_of_thousands_is_thinned_and_it_is_said(monkeypatch):
    monkeypatch.setattr(pages, "MOST", 10)
    bank = scale_bank("mel-htk", 40, seed=0)
    response = respond(bank)
    tuned = torch.ones(40, dtype=torch.bool)
    chosen = pages.choose_filters(response, tuned)
    assert len(chosen) == 10
    assert response.peak[chosen[0]] == response.peak.min()
    assert response.peak[chosen[-1]] == response.peak.max()
    assert "10 of 40 are here" in pages.filter_page(a_figure(), bank, response, tuned)


@pytest.mark.browser
def test_filters_play_in_a_browser(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    bank = tone_bank(500.0, 1000.0)
    page = pages.filter_page(a_figure(), bank, respond(bank), torch.tensor([True, True]))
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    said = []
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        view = browser.new_page(viewport={"width": 390, "height": 800})
        view.on("console", lambda message: said.append(message.text))
        view.on("pageerror", lambda error: said.append(str(error)))
        view.goto((tmp_path / "report.html").as_uri())
        view.evaluate("document.querySelector('audio').play()")
        view.wait_for_function("() => document.querySelector('audio').currentTime > 0.2")
        width = view.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert said == []
    assert width <= 390
