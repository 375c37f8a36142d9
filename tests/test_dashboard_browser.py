"""The dashboard in Chromium: every page from the first visit to sound."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("dash", reason="needs the extra 'dashboard'")
pytest.importorskip("playwright", reason="needs playwright")

from playwright import sync_api

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--mute-audio",
]  # fmt: skip
AXE = (Path(__file__).parent / "assets" / "axe.min.js").read_text(encoding="utf-8")
REFUSED = "the server responded with a status of 422"  # the browser's note on a refused file
RAW = "dieleman2014-raw-instruments"
GRAPHS = "document.querySelectorAll('.js-plotly-plot').length"
PAGES = {
    "/listen": "auralise.ready()",
    f"/filters?model={RAW}": f"auralise.ready() && {GRAPHS} > 5",
    "/layers": "document.querySelectorAll('table.layers .reach').length > 9",
    "/compare": f"auralise.ready() && {GRAPHS} > 1",
    "/audit": "document.getElementById('audit-heading').textContent.includes('conv')",
    "/claims": "document.querySelectorAll('#claims-verdicts tr').length > 9",
    "/about": "document.querySelectorAll('h2').length > 3",
    "/nowhere": "document.body.textContent.includes('There is no such page')",
    "/listen?unit=-1": "document.querySelector('[role=alert]')",
}
"""Pages, and how to see that each is there."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path"),
]


@contextmanager
def served(cache, port=0):
    """Start the command as a user does; give the address that it prints."""
    command = [sys.executable, "-m", "auralise", "dashboard", "--port", str(port)]
    given = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=given) as process:
        line = process.stdout.readline()
        assert line.startswith("dashboard: http://127.0.0.1:"), line
        yield line.split()[1].rstrip("/")
        process.send_signal(signal.SIGTERM)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def address(cache):
    with served(cache) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser):
    context = browser.new_context()
    said = []
    context.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    context.on("weberror", lambda error: said.append(str(error.error)))
    yield context
    context.close()
    assert [text for text in said if REFUSED not in text] == []


@pytest.fixture
def page(context):
    return context.new_page()


def until(page, expression, seconds=40.0):
    """Wait until JavaScript is true; the page's policy forbids Playwright's own way to wait."""
    end = time.monotonic() + seconds
    guarded = f"(() => {{ try {{ return {expression}; }} catch {{ return false; }} }})()"
    while not page.evaluate(guarded):
        assert time.monotonic() < end, f"not within {seconds} s: {expression}"
        time.sleep(0.05)


def starts(page, seconds=40.0):
    """Press play until sound comes: a page that is still changing its sounds stops them."""
    end = time.monotonic() + seconds
    while not page.evaluate("auralise.playing() && auralise.time() > 0.15"):
        assert time.monotonic() < end, f"no sound within {seconds} s"
        if not page.evaluate("auralise.playing()"):
            page.click("#transport-play")
        time.sleep(1)


def plays(page):
    """See that sound comes: the position advances, and what is played is not silent."""
    before = page.evaluate("auralise.time()")
    until(page, f"auralise.playing() && Math.abs(auralise.time() - {before}) > 0.15")
    peak = page.evaluate(
        "async () => { const c = new OfflineAudioContext(1, 1, 44100);"
        "const sound = await (await fetch(auralise.url())).arrayBuffer();"
        "const decoded = (await c.decodeAudioData(sound)).getChannelData(0);"
        "return decoded.reduce((high, value) => Math.max(high, Math.abs(value)), 0); }"
    )
    assert 0.01 < peak <= 1.0


# --- first visits


def test_listen_from_the_first_visit_to_sound(page, address):
    page.goto(f"{address}/")
    until(page, "auralise.ready()")
    page.click("#transport-play")
    plays(page)


