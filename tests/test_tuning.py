"""Tuning: what was planted in a network by hand is what its tuning curves say."""

import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from auralise.audio.stimuli import tone
from auralise.errors import InvalidValueError, NetworkError, UnknownNameError
from auralise.filters.excerpt import plan_excerpt
from auralise.filters.sweeps import STIMULI, frequency_grid, make_sweep, noise_edges
from auralise.filters.tuning import Tuning, tune
from auralise.filters.tuning_curves import tuning_curves
from auralise.frontends import RawFrontend, SpectrogramFrontend
from auralise.models import tiny_network, wrap
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

RATE = 8000
CENTRES = torch.tensor([250.0, 420.0, 1000.0, 2300.0], dtype=torch.float64)
SIGMA = 60.0
LINEAR = Compression("linear")
F64 = torch.float64


class Refusing(nn.Module):
    """Must not be reached."""

    def forward(self, values):
        raise RuntimeError("this ran")


def gabor_network(stride=32, length=512, centres=CENTRES, rate=RATE, behind=None):
    """One Gabor for each centre, with response ``exp(-(f - centre)**2 / (2 SIGMA**2))``."""
    time = (torch.arange(length, dtype=F64) - (length - 1) / 2) / rate
    envelope = torch.exp(-((2 * math.pi * SIGMA * time) ** 2) / 2)
    taps = envelope * torch.cos(2 * math.pi * centres[:, None] * time)
    first = nn.Conv1d(1, len(centres), length, stride, bias=False).double()
    with torch.no_grad():
        first.weight.copy_((taps * 2 / envelope.sum())[:, None])
    parts = OrderedDict(frames=nn.Sequential(first, nn.ReLU()), behind=behind or nn.Identity())
    return wrap(nn.Sequential(parts).eval(), RawFrontend(rate), name="gabors", seconds=1.0)


def bin_network(weights, behind=None):
    """Units that add up single bins: ``weights`` is a list of {bin: weight}. 62.5 Hz a bin."""
    spec = StftSpec(RATE, 128, 32)
    reader = nn.Conv2d(1, len(weights), (spec.bins, 1), bias=False).double()
    with torch.no_grad():
        reader.weight.zero_()
        for channel, row in enumerate(weights):
            for place, weight in row.items():
                reader.weight[channel, 0, place, 0] = weight
    parts = OrderedDict(read=reader, behind=behind or nn.ReLU())
    frontend = SpectrogramFrontend(spec, compression=LINEAR)
    return wrap(nn.Sequential(parts).eval(), frontend, name="bins", seconds=1.0)


def made(curves, octaves=None, silence=0.0, **changed):
    """A measurement made up of curves, (channels, frequencies) or with levels."""
    responses = torch.tensor(curves, dtype=F64)
    responses = responses if responses.ndim == 3 else responses[..., None]
    channels, number, levels = responses.shape
    grid = 100 * 2 ** torch.as_tensor(octaves if octaves is not None else range(number), dtype=F64)
    flat = torch.full((channels,), silence, dtype=F64)
    parts = {"click": flat, "rising": flat, "falling": flat, **changed}
    level = torch.arange(-20.0 * levels, 0, 20, dtype=F64)
    return Tuning(
        "by hand", "layer", "tone", grid, level, responses, flat, *parts.values(),
        "max", 1.0, 1.0, 1, 16000,
    )  # fmt: skip


# Planted tunings


def test_planted_gabors_are_recovered_to_a_step_of_the_grid():
    grid = frequency_grid(RATE, 120, 100.0, 3000.0)
    step = math.log2(grid[1] / grid[0])
    found = tuning_curves(tune(gabor_network(), "frames", frequencies=grid))
    deviation = np.abs(np.log2(found.best_frequency / CENTRES.numpy()))
    assert deviation.max() < step
    half = SIGMA * math.sqrt(2 * math.log(2))  # where a Gaussian is half as high
    width = torch.log2((CENTRES + half) / (CENTRES - half)).numpy()
    # Above 1 kHz the peak is so narrow that the grid does not resolve it.
    assert found.resolved.tolist() == [True, True, True, False]
    assert np.abs(found.width_octaves - width)[:3].max() < step
    np.testing.assert_allclose(found.height, 0.1, rtol=0, atol=0.1 * 0.08)


