"""Local binary patterns against a slow re-implementation, and what must not change them."""

import math

import numpy as np
import pytest
import torch

from auralise.errors import InvalidValueError, ShapeError
from auralise.spectral.binary_patterns import (
    PATTERNS,
    binary_patterns,
    grey_levels,
    zone_histograms,
)


def between(image, row, column):
    """Linear interpolation between four places."""
    r, c = math.floor(row + 1e-9), math.floor(column + 1e-9)
    dr, dc = row - r, column - c
    corners = [(r, c, (1 - dr) * (1 - dc)), (r, c + 1, (1 - dr) * dc)]
    corners += [(r + 1, c, dr * (1 - dc)), (r + 1, c + 1, dr * dc)]
    return sum(float(image[i, j]) * share for i, j, share in corners if share > 1e-9)


def signs(image, row, column):
    """Of the neighbours: which are at least as bright, round the circle."""
    found = []
    for number in range(8):
        angle = 2 * math.pi * number / 8
        there = between(image, row - 2 * math.sin(angle), column + 2 * math.cos(angle))
        found.append(there >= image[row, column] - 1e-9)
    return tuple(found)


def test_patterns_are_those_of_a_slow_search():
    """The same pattern where the signs are the same, and 58 where they change more than twice."""
    image = np.random.default_rng(0).integers(0, 256, (14, 13)).astype(np.uint8)
    image[2:9, 3:9] = 200  # some uniform ones
    found = binary_patterns(image)
    assert found.shape == (10, 9)
    seen = {}
    for row in range(10):
        for column in range(9):
            own = signs(image, row + 2, column + 2)
            changes = sum(a != b for a, b in zip(own, own[1:] + own[:1], strict=True))
            assert (found[row, column] == PATTERNS - 1) == (changes > 2)
            if changes <= 2:
                assert seen.setdefault(own, found[row, column]) == found[row, column]
    assert len(set(seen.values())) == len(seen) > 5


def test_zones_are_counted_one_by_one():
    values = torch.zeros(1, 24, 16)
    values[0, 12:] = torch.rand(12, 16, generator=torch.Generator().manual_seed(0))
    found = zone_histograms(values, 2).reshape(2, PATTERNS)
    assert torch.allclose(found.sum(1), torch.ones(2, dtype=torch.float64))
    image = grey_levels(values)[0].numpy()
    upper = np.bincount(binary_patterns(image)[10:].ravel(), minlength=PATTERNS) / (10 * 12)
    assert found[1].tolist() == upper.tolist()
    assert found[0].max() >= 0.8  # 8 of the 10 lower rows see nothing but zeros
    assert found[1].max() < 0.5


def test_neither_level_nor_scale_changes_them():
    values = torch.rand(3, 40, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(zone_histograms(values), zone_histograms(4 * values - 7))


def test_silence_has_patterns_too():
    assert torch.equal(grey_levels(torch.full((1, 8, 8), 3.0)), torch.zeros(1, 8, 8).byte())
    assert zone_histograms(torch.zeros(1, 8, 8), 2).sum() == 2


@pytest.mark.parametrize(
    ("shape", "zones", "error"),
    [
        ((1, 40, 4), 2, ShapeError),
        ((40, 16), 2, ShapeError),
        ((1, 40, 16), 0, InvalidValueError),
        ((1, 40, 16), 37, InvalidValueError),
    ],
)
def test_what_cannot_be_cut_is_refused(shape, zones, error):
    with pytest.raises(error):
        zone_histograms(torch.rand(shape), zones)
