"""Sounds for the browser: by id, in ranges, and nothing else of the file system."""

import socket

import pytest
from auralise.dashboards.cache import DiskCache
from auralise.dashboards.media import register_media
from flask import Flask

from auralise.cli import dashboard as dashboard_command

CONTENT = bytes(range(256)) * 4


class Browser:
    """Reads answers to their end, so that no file stays open."""

    def __init__(self, client):
        self.client = client

    def get(self, path, **options):
        return self.client.get(path, buffered=True, **options)


@pytest.fixture
def served(tmp_path):
    cache = DiskCache(tmp_path / "cache", 10_000)
    (tmp_path / "outside.wav").write_bytes(b"not yours")
    server = Flask("test")
    register_media(server, cache)
    name = cache.name("sound", "wav")
    cache.write(name, CONTENT)
    return Browser(server.test_client()), cache, name


def test_a_sound_is_served_whole_with_its_headers(served):
    client, _, name = served
    answer = client.get(f"/media/{name}")
    assert (answer.status_code, answer.data, answer.mimetype) == (200, CONTENT, "audio/wav")
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "private, max-age=86400, immutable"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("0-0", 0, 0),
        ("10-19", 10, 19),
        ("1000-", 1000, 1023),
        ("-5", 1019, 1023),
        ("5-9999", 5, 1023),
    ],
)
def test_a_range_of_bytes_is_what_the_file_has_there(served, asked, first, last):
    client, _, name = served
    answer = client.get(f"/media/{name}", headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.data == CONTENT[first : last + 1]
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/1024"


def test_a_range_beyond_the_end_is_refused(served):
    client, _, name = served
    assert client.get(f"/media/{name}", headers={"Range": "bytes=1024-"}).status_code == 416


def test_a_browser_that_has_it_is_told_so(served):
    client, _, name = served
    etag = client.get(f"/media/{name}").headers["ETag"]
    assert client.get(f"/media/{name}", headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "secret",
        "../outside.wav",
        "..%2foutside.wav",
        "%2e%2e%2foutside.wav",
        "%00.wav",
        "0000000000000000-00000000000000000000000000000000.wav",
        "0000000000000000-00000000000000000000000000000000.npz",
        "/etc/passwd",
        "C:%5Cwindows%5Cwin.ini",
        "a" * 3000,
    ],
)
def test_nothing_else_is_served(served, path):
    client, _, _ = served
    answer = client.get(f"/media/{path}", follow_redirects=True)
    assert answer.status_code == 404
    assert b"not yours" not in answer.data


def test_results_that_are_not_for_the_browser_are_not_served(served):
    client, cache, _ = served
    name = cache.name("rendered", "npz")
    cache.write(name, b"PK")
    assert client.get(f"/media/{name}").status_code == 404


def test_a_download_has_a_harmless_name(served):
    client, cache, _ = served
    name = cache.name("bundle", "zip")
    cache.write(name, b"PK")
    answer = client.get(f"/media/{name}?name=../../evil%0d%0aX: 1")
    assert answer.headers["Content-Disposition"] == "attachment; filename=evil--X--1.zip"


def test_a_port_that_another_program_has_is_left_to_it(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setattr(dashboard_command, "PORT", taken.getsockname()[1])
        assert dashboard_command.free_port() == 0
    assert dashboard_command.free_port() == dashboard_command.PORT