def test_filters_from_the_first_visit_to_sound(page, address):
    page.goto(f"{address}/filters")
    page.wait_for_selector(".grid a[data-unit]")  # the embedded network sees a spectrogram
    page.goto(f"{address}/filters?model={RAW}&axis=erb")
    page.wait_for_selector("a[data-unit='a107']").click()
    until(page, "location.search.includes('filter=107')")
    plays(page)
    assert "398 Hz" in page.inner_text("#filters-detail")
    assert "Spread evenly on log2" in page.inner_text("#filters-banks")
    assert "erb axis" in page.inner_text("#filters-charts")
    page.keyboard.press("n")
    assert page.evaluate("[auralise.chosen(), auralise.playing()]") == ["noise", True]


def test_a_point_of_a_chart_leads_to_its_filter(page, address):
    page.goto(f"{address}/filters?model={RAW}&other=untrained")
    until(page, "document.querySelectorAll('#filters-charts .js-plotly-plot').length === 8")
    point = page.locator("#filters-charts .js-plotly-plot").nth(1).locator(".points path").last
    box = point.bounding_box()
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(page, "/filter=\\d+/.test(location.search) && location.search.includes('side=a')")


def test_layers_shows_how_far_each_sees_and_plays_tones_to_one(page, address):
    page.goto(f"{address}/layers?model={RAW}")
    page.wait_for_selector("table.layers .reach")
    page.click(".chain a >> nth=0")
    until(page, "location.search.includes('layer=frames')")
    until(page, "document.getElementById('layers-heading').textContent.includes('frames')")
    page.click("#layers-play")
    until(page, "document.querySelector('#layers-tuning .js-plotly-plot')")
    assert "tuning=tone" in page.url
    page.click("table.layers a[data-page]:visible >> nth=0")
    until(page, "location.pathname === '/listen' && auralise.ready()")
    assert f"model={RAW}" in page.url
    page.keyboard.press("Space")
    plays(page)


def test_compare_from_the_first_visit_to_a_blind_test(page, address):
    page.goto(f"{address}/compare?layer=conv2&unit=7")
    until(page, "auralise.ready()")
    page.click("#transport-play")
    plays(page)
    page.click("#blind-trials")
    page.get_by_role("option", name="8", exact=True).click()
    page.click("#blind-start")
    until(page, "document.body.classList.contains('testing') && auralise.ready()")
    assert not page.locator("#blind-players canvas").first.is_visible()
    page.keyboard.press("x")
    page.keyboard.press("Space")
    until(page, "auralise.playing() && auralise.chosen() === 'X'")
    for trial in range(1, 9):
        page.wait_for_selector(f"text=Trial {trial} of 8")
        page.click("#blind-is-a" if trial % 2 else "#blind-is-b")
    page.wait_for_selector("text=of 8 right, p = ")
    with page.expect_download() as download:
        page.click("text=Download the results")
    kept = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert [answer["answer"] for answer in kept["answers"]] == ["A", "B"] * 4
    right = sum(answer["x"] == answer["answer"] for answer in kept["answers"])
    assert f"{right} of 8 right" in page.inner_text("#blind-outcome")


def test_about_names_the_song(page, address):
    page.goto(f"{address}/about")
    page.wait_for_selector("text=Kevin MacLeod")


# --- listening


def test_a_place_at_the_end_is_not_over_at_once(page, address):
    page.goto(f"{address}/listen?layer=conv3&unit=48")  # followed at 3.74 s of 4
    until(page, "auralise.ready()")
    assert 2.3 <= page.evaluate("auralise.time()") <= 2.6


def test_a_letter_switches_while_it_plays(page, address):
    page.goto(f"{address}/listen?layer=conv3&unit=5&at=whole")
    until(page, "auralise.ready()")
    page.keyboard.press("a")
    page.keyboard.press("Space")
    until(page, "auralise.time() > 0.2")
    before = page.evaluate("[auralise.time(), auralise.chosen()]")
    page.keyboard.press("s")
    after = page.evaluate("[auralise.time(), auralise.chosen(), auralise.playing()]")
    assert (before[1], after[1], after[2]) == ("unit", "source", True)
    assert 0 <= after[0] - before[0] < 1.0


