"""A stretch of sound: shapes, rates, lengths."""

import pytest
import torch

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError


def test_length_is_counted_in_samples_of_one_channel():
    waveform = Waveform(torch.zeros(2, 4000), 8000)
    assert (waveform.n_samples, waveform.duration) == (4000, 0.5)


def test_mono_is_the_mean_of_the_channels_and_leaves_the_original_alone():
    waveform = Waveform(torch.tensor([[1.0, 0.5], [0.0, -0.5]]), 8000)
    assert waveform.mono().samples.tolist() == [[0.5, 0.0]]
    assert waveform.samples.tolist() == [[1.0, 0.5], [0.0, -0.5]]


@pytest.mark.parametrize("shape", [(), (8,), (1, 2, 8)])
def test_samples_without_a_channel_axis_are_refused(shape):
    with pytest.raises(ShapeError, match=r"\(channels, time\), got"):
        Waveform(torch.zeros(shape), 8000)


@pytest.mark.parametrize("rate", [0, -8000])
def test_rate_must_be_positive(rate):
    with pytest.raises(InvalidValueError, match=f"sample_rate must be positive, got {rate} Hz"):
        Waveform(torch.zeros(1, 8), rate)
