"""``auralise atlas``: what its commands print, and what they refuse."""

import json
import os
import sys

import pytest
import soundfile

from auralise.cli.main import main
from auralise.models import load_model

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
from test_atlas import make_collection

from auralise.atlas import Options, build


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("sounds"), clips=12)


@pytest.fixture(scope="module")
def atlas(sounds, tmp_path_factory):
    out = tmp_path_factory.mktemp("atlas") / "one"
    network = load_model("dieleman2014-raw-instruments")
    build(str(sounds), network, out, layers=["conv2"], options=Options(batch=4))
    return str(out)


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as done:
            main(["atlas", *map(str, arguments)])
        return done.value.code or 0, *capsys.readouterr()

    return call


def test_a_folder_is_built_with_the_counts_printed_and_gone_on_with(sounds, tmp_path, run):
    command = ("build", sounds, "--out", tmp_path / "a", "--layer", "dense", "--workers", 0)
    command = (*command, "--model", "dieleman2014-raw-instruments")
    status, said, _ = run(*command)
    assert status == 0
    assert "13 files: 12 clips, 1 duplicates, 0 unreadable" in said
    found = json.loads(run(*command, "--json")[1])
    assert found["shards_heard"] == 0
    assert found["counts"]["clips"] == 12
    status, said, _ = run("add", tmp_path / "a", "--layer", "output", "--workers", 0)
    assert (status, "2 layers" in said) == (0, True)
    status, said, _ = run("merge", tmp_path / "a", "--out", tmp_path / "m")
    assert (status, "12 clips" in said) == (0, True)


def test_a_unit_its_clips_and_its_neighbours_are_shown(atlas, run):
    status, said, _ = run("top", atlas, "conv2:3", "-n", 4)
    assert status == 0
    assert said.startswith("conv2:3: ")
    assert len(said.split("frequency")[1].splitlines()) == 2 + 4
    found = json.loads(run("top", atlas, "conv2:3", "--quantiles", "--json")[1])
    assert len(found["examples"]) == 12
    assert found["unit"]["unit"] == "conv2:3"
    assert len(json.loads(run("units", atlas, "--limit", 5, "--json")[1])) == 5
    status, said, _ = run("clip", atlas, "noise/05.wav", "--limit", 3)
    assert (status, said.splitlines()[0]) == (0, "noise/05.wav: noise")
    found = json.loads(run("similar", atlas, "05.wav", "--limit", 2, "--json")[1])
    assert [set(row) >= {"path", "similarity"} for row in found] == [True, True]


@pytest.mark.slow
def test_a_unit_s_excerpts_are_exported_with_a_report(atlas, sounds, tmp_path, run):
    status, said, error = run("export", atlas, "conv2:3", "-n", 2, "--out", tmp_path / "x")
    assert (status, error) == (0, "")
    assert "report.html" in said
    manifest = json.loads((tmp_path / "x" / "manifest.json").read_text())
    assert [row["value"] for row in manifest["examples"]] == sorted(
        (row["value"] for row in manifest["examples"]), reverse=True
    )
    first = tmp_path / "x" / manifest["examples"][0]["folder"]
    samples, rate = soundfile.read(first / "excerpt.wav")
    original = soundfile.info(sounds / manifest["examples"][0]["path"])
    assert rate == original.samplerate
    assert len(samples) <= original.frames
    # What was heard is the same stretch, so the unit's value is the atlas's.
    own = json.loads((first / "manifest.json").read_text())
    assert own["scores"]["activation_source"] == pytest.approx(
        manifest["examples"][0]["value"], rel=1e-3
    )
    assert "<audio" in (tmp_path / "x" / "report.html").read_text()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("top", "nothing", "conv1:0"), "there is no atlas in 'nothing'"),
        (("top", "ATLAS", "conv2:900"), "has units 0 to"),
        (("top", "ATLAS", "conv22:0"), "did you mean"),
        (("units", "ATLAS", "--label", "nois"), "did you mean 'noise'"),
        (("units", "ATLAS", "--sort", "beauty"), "no order named"),
        (("clip", "ATLAS", "nothing.wav"), "no clip of the atlas"),
        (("add", "ATLAS"), "say what to add"),
        (("build", "nothing", "--out", "x"), "is no folder"),
        (("build", ".", "--out", "x", "--engine", "cloud"), "no engine named 'cloud'"),
        (("clip", "ATLAS", "05.wav", "--root", "x=y"), "no collection named 'x'"),
        (("similar", "ATLAS", "05.wav", "--layer", "x"), "no layer named 'x'"),
        (("merge", "ATLAS", "--out", "ATLAS"), "there is an atlas"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(atlas, run, command, message):
    status, _, error = run(*(atlas if part == "ATLAS" else part for part in command))
    assert (status, error.count("\n")) == (1, 1)
    assert message in error


def test_an_original_that_is_gone_or_another_is_said(atlas, tmp_path, run):
    status, _, error = run(
        "export", atlas, "conv2:3", "--out", tmp_path / "x", "--root", tmp_path / "gone"
    )
    assert status == 1
    assert "say where it is (--root FOLDER)" in error
    assert not (tmp_path / "x").exists()
