"""Units: values from the literature, agreement with librosa, and inverses."""

import math

import librosa
import numpy as np
import pytest
import torch

from auralise import units
from auralise.errors import InvalidValueError, UnknownNameError

HZ = torch.tensor(
    [
        0.0,
        1e-3,
        20,
        100,
        150,
        200,
        440,
        999.999,
        1000,
        1000.001,
        4000,
        6543,
        6544,
        8000,
        22050,
        96000,
    ]
)
HZ = HZ.double()


def htk_mel(hz):
    return units.hz_to_mel(hz, scale="htk")


def htk_mel_to_hz(mel):
    return units.mel_to_hz(mel, scale="htk")


PAIRS = [
    (units.hz_to_mel, units.mel_to_hz, HZ),
    (htk_mel, htk_mel_to_hz, HZ),
    (units.hz_to_bark, units.bark_to_hz, HZ),
    (units.hz_to_erb_rate, units.erb_rate_to_hz, HZ),
    (units.hz_to_octave, units.octave_to_hz, HZ[1:]),
    (units.amplitude_to_db, units.db_to_amplitude, HZ[1:]),
    (units.power_to_db, units.db_to_power, HZ[1:]),
    (
        lambda frames: units.frames_to_seconds(frames, 11_025, 256),
        lambda seconds: units.seconds_to_frames(seconds, 11_025, 256),
        HZ,
    ),
]
NAMES = ["slaney", "htk", "bark", "erb", "octave", "amplitude", "power", "frames"]


@pytest.mark.parametrize(("there", "back", "values"), PAIRS, ids=NAMES)
def test_each_pair_undoes_itself(there, back, values):
    # A relative error of a few roundings, magnified by the steep ends of the scales.
    error = (back(there(values)) - values).abs()
    assert (error <= 1e-11 * values.clamp_min(1.0)).all()


@pytest.mark.parametrize(("there", "back", "values"), PAIRS, ids=NAMES)
def test_the_way_there_rises(there, back, values):
    assert (there(values).diff() > 0).all()


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_is_librosas(scale):
    expected = librosa.hz_to_mel(HZ.numpy(), htk=scale == "htk")
    np.testing.assert_allclose(units.hz_to_mel(HZ, scale).numpy(), expected, rtol=0, atol=1e-10)
    mel = np.linspace(0, 60, 241)
    expected = librosa.mel_to_hz(mel, htk=scale == "htk")
    ours = units.mel_to_hz(torch.from_numpy(mel), scale).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-10)


def test_octaves_are_librosas():
    expected = librosa.hz_to_octs(HZ[1:].numpy())
    np.testing.assert_allclose(units.hz_to_octave(HZ[1:]).numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (units.hz_to_mel(1000.0), 15.0),  # the scale's knee
        (units.hz_to_mel(6400.0), 42.0),  # 27 steps for a factor of 6.4
        (htk_mel(700.0), 2595 * math.log10(2)),
        # Traunmüller 1990: 26.81 f / (1960 + f) - 0.53, corrected below 2 and above 20.1 Bark
        (units.hz_to_bark(1960.0), 26.81 / 2 - 0.53),
        (units.hz_to_bark(math.inf), 1.22 * 26.28 - 0.22 * 20.1),
        (units.hz_to_bark(0.0), -0.53 + 0.15 * 2.53),
        (units.hz_to_bark(100.0), 0.85 * (26.81 * 100 / 2060 - 0.53) + 0.3),
        (units.hz_to_bark(15_000.0), 1.22 * (26.81 * 15_000 / 16_960 - 0.53) - 0.22 * 20.1),
        # Glasberg and Moore 1990: 21.4 log10(4.37 F + 1), F in kHz
        (units.hz_to_erb_rate(9000 / 4.37), 21.4),
        (units.hz_to_octave(27.5), 0.0),
        (units.hz_to_octave(880.0), 5.0),
        (units.amplitude_to_db(10.0), 20.0),
        (units.power_to_db(10.0), 10.0),
        (units.amplitude_to_db(0.0), -math.inf),
        (units.db_to_amplitude(-math.inf), 0.0),
        (units.db_to_power(-math.inf), 0.0),
        (units.frames_to_seconds(43, 11_025, 256), 43 * 256 / 11_025),
        (units.seconds_to_frames(1.0, 8000, 400), 20.0),
    ],
)
def test_anchor_values(value, expected):
    assert isinstance(value, float)
    assert value == pytest.approx(expected, rel=0, abs=1e-12)


