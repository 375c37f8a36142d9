"""The mel bank against librosa, and its two ways back."""

import librosa
import numpy as np
import pytest
import torch

from auralise.errors import InvalidValueError
from auralise.spectral import StftSpec, mel_bank


@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels", "fmin", "fmax"),
    [(22050, 2048, 128, 0.0, None), (16000, 512, 40, 30.0, 7000.0), (11025, 512, 64, 0.0, 5000.0)],
)
def test_weights_agree_with_librosa(rate, n_fft, n_mels, fmin, fmax):
    """librosa keeps float32 weights, so float32 rounding is the tolerance."""
    bank = mel_bank(StftSpec(rate, n_fft, n_fft // 4), n_mels, fmin, fmax)
    theirs = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax)
    np.testing.assert_allclose(bank.weights.numpy(), theirs, rtol=0, atol=1e-8)


def test_inverse_of_a_spectrum_in_the_span_of_the_filters_is_exact():
    """pinv(W) W is the identity on the row space of W, and these rows are not negative."""
    bank = mel_bank(StftSpec(16000, 1024, 256), 40)
    coefficients = torch.linspace(0.5, 1.5, 40, dtype=torch.float64)[:, None]
    magnitude = bank.weights.T @ coefficients
    torch.testing.assert_close(bank.invert(bank.apply(magnitude)), magnitude, rtol=0, atol=1e-9)


def test_inverse_is_never_negative():
    bank = mel_bank(StftSpec(16000, 1024, 256), 40)
    mel = torch.rand(40, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert bank.invert(mel).min() == 0.0


def test_inverse_is_as_good_as_non_negative_least_squares():
    """The published measurement is 0.1 dB apart on music; here on a decaying harmonic spectrum."""
    from scipy.optimize import nnls

    spec = StftSpec(22050, 1024, 256)
    bank = mel_bank(spec, 96)
    k = torch.arange(spec.bins, dtype=torch.float64)
    magnitude = (1 + torch.cos(2 * torch.pi * k / 20)) * torch.exp(-k / 150)
    mel = bank.apply(magnitude[:, None])
    best = nnls(bank.weights.numpy(), mel[:, 0].numpy())[0]
    error_best = np.linalg.norm(best - magnitude.numpy())
    error_ours = float((bank.invert(mel)[:, 0] - magnitude).norm())
    assert 20 * np.log10(error_ours / error_best) < 0.5


def test_spreading_keeps_a_constant_map_where_the_bank_covers_the_bins():
    bank = mel_bank(StftSpec(16000, 512, 128), 40, 500.0, 6000.0)
    spread = bank.spread(torch.full((40, 3), 2.0, dtype=torch.float64))
    covered = bank.weights.sum(0) > 0
    torch.testing.assert_close(
        spread[covered], torch.full_like(spread[covered], 2.0), rtol=0, atol=1e-12
    )
    assert spread[~covered].abs().max() == 0.0


def test_filters_between_the_bins_are_refused():
    with pytest.raises(InvalidValueError, match=r"\d+ of 128 mel filters fall between the bins"):
        mel_bank(StftSpec(22050, 256, 64), 128)


@pytest.mark.parametrize(("fmin", "fmax"), [(-1.0, None), (5000.0, 4000.0), (0.0, 8001.0)])
def test_bands_outside_the_spectrum_are_refused(fmin, fmax):
    with pytest.raises(InvalidValueError, match="0 <= fmin < fmax <= 8000"):
        mel_bank(StftSpec(16000, 512, 128), 40, fmin, fmax)
