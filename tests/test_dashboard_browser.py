"""The dashboard in Chromium: from the first visit to sound."""

import io
import os
import shutil
import subprocess
import sys
import time

import pytest
import soundfile

pytest.importorskip("dash", reason="needs the extra 'dashboard'")
pytest.importorskip("playwright", reason="needs playwright")

from playwright import sync_api

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--mute-audio",
]  # fmt: skip

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Start the command as a user does; give the address that it prints."""
    command = [sys.executable, "-m", "auralise", "dashboard", "--port", "0"]
    cache = {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cache) as process:
        line = process.stdout.readline()
        assert line.startswith("dashboard: http://127.0.0.1:"), line
        yield line.split()[1].rstrip("/")
        process.terminate()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context()
    page = context.new_page()
    said = []
    page.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert said == []


def until(page, expression, seconds=30.0):
    """Wait until JavaScript is true; the page's policy forbids Playwright's own way to wait."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not within {seconds} s: {expression}"
        time.sleep(0.05)


def test_from_the_first_visit_to_sound(page, address):
    fetched = []
    page.on("request", lambda request: fetched.extend([request.url] * ("/media/" in request.url)))
    page.goto(f"{address}/")
    until(page, "auralise.ready()")
    page.click("#transport-play")
    until(page, "auralise.heard() && auralise.heard().currentTime > 0.3")
    samples, _ = soundfile.read(io.BytesIO(page.request.get(fetched[-1]).body()))
    assert 0.01 < abs(samples).max() <= 1.0


def test_a_letter_switches_while_it_plays(page, address):
    page.goto(f"{address}/listen?layer=conv3&unit=5")
    until(page, "auralise.ready()")
    page.keyboard.press("a")
    page.keyboard.press("Space")
    until(page, "auralise.time() > 0.2")
    before = page.evaluate("[auralise.time(), auralise.chosen()]")
    page.keyboard.press("s")
    after = page.evaluate("[auralise.time(), auralise.chosen(), auralise.playing()]")
    assert (before[1], after[1], after[2]) == ("unit", "source", True)
    assert 0 <= after[0] - before[0] < 1.0


def test_back_leads_to_the_unit_before(page, address):
    page.goto(f"{address}/listen?layer=conv3&unit=5")
    page.wait_for_selector("#grid a[data-unit='7']").click()
    until(page, "location.search.includes('unit=7')")
    page.go_back()
    until(page, "document.querySelector('#grid a[aria-current]')?.dataset.unit === '5'")


def test_layers_shows_how_far_each_sees(page, address):
    page.goto(f"{address}/layers")
    page.wait_for_selector("table.layers .reach")
    page.click("table.layers a[data-go*=conv3]")
    until(page, "location.search.includes('layer=conv3')")
    until(page, "document.getElementById('layers-heading').textContent.includes('conv3')")


def test_about_names_the_song(page, address):
    page.goto(f"{address}/about")
    page.wait_for_selector("text=Kevin MacLeod")


def test_audit_answers_in_a_sentence_with_numbers_and_sounds(page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/audit?model=dieleman2014-raw-instruments&layer=conv2&unit=5")
    until(page, "document.getElementById('audit-heading')?.textContent.includes('conv2:5')")
    page.click("#audit-ask")
    page.wait_for_selector("#audit-answer .verdict", timeout=120_000)
    assert page.locator("#audit-answer table tbody tr").count() > 10
    assert page.locator("#audit-answer audio").count() == 2
    until(page, "[...document.querySelectorAll('#audit-answer audio')].every(a => a.duration > 2)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto(f"{address}/audit?unit=7000")
    page.wait_for_selector("[role=alert]")