def test_planted_bins_are_recovered_with_their_closed_form():
    """Hann's main lobe: half as high one bin to either side, a quarter of the window at the top."""
    bins = [8, 20, 40]
    grid = torch.arange(300.0, 3000.0, 6.25, dtype=F64)
    found = tuning_curves(tune(bin_network([{k: 1.0} for k in bins]), "behind", frequencies=grid))
    centres = 62.5 * np.array(bins)
    np.testing.assert_allclose(found.best_frequency, centres, rtol=0, atol=0.5)
    np.testing.assert_allclose(found.low, centres - 62.5, rtol=0, atol=0.5)
    np.testing.assert_allclose(found.high, centres + 62.5, rtol=0, atol=0.5)
    np.testing.assert_allclose(found.height, 0.1 * 128 / 4, rtol=0, atol=1e-3)


def test_answers_at_the_octave_and_the_twelfth_are_what_was_planted():
    network = bin_network([{10: 1.0, 20: 0.5, 30: 0.25}, {50: 1.0}])
    grid = 62.5 * torch.arange(8, 60.1, 0.1, dtype=F64)
    found = tuning_curves(tune(network, "behind", frequencies=grid))
    assert found.octave[0] == pytest.approx(0.5, abs=2e-3)
    assert found.twelfth[0] == pytest.approx(0.25, abs=2e-3)
    assert np.isnan(found.octave[1])
    assert np.isnan(found.twelfth[1])


def test_a_harmonic_tone_finds_the_pitch_that_a_pure_tone_does_not():
    """A unit that needs the harmonics 4, 5 and 6 at once: silent for any tone, tuned in pitch."""

    class Together(nn.Module):
        def forward(self, values):
            return values.amin(1, keepdim=True)

    network = bin_network([{12: 1.0}, {15: 1.0}, {18: 1.0}], behind=Together())
    grid = frequency_grid(RATE, 80, 100.0, 1500.0)
    pure = tune(network, "behind", frequencies=grid)
    pitch = tuning_curves(tune(network, "behind", stimulus="harmonic", frequencies=grid))
    assert pure.responses.max() < 0.1 * pitch.height[0]
    assert pitch.best_frequency[0] == pytest.approx(187.5, rel=0.05)


def test_noise_bands_move_a_unit_where_its_bin_is():
    network = bin_network([{16: 1.0}])
    grid = frequency_grid(RATE, 40, 300.0, 3000.0)
    found = tuning_curves(tune(network, "behind", stimulus="noise", frequencies=grid))
    low, high = noise_edges(1000.0, RATE)
    assert low < found.best_frequency[0] < high


@pytest.mark.parametrize(
    ("behind", "exponent"),
    [(nn.ReLU(), 1.0), (nn.Hardtanh(0.0, 1e-6), 0.0), (None, 1.0)],
)
def test_the_level_exponent_tells_a_linear_unit_from_a_saturated_one(behind, exponent):
    network = bin_network([{16: 1.0}], behind=behind)
    grid = [900.0, 1000.0, 1100.0]
    tuning = tune(network, "behind", frequencies=grid, levels_db=(-40.0, -20.0, -6.0))
    found = tuning_curves(tuning)
    assert found.level_exponent[0] == pytest.approx(exponent, abs=1e-9)
    assert found.level_db == -6.0


def test_units_for_rising_and_for_falling_chirps_are_told_apart():
    """Diagonals of 31 Hz in 8 ms; the chirp through the grid passes this slope at about 1 kHz."""
    rising = torch.eye(9, dtype=F64) - 1 / 9  # rows are frequencies: up and to the right
    layer = nn.Conv2d(1, 2, 9, padding=4, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.stack([rising, rising.flip(1)])[:, None])
    frontend = SpectrogramFrontend(StftSpec(RATE, 256, 64), compression=LINEAR)
    parts = OrderedDict(first=nn.Sequential(layer, nn.ReLU()))
    network = wrap(nn.Sequential(parts).eval(), frontend, seconds=1.0)
    grid = frequency_grid(RATE, 10, 100.0, 3800.0)
    direction = tuning_curves(tune(network, "first", frequencies=grid)).direction
    assert direction[0] > 0.3
    assert direction[1] < -0.3
    assert direction.sum() == pytest.approx(0.0, abs=0.05)


