"""Scales, distances and verdicts, against closed forms, slow sums and banks with known answers."""

import math

import pytest
import torch

from auralise.errors import InvalidValueError, ShapeError, UnknownNameError
from auralise.filters import (
    SCALES,
    FilterBank,
    Finding,
    bandwidth_slope,
    fit_family,
    judge_scale,
    respond,
    respond_to_magnitudes,
    selectivity_gate,
)
from auralise.filters.known import gabor_bank, scale_bank, untrained_bank
from auralise.filters.resampling import draw, resample
from auralise.filters.scales import (
    chance_distance,
    cramer_von_mises_to_uniform,
    stretch,
    warp_to_unit,
    wasserstein_to_uniform,
)
from auralise.units import mel_to_hz

MEL = {"mel-htk", "mel-slaney"}
BAND = (62.5, 8000.0)


def close(value, expected, atol):
    value = torch.as_tensor(value, dtype=torch.float64)
    expected = torch.as_tensor(expected, dtype=torch.float64).expand_as(value)
    torch.testing.assert_close(value, expected, rtol=0, atol=atol)


@pytest.fixture(scope="module")
def controls():
    return [respond(untrained_bank(128, seed=900 + seed)) for seed in range(5)]


def slow_distances(samples):
    """Both integrals on a fine grid, by the definition of the distribution function."""
    grid = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    share = (samples[:, None] <= grid).double().mean(0)
    return (share - grid).abs().mean(), ((share - grid) ** 2).mean()


@pytest.mark.parametrize("n", [1, 2, 7, 50])
@pytest.mark.parametrize("power", [0.2, 1.0, 4.0])
def test_distances_are_the_integrals_they_stand_for(n, power):
    generator = torch.Generator().manual_seed(n)
    samples = torch.rand(n, generator=generator, dtype=torch.float64) ** power
    samples = samples.sort().values
    wasserstein, cramer = slow_distances(samples)
    close(wasserstein_to_uniform(samples), wasserstein, 1e-5)
    close(cramer_von_mises_to_uniform(samples), cramer, 1e-5)


def test_distances_by_hand():
    """All at 0 is 1/2 away (the integral of q), and 1/3; the middles of n parts 1 / 4n."""
    close(wasserstein_to_uniform(torch.zeros(9).double()), 0.5, 1e-12)
    close(cramer_von_mises_to_uniform(torch.zeros(9).double()), 1 / 3, 1e-12)
    middles = (torch.arange(8).double() + 0.5) / 8
    close(wasserstein_to_uniform(middles), 1 / 32, 1e-12)
    close(stretch(3 + 5 * middles), middles, 1e-12)


def test_distances_agree_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    samples = torch.rand(40, dtype=torch.float64).sort().values
    grid = (torch.arange(100_000).double() + 0.5) / 100_000
    theirs = stats.wasserstein_distance(samples.numpy(), grid.numpy())
    close(wasserstein_to_uniform(samples), theirs, 1e-5)
    statistic = stats.cramervonmises(samples.numpy(), "uniform").statistic
    close(cramer_von_mises_to_uniform(samples) * 40, statistic, 1e-12)


def test_distances_of_nothing_are_refused():
    with pytest.raises(ShapeError, match="n > 0"):
        wasserstein_to_uniform(torch.zeros(3, 0))


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_maps_its_band_to_the_unit_interval_and_keeps_order(scale):
    hz = torch.linspace(*BAND, 500, dtype=torch.float64)
    unit = warp_to_unit(hz, SCALES[scale], BAND)
    close(unit[[0, -1]], [0.0, 1.0], 1e-12)
    assert bool((unit.diff() > 0).all())


def test_the_scales_are_the_six_and_a_misspelt_one_is_answered():
    assert list(SCALES) == ["linear", "mel-htk", "mel-slaney", "bark", "erb-rate", "log2"]
    with pytest.raises(UnknownNameError, match="did you mean 'mel-htk'"):
        scale_bank("mel-hkt", 8)


