"""Uploads: good ones are heard, bad ones are refused in words, hostile ones hurt nobody."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from auralise.dashboards import decoder
from auralise.dashboards.songs import SongLibrary
from auralise.dashboards.uploads import (
    Decoders,
    UploadError,
    UploadLimits,
    clean_name,
    register_uploads,
)
from flask import Flask

from auralise.audio.files import encode_wav, read_audio
from auralise.audio.waveform import Waveform

torch = pytest.importorskip("torch")


def _bad_files():
    """The command line's list of bad files."""
    path = Path(__file__).with_name("test_files.py")
    spec = importlib.util.spec_from_file_location("bad_files", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BAD


BAD = _bad_files()
TONE = Waveform(0.5 * torch.sin(torch.arange(8000.0))[None].repeat(2, 1), 8000)


@pytest.fixture(scope="module")
def decoders():
    made = Decoders(UploadLimits())
    yield made
    made.close()


@pytest.fixture
def served(tmp_path, decoders):
    songs = SongLibrary(tmp_path / "uploads", lambda song: None)
    server = Flask("test")
    register_uploads(server, songs, decoders, UploadLimits(file_bytes=100_000))
    yield server.test_client(), songs
    songs.close()


@pytest.mark.parametrize("case", BAD)
def test_every_bad_file_of_the_command_line_is_refused_in_one_line(tmp_path, case):
    data, _, message = BAD[case]
    source, target = tmp_path / "0123.upload", tmp_path / "0123.wav"
    source.write_bytes(data)
    answer = decoder.decode(source, target, 600.0)
    assert message in answer["error"]
    assert "\n" not in answer["error"]
    assert str(tmp_path) not in answer["error"]
    assert "read_audio" not in answer["error"]
    assert not target.exists()


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_tags_in_a_file_go_nowhere(tmp_path, kind):
    source, target = tmp_path / "a.upload", tmp_path / "a.wav"
    hostile = "<script>alert(1)</script>" + "x" * 10_000
    with soundfile.SoundFile(source, "w", 44100, 1, format=kind) as file:
        file.title = hostile
        file.write(np.sin(np.arange(44100.0)) / 2)
    assert b"<script>" in source.read_bytes()
    answer = decoder.decode(source, target, 600.0)
    assert "script" not in str(answer)
    assert "error" not in answer
    assert b"script" not in target.read_bytes()


def test_a_good_file_is_decoded_to_the_same_samples(tmp_path):
    source, target = tmp_path / "a.upload", tmp_path / "a.wav"
    source.write_bytes(encode_wav(TONE, "FLOAT"))
    assert decoder.decode(source, target, 0.5) == {
        "seconds": 0.5,
        "notes": ["only the first 0 s of 1 s are used"],
    }
    torch.testing.assert_close(
        read_audio(target).waveform.samples, TONE.mono().samples[:, :4000], rtol=0, atol=1e-7
    )


def test_an_upload_becomes_a_song_of_the_visitor_and_can_be_removed(served):
    client, songs = served
    body = encode_wav(TONE)
    answer = client.post("/upload", data=body, headers={"X-File-Name": "My%20song.wav"})
    assert answer.status_code == 201
    assert answer.json["title"] == "My song.wav"
    assert answer.json["seconds"] == 1.0
    assert songs.info(answer.json["song"]).title == "My song.wav"
    assert [p.name for p in songs.folder.glob("*.*")] == [f"{answer.json['song']}.wav"]
    assert client.delete(f"/upload/{answer.json['song']}").json == {"removed": True}
    assert list(songs.folder.glob("*.*")) == []


@pytest.mark.parametrize(
    ("body", "headers", "code", "message"),
    [
        (b"lyrics, not the song", {"X-File-Name": "a.wav"}, 422, "a.wav: the file is not a sound"),
        (b"", {"X-File-Name": "a.wav"}, 422, "a.wav: the file is empty"),
        (bytes(100_001), {"X-File-Name": "a.wav"}, 413, "a song has at most 0 MB"),
        (b"x", {}, 400, "has its name in the header"),
    ],
)
def test_a_bad_upload_is_refused_and_leaves_nothing(served, body, headers, code, message):
    client, songs = served
    answer = client.post("/upload", data=body, headers=headers)
    assert answer.status_code == code
    assert message in answer.json["error"]
    assert list(songs.folder.glob("*.*")) == []


def test_a_stream_without_a_length_is_cut_off_at_the_limit(served, decoders):
    class Endless:
        read_bytes = 0

        def read(self, size=-1):
            self.read_bytes += size
            return bytes(size)

    from auralise.dashboards.uploads import take

    _, songs = served
    stream = Endless()
    with pytest.raises(UploadError, match="at most 0 MB"):
        take(stream, "a", "ann", songs, decoders, UploadLimits(file_bytes=100_000))
    assert stream.read_bytes < 5_000_000
    assert list(songs.folder.glob("*.*")) == []


@pytest.mark.slow
def test_a_file_that_needs_too_much_memory_is_refused(tmp_path):
    """Ten seconds of 64 channels are 123 MB decoded; 40 MB are allowed."""
    import soundfile

    source = tmp_path / "wide.upload"
    soundfile.write(
        source, np.zeros((480_000, 64), np.int16), 48_000, format="WAV", subtype="PCM_16"
    )
    tight = Decoders(UploadLimits(memory=40_000_000))
    with pytest.raises(UploadError, match="memory") as caught:
        tight.decode(source, tmp_path / "wide.wav")
    assert caught.value.code == 422
    tight.close()


@pytest.mark.slow
def test_a_decoder_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    from auralise.dashboards import uploads

    def sleeper():
        return subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    monkeypatch.setattr(uploads, "_start", sleeper)
    slow = Decoders(UploadLimits(wall_seconds=0.3))
    with pytest.raises(UploadError, match="takes longer"):
        slow.decode(tmp_path / "a", tmp_path / "b")


def test_limits_hold_in_the_decoder():
    """The kernel ends a process that goes over its processor time."""
    code = (
        "from auralise.dashboards.decoder import limit\n"
        "limit(100_000_000, 1, 1000)\n"
        "try:\n    bytearray(400_000_000)\nexcept MemoryError:\n    print('memory', flush=True)\n"
        "while True: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "memory\n"
    assert done.returncode < 0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("song.mp3", "song.mp3"),
        ("..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("C%3A%5CUsers%5Cann%5Csong.wav", "song.wav"),
        ("a%0D%0AX-Evil%3A 1.wav", "aX-Evil: 1.wav"),
        ("%E2%80%AE3pm.exe", "3pm.exe"),
        ("%00%01", "your song"),
        ("..", "your song"),
        ("", "your song"),
        ("%FF%FE.wav", "\ufffd\ufffd.wav"),
        ("a" * 5000, "a" * 80),
        ("<img src=x onerror=alert(1)>.wav", "<img src=x onerror=alert(1)>.wav"),
    ],
)
def test_hostile_names_become_one_harmless_line(name, shown):
    assert clean_name(name) == shown