def test_an_onset_unit_answers_to_clicks_and_to_no_lasting_tone():
    """Else the beginning of the stimulus, not its frequency, would be what is measured."""
    tuning = tune(tiny_network(), "conv1", frequencies=frequency_grid(RATE, 12, 200.0, 3000.0))
    onset, sustain = tuning.responses[:2].amax((1, 2)) - tuning.silence[:2]
    assert onset < 0.02 * sustain
    assert tuning.click[0] > 5 * onset


def test_dead_units_are_marked_and_others_are_not():
    """Zero weights are dead, a bias alone too; a unit that is only ever lowered is not."""
    network = bin_network([{16: 1.0}, {}, {16: -1.0}], behind=nn.Identity())
    with torch.no_grad():
        network.module.read.bias = nn.Parameter(torch.tensor([0.0, 3.0, 3.0], dtype=F64))
    found = tuning_curves(tune(network, "behind", frequencies=[900.0, 1000.0, 1100.0]))
    assert found.dead.tolist() == [False, True, False]
    assert np.isnan(found.best_frequency).tolist() == [False, True, True]
    assert found.sharpest() == [0, 2]


# How it is measured


def naive(network, layer, grid, reduction):
    """One sound at a time through the whole network, positions picked by index."""
    excerpt = plan_excerpt(network, layer, 2 / float(grid[0]))
    kept = {}
    part = dict(network.module.named_modules())[layer]
    handle = part.register_forward_hook(lambda _m, _i, output: kept.update(output=output))
    rows = []
    for hertz in grid.tolist():
        sound = tone(hertz, excerpt.seconds, RATE, dtype=F64)
        with torch.no_grad():
            network.module(network.card.frontend.analyse(sound).values[None])
        inside = kept["output"][0][..., excerpt.first : excerpt.first + excerpt.count]
        rows.append(getattr(inside.flatten(1), "amax" if reduction == "max" else "mean")(1))
    handle.remove()
    return torch.stack(rows, 1)


