"""Planted units are found and named, labels drawn by lot are not, and a killed build goes on."""

import os
import random
import signal
import sys
import time
from collections import OrderedDict

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from auralise.atlas import Atlas, Options, build
from auralise.atlas.descriptors import FRAME_NAMES, describe
from auralise.atlas.naming import Evidence, suggest
from auralise.atlas.statistics import benjamini_hochberg, ranks, selectivity, spearman
from auralise.audio import stimuli
from auralise.audio.waveform import Waveform
from auralise.audio.writing import write_audio
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import wrap
from auralise.models.tiny import tiny_network
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120
from test_atlas import WINDOW, make_collection, same

RATE, SECONDS = 16000, 0.5
BANDS = (250, 500, 1000, 2000, 4000)
NOISE_UNIT, CLICK_UNIT = len(BANDS), len(BANDS) + 1


class Bands(nn.Module):
    """Power in octaves around known frequencies; in all bins; and where it rises at once."""

    def __init__(self, frontend):
        super().__init__()
        hertz = frontend.spec.frequencies()
        masks = [(hertz >= c / 2**0.5) & (hertz < c * 2**0.5) for c in BANDS]
        self.masks = torch.stack(masks).float()

    def forward(self, values):
        power = values[:, 0].square()
        level = (power + 1e-4).log()
        bands = torch.einsum("kf,bft->bkt", self.masks, power)
        flat = level.mean(1, keepdim=True)
        rise = torch.relu(level[..., 1:] - level[..., :-1]).mean(1, keepdim=True)
        rise = nn.functional.pad(rise, (1, 0))
        return torch.relu(torch.cat([bands, flat + 10, rise], 1))


