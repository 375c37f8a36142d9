"""Compression: zero stays zero, and every kind can be undone."""

import pytest
import torch

from auralise.errors import InvalidValueError
from auralise.spectral import Compression

ALL = [
    Compression(),
    Compression("power", 0.5),
    Compression("log", 10.0),
    Compression("db", 1e-3),
]


@pytest.mark.parametrize("compression", ALL, ids=lambda c: c.kind)
def test_expanding_undoes_compressing(compression):
    magnitude = torch.logspace(-2.9, 3, 50, dtype=torch.float64)
    again = compression.expand(compression.compress(magnitude))
    torch.testing.assert_close(again, magnitude, rtol=1e-12, atol=0)


@pytest.mark.parametrize("compression", ALL, ids=lambda c: c.kind)
def test_silence_is_zero_both_ways(compression):
    zero = torch.zeros(3, dtype=torch.float64)
    assert compression.compress(zero).abs().max() == 0.0
    assert compression.expand(zero).abs().max() == 0.0


def test_values_by_hand():
    three = torch.tensor(3.0, dtype=torch.float64)
    assert Compression("power", 2.0).compress(three) == 9.0
    assert Compression("log", 2.0).compress(three).item() == pytest.approx(1.945910149055313)
    assert Compression("db", 0.3).compress(three).item() == pytest.approx(20.0)


def test_decibels_say_what_they_lose_and_lose_it():
    compression = Compression("db", 0.1)
    assert compression.loses == "magnitudes below 0.1"
    assert compression.expand(compression.compress(torch.tensor(0.05))) == 0.0
    assert Compression("log", 3.0).loses == ""


@pytest.mark.parametrize(
    ("kind", "amount", "message"),
    [
        ("cubic", 1.0, "one of linear, power, log, db"),
        ("log", 0.0, "must be positive"),
        ("log", float("nan"), "must be positive"),
        ("linear", 2.0, "takes no amount"),
    ],
)
def test_bad_settings_are_refused(kind, amount, message):
    with pytest.raises(InvalidValueError, match=message):
        Compression(kind, amount)