@pytest.mark.parametrize("band", [(0.0, 8000.0), (500.0, 100.0), (200.0, 8000.0), (62.5, 900.0)])
def test_a_band_that_does_not_hold_the_frequencies_is_refused(band):
    with pytest.raises(InvalidValueError, match="band"):
        warp_to_unit(torch.tensor([100.0, 1000.0]), SCALES["linear"], band)


def test_chance_distance_is_that_of_the_limit_law():
    """For large n, sqrt(n) W1 has the law of the area between a Brownian bridge and zero.

    Each quantile, of 2000 and 4000 draws, is sure to about 0.01.
    """
    steps = torch.randn(4000, 1000, generator=torch.Generator().manual_seed(4)).double()
    walk = steps.cumsum(1) / math.sqrt(1000)
    bridge = walk - walk[:, -1:] * torch.arange(1, 1001).double() / 1000
    limit = torch.quantile(bridge.abs().mean(1), 0.95)
    close(math.sqrt(400) * chance_distance(400), limit, 0.03)
    assert chance_distance(400, stretched=True) < chance_distance(400)


def test_drawing_again_keeps_values_and_size():
    groups = [torch.tensor([3.0, 1.0]), torch.tensor([2.0])]
    values, index = resample(groups, 300, seed=1)
    assert values.tolist() == [1.0, 2.0, 3.0]
    assert index.shape == (300, 3)
    assert bool((index.diff(dim=1) >= 0).all())
    # Both groups are drawn, or one of them twice: then 2 alone, or 1 and 3 alone.
    kinds = {frozenset(row) for row in values[index].tolist()}
    assert {frozenset({2.0}), frozenset({1.0, 3.0}), frozenset({1.0, 2.0, 3.0})} <= kinds
    with pytest.raises(InvalidValueError, match="every group is empty"):
        draw([torch.zeros(0)], 10, 0)


def test_one_group_is_drawn_filter_by_filter():
    """The mean of n draws has the variance of one over n."""
    values = torch.randn(50, generator=torch.Generator().manual_seed(2)).double()
    ordered, index = resample(values, 20_000, seed=3)
    means = ordered[index].mean(1)
    close(means.mean(), values.mean(), 0.005)
    close(means.std(), values.std(correction=0) / math.sqrt(50), 0.002)


@pytest.mark.parametrize("corner", [20.0, 228.8, 700.0, 5000.0])
def test_the_family_finds_its_corner(corner):
    """The grid has ratios of 1.21."""
    place = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    low, high = (math.log1p(edge / corner) for edge in BAND)
    fit = fit_family(corner * torch.expm1(low + place * (high - low)), BAND)
    assert corner / 1.11 < fit.value < corner * 1.11
    assert fit.low < corner < fit.high


def test_the_ends_of_the_family_are_linear_and_logarithmic():
    place = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    linear = fit_family(BAND[0] + place * (BAND[1] - BAND[0]), BAND)
    assert (linear.value, linear.high) == (math.inf, math.inf)
    logarithmic = fit_family(BAND[0] * (BAND[1] / BAND[0]) ** place, BAND)
    assert logarithmic.low == 0.0
    assert logarithmic.value <= 2.0


@pytest.mark.parametrize(("width", "slope"), [(lambda f: 200 + 0 * f, 0.0), (lambda f: f / 4, 1.0)])
def test_bandwidth_slope_tells_constant_width_from_constant_q(width, slope):
    """Between 400 and 6,000 Hz, where the length of the filters has room for both."""
    centres = torch.logspace(math.log10(400), math.log10(6000), 40, dtype=torch.float64)
    bank = gabor_bank(centres, width(centres), length=512, sample_rate=16000)
    found = bandwidth_slope(respond(bank), 0.1 if slope == 0 else 0.0)
    close(found.value, slope, 0.02)
    assert found.low - 0.01 <= slope <= found.high + 0.01