def test_arrows_move_between_units_and_back_returns(page, address):
    page.goto(f"{address}/listen?layer=conv3&unit=5")
    page.wait_for_selector("#grid a[data-unit='5']")
    until(page, "auralise.ready()")
    page.keyboard.press("ArrowRight")
    until(page, "location.search.includes('unit=6')")
    plays(page)
    page.go_back()
    until(page, "document.querySelector('#grid a[aria-current]')?.dataset.unit === '5'")


def test_a_dragged_stretch_is_looped(page, address):
    page.goto(f"{address}/listen?layer=conv3&unit=5&at=whole")
    until(page, "auralise.ready()")
    box = page.locator("#players .wave").first.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.25 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.35 * box["width"], y, steps=4)
    page.mouse.up()
    page.wait_for_selector("#transport-loop:visible")
    page.keyboard.press("Space")
    seen = []
    for _ in range(30):
        seen.append(page.evaluate("auralise.time()"))
        time.sleep(0.05)
    assert 0.9 < min(seen) < max(seen) < 1.6
    assert any(later < earlier for earlier, later in itertools.pairwise(seen))
    page.keyboard.press("Escape")
    page.wait_for_selector("#transport-loop", state="hidden")


def test_a_click_in_the_map_moves_the_target(page, address):
    page.goto(f"{address}/listen?layer=conv3&unit=17")
    drawn = "document.querySelector('#figure .js-plotly-plot')._fullLayout.yaxis3"
    until(page, f"auralise.ready() && {drawn}")
    x, y = page.evaluate(
        "(() => { const plot = document.querySelector('#figure .js-plotly-plot');"
        "const {xaxis, yaxis3} = plot._fullLayout;"
        "window.scrollBy(0, plot.getBoundingClientRect().top + yaxis3._offset - 200);"
        "const box = plot.getBoundingClientRect();"
        "return [box.left + xaxis._offset + xaxis.l2p(1.5),"
        " box.top + yaxis3._offset + yaxis3.l2p(2700)]; })()"
    )
    page.mouse.move(x, y)
    page.mouse.click(x, y)
    until(page, "/at=1\\.\\d+%2C2\\d+/.test(location.search)")
    page.wait_for_selector("text=back to its strongest place")


def test_the_bundle_is_downloaded(page, address):
    page.goto(f"{address}/listen?layer=conv2&unit=3")
    until(page, "auralise.ready()")
    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "auralise-conv2-3.zip"
    assert Path(download.value.path()).stat().st_size > 50_000


@pytest.mark.parametrize("query", ["unit=nan", "unit=-1", "unit=1e999", "layer=none", "model=none"])
def test_a_wrong_address_is_said_and_leads_on(page, address, query):
    page.goto(f"{address}/listen?{query}")
    page.wait_for_selector("text=This cannot be shown")
    page.click("text=Start again with the embedded song")
    until(page, "auralise.ready()")


# --- songs of one's own


def tone(path, hertz=440.0):
    seconds = np.arange(5 * 22050) / 22050
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * hertz * seconds), 22050)


def test_a_song_of_ones_own_is_heard(page, address, tmp_path):
    song = tmp_path / "<img src=x onerror=alert(1)>.wav"
    tone(song)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.goto(f"{address}/")
    until(page, "auralise.ready()")
    with page.expect_file_chooser() as chooser:
        page.click("#upload-button")
    chooser.value.set_files(song)
    until(page, "/song=[0-9a-f]{24}/.test(location.search)")
    until(page, "auralise.ready()")
    page.keyboard.press("s")
    starts(page)
    plays(page)
    assert "img src" in page.input_value("#choose-song")


def test_a_file_that_is_no_song_is_refused_in_words(page, address, tmp_path):
    wrong = tmp_path / "song.wav"
    wrong.write_bytes(b"this is no sound" * 100)
    page.goto(f"{address}/")
    until(page, "auralise.ready()")
    with page.expect_file_chooser() as chooser:
        page.click("#upload-button")
    chooser.value.set_files(wrong)
    until(page, "document.getElementById('upload').dataset.kind === 'bad'")
    assert "not a sound file of a known format" in page.inner_text("#upload")
    assert "song=" not in page.url


