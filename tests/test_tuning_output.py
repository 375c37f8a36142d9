"""A layer's tuning on disk and on the terminal: whole, in order, and as it was measured."""

import csv
import json

import numpy as np
import pytest
import torch

from auralise.cli import main
from auralise.errors import InvalidValueError, OutputError, ShapeError
from auralise.filters.tuning import tune
from auralise.filters.tuning_curves import tuning_curves
from auralise.models import tiny_network
from auralise.output.tuning_bundle import tuning_rows, write_tuning
from auralise.output.tuning_figures import TuningFigure, tuning_figure
from auralise.output.tuning_interactive import draw_tuning, tuning_page
from auralise.output.tuning_png import encode_tuning_png

RAW = "dieleman2014-raw-instruments"
FILES = ["figure.html", "figure.png", "manifest.json", "tuning.csv", "tuning.npz"]


@pytest.fixture(scope="module")
def measured():
    """A tuning of three units and its curves; the first two planted by exchange of responses."""
    tuning = tune(tiny_network(), "conv1", frequencies=[250.0, 500.0, 1000.0, 2000.0, 3000.0])
    tuning.responses[:] = tuning.silence[:, None, None]
    tuning.responses[0, 3] += 2.0
    tuning.responses[2, 1] += 1.0
    return tuning, tuning_curves(tuning)


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return call


def test_rows_of_the_figure_are_sorted_and_each_is_a_share_of_its_own_largest(measured):
    figure = tuning_figure(*measured)
    assert figure.units == ("conv1:2", "conv1:0", "conv1:1")
    np.testing.assert_allclose(figure.best[:2], [500.0, 2000.0], rtol=0.2)
    assert np.isnan(figure.best[2])
    np.testing.assert_array_equal(figure.values[0], [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(figure.values[1], [0, 0, 0, 1, 0])
    np.testing.assert_array_equal(figure.values[2], [0, 0, 0, 0, 0])


def test_edges_of_columns_are_halfway_on_the_log_axis():
    hertz = np.array([100.0, 200.0, 400.0])
    figure = TuningFigure("t", "c", ("a",), hertz, np.zeros((1, 3)), np.zeros(1))
    expected = 100 * 2.0 ** np.array([-0.5, 0.5, 1.5, 2.5])
    np.testing.assert_allclose(figure.edges, expected, rtol=1e-12)
    assert figure.ticks == [(100.0, "100 Hz"), (200.0, "200 Hz"), (500.0, "500 Hz")]


def test_a_figure_says_in_words_what_it_shows(measured):
    assert "sorted by best frequency: best frequencies from" in tuning_figure(*measured).describe()


def test_both_drawings_show_the_same_values_at_the_same_places(measured):
    figure = tuning_figure(*measured)
    image, points = draw_tuning(figure).data
    np.testing.assert_allclose(np.array(image.z), figure.values, rtol=0, atol=5e-4)
    np.testing.assert_allclose(np.array(image.x), figure.edges)
    np.testing.assert_allclose(np.array(points.x), figure.best[:2])
    png = encode_tuning_png(figure)
    assert png.startswith(b"\x89PNG")
    assert png == encode_tuning_png(figure)


def test_the_page_asks_for_nothing_from_outside(measured):
    page = tuning_page(tuning_figure(*measured))
    assert "default-src 'none'" in page
    assert '<script type="application/json" id="figure">' in page


@pytest.mark.parametrize(
    ("values", "units", "error"),
    [(np.zeros((2, 3)), ("a",), ShapeError), (np.zeros((0, 3)), (), InvalidValueError)],
)
def test_a_figure_that_does_not_fit_together_is_refused(values, units, error):
    with pytest.raises(error):
        TuningFigure("t", "c", units, np.array([1.0, 2, 4]), values, np.zeros(len(units)))


def test_the_folder_holds_what_was_measured(measured, tmp_path):
    tuning, curves = measured
    folder = write_tuning(tmp_path / "out", tuning, curves, tiny_network().card)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    with np.load(folder / "tuning.npz") as arrays:
        np.testing.assert_array_equal(arrays["responses"], tuning.responses.numpy())
        np.testing.assert_array_equal(arrays["frequencies"], tuning.frequencies.numpy())
    with (folder / "tuning.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["unit"] for row in rows] == ["conv1:0", "conv1:1", "conv1:2"]
    assert float(rows[0]["best_hz"]) == curves.best_frequency[0]
    assert rows[1]["best_hz"] == ""
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["files"] == [name for name in FILES if name != "manifest.json"]
    assert manifest["tuning"]["stimulus"] == "tone"
    assert manifest["untuned"] == 1


def test_a_folder_that_exists_is_kept_and_an_older_result_replaced_by_force(measured, tmp_path):
    tuning, curves = measured
    card = tiny_network().card
    write_tuning(tmp_path / "out", tuning, curves, card)
    with pytest.raises(OutputError, match="--force"):
        write_tuning(tmp_path / "out", tuning, curves, card)
    write_tuning(tmp_path / "out", tuning, curves, card, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_is_left_where_writing_fails(measured, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("kept")
    with pytest.raises(OutputError):
        write_tuning(blocked / "out", *measured, tiny_network().card)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert blocked.read_text() == "kept"


def test_rows_are_plain_and_none_where_there_is_no_number(measured):
    rows = tuning_rows(*measured)
    json.dumps(rows, allow_nan=False)
    assert rows[1]["best_hz"] is None
    assert rows[0]["height"] == pytest.approx(2.0, abs=1e-6)


def test_the_command_prints_the_sharpest_units_and_writes_the_folder(run, tmp_path):
    out = tmp_path / "frames"
    status, text, _ = run(
        "tuning", RAW, "--layer", "frames", "--frequencies", 24, "--variants", 2,
        "--top", 3, "--out", out,
    )  # fmt: skip
    assert status == 0
    lines = text.splitlines()
    assert lines[0].split()[:2] == ["unit", "best"]
    assert len([line for line in lines if line.startswith("frames:")]) == 3
    assert lines[-1] == f"figure: {out / 'figure.html'}"
    assert sorted(path.name for path in out.iterdir()) == FILES


def test_json_holds_every_unit_and_the_levels(run, tmp_path):
    status, text, _ = run(
        "tuning", RAW, "--layer", "frames", "--frequencies", 12, "--variants", 1,
        "--level", -20, "--level", -40, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert status == 0
    found = json.loads(text)
    assert found["tuning"]["levels_db"] == [-40.0, -20.0]
    assert found["tuning"]["level_db"] == -20.0
    assert len(found["rows"]) == found["units"] == 128
    exponents = [row["level_exponent"] for row in found["rows"] if row["level_exponent"]]
    assert torch.tensor(exponents).median().item() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--layer", "frame"], "did you mean 'frames'"),
        (["--layer", "frames", "--stimulus", "sine"], "no stimulus named 'sine'"),
        (["--layer", "frames", "--reduction", "sum"], "reduction must be max or mean"),
        (["--layer", "frames", "--high", "8000"], "below 8000 Hz"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line_and_nothing_is_written(
    run, tmp_path, options, says
):
    status, out, err = run("tuning", RAW, *options, "--out", tmp_path / "out")
    assert (status, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
