"""The command line: results on stdout, the rest on stderr, errors in one line."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from auralise.cli import main

RAW = "dieleman2014-raw-instruments"
CHOI = "choi2016-instruments"


@pytest.fixture
def run(capsys):
    """Run a command in this process: (status, stdout, stderr)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("songs") / "chord.wav"
    t = np.arange(4 * 22050) / 22050
    samples = sum(np.sin(2 * np.pi * hertz * t) for hertz in (220, 277, 330)) / 8
    soundfile.write(path, samples * (np.sin(2 * np.pi * 2 * t) > 0), 22050)
    return path


def one_line(err):
    assert err.startswith("auralise: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_help_does_not_import_torch():
    code = (
        "import sys\n"
        "from auralise.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'librosa', 'plotly', 'matplotlib', 'numba', 'soundfile'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_models_are_listed_with_their_scores(run):
    status, out, _ = run("models")
    assert status == 0
    assert CHOI in out
    assert RAW in out
    entries = json.loads(run("models", "--json")[1])["networks"]
    low, high = entries[CHOI]["scores"]["accuracy_interval"]
    assert low < entries[CHOI]["scores"]["accuracy"] < high


def test_layers_know_their_receptive_fields(run):
    """conv3 of five 3x3 layers with 2x2 pooling sees 18 frames and bins, one step is 4."""
    rows = {row["name"]: row for row in json.loads(run("layers", CHOI, "--json")[1])}
    assert rows["conv3"]["seconds"] == pytest.approx(18 * 256 / 11025)
    assert rows["conv3"]["step_seconds"] == pytest.approx(4 * 256 / 11025)
    assert rows["conv3"]["hertz"] == pytest.approx(18 * 11025 / 512)
    assert rows["output"]["step_seconds"] is None


def test_methods_are_listed_and_described(run):
    rows = json.loads(run("methods", "--json")[1])
    assert {"gradient", "deconvnet", "guided"} <= {r["name"] for r in rows}
    status, out, _ = run("methods", "--describe", "pghi")
    assert status == 0
    assert "heap integration" in out
    status, out, err = run("methods", "--describe", "gided")
    assert (status, out) == (1, "")
    assert "did you mean 'guided'" in one_line(err)


def test_predict_gives_probabilities(run, song):
    status, out, _ = run("predict", song, "--json")
    answer = json.loads(out)
    assert status == 0
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["windows"] == 1


FILES = {
    "auralisation.wav",
    "source.wav",
    "round_trip.wav",
    "arrays.npz",
    "figure.png",
    "figure.html",
    "report.html",
    "manifest.json",
}


@pytest.mark.slow
def test_unit_writes_a_bundle_and_its_manifest_makes_it_again(run, song, tmp_path):
    """The same samples, to the bit, from the manifest alone."""
    first, second = tmp_path / "first", tmp_path / "second"
    status, out, _ = run(
        "unit", song, "--unit", "conv3:17", "--at", "whole", "--seconds", 2, "--phase",
        "pghi-fast-griffin-lim", "--sonification", "magnitude", "--iterations", 4, "--out", first,
    )  # fmt: skip
    assert status == 0
    assert str(first / "report.html") in out
    assert {path.name for path in first.iterdir()} == FILES
    assert run("unit", "--from", first / "manifest.json", "--out", second)[0] == 0
    for name in ("auralisation.wav", "source.wav", "round_trip.wav"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    old, new = (json.loads((f / "manifest.json").read_text()) for f in (first, second))
    assert old == new


@pytest.mark.slow
def test_raw_network_and_json(run, song, tmp_path):
    status, out, _ = run(
        "unit", song, "--model", RAW, "--unit", "conv1:3", "--method", "gradient",
        "--out", tmp_path / "b", "--json",
    )  # fmt: skip
    manifest = json.loads(out)
    assert status == 0
    assert manifest["settings"]["sonification"] == "waveform"
    assert manifest["levels"]["auralised"]["peak_db"] <= -1 + 1e-6


@pytest.mark.slow
def test_layer_writes_a_folder_per_unit(run, song, tmp_path):
    status, out, err = run(
        "layer", song, "--layer", "conv4", "--top", 2, "--out", tmp_path / "units"
    )
    assert status == 0
    assert len([line for line in out.splitlines() if line.startswith("conv4:")]) == 2
    assert len(list((tmp_path / "units").glob("conv4-*"))) == 2
    assert "inverting conv4: 2 of 2, conv4:" in err


@pytest.mark.slow
def test_demo_reports_on_three_units_of_real_music(run, tmp_path):
    status, out, _ = run("demo", "--out", tmp_path / "demo")
    assert status == 0
    assert len([line for line in out.splitlines() if line.startswith("conv3:")]) == 3
    page = (tmp_path / "demo" / "report.html").read_text()
    assert "Kevin MacLeod" in page
    assert "creativecommons.org/licenses/by/3.0" in page


@pytest.mark.slow
def test_a_changed_song_or_network_is_not_made_again(run, song, tmp_path):
    other = tmp_path / "song.wav"
    other.write_bytes(song.read_bytes())
    assert run("unit", other, "--unit", "conv1:1", "--seconds", 1, "--out", tmp_path / "a")[0] == 0
    soundfile.write(other, np.zeros(22050), 22050)
    status, _, err = run("unit", "--from", tmp_path / "a", "--out", tmp_path / "b")
    assert status == 1
    assert "is not the file the manifest was made from" in one_line(err)


BAD = {
    "unknown model": (["--model", "choi2061-instruments"], "did you mean 'choi2016-instruments'"),
    "unknown layer": (["--unit", "conv33:1"], "did you mean 'conv3'"),
    "channel out of range": (["--unit", "conv3:64"], "64"),
    "no unit": (["--unit", "conv3"], "written layer:channel"),
    "unknown method": (["--method", "guide"], "did you mean 'guided'"),
    "unknown phase": (["--phase", "griffin"], "did you mean 'griffin-lim'"),
    "unknown level": (["--level", "peek"], "did you mean 'peak'"),
    "unknown part": (["--part", "upper"], "positive, negative, absolute"),
    "position outside": (["--at", "17"], "outside the excerpt"),
    "position in words": (["--at", "loudest"], "a position is peak"),
    "start beyond the end": (["--start", "99"], "4 s long"),
    "iterations for the source phase": (["--iterations", "3"], "source"),
    "folder of no network": (["--model", "."], "manifest"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_one_line_and_leave_nothing(run, song, tmp_path, options, message):
    unit = [] if "--unit" in options else ["--unit", "conv3:1"]
    out = tmp_path / "out"
    status, printed, err = run("unit", song, *unit, *options, "--seconds", 1, "--out", out)
    assert (status, printed) == (1, "")
    assert message in one_line(err.splitlines()[-1] + "\n")
    assert list(tmp_path.iterdir()) == []


def truncated(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.fixture
def bad_files(tmp_path_factory, song):
    folder = tmp_path_factory.mktemp("bad")
    samples, rate = soundfile.read(song)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is not a sound\n" * 99)
    (folder / "notes.txt").write_text("neither is this")
    for name in ("cut.wav", "cut.flac", "cut.mp3", "cut.ogg"):
        soundfile.write(folder / name, samples, rate)
        truncated(folder / name)
    soundfile.write(folder / "none.wav", samples[:0], rate)
    samples[99] = np.nan
    soundfile.write(folder / "nan.wav", samples, rate, subtype="FLOAT")
    return folder


@pytest.mark.parametrize(
    "name",
    ["missing.wav", ".", "empty.wav", "text.wav", "notes.txt", "cut.wav", "cut.flac", "cut.mp3",
     "cut.ogg", "none.wav", "nan.wav"],
)  # fmt: skip
def test_bad_files_are_one_line_and_leave_nothing(run, bad_files, tmp_path, name):
    out = tmp_path / "out"
    status, printed, err = run("unit", bad_files / name, "--unit", "conv1:1", "--out", out)
    assert (status, printed) == (1, "")
    assert repr(str(bad_files / name))[1:-1] in one_line(err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rate", "channels", "n", "subtype"),
    [
        ("one sample", 22050, 1, 1, "PCM_16"),
        ("short", 22050, 1, 900, "PCM_16"),
        ("eight channels", 22050, 8, 22050, "PCM_16"),
        ("4 kHz", 4000, 1, 16000, "PCM_16"),
        ("192 kHz", 192000, 2, 400000, "PCM_24"),
        ("float", 44100, 1, 44100, "FLOAT"),
        ("silence", 11025, 1, 44100, "PCM_16"),
        ("clipping", 11025, 1, 44100, "PCM_16"),
    ],
)
def test_odd_files_are_taken_and_said(run, tmp_path, name, rate, channels, n, subtype):
    gain = {"silence": 0.0, "clipping": 5.0}.get(name, 0.3)
    samples = np.random.default_rng(0).uniform(-gain, gain, (n, channels)).clip(-1, 1)
    soundfile.write(tmp_path / "song.wav", samples, rate, subtype=subtype)
    status, out, err = run(
        "unit", tmp_path / "song.wav", "--unit", "conv1:1", "--out", tmp_path / "out", "--json"
    )
    assert status == 0, err
    manifest = json.loads(out)
    word = {"one sample": "padded", "short": "padded", "silence": "silence", "clipping": "clip"}
    assert word.get(name, "") in " ".join(manifest["song"]["notes"])
    peak = manifest["levels"]["auralised"]["peak_db"]
    assert peak is None or peak <= -1 + 1e-6
    assert (peak is None) == bool({"inactive", "silent"} & set(manifest["result"]["flags"]))


def test_an_existing_folder_is_kept_unless_forced(run, song, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    status, _, err = run("unit", song, "--unit", "conv1:1", "--out", tmp_path / "out")
    assert status == 1
    assert "--force" in one_line(err)
    status, _, err = run("unit", song, "--unit", "conv1:1", "--out", tmp_path / "out", "--force")
    assert status == 1
    assert "did not write" in one_line(err)
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_line(run, song, tmp_path):
    tmp_path.chmod(0o500)
    status, _, err = run("unit", song, "--unit", "conv1:1", "--out", tmp_path / "out")
    assert status == 1
    assert "cannot write" in one_line(err)


def test_an_output_below_a_file_is_one_line(run, song, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = run("unit", song, "--unit", "conv1:1", "--out", tmp_path / "file" / "out")
    assert status == 1
    assert "cannot write" in one_line(err.splitlines()[-1] + "\n")


def test_wrong_usage_is_status_2(run, song):
    assert run("unit", song)[0] == 2
    assert run("unit", "--from", "x", song)[0] == 2
    assert run("nothing")[0] == 2


def test_version(run):
    import auralise

    assert run("--version") == (0, f"auralise {auralise.__version__}\n", "")


def test_a_missing_extra_is_named_with_the_command_that_installs_it(capsys, monkeypatch):
    def app(**_):
        raise ModuleNotFoundError("No module named 'lightning'", name="lightning.pytorch")

    monkeypatch.setattr(sys.modules["auralise.cli.main"], "app", app)
    with pytest.raises(SystemExit) as left:
        main(["train"])
    assert left.value.code == 1
    assert "this needs lightning, which is not installed" in capsys.readouterr().err
