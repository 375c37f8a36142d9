"""What ``auralise filters`` counts, draws and writes, for both kinds of first layer."""

import csv
import json
import sys
from dataclasses import replace

import numpy as np
import pyarrow.parquet
import pytest
import torch
from torch import nn

from auralise.cli import main
from auralise.errors import InvalidValueError, NetworkError, ShapeError
from auralise.filters import effective_bank, judge_scale, respond
from auralise.filters.bank import FilterBank
from auralise.filters.known import untrained_bank
from auralise.filters.untrained import untrained_networks
from auralise.frontends import RawFrontend
from auralise.models import MODELS, load_model, tiny_network, wrap
from auralise.output.charts import Axis, Series
from auralise.output.charts_interactive import draw_charts
from auralise.output.charts_png import encode_charts_png
from auralise.output.filter_bundle import study_filters
from auralise.output.filter_figures import filter_figure

RAW = "dieleman2014-raw-instruments"
SPECTROGRAM = "choi2016-instruments"
FILES = [
    "figure.html",
    "figure.png",
    "filters.csv",
    "filters.parquet",
    "manifest.json",
    "responses.npz",
]


@pytest.fixture
def run(capsys, monkeypatch):
    """Call the command on one core, as small tensors wait for each other on several."""
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0}, raising=False)

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return call


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_raw_network_gets_a_verdict_beside_its_untrained_control(run, tmp_path):
    out = tmp_path / "raw"
    status, text, _ = run("filters", RAW, "--out", out)
    assert status == 0
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES, "report.html"])
    network = load_model(RAW)
    response = respond(effective_bank(network))
    rows = rows_of(out / "filters.csv")
    table = pyarrow.parquet.read_table(out / "filters.parquet").to_pylist()
    assert [row["peak_hz"] for row in table] == [float(row["peak_hz"]) for row in rows]
    assert {row["tuned"] for row in table} == {True, False}
    players = (out / "report.html").read_text().count("<audio controls")
    assert players == int((~respond(effective_bank(load_model(RAW))).silent).sum())
    assert [row["filter"] for row in rows] == [f"frames.conv:{k}" for k in range(128)]
    assert [float(row["peak_hz"]) for row in rows] == response.peak.tolist()
    with np.load(out / "responses.npz") as arrays:
        np.testing.assert_array_equal(arrays["power"], response.power.numpy())
        np.testing.assert_array_equal(arrays["frequencies"], response.frequencies.numpy())

    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["files"] == sorted({*FILES, "report.html"} - {"manifest.json"})
    assert manifest["model"]["sha256"] == network.card.sha256 != ""
    controls = [
        respond(
            effective_bank(wrap(MODELS["dieleman2014-raw"].build(12).eval(), RawFrontend(16000)))
        )
        for seed in range(5)
        if torch.manual_seed(seed)
    ]
    verdict = judge_scale(response, controls)
    assert verdict.sentence in text.splitlines()
    assert manifest["verdict"]["gate"] == verdict.gate
    trained, untrained = manifest["summary"]
    tuned = sum(row["tuned"] == "True" for row in rows)
    assert trained["tuned"] == tuned == int(response.selective(verdict.gate).sum())
    assert trained["median_hz"] == pytest.approx(response.peak.quantile(0.5).item(), abs=1e-9)
    assert trained["below_2_khz"] == (response.peak < 2000).double().mean().item()
    assert untrained["filters"] == 640
    # Random filters peak anywhere: a quarter of 8 kHz is below 2 kHz, up to five standard errors.
    assert untrained["below_2_khz"] == pytest.approx(0.25, abs=5 * (0.25 * 0.75 / 640) ** 0.5)


