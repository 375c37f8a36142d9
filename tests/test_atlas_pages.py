"""The dashboard's pages of an atlas: what they say, and in Chromium from opening to sound."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("dash", reason="needs the extra 'dashboard'")
sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
from auralise.dashboards.app import create_app
from auralise.dashboards.pages import map as map_page
from auralise.dashboards.pages import unit as unit_page
from auralise.dashboards.security import CALLBACKS
from auralise.dashboards.server import equip
from auralise.dashboards.service import Service
from test_dashboard_browser import (
    CHROMIUM,
    browser,  # noqa: F401 (fixture)
    context,  # noqa: F401 (fixture)
    faults,
    page,  # noqa: F401 (fixture)
    until,
)

from auralise.atlas import Atlas, Options, build
from auralise.atlas.maps import project, unit_vectors
from auralise.audio import stimuli
from auralise.audio.waveform import Waveform
from auralise.audio.writing import write_audio
from auralise.errors import InvalidValueError
from auralise.models import load_model

in_browser = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the path"),
]


@pytest.fixture(scope="module")
def location(tmp_path_factory):
    """An atlas of two layers of a network that the dashboard serves, over twelve short tones."""
    sounds = tmp_path_factory.mktemp("tones")
    for number in range(12):
        kind = ("low", "high")[number % 2]
        (sounds / kind).mkdir(exist_ok=True)
        hertz = (150, 1500)[number % 2] * 2 ** (number / 12)
        tone = stimuli.harmonic_tone(hertz, 1.0, 22050, ramp=0.02).samples
        sound = Waveform(0.5 * tone / tone.abs().max(), 22050)
        write_audio(sounds / kind / f"{number:02}.wav", sound)
    out = tmp_path_factory.mktemp("atlas") / "one"
    network = load_model("dieleman2014-raw-instruments")
    build(str(sounds), network, out, layers=["conv2", "output"], options=Options(batch=4))
    return out


@pytest.fixture(scope="module")
def service(location, tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("cache"), atlas=Atlas.open(location))
    yield service
    service.close()


def test_the_page_has_everything_about_a_unit(service):
    heading, strongest, problem = unit_page.content_of(service, "?layer=output&unit=3")
    assert problem is None
    text = str([heading, strongest, *unit_page.rest_of(service, "?layer=output&unit=3")])
    assert "output:3" in text
    assert text.count("/atlas/excerpt?unit=output%3A3&kind=top") == 9
    assert text.count("/atlas/auralised?unit=output%3A3&kind=top") == 9
    assert text.count("kind=quantiles") == 24  # twelve clips, each with two sounds
    for heading in ("Strongest clips", "What it prefers", "Tuning", "fire for the same clips"):
        assert heading in text


def test_a_unit_that_is_not_there_is_said(service):
    heading, strongest, problem = unit_page.content_of(service, "?layer=output&unit=99")
    assert heading is strongest is None
    assert "units 0 to" in str(problem)
    assert "no layer" in str(unit_page.content_of(service, "?layer=x&unit=1")[2])
    assert unit_page.rest_of(service, "?layer=x&unit=1") == (None, None)


def test_the_pages_are_there_with_an_atlas_only(service, tmp_path):
    alone = Service(tmp_path)
    assert "Map" not in str(create_app(alone).layout)
    assert "Map" in str(create_app(service).layout)
    with pytest.raises(InvalidValueError, match="start it with --atlas"):
        alone.require_atlas()
    alone.close()


def test_sounds_and_points_are_fetched_by_address(service):
    app = create_app(service)
    decoders = equip(app, service)
    client = app.server.test_client()
    place = {"base_url": "http://127.0.0.1"}
    answer = client.get("/atlas/excerpt?unit=conv2:1&kind=top&number=0", **place)
    assert answer.status_code == 302
    with client.get(answer.headers["Location"], **place) as sound:
        samples, rate = soundfile.read(io.BytesIO(sound.data))
    assert rate == 22050
    assert len(samples) >= 0.9 * rate
    assert abs(samples).max() > 0.01
    points = client.get("/atlas/map?of=clips&layer=conv2", **place)
    with client.get(points.headers["Location"], **place) as answer:
        found = answer.get_json()
    assert len(found["x"]) == len(found["id"]) == 12
    assert set(found["label"]) == {"low", "high"}
    for address in (
        "/atlas/excerpt?unit=conv2:1&number=77",
        "/atlas/excerpt?unit=..%2F..&number=0",
        "/atlas/clip?clip=..%2Fetc%2Fpasswd",
        "/atlas/map?of=clips&layer=nothing",
        "/atlas/map?by=magic",
        "/atlas/other",
        "/atlas/excerpt?unit=conv2:1&kind=top&number=-1",
    ):
        assert client.get(address, **place).status_code == 404, address
    decoders.close()
    assert CALLBACKS


def test_the_map_of_units_is_that_of_a_decomposition_by_numpy(service):
    names, values = unit_vectors(service.atlas.atlas)
    assert len(names) == len(values) == service.atlas.atlas.manifest.counts["units"]
    places = project(values)
    centred = values - values.mean(0)
    left, sizes, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    reference = left[:, :2] * sizes[:2]
    reference /= abs(reference).max()
    np.testing.assert_allclose(abs(places), abs(reference), rtol=0, atol=1e-4)
    data, problem, of, *_ = map_page.data_of(service, "")
    assert (problem, of) == (None, "units")
    assert data["url"].startswith("/media/")
    assert map_page.data_of(service, "?map_layer=nothing")[0] is None


@pytest.fixture(scope="module")
def address(location, tmp_path_factory):
    """Start the command with an atlas; give the address that it prints."""
    command = [sys.executable, "-m", "auralise", "dashboard", "--port", "0"]
    command += ["--atlas", str(location)]
    cache = {**os.environ, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cache) as process:
        line = process.stdout.readline()
        assert line.startswith("dashboard: http://127.0.0.1:"), line
        yield line.split()[1].rstrip("/")
        process.terminate()


class TestInBrowser:
    pytestmark = in_browser

    def test_a_unit_is_opened_and_heard(self, page, address):  # noqa: F811
        page.goto(f"{address}/unit?layer=conv2&unit=5")
        page.wait_for_selector("#unit-top audio", timeout=60_000)
        first = "document.querySelector('#unit-top audio')"
        until(page, f"{first}.readyState >= 4")
        page.evaluate(f"{first}.play()")
        until(page, f"{first}.currentTime > 0.2")
        second = "document.querySelectorAll('#unit-top audio')[1]"
        until(page, f"Boolean({second})")
        page.evaluate(f"{second}.play()")
        until(page, f"{second}.duration > 1")
        tenth = "document.querySelector('#unit-quantiles details')"
        until(page, f"{tenth}?.querySelectorAll('[data-sound]').length > 1")
        assert page.evaluate(f"{tenth}.querySelectorAll('audio').length") == 0
        page.click("#unit-quantiles summary >> nth=0")
        until(page, f"{tenth}.querySelectorAll('audio').length > 1")
        page.click("a.to-unit:has-text('next unit')")
        until(page, "document.querySelector('h1')?.textContent === 'conv2:6'")
        # No player of the unit before is left over.
        until(page, f"{second}.getAttribute('src').includes('unit=conv2%3A6')")
        stale = (
            "[...document.querySelectorAll('audio')].filter((a) => a.src.includes('A5&')).length"
        )
        until(page, f"{stale} === 0")

    def test_the_map_is_searched_heard_and_left_for_a_unit(self, page, address):  # noqa: F811
        page.goto(f"{address}/map")
        until(page, "auralise_map_view.points() > 60", 60)
        until(page, "auralise_map_view.frames() > 0")
        total = page.evaluate("auralise_map_view.points()")
        page.fill("#map-search", "output:")
        until(page, f"document.getElementById('map-said').textContent.startsWith('12 of {total}')")
        page.click("#map-sound")
        x, y = page.evaluate("auralise_map_view.place(auralise_map_view.points() - 1)")
        page.mouse.move(x, y)
        until(page, "document.getElementById('map-tip').textContent.includes('output:')")
        until(page, "auralise_map_view.sound().currentTime > 0.1")
        page.mouse.down()
        page.mouse.up()
        until(page, "location.pathname === '/unit'")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe_finds_nothing(self, browser, address, scheme):  # noqa: F811
        narrow = {"width": 390, "height": 844}
        context = browser.new_context(color_scheme=scheme, viewport=narrow)  # noqa: F811
        page = context.new_page()  # noqa: F811
        page.goto(f"{address}/unit?layer=conv2&unit=5")
        until(page, "document.querySelectorAll('#page .main-svg').length > 1", 60)
        found = [faults(page)]
        page.goto(f"{address}/map")
        until(page, "auralise_map_view.points() > 60", 60)
        found.append(faults(page))
        context.close()
        assert found == [[], []]

    def test_a_hundred_thousand_points_are_moved_fluently(self, page, address):  # noqa: F811
        page.goto(f"{address}/map")
        until(page, "auralise_map_view.points() > 60", 60)
        page.evaluate(_MANY)
        assert page.evaluate("auralise_map_view.points()") == 100_000
        box = page.locator("#map-canvas").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        before, started = page.evaluate("auralise_map_view.frames()"), time.monotonic()
        step = 0
        while time.monotonic() - started < 2:
            step += 1
            page.mouse.move(x + 60 * np.sin(step / 9), y + 40 * np.cos(step / 7))
        frames = page.evaluate("auralise_map_view.frames()") - before
        rate = frames / (time.monotonic() - started)
        page.mouse.up()
        cost = page.evaluate("auralise_map_view.cost()")
        record = os.environ.get("AURALISE_MAP_RATE")
        if record:
            Path(record).write_text(f"{rate:.1f} frames a second, {cost:.1f} ms each\n")
        assert frames > 3
        assert cost < 33  # so 30 frames a second, where nothing else wants the machine


_MANY = """() => {
    const n = 100000, labels = ["a", "b", "c", "d", "e"];
    const points = { of: "units", x: [], y: [], id: [], text: [], label: [], layer: [] };
    for (let i = 0; i < n; i += 1) {
        const turn = i * 2.399963, reach = Math.sqrt(i / n);
        points.x.push(reach * Math.cos(turn)); points.y.push(reach * Math.sin(turn));
        points.id.push(`conv2:${i}`); points.text.push(`conv2:${i}`);
        points.label.push(labels[i % 5]); points.layer.push("conv2");
    }
    auralise_map_view.load(points, "label");
}"""
