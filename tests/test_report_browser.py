"""The report in a real browser: it plays, it follows, it fits, it fetches nothing."""

import shutil

import pytest

from auralise.output.figures import unit_figure
from auralise.output.report import ReportEntry, report
from auralise.output.sounds import level_sounds
from auralise.positions import Place

pytestmark = pytest.mark.browser

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
PLAYED = "([id, seconds]) => document.getElementById(id).currentTime > seconds"
DRAWN = "() => [...document.querySelectorAll('.figure')].every(f => 'drawn' in f.dataset)"


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory, hand_made):
    """One report on a single unit and one on two units, as files."""
    folder = tmp_path_factory.mktemp("reports")

    def write(name, entries):
        facts = {"Song": "a song with a rather long name, recorded somewhere (remastered).wav"}
        provenance = {"model.sha256": "ab" * 32}
        text = report(entries, title=name, facts=facts, notes=("padded",), provenance=provenance)
        (folder / f"{name}.html").write_text(text, encoding="utf-8")

    def entry(kind, channel, **options):
        result = hand_made(kind, channel, **options)
        figure = unit_figure(result, place=Place(0.2, 0.6, None, None))
        return ReportEntry(result, figure, level_sounds(result))

    write("one", [entry("mel", 17, flags=("input-independent: no max-pooling below",))])
    write("two", [entry("linear", 1), entry("linear", 2)])
    return folder


@pytest.fixture
def visit(browser, pages):
    """Open a report; at the end, nothing may have been complained about or asked for."""
    contexts, complaints = [], []

    def visit(name, width=1440, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append((message.type, message.text)))
        page.on("pageerror", lambda error: complaints.append(("error", str(error))))
        page.on("request", lambda request: complaints.extend(foreign(request.url)))
        page.goto((pages / f"{name}.html").as_uri())
        for figure in page.locator(".figure").all():
            figure.scroll_into_view_if_needed()
        page.wait_for_function(DRAWN)
        # Slowly, so that a busy machine does not meet the end of a sound of one second.
        page.evaluate("document.querySelectorAll('audio').forEach(a => { a.playbackRate = 0.25; })")
        return page

    def foreign(url):
        return [] if url.startswith(("file:", "data:", "blob:")) else [("request", url)]

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize(("name", "count"), [("one", 3), ("two", 4)])
def test_every_player_knows_how_long_its_sound_is(visit, name, count):
    page = visit(name)
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every(a => a.duration)")
    durations = page.eval_on_selector_all("audio", "all => all.map(a => a.duration)")
    assert durations == pytest.approx([1.0] * count, abs=1e-3)


def test_playing_moves_the_time_and_the_line_over_the_figure(visit):
    page = visit("one")
    page.evaluate("document.getElementById('auralised-0').play()")
    page.wait_for_function(PLAYED, arg=["auralised-0", 0.2])
    line = page.locator(".playhead")
    first = line.bounding_box()["x"]
    page.wait_for_function(PLAYED, arg=["auralised-0", 0.5])
    assert line.bounding_box()["x"] > first + 50


def test_the_line_stands_where_the_time_axis_says(visit):
    """Half a second of one is the middle between the axis's first and last tick."""
    page = visit("one")
    page.evaluate("document.getElementById('source-0').currentTime = 0.5")
    page.wait_for_function("() => document.querySelector('.playhead').style.display === 'block'")
    box = page.locator(".playhead").bounding_box()
    ticks = page.locator(".xaxislayer-above text").evaluate_all(
        "all => all.map(t => [parseFloat(t.textContent), t.getBoundingClientRect()])"
        ".map(([v, b]) => [v, b.x + b.width / 2])"
    )
    places = dict(ticks)
    assert box["x"] + box["width"] / 2 == pytest.approx((places[0] + places[1]) / 2, abs=1.5)


def test_starting_one_player_stops_the_other_and_keeps_the_position(visit):
    page = visit("one")
    page.evaluate("document.getElementById('source-0').play()")
    page.wait_for_function(PLAYED, arg=["source-0", 0.3])
    page.evaluate("document.getElementById('auralised-0').play()")
    page.wait_for_function(PLAYED, arg=["auralised-0", 0.3])
    assert page.evaluate("document.getElementById('source-0').paused")


def test_the_buttons_beside_a_unit_play_the_shared_sounds(visit):
    page = visit("two")
    button = page.locator("#unit-1 button[data-play=source]")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function(PLAYED, arg=["source", 0.05])
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator(".playhead").nth(1).is_visible()


def test_a_click_on_the_figure_moves_the_sound_there(visit):
    page = visit("one")
    box = page.locator(".figure .nsewdrag").nth(1).bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    page.wait_for_function(
        "() => Math.abs(document.getElementById('auralised-0').currentTime - 0.75) < 0.02"
    )


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("name", ["one", "two"])
def test_nothing_sticks_out_of_the_page(visit, name, width):
    page = visit(name, width)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    wide = page.locator(".figure .main-svg").first.bounding_box()
    assert wide["x"] + wide["width"] <= width


def test_colours_follow_the_readers_preference(visit):
    page = visit("one")
    colour = "() => getComputedStyle(document.querySelector('.gtitle, .xtitle')).fill"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => ({colour})() !== light", arg=light)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 18, 20)"
