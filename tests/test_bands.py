"""First layers over all bins of a spectrogram on the axis in Hz, and banks that begin tuned."""

import json
from dataclasses import replace

import librosa
import numpy as np
import pytest
import torch
from torch import nn

from auralise.errors import NetworkError, ShapeError
from auralise.filters import SCALES, judge_scale, respond
from auralise.filters.bands import band_kernels, respond_over_hertz, spans_all_bins
from auralise.filters.known import scale_bank, untrained_bank
from auralise.filters.untrained import begins_tuned
from auralise.frontends import RawFrontend, SpectrogramFrontend
from auralise.models import MODELS, load_model, wrap
from auralise.models.base import MusicNetwork
from auralise.output.filter_bundle import study_filters, write_filters
from auralise.spectral.stft import StftSpec

MEL = SpectrogramFrontend(StftSpec(16000, 1024, 512), n_mels=64)
LINES = SpectrogramFrontend(StftSpec(16000, 512, 256))


def known(architecture, seed=9, change=None, **options):
    paper = MODELS[architecture].configure(**options)
    torch.manual_seed(seed)
    module = paper.build(3).eval()
    if change:
        with torch.no_grad():
            change(module)
    card = wrap(module, paper.frontend(), ("a", "b", "c"), seconds=paper.seconds).card
    card = replace(card, name=architecture, architecture=architecture, options=options)
    return MusicNetwork(module, card)


def test_a_weight_for_one_mel_bin_has_the_response_of_that_mel_filter():
    kernels = torch.zeros(64, 64, 4).double()
    for bin in range(64):
        kernels[bin, bin, bin % 4] = (-1.0) ** bin
    response = respond_over_hertz(kernels, MEL)
    # librosa's filters are of unit area; up to the height they are ours.
    bank = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=64).astype(float)
    ours = response.power.sqrt().numpy()
    scaled = [rows / rows.max(1, keepdims=True) for rows in (bank, ours)]
    np.testing.assert_allclose(scaled[1], scaled[0], atol=2e-6)
    centres = librosa.mel_frequencies(n_mels=66, fmin=0, fmax=8000)[1:-1]
    assert np.abs(response.peak.numpy() - centres).max() < response.resolution


def test_a_weight_for_one_line_of_the_spectrum_peaks_there_whatever_its_sign_and_frame():
    kernels = torch.zeros(3, 257, 2).double()
    kernels[0, 40, 0], kernels[1, 40, 1], kernels[2, 100, 0] = 1.0, -1.0, 2.0
    response = respond_over_hertz(kernels, LINES)
    assert response.peak.tolist() == pytest.approx([40 * 31.25, 40 * 31.25, 100 * 31.25])
    assert response.duplicate.tolist() == [False, True, False]


def test_frames_add_in_energy():
    kernels = torch.zeros(1, 257, 2).double()
    kernels[0, 40] = torch.tensor([3.0, 4.0])
    assert respond_over_hertz(kernels, LINES).power[0, 40].item() == pytest.approx(25.0)


def test_kernels_that_do_not_fit_the_frontend_are_refused():
    with pytest.raises(ShapeError, match="64 bins, frames"):
        respond_over_hertz(torch.zeros(2, 63, 4).double(), MEL)


@pytest.mark.parametrize(
    ("architecture", "options", "spans"),
    [
        ("dieleman2014-mel", {"filters": 40}, True),
        ("zhang2016-nnet2", {"width": 0.25}, True),
        ("choi2016", {"width": 0.25}, False),
        ("dieleman2014-raw", {"width": 0.25}, False),
    ],
)
def test_which_first_layers_span_all_bins(architecture, options, spans):
    network = known(architecture, **options)
    assert spans_all_bins(network) is spans
    if spans:
        name, kernels = band_kernels(network)
        assert kernels.shape[1] == network.card.frontend.bins
        assert network.module.get_submodule(name).weight.shape[0] == len(kernels)
    else:
        with pytest.raises(NetworkError, match="not with a real convolution over time of all bins"):
            band_kernels(network)


