"""The app without a browser: layout, wiring, what the Listen page answers to addresses."""

import base64
import struct
import zlib

import numpy as np
import pytest

pytest.importorskip("dash", reason="needs the extra 'dashboard'")

from auralise.dashboards import ids
from auralise.dashboards.app import create_app
from auralise.dashboards.links import chosen, plain, view_of
from auralise.dashboards.pages import PAGES, listen
from auralise.dashboards.server import equip
from auralise.dashboards.service import Service
from auralise.dashboards.widgets.pictures import picture_uri


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("dashboard"))
    yield service
    service.close()


def ids_in(component):
    found = [component.id] if getattr(component, "id", None) else []
    for child in component._traverse():
        found += [child.id] if getattr(child, "id", None) else []
    return found


def test_every_callback_talks_to_a_component_that_exists(service):
    app = create_app(service)
    app._setup_server()
    wired = {
        part["id"]
        for callback in app.callback_map.values()
        for part in [*callback["inputs"], *callback["state"]]
    }
    assert ids.URL in wired
    layouts = [app.layout, *(page.layout(service) for page in PAGES)]
    known = {found for layout in layouts for found in ids_in(layout)}
    known.add(ids.FIGURE)  # made by a script, with the first picture
    assert {name for name in wired if not name.startswith("{")} <= known


def test_two_apps_do_not_share_callbacks(service):
    first, second = (create_app(service).server.test_client() for _ in range(2))
    counts = [len(client.get("/_dash-dependencies").json) for client in (first, second)]
    assert counts[0] == counts[1] > 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.TITLE)
def test_page_answers(service, page):
    assert create_app(service).server.test_client().get(page.PATH).status_code == 200


def test_a_first_visit_is_led_to_the_strongest_unit(service):
    view = chosen(service, "")
    peaks = service.activity(view).peak
    assert view.unit == int(np.argmax(peaks))
    assert view_of(plain(view, "song")) == view


def test_a_unit_has_three_sounds_under_their_letters(service):
    data, heading, _ = listen.sounds_of(service, "?layer=conv3&unit=5")
    assert [(s["key"], s["letter"]) for s in data["sounds"]] == [
        ("source", "S"),
        ("round-trip", "R"),
        ("unit", "A"),
    ]
    assert data["unit"] == 5
    assert data["maps"] == [2]  # after the source's waveform and spectrogram
    assert data["hertz"] is True
    assert "conv3:5" in str(heading[0])


@pytest.mark.parametrize(
    "search",
    ["?model=nothing", "?layer=conv9", "?unit=999", "?unit=nan", "?start=nan", "?start=1e300",
     "?start=-1", "?song=../../etc/passwd", "?method=x", "?at=inf", "?phase=x"],
)  # fmt: skip
def test_an_address_that_leads_nowhere_is_answered_in_words(service, search):
    values, problem, *_ = listen.choices_of(service, search, "")
    assert values is None
    assert problem.role == "alert"
    data, heading, said = listen.sounds_of(service, search)
    assert data["sounds"] == []
    assert heading.children == "Nothing to hear"
    assert len(said.children) > 10


def test_a_click_is_answered_with_what_the_players_need(service):
    app = create_app(service)
    decoders = equip(app, service)
    client = app.server.test_client()
    answer = client.post("/heard?layer=conv3&unit=5")
    assert answer.json == listen.sounds_of(service, "?layer=conv3&unit=5")[0]
    for sound in answer.json["sounds"]:
        assert sound["seconds"] == pytest.approx(4.0, abs=0.1)
        assert len(sound["peaks"]) == 480
        assert 0 < max(sound["peaks"]) <= 10_000
    wrong = client.post("/heard?layer=conv3&unit=-5")
    assert wrong.status_code == 400
    assert "whole number" in wrong.json["error"]
    assert client.get("/heard?layer=conv3&unit=5").mimetype == "text/html"  # computes nothing
    decoders.close()


def test_the_grid_is_not_sent_again_for_another_unit(service):
    cells, caption, key = listen.units_of(service, "?layer=conv3&unit=1", None)
    assert len(cells) == 64
    assert caption.startswith("64 units")
    assert listen.units_of(service, "?layer=conv3&unit=2", key) == (listen.no_update,) * 3
    assert listen.units_of(service, "?layer=none", key) == (listen.no_update,) * 3


def test_a_picture_has_its_brightest_value_at_the_top_right():
    """Read back by hand: signature, 2 by 3 pixels, palette indices from 0 to 63, last row first."""
    values = np.array([[0.0, 0.0, 0.0], [0.0, 0.5, 1.0]], dtype=np.float32)
    content = base64.b64decode(picture_uri(values, 1.0).partition(",")[2])
    assert struct.unpack(">II", content[16:24]) == (3, 2)
    start = content.index(b"IDAT") + 4
    assert zlib.decompress(content[start:-16]) == bytes([0, 0, 32, 63, 0, 0, 0, 0])
