"""Another rate: length, level, frequency, and what may not come through."""

import math

import numpy as np
import pytest
import torch

from auralise.audio.resampling import pad_to, resample, resampled_length
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError

RATES = [(44_100, 16_000), (44_100, 11_025), (22_050, 44_100), (48_000, 44_100), (192_000, 4000)]


def tone(hz, rate, seconds=1.0, dtype=torch.float64):
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return Waveform(torch.sin(2 * math.pi * hz * time)[None].to(dtype), rate)


def middle(waveform):
    return waveform.samples[:, waveform.n_samples // 4 : -waveform.n_samples // 4]


@pytest.mark.parametrize(("old", "new"), RATES)
@pytest.mark.parametrize("n_samples", [0, 1, 2, 7, 1000, 1001, 44_100])
def test_length_is_rounded_up(old, new, n_samples):
    result = resample(Waveform(torch.ones(2, n_samples), old), new)
    assert result.samples.shape == (2, math.ceil(n_samples * new / old))
    assert result.n_samples == resampled_length(n_samples, old, new)
    assert result.sample_rate == new


@pytest.mark.parametrize(("old", "new"), RATES)
def test_a_tone_keeps_its_level_frequency_and_place(old, new):
    result = resample(tone(997, old), new)
    # Compared with the tone made at the new rate; any delay would show as a phase error.
    error = (middle(result) - middle(tone(997, new))).abs().max()
    assert error < 1e-5


@pytest.mark.parametrize(("old", "new"), [(44_100, 16_000), (44_100, 11_025), (192_000, 4000)])
def test_a_tone_above_the_new_nyquist_is_100_db_down(old, new):
    result = resample(tone(0.6 * new, old), new)
    assert 20 * math.log10(middle(result).abs().max()) < -100


@pytest.mark.parametrize(("old", "new"), [(16_000, 44_100), (4000, 192_000)])
def test_nothing_is_added_above_the_old_nyquist(old, new):
    result = middle(resample(tone(0.3 * old, old), new))[0].numpy()
    spectrum = np.abs(np.fft.rfft(result * np.blackman(len(result))))
    above = np.fft.rfftfreq(len(result), 1 / new) > 0.55 * old
    assert 20 * np.log10(spectrum[above].max() / spectrum.max()) < -100


def test_the_same_rate_is_the_same_object():
    waveform = tone(440, 8000)
    assert resample(waveform, 8000) is waveform


def test_channels_do_not_mix():
    left, right = tone(440, 44_100).samples, tone(3000, 44_100).samples
    both = resample(Waveform(torch.cat([left, right]), 44_100), 16_000).samples
    assert both[:1].equal(resample(Waveform(left, 44_100), 16_000).samples)
    assert both[1:].equal(resample(Waveform(right, 44_100), 16_000).samples)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_stays_and_the_argument_is_left_alone(dtype):
    waveform = tone(440, 44_100, dtype=dtype)
    before = waveform.samples.clone()
    assert resample(waveform, 16_000).samples.dtype == dtype
    assert waveform.samples.equal(before)


def test_silence_stays_silent_and_an_impulse_stays_in_its_place():
    assert not resample(Waveform(torch.zeros(1, 1000), 44_100), 16_000).samples.any()
    impulse = torch.zeros(1, 1000)
    impulse[0, 500] = 1
    assert resample(Waveform(impulse, 8000), 16_000).samples.argmax() == 1000


def test_samples_that_require_a_gradient_are_taken():
    waveform = Waveform(torch.zeros(1, 100, requires_grad=True), 8000)
    assert resample(waveform, 4000).n_samples == 50


@pytest.mark.parametrize("rate", [0, -1])
def test_rate_must_be_positive(rate):
    with pytest.raises(InvalidValueError, match=f"sample_rate must be positive, got {rate} Hz"):
        resample(tone(440, 8000), rate)


def test_whole_numbers_are_refused_with_a_way_out():
    with pytest.raises(InvalidValueError, match=r"got torch\.int16; convert"):
        resample(Waveform(torch.zeros(1, 8, dtype=torch.int16), 8000), 4000)


def test_padding_adds_zeros_at_the_end_and_cuts_nothing():
    waveform = Waveform(torch.ones(2, 3), 8000)
    assert pad_to(waveform, 5).samples.tolist() == [[1, 1, 1, 0, 0]] * 2
    assert pad_to(waveform, 3) is waveform
    assert pad_to(waveform, 1) is waveform
    assert pad_to(Waveform(torch.zeros(1, 0), 8000), 2).samples.tolist() == [[0, 0]]