def test_without_the_package_for_parquet_the_command_says_so(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    status, text, _ = run("filters", SPECTROGRAM, "--out", tmp_path / "out")
    assert status == 0
    assert "pip install 'auralise[parquet]'" in text
    assert not (tmp_path / "out" / "filters.parquet").exists()
    assert (tmp_path / "out" / "filters.csv").exists()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert any("no Parquet" in note for note in manifest["notes"])


def test_filters_over_time_and_frequency_are_counted_beside_their_control(run, tmp_path):
    out = tmp_path / "spectrogram"
    status, text, _ = run("filters", SPECTROGRAM, "--out", out, "--json")
    assert status == 0
    found = json.loads(text)
    assert sorted(path.name for path in out.iterdir()) == FILES
    classes = [row["class"] for row in rows_of(out / "filters.csv")]
    assert len(classes) == len(found["rows"]) == 64
    assert {row["class"]: row["filters"] for row in found["summary"]} == {
        row["class"]: classes.count(row["class"]) for row in found["summary"]
    }
    assert sum(row["untrained"] for row in found["summary"]) == pytest.approx(1, abs=1e-12)
    assert found["untrained_filters"] == 320
    assert "of 64 filters look for onsets" in found["sentence"]
    weights = load_model(SPECTROGRAM).module.conv1.conv.weight[:, 0]
    with np.load(out / "responses.npz") as arrays:
        np.testing.assert_allclose(abs(arrays["kernels"]), weights.detach().abs().numpy())


def test_a_network_that_begins_with_neither_is_refused_in_one_line(run, tmp_path, monkeypatch):
    dense = nn.Sequential(nn.Flatten(), nn.Linear(48000, 2)).eval()
    network = wrap(dense, RawFrontend(16000), seconds=3.0, name="dense")
    monkeypatch.setattr("auralise.models.load_model", lambda name: network)
    status, out, err = run("filters", "dense", "--out", tmp_path / "out")
    assert (status, out) == (1, "")
    assert err.startswith("auralise: ")
    assert "convolution" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_refused_before_anything_is_computed(run, tmp_path):
    (tmp_path / "kept").write_text("kept")
    status, _, err = run("filters", "no-such-network", "--out", tmp_path)
    assert status == 1
    assert "--force" in err
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_untrained_networks_are_the_architecture_at_its_seeds_and_leave_the_generator_alone():
    card = load_model(RAW).card
    torch.manual_seed(3)
    expected = MODELS["dieleman2014-raw"].build(12).state_dict()
    state = torch.get_rng_state()
    (network,) = untrained_networks(card, seeds=(3,))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(
        torch.equal(value, expected[name]) for name, value in network.module.state_dict().items()
    )
    assert network.card.sha256 == ""


def test_controls_need_seeds_and_an_architecture():
    card = load_model(RAW).card
    with pytest.raises(InvalidValueError, match="seeds must not be empty"):
        untrained_networks(card, seeds=())
    with pytest.raises(NetworkError, match="names no architecture"):
        untrained_networks(replace(card, architecture=""))


def tone(hertz):
    time = torch.arange(256, dtype=torch.float64) / 16000
    return torch.hann_window(256, dtype=torch.float64) * torch.sin(2 * torch.pi * hertz * time)


@pytest.fixture(scope="module")
def figure():
    """Three tones out of order, a silent filter and a copy, beside two random banks."""
    taps = torch.stack([tone(4000), tone(1000), torch.zeros(256), tone(2000), -tone(1000)])
    response = respond(FilterBank(taps.double(), 16000))
    controls = [respond(untrained_bank(64, seed=seed)) for seed in (0, 1)]
    return filter_figure("planted", response, controls, judge_scale(response, controls))


def test_images_have_a_column_for_each_live_filter_that_is_strongest_at_its_frequency(figure):
    for chart, place in ((figure.charts[0], lambda hz: hz), (figure.charts[1], mel)):
        values = chart.image.values
        assert values.shape == (256, 3)
        top = chart.y.limits[1]
        expected = [int(place(hz) / top * 256) for hz in (1000.0, 2000.0, 4000.0)]
        np.testing.assert_allclose(values.argmax(0), expected, rtol=0, atol=1)
        assert values.max() == pytest.approx(0, abs=0.05)
        assert values.min() == -40


def mel(hz):
    return 2595 * np.log10(1 + hz / 700)


def test_centres_are_drawn_on_mel_beside_the_band_of_all_controls(figure):
    ranks = figure.charts[2]
    (tuned,) = (series for series in ranks.series if series.role == "tuned")
    np.testing.assert_allclose(tuned.y, mel(np.array([1000.0, 2000.0, 4000.0])), rtol=0, atol=0.1)
    np.testing.assert_array_equal(tuned.x, [1, 2, 3])
    assert tuned.texts[0].startswith("filter:1: 1000 Hz")
    (guide,) = (series for series in ranks.series if series.role == "guide")
    low, high = mel(62.5), mel(8000.0)
    np.testing.assert_allclose(guide.y, low + (high - low) * np.array([1, 3, 5]) / 6, atol=1e-6)
    assert (ranks.band.low <= ranks.band.high).all()


def test_the_cumulative_response_holds_all_energy_once(figure):
    chart = figure.charts[4]
    (filters,) = (series for series in chart.series if series.role == "tuned")
    assert np.trapezoid(filters.y, filters.x) == pytest.approx(1, abs=0.02)
    mel_line = chart.series[0]
    expected = 1 - np.log(1 + mel_line.x[0] / 700) / np.log(1 + 8000 / 700)
    assert np.trapezoid(mel_line.y, mel_line.x) == pytest.approx(expected, abs=1e-3)


def test_both_drawings_show_the_same_charts(figure):
    drawn = draw_charts(figure)
    images = [trace for trace in drawn.data if trace.type == "heatmap"]
    for image, chart in zip(images, figure.charts, strict=False):
        np.testing.assert_allclose(np.array(image.z), chart.image.values, rtol=0, atol=0.5)
    points = sum(len(chart.series) + 2 * (chart.band is not None) for chart in figure.charts)
    assert len(drawn.data) == points + len(images) == points + 2
    png = encode_charts_png(figure)
    assert png.startswith(b"\x89PNG")
    assert png == encode_charts_png(figure)


def test_charts_that_do_not_fit_together_are_refused():
    one = np.ones(1)
    with pytest.raises(ShapeError, match="must be one each"):
        Series("a", "tuned", np.ones(2), one)
    with pytest.raises(InvalidValueError, match="role must be one of"):
        Series("a", "red", one, one)
    with pytest.raises(InvalidValueError, match="not finite"):
        Series("a", "tuned", one, one * np.nan)
    with pytest.raises(InvalidValueError, match="limits must rise"):
        Axis("frequency", (0.0, 10.0), (), logarithmic=True)


@pytest.mark.parametrize(("model", "layer"), [(RAW, "frames"), (SPECTROGRAM, "conv1")])
def test_a_silent_filter_has_a_row_without_numbers_or_class_and_counts_nowhere(model, layer):
    network = load_model(model)
    with torch.no_grad():
        getattr(network.module, layer).conv.weight[5] = 0
    study = study_filters(network, seeds=(0,))
    row = study.rows[5]
    assert row["silent"]
    assert row.get("class", "") == ""
    assert row.get("peak_hz") is None
    assert not row.get("tuned", False)
    assert [row["filter"] for row in study.rows if row["silent"]] == [f"{layer}.conv:5"]
    counted = [entry.get("alive", entry["filters"]) for entry in study.summary]
    assert counted[0] == 127 if model == RAW else sum(counted) == 63


def test_a_first_layer_that_is_all_zero_is_refused():
    network = load_model(RAW)
    with torch.no_grad():
        network.module.frames.conv.weight.zero_()
    with pytest.raises(NetworkError, match="is zero"):
        study_filters(network)


def test_an_untrained_network_gets_no_verdict_and_its_figure_is_drawn_all_the_same():
    (network,) = untrained_networks(load_model(RAW).card, seeds=(7,))
    study = study_filters(network, seeds=(0, 1))
    assert study.sentence.startswith("No verdict: ")
    assert study.findings["verdict"]["corner"] is None
    assert encode_charts_png(study.figure, dots_per_inch=40).startswith(b"\x89PNG")


@pytest.mark.parametrize("length", [2, 3, 8])
def test_filters_of_few_samples_can_be_drawn(length):
    bank, *controls = (respond(untrained_bank(9, length=length, seed=k)) for k in range(3))
    drawn = filter_figure("short", bank, controls, judge_scale(bank, controls))
    assert encode_charts_png(drawn, dots_per_inch=40).startswith(b"\x89PNG")


def test_the_tiny_network_has_no_architecture_to_compare_with():
    with pytest.raises(NetworkError, match="names no architecture"):
        study_filters(tiny_network())