def test_planted_bands_are_read_from_a_network_on_mel_and_the_bins_are_spoken_of(tmp_path):
    def plant(module):
        weight = module.get_submodule("conv1.conv").weight  # (maps, bins, frames)
        weight.zero_()
        for unit in range(len(weight)):
            weight[unit, 4 + unit, :] = 1.0

    study = study_filters(known("dieleman2014-mel", change=plant, filters=40))
    assert study.kind == "bands"
    assert "the bins are on mel already" in study.notes[0]
    frontend = known("dieleman2014-mel", filters=40).card.frontend
    peaks = [row["peak_hz"] for row in study.rows]
    planted = [frontend.hertz_of(4 + unit) for unit in range(len(peaks))]
    assert peaks == pytest.approx(planted, abs=16000 / 1024)
    assert all(row["tuned"] for row in study.rows)
    write_filters(tmp_path / "out", study)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["kind"] == "bands"
    assert manifest["bins"] == 40
    assert "report.html" not in manifest["files"]


def test_a_layer_of_zeros_over_all_bins_is_refused():
    def silence(module):
        module.get_submodule("conv1.conv").weight.zero_()

    with pytest.raises(NetworkError, match="is zero; there is nothing to analyse"):
        study_filters(known("dieleman2014-mel", change=silence, filters=40))


@pytest.mark.parametrize("kind", ["sinc", "leaf", "conv"])
def test_a_bank_that_begins_on_mel_is_on_mel_and_it_is_no_evidence_of_training(kind):
    options = {"filterbank": kind, "start": "mel", "filters": 40}
    network = known("dieleman2014-mel", **options)
    assert begins_tuned(network)
    study = study_filters(network, seeds=(0, 1))
    assert "40 of 40 filters" in study.sentence
    assert "as 1% of filters of random taps do" in study.sentence
    assert study.findings["verdict"]["scales"][0]["scale"].startswith("mel-")
    assert study.findings["verdict"]["learned"] is False
    assert "the spacing is no evidence of training" in study.sentence
    assert any("tuned before training" in note for note in study.notes)
    assert study.page.count("<audio controls") == 40
    # The top of a band-pass is flat with ripple: its peak is anywhere on it, its median is not.
    middles = np.array([row["median_hz"] for row in study.rows])
    mel = SCALES["mel-slaney"](torch.from_numpy(np.sort(middles)))
    steps = torch.diff(mel)
    assert (steps.max() / steps.min()).item() < 1.35  # evenly spaced, to the resolution
    if kind == "leaf":
        assert max(row["negative_fraction"] for row in study.rows[1:]) < 0.2


def test_free_taps_that_begin_at_random_are_their_own_gate():
    assert not begins_tuned(
        known("dieleman2014-mel", filterbank="conv", start="random", filters=40)
    )
    assert begins_tuned(known("dieleman2014-mel", filterbank="sinc", start="random", filters=40))
    assert not begins_tuned(load_model("dieleman2014-raw-instruments"))


def test_kernels_of_a_short_time_fourier_transform_are_linear_with_one_bandwidth():
    n, bins = 256, torch.arange(1, 128, dtype=torch.float64)
    time = torch.arange(n, dtype=torch.float64)
    window = torch.hann_window(n, periodic=True, dtype=torch.float64)
    for wave in (torch.cos, torch.sin):
        layer = nn.Conv1d(1, len(bins), n, stride=128, bias=False)
        layer.weight.data = (window * wave(2 * torch.pi * bins[:, None] * time / n))[
            :, None
        ].float()
        network = wrap(nn.Sequential(layer).eval(), RawFrontend(16000))
        from auralise.filters import effective_bank

        response = respond(effective_bank(network))
        controls = [respond(untrained_bank(len(bins), length=n, seed=seed)) for seed in range(3)]
        verdict = judge_scale(response, controls)
        # Sine and cosine of one bin differ from its frequency where their images overlap it.
        inner = (bins > 3) & (bins < 124)
        off = (response.peak - bins * 16000 / n).abs()[inner]
        assert off.max() < 1.0
        assert verdict.leading == ("linear",)
        assert verdict.slope.low < 0.02
        assert abs(verdict.slope.value) < 0.05


def test_the_gate_may_come_from_other_filters_than_the_controls():
    bank = respond(scale_bank("mel-htk", 64, seed=0))
    begun = [respond(scale_bank("mel-htk", 64, seed=seed)) for seed in (1, 2)]
    random = [respond(untrained_bank(64, seed=seed)) for seed in (0, 1)]
    own = judge_scale(bank, begun)
    assert own.passing < own.needed
    given = judge_scale(bank, begun, gate_from=random)
    assert given.passing == 64
    assert not given.learned
    assert "filters of random taps" in given.sentence
