"""What filters pass, against closed forms."""

import math
import time

import pytest
import torch

from auralise.errors import InvalidValueError, ShapeError
from auralise.filters import (
    FilterBank,
    cumulative_response,
    phase_pairs,
    respond,
    respond_to_magnitudes,
)
from auralise.filters.known import gabor_bank, untrained_bank

RATE, LENGTH = 16000, 256
SIGMA = 0.002  # seconds; the envelope has fallen to e^-8 at the ends of 256 samples


def close(value, expected, atol):
    value = torch.as_tensor(value, dtype=torch.float64)
    expected = torch.as_tensor(expected, dtype=torch.float64).expand_as(value)
    torch.testing.assert_close(value, expected, rtol=0, atol=atol)


def gabor(frequency, sigma=SIGMA, phase=0.0, length=LENGTH):
    moment = (torch.arange(length, dtype=torch.float64) - length // 2) / RATE
    return torch.exp(-0.5 * (moment / sigma) ** 2) * torch.cos(
        2 * math.pi * frequency * moment + phase
    )


def one(taps, rate=RATE):
    return respond(FilterBank(taps[None], rate))


@pytest.mark.parametrize("frequency", [500.0, 1003.0, 2718.3, 7000.0])
def test_a_gabor_has_the_centre_and_widths_of_its_gaussian(frequency):
    """|H|^2 is exp(-(2 pi sigma (f - f0))^2): half at sqrt(ln 2) / (2 pi sigma) on either side.

    0.05 Hz is what the cut envelope (e^-8) and the grid of 3.9 Hz leave.
    """
    found = one(gabor(frequency))
    for centre in (found.peak, found.centroid, found.median):
        close(centre, frequency, 0.05)
    close(found.bandwidth, math.sqrt(math.log(2)) / (math.pi * SIGMA), 0.05)
    close(found.rms_width, 1 / (2 * math.sqrt(2) * math.pi * SIGMA), 0.05)
    close(found.erb, 1 / (2 * math.sqrt(math.pi) * SIGMA), 0.05)
    close(found.quality, found.peak / found.bandwidth, 1e-9)
    # The energy within d of the centre of a Gaussian of standard deviation s: erf(d / s sqrt 2).
    part = math.erf(2 * RATE / LENGTH / (1 / (2 * math.pi * SIGMA)))
    close(found.peak_fraction, part, 2e-4)  # read between bins of 3.9 Hz
    close(found.negative_fraction, 0.5, 0)
    assert not found.unresolved.item()


def test_a_windowed_sinc_has_its_band():
    """A band from 1 to 3 kHz: edges are as sharp as a window of 1023 samples allows, fs / L."""
    moment = torch.arange(-511, 512, dtype=torch.float64)
    low, high = (2 * f / RATE * torch.special.sinc(2 * f / RATE * moment) for f in (1000.0, 3000.0))
    found = one((high - low) * torch.hann_window(1023, periodic=False, dtype=torch.float64))
    edge = RATE / 1023
    close(found.centroid, 2000.0, 0.01)
    close(found.median, 2000.0, 0.01)
    close(found.bandwidth, 2000.0, 2 * edge)
    close(found.rms_width, 2000.0 / math.sqrt(12), edge)
    assert 1000 < found.peak.item() < 3000
    assert found.flatness.item() < 1e-6


def test_a_delta_is_flat_and_tuned_to_nothing():
    delta = torch.zeros(64, dtype=torch.float64)
    delta[10] = -2.0
    found = one(delta)
    close(found.flatness, 1.0, 1e-12)
    close(found.bandwidth, RATE / 2, 1e-6)
    close(found.erb, RATE / 2, 1e-6)
    close(found.centroid, RATE / 4, 1e-6)
    close(found.median, RATE / 4, 1e-6)
    close(found.rms_width, RATE / 2 / math.sqrt(12), 1e-2)  # bins are 3.9 Hz wide
    assert math.isnan(found.quality.item())


def test_a_constant_is_unresolved():
    """Direct current: a sinc at 0 Hz, half of it at 0.443 fs / L."""
    found = one(torch.ones(LENGTH, dtype=torch.float64))
    close(found.peak, 0.0, 0)
    close(found.bandwidth, 0.443 * RATE / LENGTH, 0.05)
    assert found.unresolved.item()
    assert math.isnan(found.quality.item())


def test_a_tone_below_the_resolution_is_unresolved():
    low, high = one(gabor(40.0, sigma=0.003)), one(gabor(90.0, sigma=0.003))
    assert low.unresolved.item()
    assert not high.unresolved.item()


def test_a_hann_windowed_tone_has_an_erb_of_one_and_a_half_bins():
    """Harris 1978: the equivalent noise bandwidth is 1.5 bins, the -3 dB width 1.44."""
    window = torch.hann_window(LENGTH, periodic=True, dtype=torch.float64)
    tone = torch.cos(2 * math.pi * 2000 / RATE * torch.arange(LENGTH, dtype=torch.float64))
    found = one(window * tone)
    close(found.erb, 1.5 * RATE / LENGTH, 0.01)
    close(found.bandwidth, 1.44 * RATE / LENGTH, 0.1)
    close(found.peak, 2000.0, 0.01)
    close(found.relative_bandwidth, 1.44 / 0.886, 0.002)


def test_a_rectangular_tone_is_as_narrow_as_its_length_allows():
    tone = torch.cos(2 * math.pi * 2000 / RATE * torch.arange(LENGTH, dtype=torch.float64))
    close(one(tone).relative_bandwidth, 1.0, 0.002)


def test_an_analytic_filter_has_nothing_at_negative_frequencies():
    angle = 2 * math.pi * 1000 / RATE * (torch.arange(LENGTH, dtype=torch.float64) - LENGTH // 2)
    envelope = gabor(0.0)
    bank = torch.stack([envelope * torch.exp(1j * angle), envelope * torch.exp(-1j * angle)])
    found = respond(FilterBank(bank, RATE))
    close(found.negative_fraction, [0.0, 1.0], 1e-7)
    close(found.peak[:1], 1000.0, 0.01)


def test_scale_and_sign_change_nothing():
    taps = gabor(1234.0)
    found = respond(FilterBank(torch.stack([taps, -1e-3 * taps, 100 * taps]), RATE))
    for name in ("peak", "bandwidth", "erb", "peak_fraction", "flatness", "median"):
        number = getattr(found, name)
        close(number[1:], number[0], 1e-9 * number[0].item())


def test_the_response_agrees_with_a_sum_over_samples():
    """Slow discrete-time Fourier transform, one frequency at a time."""
    bank = untrained_bank(3, length=31)
    found = respond(bank)
    moment = torch.arange(31, dtype=torch.float64)
    for bin in (0, 1, 777, 2048):
        wave = torch.exp(-2j * math.pi * found.frequencies[bin] / RATE * moment)
        slow = (bank.impulse_responses * wave).sum(1).abs() ** 2
        close(found.power[:, bin], slow, 1e-12)


@pytest.mark.parametrize("length", [3, 100, 257, 1024])
def test_the_grid_is_at_least_4096_and_16_lengths(length):
    found = respond(untrained_bank(2, length=length))
    n_fft = 2 * (len(found.frequencies) - 1)
    assert n_fft >= max(4096, 16 * length)
    close(found.frequencies[-1], RATE / 2, 0)


def test_silent_filters_have_no_numbers_and_copies_do_not_count():
    taps = torch.stack([gabor(1000.0), torch.zeros(LENGTH).double(), -2 * gabor(1000.0)])
    found = respond(FilterBank(taps, RATE))
    assert found.silent.tolist() == [False, True, False]
    assert found.duplicate.tolist() == [False, False, True]
    assert torch.isnan(found.peak).tolist() == [False, True, False]
    assert found.selective(0.5).tolist() == [True, False, False]


def test_untrained_filters_are_not_selective():
    """The share of energy within 2 fs / L of the peak: four of 128 bins, the strongest ones."""
    untrained = respond(untrained_bank(500)).peak_fraction
    assert 0.05 < untrained.mean() < 0.08
    assert untrained.quantile(0.99) < 0.12
    close(one(gabor(1000.0)).peak_fraction, 0.97, 0.01)


def test_mel_weights_peak_at_their_centres():
    librosa = pytest.importorskip("librosa")
    weights = torch.from_numpy(librosa.filters.mel(sr=RATE, n_fft=4096, n_mels=40)).double()
    centres = librosa.mel_frequencies(42, fmin=0, fmax=RATE / 2)[1:-1]
    found = respond_to_magnitudes(weights, RATE)
    close(found.peak, torch.from_numpy(centres), found.resolution)
    # A triangle is down to 1 / sqrt 2 at 0.293 of either side; the wide ones have no grid error.
    edges = librosa.mel_frequencies(42, fmin=0, fmax=RATE / 2)
    width = torch.from_numpy((1 - math.sqrt(0.5)) * (edges[2:] - edges[:-2]))
    close(found.bandwidth[20:], width[20:], found.resolution)


@pytest.mark.parametrize("bad", [torch.ones(4), -torch.ones(2, 9), torch.ones(2, 2)])
def test_magnitudes_that_are_none_are_refused(bad):
    with pytest.raises((ShapeError, InvalidValueError), match="magnitudes must"):
        respond_to_magnitudes(bad, RATE)


def test_the_cumulative_response_gives_every_filter_one_vote():
    bank = FilterBank(torch.stack([100 * gabor(1000.0), gabor(3000.0), gabor(0.0) * 0]), RATE)
    found = respond(bank)
    total = cumulative_response(found)
    close(torch.trapezoid(total, found.frequencies), 1.0, 1e-12)
    close(torch.trapezoid(total[:512], found.frequencies[:512]), 0.5, 1e-3)
    only = cumulative_response(found, torch.tensor([0.0, 3.0, 0.0]))
    close(torch.trapezoid(only[:512], found.frequencies[:512]), 0.0, 1e-6)
    with pytest.raises(InvalidValueError, match="one filter must count"):
        cumulative_response(found, torch.tensor([0.0, 0.0, 1.0]))


@pytest.mark.parametrize("phase", [0.0, 0.3, math.pi / 2, 2.0, math.pi])
def test_the_phase_between_two_gabors_is_found(phase):
    bank = FilterBank(torch.stack([gabor(1000.0), 3 * gabor(1000.0, phase=phase)]), RATE)
    pairs = phase_pairs(bank, respond(bank))
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [1])
    close(pairs.phase, phase, 1e-4)
    close(pairs.coherence, 1.0, 1e-4)
    close(pairs.negative_fraction, 0.5 * (1 - abs(math.sin(phase))), 1e-4)
    assert pairs.quadrature().tolist() == [abs(phase - math.pi / 2) < math.pi / 8]


def test_pairs_are_those_within_the_tolerance():
    bank = FilterBank(torch.stack([gabor(f) for f in (3000.0, 1000.0, 1020.0, 1050.0)]), RATE)
    found = respond(bank)
    pairs = phase_pairs(bank, found, tolerance=35.0)
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(1, 2), (2, 3)]
    close(pairs.frequency, [1010.0, 1035.0], 0.01)
    assert len(phase_pairs(bank, found, tolerance=25.0).first) == 1
    assert len(phase_pairs(bank, found, tolerance=55.0).first) == 3
    chosen = torch.tensor([True, True, True, False])
    assert len(phase_pairs(bank, found, tolerance=35.0, among=chosen).first) == 1


def test_later_filters_are_less_coherent():
    """Two bells 2 sigma apart overlap by exp(-1)."""
    late = torch.zeros(LENGTH, dtype=torch.float64)
    late[64:] = gabor(1000.0)[:-64]  # 64 samples are 4 ms, and four periods
    bank = FilterBank(torch.stack([gabor(1000.0), late]), RATE)
    close(phase_pairs(bank, respond(bank)).coherence, math.exp(-1), 0.001)


def test_pairs_of_complex_filters_are_refused():
    bank = FilterBank(torch.ones(2, 8, dtype=torch.complex128), RATE)
    with pytest.raises(InvalidValueError, match="complex"):
        phase_pairs(bank, respond(bank))


def test_a_gabor_too_long_for_its_length_is_widened():
    narrow = gabor_bank(torch.tensor([1000.0]), torch.tensor([1.0]), length=256, sample_rate=RATE)
    close(respond(narrow).bandwidth, math.sqrt(math.log(2)) / (math.pi * 0.0032), 4.0)


def test_three_thousand_filters_take_seconds_not_minutes():
    bank = untrained_bank(3000)
    start = time.process_time()
    respond(bank)
    assert time.process_time() - start < 10.0  # 0.7 s on the machine this was written on