def planted_network():
    spec = StftSpec(RATE, 512, 128)
    frontend = SpectrogramFrontend(spec, compression=Compression("linear"))
    module = nn.Sequential(OrderedDict(bands=Bands(frontend), pool=nn.AdaptiveMaxPool1d(1)))
    return wrap(module.eval(), frontend, name="planted", seconds=SECONDS)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Tones of known pitch, noise and clicks: twelve of each, equally loud."""
    folder = tmp_path_factory.mktemp("planted")
    drawn = np.random.default_rng(1)
    for kind in (*(f"tone-{hertz}" for hertz in BANDS), "noise", "clicks"):
        (folder / kind).mkdir()
        for number in range(12):
            if kind == "noise":
                sound = stimuli.noise_band(60, 7500, SECONDS, RATE, seed=number, ramp=0.01)
            elif kind == "clicks":
                sound = stimuli.clicks([0.1 + 0.02 * drawn.random(), 0.3], SECONDS, RATE)
            else:
                hertz = float(kind.split("-")[1]) * 2 ** drawn.uniform(-0.3, 0.3)
                sound = stimuli.tone(hertz, SECONDS, RATE, ramp=0.05)
            level = 0.5 * drawn.uniform(0.8, 1.0) / float(sound.samples.abs().max())
            write_audio(folder / kind / f"{number}.wav", Waveform(level * sound.samples, RATE))
    out = tmp_path_factory.mktemp("atlas") / "planted"
    build(str(folder), planted_network(), out, options=Options(shard_clips=10))
    return Atlas.open(out)


@pytest.mark.parametrize("band", range(len(BANDS)))
def test_a_planted_band_is_named_and_its_label_found(planted, band):
    unit = planted.unit(f"bands:{band}")
    about = unit.summary()
    assert f"around {BANDS[band]} Hz" in about["name"]
    assert about["label"] == f"tone-{BANDS[band]}"
    assert about["auc"] > 0.95
    assert about["q"] < 1e-4
    own = f"band {BANDS[band]} Hz"
    [evidence] = [row for row in unit.evidence() if row["descriptor"] == own]
    assert evidence["rho"] > 0.6
    assert evidence["q"] < 1e-6
    bands = [row for row in unit.evidence() if row["descriptor"].startswith("band")]
    assert bands[0]["descriptor"] == own
    found = planted.units(label=f"tone-{BANDS[band]}", layer="bands")
    assert found[0]["unit"] == f"bands:{band}"
    assert f"bands:{band}" in [
        row["unit"] for row in planted.units(like=f"{BANDS[band]} Hz", layer="bands")
    ]


def test_a_planted_unit_for_noise_is_named(planted):
    about = planted.unit(f"bands:{NOISE_UNIT}").summary()
    assert about["label"] == "noise"
    assert about["auc"] == 1.0
    assert "noise" in about["name"]


def test_a_planted_unit_for_clicks_is_named(planted):
    about = planted.unit(f"bands:{CLICK_UNIT}").summary()
    assert about["label"] == "clicks"
    assert about["auc"] == 1.0
    assert "clicks" in about["name"]


def test_labels_drawn_by_lot_are_significant_no_more_often_than_stated(planted):
    """Of 200 draws, a share of at most 5 % has any finding, within what chance allows."""
    from auralise.atlas.manifest import read_shards
    from auralise.atlas.parts import each_part

    layers = dict(planted.manifest.layer_sets)
    [(layer_set, _)] = layers.items()
    parts = each_part(planted.store, read_shards(planted.store), layer_set, ["peak/bands"])
    peaks = np.concatenate([part.column("peak", "bands") for _, part in parts]).astype(float)
    labels = np.repeat(np.arange(7), 12)
    members = labels[:, None] == np.arange(7)
    real = benjamini_hochberg(selectivity(peaks, members).p)
    drawn = np.random.default_rng(0)
    runs = 200
    with_findings = sum(
        bool((benjamini_hochberg(selectivity(peaks, drawn.permutation(members)).p) < 0.05).any())
        for _ in range(runs)
    )
    # Benjamini-Hochberg at 5 %: when nothing is true, 5 % of the runs have a finding.
    assert with_findings <= stats.binom.ppf(0.999, runs, 0.05)
    assert np.nanmin(real) < 1e-6  # the same test sees the labels that are true


def test_areas_ranks_and_rates_are_those_of_scipy():
    drawn = np.random.default_rng(3)
    values = drawn.integers(0, 6, (40, 3)).astype(float)
    members = drawn.random((40, 2)) < 0.4
    found = selectivity(values, members)
    for unit in range(3):
        for label in range(2):
            inside, outside = (values[members[:, label] == side, unit] for side in (True, False))
            reference = stats.mannwhitneyu(inside, outside, method="asymptotic")
            area = reference.statistic / (len(inside) * len(outside))
            assert found.auc[unit, label] == pytest.approx(area, abs=1e-12)
            assert found.p[unit, label] == pytest.approx(reference.pvalue, abs=1e-12)
            low, high = stats.t.interval(0.95, len(inside) - 1, inside.mean(), stats.sem(inside))
            assert found.low[unit, label] == pytest.approx(low, abs=1e-10)
            assert found.high[unit, label] == pytest.approx(high, abs=1e-10)
    np.testing.assert_allclose(ranks(values), stats.rankdata(values, axis=0), rtol=0, atol=0)
    p = drawn.random(30)
    np.testing.assert_allclose(
        benjamini_hochberg(p), stats.false_discovery_control(p), rtol=0, atol=1e-12
    )


def test_rank_correlations_are_those_of_scipy_without_clips_that_have_no_answer():
    drawn = np.random.default_rng(4)
    peaks = drawn.integers(0, 9, 60).astype(float)
    described = np.stack([peaks + drawn.normal(0, 2, 60), drawn.normal(0, 1, 60)], 1)
    described[::7, 0] = np.nan
    rho, p = spearman(peaks, described, 60)
    for column in range(2):
        there = np.isfinite(described[:, column])
        reference = stats.spearmanr(peaks[there], described[there, column])
        assert rho[column] == pytest.approx(reference.statistic, abs=1e-12)
        assert p[column] == pytest.approx(reference.pvalue, rel=0.05, abs=1e-12)
    assert np.isnan(spearman(np.ones(60), described, 60)[0]).all()
    # Clips that depend on each other count as fewer.
    assert spearman(peaks, described, 20)[1][0] > p[0]


def test_names_need_a_correlation_that_is_strong_and_sure():
    assert suggest([Evidence("pitch", -0.2, 1e-9)])[0] == ""
    assert suggest([Evidence("pitch", -0.9, 0.2)])[0] == ""
    assert suggest([Evidence("pitch", float("nan"), float("nan"))])[0] == ""
    found, evidence = suggest(
        [
            Evidence("pitch", -0.6, 1e-9),
            Evidence("centroid", -0.7, 1e-9),
            Evidence("harmonic share", 0.5, 1e-3),
            Evidence("flatness", -0.4, 1e-3),
        ]
    )
    assert found == "dark sustained notes"
    assert [one.descriptor for one in evidence] == ["centroid", "harmonic share", "flatness"]


@pytest.mark.parametrize(("rate", "hertz"), [(11025, 110.0), (16000, 440.0), (8000, 1000.0)])
def test_descriptors_of_a_tone_are_known(rate, hertz):
    tone = stimuli.tone(hertz, 1.0, rate).samples[0].float()
    grid, tempo = describe(0.5 * tone / tone.abs().max(), rate)
    inner = dict(zip(FRAME_NAMES, grid[3:-3].astype(float).mean(0), strict=True))
    assert 55 * 2 ** inner["pitch"] == pytest.approx(hertz, rel=0.01)
    assert 55 * 2 ** inner["centroid"] == pytest.approx(hertz, rel=0.02)
    assert inner["loudness"] == pytest.approx(-9.03, abs=0.1)
    assert inner["harmonic share"] > 0.9
    nearest = min((62.5 * 2**n for n in range(8)), key=lambda c: abs(np.log2(c / hertz)))
    assert inner[f"band {round(nearest)} Hz"] > 0.95
    assert len(grid) == 20
    assert np.isnan(tempo)


def test_descriptors_of_silence_and_of_a_pulse_are_known():
    grid, _ = describe(torch.zeros(8000), 8000)
    assert grid[:, FRAME_NAMES.index("loudness")].tolist() == [-100.0] * 20
    assert np.isnan(grid[:, FRAME_NAMES.index("pitch")]).all()
    pulse = torch.zeros(8 * 8000)
    pulse[::4000] = 1.0
    _, tempo = describe(pulse, 8000)
    assert tempo == pytest.approx(120, abs=4)


@pytest.mark.slow
def test_a_build_that_is_killed_at_any_moment_goes_on_and_gives_the_same(tmp_path):
    """Ten times SIGKILL, each a little later in the work; a fork is killed, not this process."""
    sounds = make_collection(tmp_path / "sounds")
    options = Options(shard_clips=2, batch=4)
    network = tiny_network()

    def go_on(out):
        return build(str(sounds), network, out, window=WINDOW, options=options)

    go_on(tmp_path / "first")  # what is compiled on first use is compiled
    started = time.monotonic()
    go_on(tmp_path / "whole")
    took = min(time.monotonic() - started, 3.0)
    drawn = random.Random(5)
    killed, finished = 0, 0
    while killed < 10 and finished < 20:
        child = os.fork()
        if child == 0:
            try:
                go_on(tmp_path / f"a{finished}")
            finally:
                os._exit(0)
        time.sleep(drawn.uniform(0.01, took * 0.5))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status)
        finished += not os.WIFSIGNALED(status)
    assert killed == 10
    for number in range(finished + 1):
        report = go_on(tmp_path / f"a{number}")
        assert report.manifest.counts["clips"] == 24
        assert same(tmp_path / "whole", tmp_path / f"a{number}")
