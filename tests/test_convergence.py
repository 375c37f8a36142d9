"""Spectral convergence: by hand, and at the edges where a ratio has no value."""

import math

import pytest
import torch

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.spectral.convergence import (
    convergence_of,
    spectral_convergence,
    spectral_convergence_db,
)
from auralise.spectral.spectrogram import analyse
from auralise.spectral.stft import StftSpec

SPEC = StftSpec(sample_rate=8000, n_fft=64, hop=16)


def test_ratio_and_decibels_match_the_answer_by_hand():
    target, estimate = torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 3.5]])
    assert spectral_convergence(target, estimate) == pytest.approx(0.1, rel=0, abs=1e-15)
    assert spectral_convergence_db(target, estimate) == pytest.approx(-20.0, rel=0, abs=1e-12)


def test_silence_in_place_of_a_sound_is_0_db():
    assert spectral_convergence_db(torch.ones(3), torch.zeros(3)) == 0.0


def test_silence_gives_no_nan():
    silence = torch.zeros(1, 2, 3)
    assert spectral_convergence(silence, silence) == 0.0
    assert spectral_convergence_db(silence, silence) == -math.inf
    assert spectral_convergence_db(silence, silence + 1) == math.inf


def test_a_sound_meets_its_own_magnitudes_and_half_of_it_misses_by_6_db():
    generator = torch.Generator().manual_seed(2)
    sound = Waveform(torch.randn(2, 500, generator=generator, dtype=torch.float64), 8000)
    target = analyse(sound, SPEC)
    assert convergence_of(sound, target) < -250
    half = Waveform(sound.samples / 2, 8000)
    assert convergence_of(half, target) == pytest.approx(-20 * math.log10(2), rel=0, abs=1e-9)


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(InvalidValueError, match="needs finite magnitudes"):
        spectral_convergence(torch.ones(2), torch.tensor([1.0, math.nan]))


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"same shape, got \(2,\) and \(1, 2\)"):
        spectral_convergence(torch.ones(2), torch.ones(1, 2))
    target = analyse(Waveform(torch.ones(1, 100), 8000), SPEC)
    with pytest.raises(ShapeError, match=r"\(channels, time\) = \(1, 100\), got \(1, 99\)"):
        convergence_of(Waveform(torch.ones(1, 99), 8000), target)
