"""Spectrograms: what they refuse, and that analysis loses nothing."""

import pytest
import torch

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.spectral.spectrogram import Spectrogram, analyse
from auralise.spectral.stft import StftSpec, istft, stft

SPEC = StftSpec(sample_rate=8000, n_fft=64, hop=16)


@pytest.fixture
def waveform():
    generator = torch.Generator().manual_seed(1)
    return Waveform(torch.randn(2, 1001, generator=generator, dtype=torch.float64), 8000)


def test_magnitude_and_phase_are_the_transform_in_polar_form(waveform):
    spectrogram = analyse(waveform, SPEC)
    assert spectrogram.n_samples == 1001
    assert spectrogram.magnitude.min() >= 0
    torch.testing.assert_close(spectrogram.complex, stft(waveform, SPEC), rtol=0, atol=1e-12)


def test_analysis_can_be_turned_round(waveform):
    back = istft(analyse(waveform, SPEC).complex, SPEC, 1001)
    torch.testing.assert_close(back.samples, waveform.samples, rtol=0, atol=1e-9)


def test_magnitudes_without_a_phase_have_no_complex_spectrum():
    bare = Spectrogram(torch.ones(1, 33, 5), SPEC, 64)
    with pytest.raises(InvalidValueError, match="no phase; give it one with a phase method"):
        _ = bare.complex


@pytest.mark.parametrize("shape", [(33, 5), (1, 32, 5), (1, 33, 6), (1, 5, 33)])
def test_magnitudes_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match=r"must have shape \(channels, 33, 5\) for 64 samples"):
        Spectrogram(torch.ones(shape), SPEC, 64)


def test_a_phase_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"shape of magnitude, \(1, 33, 5\), got \(2, 33, 5\)"):
        Spectrogram(torch.ones(1, 33, 5), SPEC, 64, torch.ones(2, 33, 5))