TRUTH = {
    "mel-htk": ("mel-htk", None),
    "mel-slaney": ("mel-slaney", None),
    "linear": ("linear", None),
    "log2": ("log2", (60.0, 4000.0)),
    "linear in part": ("linear", (100.0, 4000.0)),
}


@pytest.mark.parametrize("filters", [32, 64, 128])
@pytest.mark.parametrize(("scale", "band"), TRUTH.values(), ids=TRUTH)
def test_the_true_scale_is_first_or_tied(controls, scale, band, filters):
    verdicts = [
        judge_scale(respond(scale_bank(scale, filters, band=band, seed=seed)), controls, draws=200)
        for seed in range(4)
    ]
    right = [scale in v.leading and v.finding is not Finding.NONE for v in verdicts]
    assert sum(right) >= 3
    if filters == 128 and band is None:
        opposite = "linear" if scale != "linear" else "mel-htk"
        assert all(opposite not in v.leading for v in verdicts)


@pytest.mark.parametrize("filters", [32, 64, 128, 512])
def test_untrained_filters_get_no_verdict(controls, filters):
    for seed in range(10):
        verdict = judge_scale(respond(untrained_bank(filters, seed=seed)), controls)
        assert verdict.finding is Finding.TOO_FEW
        assert verdict.scales == ()
        assert verdict.sentence.startswith(f"No verdict: {verdict.passing} of {filters} filters")
        assert "mel" not in verdict.sentence


def test_of_a_bank_half_mel_and_half_untrained_the_mel_half_counts(controls):
    parts = [scale_bank("mel-htk", 64).impulse_responses, untrained_bank(64).impulse_responses]
    taps = torch.cat([part / torch.linalg.vector_norm(part, dim=1, keepdim=True) for part in parts])
    verdict = judge_scale(respond(FilterBank(taps, 16000)), controls)
    assert 60 <= verdict.passing <= 68
    assert MEL & set(verdict.leading)
    assert verdict.learned


def test_even_spacing_on_the_linear_scale_is_no_evidence_of_training(controls):
    """Untrained filters peak anywhere: evenly on the linear scale."""
    verdict = judge_scale(respond(scale_bank("linear", 128)), controls)
    assert verdict.leading == ("linear",)
    assert not verdict.learned
    assert "no evidence of training" in verdict.sentence


def test_filters_that_lie_in_two_clumps_are_on_no_scale(controls):
    clumps = torch.cat([torch.linspace(300, 400, 40), torch.linspace(6000, 6500, 40)])
    bank = gabor_bank(clumps, 0 * clumps + 120, length=256, sample_rate=16000)
    verdict = judge_scale(respond(bank), controls)
    assert verdict.finding is Finding.NONE
    assert "evenly on no scale" in verdict.sentence


def test_several_seeds_widen_the_interval(controls):
    """Banks whose bands differ between seeds: one bank cannot know."""
    bands = [(100.0, 2000.0), (100.0, 4000.0), (100.0, 8000.0)]
    banks = [
        respond(scale_bank("mel-htk", 64, band=band, seed=seed)) for seed, band in enumerate(bands)
    ]
    several = judge_scale(banks, controls)
    width = several.scales[0].wasserstein.high - several.scales[0].wasserstein.low
    assert several.banks == 3
    assert "3 training seeds" in several.sentence
    one = judge_scale(banks[1], controls).scales[0].wasserstein
    assert width > one.high - one.low


def test_librosa_mel_filters_are_mel():
    """64 triangles; the controls are weights drawn at random, as before training."""
    librosa = pytest.importorskip("librosa")
    weights = torch.from_numpy(librosa.filters.mel(sr=16000, n_fft=2048, n_mels=64)).double()
    untrained = [
        respond_to_magnitudes(
            torch.rand(64, 1025, generator=torch.Generator().manual_seed(s)).double(), 16000
        )
        for s in range(5)
    ]
    verdict = judge_scale(respond_to_magnitudes(weights, 16000), untrained)
    assert verdict.scales[0].scale == "mel-slaney"
    assert "linear" not in verdict.leading
    assert "log2" not in verdict.leading
    assert verdict.learned


