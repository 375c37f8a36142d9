"""Who is answered what: hosts, origins, tokens, sessions, limits, headers, malformed requests."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from auralise.dashboards.callbacks import BadCallbackError, check_callback
from auralise.dashboards.limits import Allowance
from auralise.dashboards.security import Rules, is_loopback, policy, protect, session_id
from auralise.dashboards.server import Address, serve
from dash import ALL, Dash, Input, Output, State, dcc, html

from auralise.errors import InvalidValueError

WIDE = Allowance(rate=1e6, burst=1_000_000, at_once=1000)


def make_app(**rules):
    app = Dash("test")
    app.layout = html.Div([dcc.Input(id="in"), dcc.Store(id="st"), html.Div(id="out")])

    @app.callback(Output("out", "children"), Input("in", "value"), State("st", "data"))
    def upper(value, data):
        return value.upper()

    @app.callback(
        Output("out", "title"), Output("out", "lang"), Input({"kind": "unit", "n": ALL}, "n_clicks")
    )
    def clicked(clicks):
        return str(len(clicks)), "en"

    app.clientside_callback(
        "function (x) { return x; }", Output("st", "data"), Input("in", "n_blur")
    )
    protect(app, Rules(**{"allowance": WIDE, **rules}))

    @app.server.get("/whose")
    def whose():
        return session_id()

    return app


@pytest.fixture
def client():
    return make_app().server.test_client()


def body(value="a", **changes):
    return {
        "output": "out.children",
        "outputs": {"id": "out", "property": "children"},
        "inputs": [{"id": "in", "property": "value", "value": value}],
        "state": [{"id": "st", "property": "data"}],
        "changedPropIds": ["in.value"],
        **changes,
    }


def post(client, value, **options):
    return client.post("/_dash-update-component", json=value, **options)


def test_a_page_of_ours_is_answered(client):
    assert post(client, body()).json["response"] == {"out": {"children": "A"}}


def test_an_input_of_another_name_is_refused(client):
    part = {"id": "other", "property": "value", "value": "a"}
    assert post(client, body(inputs=[part])).status_code == 400
    part = {"id": "in", "property": "other", "value": "a"}
    assert post(client, body(inputs=[part])).status_code == 400


def test_ids_of_several_parts_are_answered(client):
    several = {
        "output": "..out.title...out.lang..",
        "outputs": [{"id": "out", "property": p} for p in ("title", "lang")],
        "inputs": [
            [{"id": {"kind": "unit", "n": n}, "property": "n_clicks", "value": 1} for n in (1, 2)]
        ],
        "changedPropIds": [],
    }
    assert post(client, several).json["response"]["out"] == {"title": "2", "lang": "en"}
    several["inputs"][0][0]["id"]["n"] = {"$": 1}
    assert post(client, several).status_code == 400


@pytest.mark.parametrize(
    "value",
    [
        [],
        3,
        {},
        {"output": None},
        {"output": "nothing.here"},
        body(inputs=[]),
        body(inputs=[{"id": "in"}]),
        body(inputs=[{"id": "other", "property": "value"}]),
        body(inputs={"id": "in"}),
        body(inputs=["in.value"]),
        body(state=None),
        body(outputs=[[{}]]),
        body(outputs="x"),
        body(changedPropIds=[{}]),
        body(changedPropIds="in.value"),
        body(value=3),
        body(value={"a": []}),
        body(value=None),
    ],
)
def test_a_malformed_request_is_refused(client, value):
    answer = post(client, value)
    assert answer.status_code == 400
    assert answer.json["error"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"output": 1e999}'])
def test_what_is_no_json_is_refused(client, data):
    answer = client.post("/_dash-update-component", data=data, content_type="application/json")
    assert answer.status_code == 400


def test_a_large_request_is_refused_before_it_is_read(client):
    assert post(client, body("a" * 1_000_001)).status_code == 413


def test_mutilated_requests_never_break_the_server(client):
    """A thousand requests, each a good one with one part exchanged for something odd."""
    rng = random.Random(0)
    odd = [None, -1, 1e308, "", "x", [], {}, [[]], {"id": {}}, "../../etc/passwd", True, "\x00"]

    def mutilate(value):
        if isinstance(value, dict) and value and rng.random() < 0.8:
            key = rng.choice(list(value))
            return {**value, key: mutilate(value[key])}
        if isinstance(value, list) and value and rng.random() < 0.8:
            place = rng.randrange(len(value))
            return [mutilate(v) if i == place else v for i, v in enumerate(value)]
        return rng.choice(odd)

    codes = {post(client, mutilate(body())).status_code for _ in range(1000)}
    assert codes <= {200, 204, 400, 413, 415}
    assert 400 in codes


def test_check_callback_wants_the_declared_parts():
    known = {"o.c": {"inputs": [{"id": "i", "property": "p"}], "state": []}}
    good = {"output": "o.c", "inputs": [{"id": "i", "property": "p", "value": object()}]}
    check_callback({**good, "outputs": {"id": "o", "property": "c"}}, known)
    with pytest.raises(BadCallbackError, match="inputs and the state"):
        check_callback({**good, "state": [{"id": "s", "property": "p"}]}, known)


@pytest.mark.parametrize(
    ("bound", "host", "code"),
    [
        ("127.0.0.1", "127.0.0.1:8050", 200),
        ("127.0.0.1", "localhost", 200),
        ("127.0.0.1", "[::1]:8050", 200),
        ("127.0.0.1", "evil.example", 403),
        ("127.0.0.1", "127.0.0.1.evil.example", 403),
        ("127.0.0.1", "10.0.0.1", 403),
        ("127.0.0.1", "[::1", 403),
        ("0.0.0.0", "10.0.0.1:8050", 200),
        ("0.0.0.0", "evil.example", 403),
    ],
)
def test_only_names_of_this_server_are_answered(bound, host, code):
    client = make_app(host=bound).server.test_client()
    assert client.get("/", headers={"Host": host}).status_code == code


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_pages_of_other_servers_cannot_send_anything(client, headers, code):
    assert post(client, body(), headers=headers).status_code == code


def test_pages_may_run_our_scripts_only(client):
    answer = client.get("/")
    rules = dict(
        part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";")
    )
    assert rules["default-src"] == "'none'"
    scripts = rules["script-src"].split()
    assert scripts[0] == "'self'"
    assert all(part.startswith("'sha256-") for part in scripts[1:])
    assert rules["frame-ancestors"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_policy_knows_every_inline_script_of_the_page():
    import base64
    import hashlib
    import re

    app = make_app()
    page = app.server.test_client().get("/").text
    inline = [
        content
        for attributes, content in re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
        if "src=" not in attributes and "application/json" not in attributes
    ]
    assert len(inline) >= 2
    for script in inline:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy(app)


def test_a_visitor_stays_the_same_and_cannot_be_made_up(client):
    first = client.get("/whose").text
    assert len(first) == 24
    assert client.get("/whose").text == first
    cookie = client.get_cookie("auralise_session")
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    client.set_cookie("auralise_session", "0" * 24 + ".forged")
    assert client.get("/whose").text not in (first, "0" * 24)


def test_a_session_survives_a_restart_with_the_same_secret():
    one, two = (make_app(secret=b"s").server.test_client() for _ in range(2))
    first = one.get("/whose").text
    two.set_cookie("auralise_session", one.get_cookie("auralise_session").value)
    assert two.get("/whose").text == first


def test_one_visitor_is_slowed_down_and_another_is_not():
    app = make_app(allowance=Allowance(rate=0.01, burst=2, at_once=2))
    ann, bob = app.server.test_client(), app.server.test_client()
    for client in (ann, bob):
        client.get("/")
    assert [post(ann, body()).status_code for _ in range(3)] == [200, 200, 429]
    assert int(post(ann, body()).headers["Retry-After"]) > 10
    assert post(bob, body()).status_code == 200


def test_requests_that_fail_do_not_stay_under_way():
    client = make_app(allowance=Allowance(rate=1e3, burst=999, at_once=1)).server.test_client()
    client.get("/")
    for value in (body(3), {}, body()):
        code = post(client, value).status_code
    assert code == 200


def test_the_token_is_asked_for_once():
    client = make_app(host="0.0.0.0", token="t0ken").server.test_client()
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    answer = client.get("/listen?token=t0ken&unit=3")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/listen?unit=3")
    assert client.get("/").status_code == 200
    assert post(client, body()).status_code == 200


def test_tokens_cannot_be_guessed_quickly():
    client = make_app(host="0.0.0.0", token="t0ken").server.test_client()
    codes = [client.get(f"/?token={n}").status_code for n in range(40)]
    assert codes[0] == 401
    assert codes[-1] == 429


def test_the_redirect_stays_here():
    client = make_app(host="0.0.0.0", token="t").server.test_client()
    assert client.get("//evil.example/?token=t").headers.get("Location", "/")[:2] != "//"


@pytest.mark.parametrize(
    "path",
    [
        "/_dash-component-suites/os/path.py",
        "/_dash-component-suites/dash/../../../etc/passwd",
        "/assets/../security.py",
        "/assets/%2e%2e/security.py",
        "/assets/%00",
    ],
)
def test_no_other_file_is_served(client, path):
    answer = client.get(path)
    assert answer.status_code in (200, 404)
    assert b"import" not in answer.data.replace(b"important", b"")[:2000] or answer.mimetype == (
        "text/html"
    )


@pytest.mark.parametrize(
    ("host", "there"),
    [("localhost", True), ("127.8.8.8", True), ("::1", True), ("10.1.1.1", False), ("a.b", False)],
)
def test_loopback_is_known(host, there):
    assert is_loopback(host) == there
    assert bool(Address(host, 1).warning) != there


def test_an_address_others_reach_needs_a_token():
    with pytest.raises(InvalidValueError, match="it needs a token"):
        serve(None, None, host="0.0.0.0", token="")
    with pytest.raises(InvalidValueError, match="port must be"):
        serve(None, None, port=65536)


SERVER = """
import sys
from pathlib import Path
from dash import Dash, Input, Output, html
from auralise.dashboards.server import serve
from auralise.dashboards.service import Service
from auralise.dashboards.uploads import UploadLimits
app = Dash("test")
app.layout = html.Div(id="out")
serve(app, Service(Path(sys.argv[1])), port=0, limits=UploadLimits(file_bytes=50_000_000),
      ready=lambda address: print(address.port, flush=True))
print("ended", flush=True)
"""


@pytest.mark.slow
def test_the_production_server_refuses_two_gigabytes_and_ends_when_asked(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        port = int(process.stdout.readline())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
            assert json.load(answer)["status"] == "ok"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(
                b"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nX-File-Name: a\r\n"
                b"Content-Length: 2000000000\r\n\r\n"
            )  # nothing of the body is sent, and yet the answer comes
            assert b" 413 " in raw.recv(1000).splitlines()[0]
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(b"\x00\xff GET / HTTP/9.9\r\n\r\n")
            assert b" 400 " in raw.recv(1000).splitlines()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "ended\n")
    assert list((tmp_path / "uploads").iterdir()) == []