def test_bark_is_near_zwickers_table():
    # Zwicker 1961: upper edges of critical bands 1 to 24; the paper claims 0.05 Bark to band 22.
    edges = [100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000, 2320, 2700]
    edges += [3150, 3700, 4400, 5300, 6400, 7700, 9500, 12_000, 15_500]
    bark = units.hz_to_bark(torch.tensor(edges).double())
    assert (bark - torch.arange(1, 25)).abs().max() < 0.2


def test_tensors_keep_their_dtype_and_floats_agree_with_them():
    assert units.hz_to_mel(torch.tensor([440.0])).dtype == torch.float32
    assert units.hz_to_mel(torch.tensor([440])).dtype == torch.float64
    assert units.hz_to_mel(torch.tensor(440.0).double()).item() == units.hz_to_mel(440.0)
    assert units.hz_to_mel(440) == units.hz_to_mel(440.0)


@pytest.mark.parametrize(
    "function", [units.hz_to_mel, htk_mel, units.hz_to_bark, units.hz_to_erb_rate]
)
def test_gradients_are_finite_everywhere(function):
    hz = torch.tensor([1e-3, 500.0, 1000.0, 9000.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: function(f * 1.001), (hz,))
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    function(zero).sum().backward()
    assert zero.grad.isfinite().all()


@pytest.mark.parametrize(
    "function",
    [units.hz_to_mel, htk_mel, units.hz_to_bark, units.hz_to_erb_rate, units.hz_to_octave],
)
@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_negative_frequencies_are_refused(function, bad):
    with pytest.raises(InvalidValueError, match=rf"hz must be .* 0 Hz.*, got {bad:g}"):
        function(bad)
    with pytest.raises(InvalidValueError):
        function(torch.tensor([440.0, bad]))


def test_what_no_frequency_has_is_refused():
    with pytest.raises(InvalidValueError, match="above 0 Hz"):
        units.hz_to_octave(0.0)
    with pytest.raises(InvalidValueError, match=r"below 27\.6396.*got 28"):
        units.bark_to_hz(28.0)
    with pytest.raises(InvalidValueError, match=r"at least -0\.1505 Bark, got -1"):
        units.bark_to_hz(-1.0)
    for function in (units.mel_to_hz, units.erb_rate_to_hz):
        with pytest.raises(InvalidValueError, match="at least 0"):
            function(-0.1)


@pytest.mark.parametrize("function", [units.amplitude_to_db, units.power_to_db])
def test_negative_amounts_have_no_level(function):
    with pytest.raises(InvalidValueError, match=r"must be at least 0, got -0\.5"):
        function(-0.5)


def test_unknown_mel_scale_is_named_with_its_neighbour():
    with pytest.raises(UnknownNameError, match="no mel scale named 'slany'; did you mean 'slaney'"):
        units.hz_to_mel(440.0, scale="slany")
    with pytest.raises(UnknownNameError):
        units.mel_to_hz(440.0, scale="slany")


@pytest.mark.parametrize(
    ("rate", "hop", "message"), [(0, 256, "sample_rate"), (8000, 0, "hop"), (8000, -1, "hop")]
)
def test_a_frame_grid_needs_a_rate_and_a_hop(rate, hop, message):
    for function in (units.frames_to_seconds, units.seconds_to_frames):
        with pytest.raises(InvalidValueError, match=f"{message} must be positive"):
            function(1.0, rate, hop)
