"""Filters over time and frequency: modulation against closed forms, classes by hand."""

import math

import pytest
import torch

from auralise.errors import InvalidValueError, NetworkError, ShapeError
from auralise.filters.orientation import (
    CLASSES,
    count_classes,
    first_kernels,
    modulation_transfer,
    orientation_classes,
    sector_shares,
    untrained_kernels,
    wilson,
)
from auralise.frontends import RawFrontend
from auralise.models import MODELS, wrap

RISE = torch.tensor([[-1.0, 0.0, 1.0]] * 3)


def ridge(spectral, temporal, size=16, phase=0.3):
    """A wave over frequency (rows) and time (columns) under a Gaussian."""
    place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    bell = torch.exp(-0.5 * (place / (size / 6)) ** 2)
    angle = 2 * math.pi * (spectral * place[:, None] + temporal * place[None, :]) + phase
    return bell[:, None] * bell * torch.cos(angle)


def test_the_modulation_is_the_sum_over_the_filter():
    """Slow two-dimensional Fourier sum at single points."""
    kernel = torch.randn(5, 7, generator=torch.Generator().manual_seed(1)).double()
    found = modulation_transfer(kernel[None])
    rows, columns = torch.arange(5).double()[:, None], torch.arange(7).double()[None, :]
    for s, t in [(0, 32), (3, 10), (17, 50), (32, 0)]:
        wave = torch.exp(-2j * math.pi * (found.spectral[s] * rows + found.temporal[t] * columns))
        slow = ((kernel - kernel.mean()) * wave).sum().abs() ** 2
        torch.testing.assert_close(found.power[0, s, t], slow, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("spectral", "temporal"), [(0.25, -0.125), (0.125, 0.25), (0.0, 0.25)])
def test_a_ridge_has_its_modulation(spectral, temporal):
    found = modulation_transfer(ridge(spectral, temporal)[None], frames_per_second=100.0)
    s, t = divmod(int(found.power[0].argmax()), 64)
    sign = -1 if spectral == 0 and found.temporal[t] * temporal < 0 else 1
    assert abs(found.spectral[s].item() - spectral) <= 1 / 64
    assert abs(sign * found.temporal[t].item() - 100 * temporal) <= 100 / 64


def test_the_mean_of_a_filter_is_no_modulation():
    found = modulation_transfer(torch.stack([RISE, RISE + 5.0]))
    torch.testing.assert_close(found.power[0], found.power[1], rtol=0, atol=1e-10)


def test_sectors_hold_what_the_whole_plane_does():
    """The half plane stands for both halves of the spectrum of a real filter."""
    kernels = untrained_kernels((4, 3), 20, seeds=(2,))[0]
    kernels = kernels - kernels.mean((1, 2), keepdim=True)
    power = torch.fft.fft2(kernels, s=(64, 64)).abs() ** 2
    axis = torch.fft.fftfreq(64, dtype=torch.float64)
    spectral, temporal = axis[:, None], axis[None, :]
    angle = torch.atan2(spectral.abs(), temporal.abs())
    inside = torch.hypot(spectral, temporal) <= 0.5
    slope = spectral * temporal
    diagonal = (angle - math.pi / 4).abs() <= math.pi / 8
    masks = (angle < math.pi / 8, angle > 3 * math.pi / 8, diagonal & (slope < 0))
    slow = torch.stack([(power * (mask & inside)).sum((1, 2)) for mask in masks], 1)
    slow = slow / (power * inside).sum((1, 2))[:, None]
    found = sector_shares(modulation_transfer(kernels))
    torch.testing.assert_close(found[:, :3], slow, rtol=0, atol=1e-12)
    torch.testing.assert_close(found.sum(1), torch.ones(20).double(), rtol=0, atol=1e-12)


NAMED = {
    "onset": RISE,
    "release": -RISE,
    "transient": torch.tensor([[-1.0, 2.0, -1.0]] * 3),
    "sustained": torch.tensor([[-1.0, 2.0, -1.0]] * 3).T,
    "level": torch.ones(3, 3) + 0.1 * RISE,
    "rising": torch.eye(3),
    "falling": torch.eye(3).flip(0),
}


@pytest.mark.parametrize(("name", "kernel"), NAMED.items())
def test_three_by_three_filters_are_named_by_hand(name, kernel):
    assert orientation_classes(kernel[None]) == [name]
    assert orientation_classes(1e-3 * kernel[None]) == [name]


@pytest.mark.parametrize(
    ("spectral", "temporal", "name"),
    [
        (0.2, -0.2, "rising"),
        (0.2, 0.2, "falling"),
        (0.3, 0.02, "sustained"),
        (0.02, 0.3, "time"),
    ],
)
def test_large_ridges_are_named_by_their_slope(spectral, temporal, name):
    (found,) = orientation_classes(ridge(spectral, temporal)[None])
    assert found == name or (name == "time" and found in {"onset", "release", "transient"})