def test_the_sentence_holds_the_numbers(controls):
    verdict = judge_scale(respond(scale_bank("mel-htk", 128)), controls)
    best = verdict.scales[0]
    for part in (
        best.scale,
        f"{best.wasserstein.value:.3g}",
        str(verdict.corner),
        "of 128 filters",
    ):
        assert part in verdict.sentence
    far = verdict.scales[-1]
    assert f"{far.scale} {far.wasserstein.value:.3f}" in verdict.sentence


def test_even_spacing_with_constant_bandwidths_is_said_to_disagree(controls):
    """Centres of a log2 bank with the widths of a short-time Fourier transform."""
    centres = torch.logspace(math.log10(100), math.log10(7500), 96, dtype=torch.float64)
    equal = respond(gabor_bank(centres, 0 * centres + 120, length=256, sample_rate=16000))
    verdict = judge_scale(equal, controls)
    assert verdict.scales[0].scale == "log2"
    assert not verdict.widths_agree
    assert "spacing and bandwidth disagree" in verdict.sentence
    for scale in ("mel-htk", "linear"):
        known = judge_scale(respond(scale_bank(scale, 128)), controls)
        assert known.widths_agree
        assert "disagree" not in known.sentence


def test_the_same_seed_gives_the_same_verdict(controls):
    bank = respond(scale_bank("bark", 48))
    assert judge_scale(bank, controls, seed=7) == judge_scale(bank, controls, seed=7)


def test_copies_are_counted_once(controls):
    taps = scale_bank("mel-htk", 8).impulse_responses.repeat(8, 1)
    verdict = judge_scale(respond(FilterBank(taps, 16000)), controls)
    assert verdict.finding is Finding.TOO_FEW
    assert verdict.passing <= 8


def test_the_gate_is_the_share_that_untrained_filters_rarely_exceed(controls):
    gate = selectivity_gate(controls)
    fresh = respond(untrained_bank(2000, seed=5)).peak_fraction
    close((fresh > gate).double().mean(), 0.01, 0.008)


def test_a_verdict_without_controls_or_on_other_lengths_is_refused(controls):
    bank = respond(scale_bank("mel-htk", 32))
    with pytest.raises(InvalidValueError, match="1 banks and 0 controls"):
        judge_scale(bank, [])
    with pytest.raises(InvalidValueError, match="one length and sample rate"):
        judge_scale(bank, respond(untrained_bank(32, length=128)))
    with pytest.raises(InvalidValueError, match="peak, centroid or median, got 'mode'"):
        judge_scale(bank, controls, measure="mode")
    with pytest.raises(InvalidValueError, match="fewest must be at least 4"):
        judge_scale(bank, controls, fewest=2)
    with pytest.raises(InvalidValueError, match="0 < low < high"):
        judge_scale(bank, controls, band=(500.0, 100.0))


def test_filters_outside_the_band_are_left_out(controls):
    bank = respond(
        gabor_bank(
            mel_to_hz(torch.linspace(8, 40, 64).double()),
            torch.full((64,), 120.0),
            length=256,
            sample_rate=16000,
        )
    )
    inside = int(((bank.peak >= 1000) & (bank.peak <= 4000)).sum())
    assert judge_scale(bank, controls, band=(1000.0, 4000.0)).passing == inside


@pytest.mark.parametrize("scale", ["mel-htk", "log2"])
@pytest.mark.parametrize("length", [64, 256, 1024])
def test_the_slope_that_can_be_seen_is_that_of_a_bank_that_lies_on_the_scale(scale, length):
    made = [respond(scale_bank(scale, 64, length=length, seed=seed)) for seed in range(3)]
    random = [respond(untrained_bank(64, length=length, seed=seed)) for seed in range(3)]
    verdict = judge_scale(made, random)
    assert verdict.visible_slope == pytest.approx(verdict.slope.value, abs=0.12)
    assert verdict.widths_agree
    assert ("could hardly be seen" in verdict.sentence) == (length == 64)
