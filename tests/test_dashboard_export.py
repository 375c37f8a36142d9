"""Pages of the dashboard as files: whole, harmless, and refused in words."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile
from auralise.dashboards.export import export_page, write_page
from auralise.dashboards.service import Service
from auralise.dashboards.snapshot import json_script, to_html

pytest.importorskip("dash", reason="needs the extra 'dashboard'")

import dash_mantine_components as dmc
from dash import dcc, html

from auralise.errors import AudioFileError, InvalidValueError, OutputError, UnknownNameError

RAW = "dieleman2014-raw-instruments"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    made = Service(tmp_path_factory.mktemp("cache"))
    yield made
    made.close()


def sounds_in(page):
    """Return the sounds that a page holds, decoded, by key."""
    text = re.search(r'<script type="application/json" id="sounds">(.*?)</script>', page)[1]
    rows = json.loads(text)["sounds"]
    prefix = "data:audio/wav;base64,"
    assert all(row["url"].startswith(prefix) for row in rows)
    return {
        row["key"]: soundfile.read(io.BytesIO(base64.b64decode(row["url"].removeprefix(prefix))))[0]
        for row in rows
    }


def test_texts_and_attributes_are_escaped():
    part = html.P(["<b>", html.Span("x", title='"><script>')], style={"minHeight": "3px"})
    assert to_html(part) == (
        '<p style="minHeight:3px">'.replace("minHeight", "min-height")
        + '&lt;b&gt;<span title="&quot;&gt;&lt;script&gt;">x</span></p>'
    )
    assert "</script" not in json_script('{"a": "</script>"}').removesuffix("</script>")


def test_links_to_other_states_become_text_and_requests_are_left_out():
    part = html.Div(
        [
            html.A("conv1", href="?layer=conv1", **{"data-go": "{}"}),
            html.A("listen", href="/listen", className="action"),
            html.A("licence", href="https://creativecommons.org/licenses/by/3.0/"),
            dcc.Store(id="store", data="secret"),
        ]
    )
    assert to_html(part) == (
        "<div><span>conv1</span>"
        '<a href="https://creativecommons.org/licenses/by/3.0/">licence</a></div>'
    )


def test_what_has_no_plain_form_is_refused():
    with pytest.raises(InvalidValueError, match="Button has no plain form"):
        to_html(html.Div(dmc.Button("Play")))


@pytest.mark.parametrize(
    ("address", "keys", "words"),
    [
        ("/listen?layer=conv2&unit=7", ["source", "round-trip", "unit"], "conv2:7"),
        (
            f"http://127.0.0.1:8050/filters?model={RAW}&filter=107",
            ["source", "song", "noise", "clicks"],
            "frames.conv:107",
        ),
        ("/compare?layer=conv2&unit=7", ["source", "a", "b"], "choi2016-instruments.untrained"),
        (f"/layers?model={RAW}", [], "frames"),
        ("/about", [], "creativecommons.org/licenses/by/3.0"),
    ],
)
def test_a_page_holds_all_that_it_shows(service, address, keys, words):
    page = export_page(service, address)
    assert words in page
    assert "default-src 'none'" in page
    shown = page[page.index("<main") : page.index("</footer>")]
    assert not re.search(r'(?:src|href)="(?!data:|https://creativecommons|#)', shown)
    assert not re.search(r"<(?:script|link|img|audio)[^>]+(?:src|href)=.(?!data:)", page)
    sounds = sounds_in(page)
    assert list(sounds) == keys
    assert all(np.abs(sound).max() > 0.001 for sound in sounds.values())


def test_a_song_of_ones_own_is_credited_by_its_harmless_name(service, tmp_path):
    song = tmp_path / "<script>alert(1)<.wav"
    soundfile.write(song, 0.3 * np.sin(np.arange(5 * 22050) / 8), 22050)
    page = export_page(service, "/listen?layer=conv1&unit=3", song)
    assert "<script>alert" not in page
    assert "Song: &lt;script&gt;alert(1)&lt;." in page
    assert str(tmp_path) not in page


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("/nothing", InvalidValueError, "there is no page at '/nothing'; the pages are /listen"),
        ("/listen?layer=conv99", UnknownNameError, "no layer named 'conv99'"),
        ("/listen?unit=nan", InvalidValueError, "unit must be a whole number"),
        ("/filters?filter=128&model=" + RAW, InvalidValueError, "has filters 0 to 127"),
        ("/compare?other=none", UnknownNameError, "no model named 'none'"),
        ("/layers?tuning=none", UnknownNameError, "none"),
        ("/listen?song=" + "0" * 24, LookupError, "this song is not on the server"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_in_words(service, address, error, message):
    with pytest.raises(error, match=re.escape(message)):
        export_page(service, address)


def test_a_file_that_is_no_song_is_refused(service, tmp_path):
    wrong = tmp_path / "song.wav"
    wrong.write_bytes(b"no sound")
    with pytest.raises(AudioFileError, match="not a sound file"):
        export_page(service, "/listen", wrong)


def test_a_file_that_is_there_stays_unless_told_otherwise(tmp_path):
    target = tmp_path / "page.html"
    write_page(target, "first")
    with pytest.raises(OutputError, match="use --force"):
        write_page(target, "second")
    assert target.read_text() == "first"
    write_page(target, "second", force=True)
    assert target.read_text() == "second"
    with pytest.raises(OutputError, match="cannot write"):
        write_page(target / "below.html", "third")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