def test_tall_filters_are_named_and_their_modulations_found():
    """400 bins by 4 frames, as in Kereliuk 2015: more bins than small filters' spectrum has."""
    rise = torch.linspace(-1, 1, 4, dtype=torch.float64).expand(400, 4)
    comb = torch.cos(2 * torch.pi * torch.arange(400.0, dtype=torch.float64) * 3 / 8)[:, None]
    kernels = torch.stack([rise, -rise, comb.expand(400, 4)])
    assert orientation_classes(kernels) == ["onset", "release", "sustained"]
    found = modulation_transfer(kernels)
    spectral, temporal = divmod(int(found.power[2].argmax()), len(found.temporal))
    assert found.spectral[spectral].item() == 3 / 8
    assert found.temporal[temporal].item() == 0
    plain = kernels - kernels.mean((1, 2), keepdim=True)
    twice = torch.full((len(found.spectral), 1), 2.0)
    twice[0] = twice[-1] = 1.0
    energy = (found.power * twice).sum((1, 2)) / (512 * 64)  # Parseval
    assert torch.allclose(energy, (plain**2).sum((1, 2)), rtol=1e-12)


def test_a_sum_of_two_directions_is_mixed():
    both = ridge(0.25, -0.25, phase=0.0) + ridge(0.25, 0.25, phase=0.0)
    both = both + 1.2 * ridge(0.3, 0.0, phase=0.0)
    assert orientation_classes(both[None]) == ["mixed"]


def test_turning_a_filter_over_time_turns_its_direction():
    """Over many random filters: what rises falls, what begins ends, all else stays."""
    (kernels,) = untrained_kernels((5, 5), 300, seeds=(1,))
    swap = {"rising": "falling", "falling": "rising", "onset": "release", "release": "onset"}
    turned = orientation_classes(kernels.flip(2))
    assert turned == [swap.get(name, name) for name in orientation_classes(kernels)]


def test_a_planted_share_of_onsets_is_counted_beside_the_control():
    (noise,) = untrained_kernels((3, 3), 44, seeds=(9,))
    planted = torch.cat([RISE.expand(20, 3, 3).double(), noise, torch.zeros(2, 3, 3).double()])
    counts = {entry.name: entry for entry in count_classes(planted, untrained_kernels((3, 3), 64))}
    assert list(counts) == list(CLASSES)
    assert sum(entry.count for entry in counts.values()) == 64  # without the zeros
    onset = counts["onset"]
    assert onset.count == 20 + orientation_classes(noise).count("onset")
    assert onset.share.low > onset.untrained
    assert abs(sum(entry.untrained for entry in counts.values()) - 1) < 1e-12


def test_wilson_interval_by_hand():
    """For 5 of 10: 0.5 +- 1.96 sqrt(0.025 + 1.96^2 / 400) / (1 + 1.96^2 / 10)."""
    reach = 1.959964 * math.sqrt(0.025 + 1.959964**2 / 400) / (1 + 1.959964**2 / 10)
    found = wilson(5, 10)
    assert abs(found.low - (0.5 - reach)) < 1e-12
    assert abs(found.high - (0.5 + reach)) < 1e-12
    with pytest.raises(InvalidValueError, match="got 3 of 2"):
        wilson(3, 2)


def test_the_sign_of_a_batch_normalisation_turns_onsets_into_releases():
    network = wrap(MODELS["choi2016"].build(2).eval(), MODELS["choi2016"].frontend())
    block = network.module.conv1
    with torch.no_grad():
        block.conv.weight.copy_(RISE.expand(64, 1, 3, 3))
        block.norm.weight[:10] = -1.0
    layer, kernels = first_kernels(network)
    assert layer == "conv1.conv"
    assert orientation_classes(kernels) == ["release"] * 10 + ["onset"] * 54


@pytest.mark.parametrize(
    ("kernels", "error", "message"),
    [
        (torch.ones(3, 3), ShapeError, "shape"),
        (torch.ones(2, 1, 5), ShapeError, "no orientation"),
        (torch.ones(2, 1025, 5), ShapeError, "at most 1024"),
        (torch.zeros(2, 3, 3), InvalidValueError, "2 of 2 filters are zero"),
        (torch.full((2, 3, 3), torch.inf), InvalidValueError, "finite"),
    ],
)
def test_what_has_no_orientation_is_refused(kernels, error, message):
    with pytest.raises(error, match=message):
        orientation_classes(kernels)


def test_counts_need_a_control_of_the_same_size():
    with pytest.raises(InvalidValueError, match="control is needed"):
        count_classes(RISE[None], [])
    with pytest.raises(ShapeError, match="one size"):
        count_classes(RISE[None], untrained_kernels((5, 5), 4))
    with pytest.raises(InvalidValueError, match="every filter is zero"):
        count_classes(torch.zeros(2, 3, 3), untrained_kernels((3, 3), 4))


def test_a_network_on_raw_audio_is_refused():
    network = wrap(MODELS["dieleman2014-raw"].build(2).eval(), RawFrontend(16000))
    with pytest.raises(NetworkError, match="takes channel x time"):
        first_kernels(network)
