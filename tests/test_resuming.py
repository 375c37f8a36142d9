"""Layer runs that are stopped: they go on where they were, and finished units are left alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from auralise.audio.waveform import Waveform
from auralise.auralisation import auralise_layer
from auralise.errors import OutputError
from auralise.frontends import SpectrogramFrontend
from auralise.models.base import wrap
from auralise.resuming import Unfinished, resume_layer
from auralise.settings import Settings
from auralise.spectral.stft import StftSpec

SETTINGS = Settings(method="guided", at="whole")


@pytest.fixture
def run():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU()).eval()
    network = wrap(module, SpectrogramFrontend(StftSpec(8000, 256, 64)), name="small")
    noise = torch.randn(1, 4000, generator=torch.Generator().manual_seed(1))
    return network, Waveform(noise, 8000), "1"


def same(one, other):
    assert one.inversion.unit == other.inversion.unit
    assert one.inversion.activation == other.inversion.activation
    assert one.inversion.position == other.inversion.position
    assert one.inversion.flags == other.inversion.flags
    assert one.scores == other.scores
    assert torch.equal(one.inversion.relevance, other.inversion.relevance)
    assert torch.equal(one.waveform.samples, other.waveform.samples)
    assert torch.equal(one.round_trip.samples, other.round_trip.samples)


@pytest.mark.parametrize("stopped", [0, 1, 3, 5])
def test_a_stopped_run_goes_on_and_gives_the_same(run, stopped, tmp_path):
    channels = [3, 0, 4, 1, 2]
    unfinished = Unfinished.of(tmp_path / "out", *run, SETTINGS)
    assert unfinished.done(channels) == 0
    first = resume_layer(*run, channels, unfinished, settings=SETTINGS)
    for _ in range(stopped):
        next(first)
    first.close()
    assert unfinished.done(channels) == stopped
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in unfinished.folder.glob("*")}
    again = list(resume_layer(*run, channels, unfinished, settings=SETTINGS))
    for one, other in zip(again, auralise_layer(*run, channels, settings=SETTINGS), strict=True):
        same(one, other)
    for name, (changed, content) in before.items():
        file = unfinished.folder / name
        assert (file.stat().st_mtime_ns, file.read_bytes()) == (changed, content)
    assert unfinished.done(channels) == 5
    unfinished.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_cut_off_is_made_again(run, tmp_path):
    unfinished = Unfinished.of(tmp_path / "out", *run, SETTINGS)
    expected = list(resume_layer(*run, [0, 1], unfinished, settings=SETTINGS))
    file = unfinished.file_of(0)
    file.write_bytes(file.read_bytes()[:100])
    assert unfinished.done([0, 1]) == 1
    for one, other in zip(
        resume_layer(*run, [0, 1], unfinished, settings=SETTINGS), expected, strict=True
    ):
        same(one, other)


def test_another_run_has_another_place(run, tmp_path):
    network, sound, layer = run
    louder = Waveform(sound.samples * 2, 8000)
    places = {
        Unfinished.of(tmp_path / "out", *run, SETTINGS),
        Unfinished.of(tmp_path / "out", *run, Settings(method="gradient", at="whole")),
        Unfinished.of(tmp_path / "out", network, sound, "0", SETTINGS),
        Unfinished.of(tmp_path / "out", network, louder, layer, SETTINGS),
        Unfinished.of(tmp_path / "other", *run, SETTINGS),
    }
    assert len(places) == 5


def test_a_place_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "file").write_text("in the way")
    unfinished = Unfinished.of(tmp_path / "file" / "out", *run, SETTINGS)
    with pytest.raises(OutputError, match="cannot keep unit 1:0"):
        list(resume_layer(*run, [0], unfinished, settings=SETTINGS))


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_stopped(tmp_path):
    """SIGKILL as soon as two of four units are kept; then the same command again."""
    out = tmp_path / "conv1"
    command = [
        sys.executable, "-m", "auralise", "layer", "demo", "--layer", "conv1", "--top", "4",
        "--method", "gradient", "--no-audit", "--out", str(out),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    kept: list[Path] = []
    deadline = time.monotonic() + 300
    while len(kept) < 2 and running.poll() is None and time.monotonic() < deadline:
        kept = sorted(tmp_path.glob(".conv1-*.unfinished/*.npz"))
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not out.exists()
    kept = sorted(tmp_path.glob(".conv1-*.unfinished/*.npz"))
    assert 2 <= len(kept) <= 4
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    assert f"{len(kept)} of 4 units are finished" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["conv1"]
    assert len(list(out.glob("conv1-*/auralisation.wav"))) == 4