@pytest.mark.parametrize("reduction", ["max", "mean"])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_of_any_size_agree_with_a_loop_over_single_sounds(batch_size, reduction):
    network = bin_network([{10: 1.0, 20: -0.5}, {30: 1.0}])
    grid = frequency_grid(RATE, 20, 200.0, 3000.0)
    found = tune(
        network, "behind", frequencies=grid, reduction=reduction, batch_size=batch_size
    ).responses[..., 0]
    expected = naive(network, "behind", grid, reduction)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_positions_that_see_padding_or_an_edge_of_the_sound_are_left_out():
    """The same 3x3 stack on a sound of 4 s, looked at in its middle, gives the same answer."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(),
    ]  # fmt: skip
    frontend = SpectrogramFrontend(StftSpec(RATE, 256, 64), compression=LINEAR)
    network = wrap(nn.Sequential(*layers).double().eval(), frontend, seconds=4.0)
    hertz = RATE / 64 * 8  # in every frame at the same phase, so all frames are equal
    found = tune(network, "4", frequencies=[hertz / 2, hertz, hertz * 2]).responses[:, 1, 0]
    values = frontend.analyse(tone(hertz, 4.0, RATE, dtype=F64)).values
    with torch.no_grad():
        output = network.module(values[None])[0]
    middle = output[..., output.shape[-1] // 2].amax(1)
    torch.testing.assert_close(found, middle, rtol=0, atol=1e-9)
    assert (output.amax((1, 2)) - middle).max() > 1e-3  # the edges do answer otherwise


def test_one_phase_is_all_that_a_stride_sees_of_some_tones_so_eight_are_played():
    """250 Hz at stride 32 and 8 kHz: each position sees the tone at the same phase."""
    centres = torch.tensor([250.0], dtype=F64)
    grid = [200.0, 250.0, 300.0]
    network = gabor_network(centres=centres)
    excerpt = plan_excerpt(network, "frames")
    assert 250.0 * excerpt.step % RATE == 0
    shift = 0.25 - (511 / 2 * 250 / RATE) % 1  # a sine through zero in the Gabor's middle
    blind = tone(250.0, excerpt.seconds, RATE, phase=shift + 0.25, dtype=F64).samples
    with torch.no_grad():
        assert network.module.frames(blind[None]).max() < 1e-3
    height = tune(network, "frames", frequencies=grid).responses[0, 1, 0]
    assert height == pytest.approx(0.1, rel=1 - math.cos(math.pi / 8))


def test_a_click_is_heard_wherever_in_the_field_a_filter_listens():
    """64 filters of 8 taps each, side by side in a field of 512 at stride 64."""
    first = nn.Conv1d(1, 64, 512, 64, bias=False).double()
    with torch.no_grad():
        first.weight.copy_(torch.eye(64, dtype=F64).repeat_interleave(8, 1)[:, None])
    network = wrap(nn.Sequential(first).eval(), RawFrontend(RATE), seconds=1.0)
    tuning = tune(network, "0", frequencies=[2000.0, 2500.0, 3000.0], variants=1)
    torch.testing.assert_close(tuning.click, torch.full((64,), 0.1, dtype=F64), rtol=0, atol=1e-12)


def test_variants_of_a_stimulus_differ():
    for name in STIMULI:
        sweep = make_sweep(name, RATE, [500.0, 700.0, 900.0], (-20.0,), 2)
        first, second = list(sweep.sounds(0.1))[:2]
        assert not torch.equal(first.samples, second.samples), name


def test_nothing_behind_the_layer_runs():
    network = gabor_network(behind=Refusing())
    assert tune(network, "frames", frequencies=[200.0, 400.0, 800.0]).responses.shape == (4, 3, 1)


def test_a_stimulus_is_little_longer_than_what_the_layer_sees():
    excerpt = plan_excerpt(gabor_network(), "frames")
    assert excerpt.n_samples == 512 + 32
    assert excerpt.count == 2


def test_a_layer_behind_a_flattening_hears_the_length_the_network_was_made_for():
    parts = [nn.Flatten(), nn.Linear(RATE, 3), nn.ReLU()]
    network = wrap(nn.Sequential(*parts).eval(), RawFrontend(RATE), seconds=1.0)
    tuning = tune(network, "2", frequencies=[200.0, 400.0, 800.0], variants=1)
    assert tuning.seconds == 1.0
    assert tuning.responses.shape == (3, 3, 1)


def test_the_network_is_left_as_it_was_found():
    network = gabor_network()
    before = {name: value.clone() for name, value in network.module.state_dict().items()}
    tune(network, "frames", frequencies=[200.0, 400.0, 800.0])
    hooks = [part for part in network.module.modules() if part._forward_hooks]
    assert hooks == []
    assert all(torch.equal(before[n], v) for n, v in network.module.state_dict().items())
    assert all(weight.grad is None for weight in network.module.parameters())


def test_progress_counts_every_stimulus():
    seen = []
    tune(
        bin_network([{8: 1.0}]),
        "behind",
        frequencies=[400.0, 500.0, 600.0],
        levels_db=(-40.0, -20.0),
        progress=lambda stage, done, total: seen.append((done, total)),
    )
    assert seen == [(i, 6) for i in range(1, 7)]


# From responses to numbers


def test_the_best_frequency_is_the_vertex_of_a_parabola_on_the_log_axis():
    octaves = np.array([0.0, 0.7, 1.0, 1.4, 2.0])  # uneven on purpose
    curve = 5 - (octaves - 1.1) ** 2
    found = tuning_curves(made([curve.tolist()], octaves))
    assert found.best_frequency[0] == pytest.approx(100 * 2**1.1, rel=1e-12)


def test_the_width_is_between_the_half_heights_of_a_triangle():
    found = tuning_curves(made([[0.0, 1.0, 2.0, 1.0, 0.0]]))
    assert (found.low[0], found.high[0]) == pytest.approx((200.0, 800.0), rel=1e-12)
    assert found.width_octaves[0] == pytest.approx(2.0, abs=1e-12)
    assert found.selectivity[0] == pytest.approx(1 - (4 / 4) / 2, abs=1e-12)


def test_silence_is_what_rises_are_measured_from():
    """A large offset must not widen the curve."""
    found = tuning_curves(made([[7.0, 8.0, 9.0, 8.0, 7.0]], silence=7.0))
    assert found.height[0] == 2.0
    assert found.width_octaves[0] == pytest.approx(2.0, abs=1e-12)


def test_a_curve_that_stays_high_at_one_end_has_no_width():
    found = tuning_curves(made([[0.0, 1.0, 2.0, 1.5, 1.5], [2.0, 1.0, 0.0, 0.0, 0.0]]))
    assert np.isnan(found.width_octaves).all()
    assert (found.low[0], found.high[1]) == pytest.approx((200.0, 200.0), rel=1e-12)
    assert found.best_frequency[1] == pytest.approx(100.0, rel=1e-12)


def test_a_flat_top_has_its_best_frequency_in_the_middle():
    found = tuning_curves(made([[0.0, 1.0, 1.0, 1.0, 0.0]]))
    assert found.best_frequency[0] == pytest.approx(400.0, abs=1e-9)


def test_a_flat_curve_has_no_best_frequency():
    found = tuning_curves(made([[1.0] * 5]))
    assert np.isnan(found.best_frequency[0])
    assert found.selectivity[0] == 0.0
    assert not found.dead[0]


def test_a_peak_of_one_point_is_marked_as_not_resolved_and_ranked_after_those_that_are():
    curves = [[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.6, 1.0, 0.6, 0.0]]
    found = tuning_curves(made(curves))
    assert found.resolved.tolist() == [False, True]
    assert found.sharpest() == [1, 0]


def test_direction_and_click_are_relative_to_silence():
    three, two, one = (torch.tensor([value], dtype=F64) for value in (3.0, 2.0, 1.0))
    found = tuning_curves(
        made([[1.0, 5.0, 1.0]], silence=1.0, click=three, rising=two, falling=one)
    )
    assert found.click[0] == pytest.approx(0.5)
    assert found.direction[0] == 1.0


def test_the_level_that_was_asked_for_is_taken():
    tuning = made([[[0.0, 0.0], [1.0, 0.0], [0.0, 4.0]]])
    assert tuning_curves(tuning, -40.0).height[0] == 1.0
    assert tuning_curves(tuning).height[0] == 4.0
    with pytest.raises(InvalidValueError, match="choose from -40, -20"):
        tuning_curves(tuning, -30.0)


# What is refused


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"stimulus": "tones"}, UnknownNameError, "did you mean 'tone'"),
        ({"frequencies": [400.0, 200.0, 100.0]}, InvalidValueError, "3 rising numbers"),
        ({"frequencies": [400.0, 500.0]}, InvalidValueError, "at least 3"),
        ({"frequencies": [0.0, 10.0, 20.0]}, InvalidValueError, "above 0"),
        ({"frequencies": [10.0, 20.0, 4000.0]}, InvalidValueError, "half the sample rate, 4000"),
        ({"levels_db": ()}, InvalidValueError, "levels_db"),
        ({"levels_db": (-20.0, -40.0)}, InvalidValueError, "rising"),
        ({"levels_db": (float("nan"),)}, InvalidValueError, "finite"),
        ({"reduction": "median"}, InvalidValueError, "max or mean, got 'median'"),
        ({"variants": 0}, InvalidValueError, "variants must be at least 1"),
        ({"batch_size": 0}, InvalidValueError, "batch_size must be at least 1"),
    ],
)
def test_what_cannot_be_played_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        tune(gabor_network(), "frames", **options)


def test_an_unknown_layer_is_answered_with_the_close_names():
    with pytest.raises(UnknownNameError, match="did you mean 'frames'"):
        tune(gabor_network(), "frame")


def test_a_network_that_puts_out_nan_is_refused():
    network = gabor_network()
    with torch.no_grad():
        network.module.frames[0].weight[0] = float("nan")
    with pytest.raises(NetworkError, match="not finite"):
        tune(network, "frames", frequencies=[200.0, 400.0, 800.0])


@pytest.mark.parametrize("name", STIMULI)
def test_every_stimulus_has_its_level_at_every_frequency(name):
    sweep = make_sweep(name, RATE, frequency_grid(RATE, 7), (-26.0,), 2)
    for sound in sweep.sounds(sweep.least_seconds):
        rms = sound.samples.square().mean().sqrt().item()
        assert 20 * math.log10(rms * math.sqrt(2)) == pytest.approx(-26.0, abs=0.7)


def test_a_grid_with_too_few_or_aliased_frequencies_is_refused():
    with pytest.raises(InvalidValueError, match="at least 3 frequencies, got 2"):
        frequency_grid(RATE, 2)
    with pytest.raises(InvalidValueError, match="below 4000 Hz, got 100 to 4000 Hz"):
        frequency_grid(RATE, 10, 100.0, 4000.0)
