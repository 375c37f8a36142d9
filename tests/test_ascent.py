"""Gradient ascent finds what was planted: a frequency, two at once, nothing in dead units."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from auralise.cli.main import main
from auralise.errors import InvalidValueError, NetworkError, UnknownNameError
from auralise.filters.ascent import Ascent, ascend
from auralise.filters.known import gabor_bank
from auralise.filters.sweeps import frequency_grid
from auralise.filters.tuning import tune
from auralise.filters.tuning_curves import tuning_curves
from auralise.frontends import RawFrontend, SpectrogramFrontend
from auralise.models import wrap
from auralise.output.ascent_figures import ascent_figure
from auralise.output.tuning_bundle import tuning_rows, write_tuning
from auralise.spectral.stft import StftSpec

RATE = 8000
CENTRES = (300.0, 900.0, 2000.0)
GRID = frequency_grid(RATE, 60).numpy()


def raw_network(taps):
    layer = nn.Conv1d(1, len(taps), taps.shape[1], stride=8, bias=False)
    layer.weight.data = taps.flip(1)[:, None].float()
    return wrap(nn.Sequential(layer, nn.ReLU()).eval(), RawFrontend(RATE))


def gabors(*centres):
    hertz = torch.tensor(centres)
    return gabor_bank(hertz, torch.full_like(hertz, 120.0), length=256, sample_rate=RATE)


def test_planted_filters_are_found_where_they_are():
    network = raw_network(gabors(*CENTRES).impulse_responses)
    found = ascend(network, "0", [0, 1, 2])
    step = np.log2(GRID[1] / GRID[0])
    assert np.abs(np.log2(found.peaks(GRID) / np.array(CENTRES))).max() <= 1.01 * step
    assert (found.after > 2 * found.before).all()
    torch.testing.assert_close(found.power.sum(1), torch.ones(3).double())


def test_the_sound_found_is_near_the_best_that_there_is():
    # Of all sounds of one energy a linear unit answers most to its own filter: |h| times the norm.
    taps = gabors(900.0).impulse_responses
    network = raw_network(taps)
    found = ascend(network, "0", [0], steps=60)
    samples = round(found.seconds * RATE)
    bound = torch.linalg.vector_norm(taps[0]) * 10 ** (-20 / 20) * samples**0.5
    assert 0.97 * bound < found.after[0] < 1.0001 * bound


def test_a_unit_for_two_frequencies_gets_both():
    one, two = gabors(300.0, 2000.0).impulse_responses
    found = ascend(raw_network((one + two)[None]), "1", [0])
    near = [(found.frequencies - hertz).abs() < 100 for hertz in (300.0, 2000.0)]
    shares = [found.power[0, mask].sum().item() for mask in near]
    assert min(shares) > 0.25


def test_through_a_spectrogram_the_planted_bin_is_found():
    frontend = SpectrogramFrontend(StftSpec(RATE, 256, 128))
    layer = nn.Conv2d(1, 2, (frontend.bins, 1), bias=False)
    layer.weight.data.zero_()
    for unit, bin in enumerate((20, 50)):
        layer.weight.data[unit, 0, bin] = 1.0
    network = wrap(nn.Sequential(layer).eval(), frontend, seconds=0.5)
    peaks = ascend(network, "0", [0, 1], seeds=2).peaks(GRID)
    assert peaks == pytest.approx([20 * RATE / 256, 50 * RATE / 256], rel=0.06)


def test_a_unit_that_noise_leaves_silent_is_said_to_have_none():
    taps = gabors(300.0, 900.0).impulse_responses.clone()
    taps[1] = 0
    network = raw_network(taps)
    found = ascend(network, "1", [0, 1])
    assert found.moved.tolist() == [True, False]
    peaks = found.peaks(GRID)
    assert not np.isnan(peaks[0])
    assert np.isnan(peaks[1])


def test_the_level_stays_and_the_network_is_left_as_it_was():
    network = raw_network(gabors(900.0).impulse_responses)
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    first, again = (ascend(network, "0", [0], level_db=-40.0, seeds=2) for _ in range(2))
    assert torch.equal(first.power, again.power)
    assert all(torch.equal(before[k], v) for k, v in network.module.state_dict().items())
    assert all(p.grad is None for p in network.module.parameters())
    louder = ascend(network, "0", [0], level_db=-20.0, seeds=2)
    torch.testing.assert_close(louder.after, 10 * first.after, rtol=1e-4, atol=0)


def test_the_density_is_the_energy_between_the_edges_over_their_distance():
    frequencies = torch.linspace(0, 4000, 401).double()
    power = torch.zeros(1, 401).double()
    power[0, 100] = 1.0  # all at 1000 Hz
    made = Ascent("0", (0,), frequencies, power, torch.zeros(1), torch.ones(1), -20, 1, 1, 0.1)
    density = made.density([250.0, 500.0, 1000.0, 2000.0])[0]
    assert density[2] == pytest.approx(1 / (2**0.5 * 1000 - 1000 / 2**0.5))
    assert density[[0, 1, 3]].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"units": []}, InvalidValueError, "got 0 units"),
        ({"units": [7]}, InvalidValueError, "3 units, 0 to 2; there is none of number 7"),
        ({"units": [-1]}, InvalidValueError, "none of number -1"),
        ({"seeds": 0}, InvalidValueError, "0 seeds"),
        ({"steps": 0}, InvalidValueError, "0 steps"),
        ({"level_db": 3.0}, InvalidValueError, "3 dBFS"),
        ({"layer": "nowhere"}, UnknownNameError, "nowhere"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(change, error, match):
    network = raw_network(gabors(*CENTRES).impulse_responses)
    with pytest.raises(error, match=match):
        ascend(network, **{"layer": "0", "units": [0], "steps": 2, **change})


def test_a_network_that_diverged_is_refused():
    taps = gabors(900.0).impulse_responses.clone()
    network = raw_network(taps)
    network.module[0].weight.data[0, 0, 0] = float("nan")
    with pytest.raises(NetworkError, match="not finite"):
        ascend(network, "0", [0])


def test_both_answers_are_shown_side_by_side(tmp_path):
    network = raw_network(gabors(*CENTRES).impulse_responses)
    tuning = tune(network, "0", frequencies=GRID)
    curves = tuning_curves(tuning)
    found = ascend(network, "0", [2, 0])
    figure = ascent_figure(found, tuning, curves)
    assert "Of 2 units of 0, 2 have" in figure.words
    assert "in 2 of them the two agree within a third of an octave" in figure.words
    spectra, agreement = figure.charts
    assert spectra.image.values.shape[1] == 2
    assert agreement.series[1].x.tolist() == curves.best_frequency[[0, 2]].tolist()
    rows = tuning_rows(tuning, curves, found)
    assert rows[1]["ascent_hz"] is None
    assert rows[0]["ascent_hz"] == pytest.approx(300, rel=0.1)
    write_tuning(tmp_path / "out", tuning, curves, network.card, ascent=found)
    with np.load(tmp_path / "out" / "tuning.npz") as arrays:
        assert arrays["ascent_units"].tolist() == [2, 0]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["tuning"]["layer"] == "0"
    assert manifest["ascent"]["found"] == 2
    assert {"ascent.png", "ascent.html"} <= set(manifest["files"])


def test_without_anything_found_there_is_no_figure():
    taps = gabors(300.0).impulse_responses.clone() * 0
    network = raw_network(torch.cat([taps, gabors(900.0).impulse_responses]))
    tuning = tune(network, "0", frequencies=GRID)
    assert ascent_figure(ascend(network, "0", [0]), tuning, tuning_curves(tuning)) is None


@pytest.mark.slow
def test_the_command_searches_for_the_sharpest_units(capsys, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as end:
        main(
            ["tuning", "dieleman2014-raw-instruments", "--layer", "frames.conv", "--ascent", "2",
             "--frequencies", "24", "--variants", "2", "--out", str(out)]
        )  # fmt: skip
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert "ascent (Hz)" in text
    assert "ascent: 2 of 2 searches left the noise" in text
    assert (out / "ascent.html").exists()