# --- the audit


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


# --- robust


def test_two_tabs_do_not_disturb_each_other(context, address):
    first, second = context.new_page(), context.new_page()
    first.goto(f"{address}/listen?layer=conv3&unit=5")
    second.goto(f"{address}/listen?layer=conv2&unit=9")
    for page in (first, second):
        until(page, "auralise.ready()")
    first.click("#grid a[data-unit='8']")
    until(first, "document.getElementById('result').textContent.includes('conv3:8')")
    assert "conv2:9" in second.inner_text("#result")
    assert "unit=9" in second.url


def test_a_page_stays_of_use_over_a_restart(page, cache):
    with served(cache) as address:
        page.goto(f"{address}/listen?layer=conv3&unit=5")
        until(page, "auralise.ready() && document.querySelector('#figure .main-svg')")
        page.wait_for_timeout(2000)  # whatever it still asks for, it gets
    port = int(address.rpartition(":")[2])
    with served(cache, port):
        page.click("#grid a[data-unit='9']")
        until(page, "document.getElementById('result').textContent.includes('conv3:9')")
        plays(page)


# --- for everybody


def faults(page):
    """What is wrong for people who cannot see a page well, or whose screen is narrow."""
    page.set_viewport_size({"width": 390, "height": 844})
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.evaluate(AXE)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    broken = [f"{entry['id']}: {entry['nodes'][0]['html'][:120]}" for entry in result["violations"]]
    page.set_viewport_size({"width": 390, "height": 844})
    return [*broken, *([f"{overflow} pixels too wide"] if overflow > 0 else [])]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_overflows(browser, address, scheme):
    found = {}
    context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page = context.new_page()
    for path, there in PAGES.items():
        page.goto(f"{address}{path}")
        until(page, there)
        found[path] = faults(page)
    page.goto(f"{address}/audit?model={RAW}&layer=conv2&unit=5")
    until(page, "document.getElementById('audit-heading')?.textContent.includes('conv2:5')")
    page.click("#audit-ask")
    page.wait_for_selector("#audit-answer .verdict", timeout=240_000)
    until(page, "document.querySelector('#audit-answer .main-svg')")
    found["the answer of an audit"] = faults(page)
    context.close()
    assert found == {path: [] for path in found}
    assert len(found) == len(PAGES) + 1


def test_an_exported_page_plays_without_a_server(page, tmp_path, cache):
    target = tmp_path / "page.html"
    command = ["dashboard", "export", "/listen?layer=conv3&unit=5", "--out", str(target)]
    given = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    subprocess.run([sys.executable, "-m", "auralise", *command], env=given, check=True)
    page.context.set_offline(True)
    page.goto(target.as_uri())
    until(page, "auralise.ready() && document.querySelector('.js-plotly-plot')")
    assert "conv3:5" in page.inner_text("h1")
    assert "Kevin MacLeod" in page.inner_text("footer")
    page.keyboard.press("Space")
    plays(page)


def test_claims_are_tried_and_heard(page, address):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{address}/claims?model=dieleman2014-raw-instruments")
    page.wait_for_selector("text=Nothing has been tried yet.")
    page.click("#claims-try")
    page.wait_for_selector("#claims-verdicts strong:has-text('supported')", timeout=300_000)
    page.click("#claims-verdicts a[data-go*=invariance]")
    page.wait_for_selector("#claims-detail h2:has-text('phase and small shifts')")
    page.wait_for_selector("#claims-detail .js-plotly-plot .xtick text")
    assert page.locator("#claims-detail audio").count() == 3
    page.evaluate("document.querySelector('#claims-detail audio').play()")
    until(page, "document.querySelector('#claims-detail audio').currentTime > 0.2")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.goto(f"{address}/claims?claim=nothing")
    page.wait_for_selector("[role=alert]")
