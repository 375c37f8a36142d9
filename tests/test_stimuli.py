"""Stimuli: what they contain, where and how loud, is what was asked for."""

import math

import pytest
import torch

from auralise.audio.stimuli import chirp, clicks, harmonic_tone, noise_band, silence, tone
from auralise.errors import InvalidValueError

RATE = 8000
F64 = torch.float64


def spectrum(waveform):
    """Amplitudes of the sines in a signal that holds whole periods: (bins,), bin width 1 / T."""
    samples = waveform.samples[0].double()
    return torch.fft.rfft(samples).abs() / (len(samples) / 2)


def level_of(samples):
    return 20 * math.log10(float(samples.double().square().mean().sqrt()) * math.sqrt(2))


def test_a_tone_has_its_amplitude_at_its_frequency_and_nothing_elsewhere():
    amplitudes = spectrum(tone(440.0, 1.0, RATE, level_db=-20.0, dtype=F64))
    assert amplitudes[440].item() == pytest.approx(0.1, abs=1e-12)
    amplitudes[440] = 0
    assert amplitudes.max() < 1e-11


def test_a_tone_begins_at_its_phase():
    """A quarter of a period on, a sine is at its top."""
    samples = tone(1000.0, 0.1, RATE, level_db=0.0, phase=0.25, dtype=F64).samples
    assert samples[0, 0].item() == pytest.approx(1.0, abs=1e-12)
    assert samples[0, 2].item() == pytest.approx(0.0, abs=1e-12)


def test_harmonics_fall_by_the_slope_and_have_the_level_together():
    waveform = harmonic_tone(
        100.0, 1.0, RATE, harmonics=4, slope_db=-6.0, level_db=-20.0, dtype=F64
    )
    amplitudes = spectrum(waveform)
    levels = 20 * torch.log10(amplitudes[[100, 200, 400]])
    torch.testing.assert_close(levels.diff(), torch.full((2,), -6.0, dtype=F64), rtol=0, atol=1e-9)
    assert set(amplitudes.gt(1e-9).nonzero().flatten().tolist()) == {100, 200, 300, 400}
    assert level_of(waveform.samples) == pytest.approx(-20.0, abs=1e-9)


def test_harmonics_from_half_the_rate_on_are_left_out_and_the_level_stays():
    """Else they would come back as other frequencies."""
    waveform = harmonic_tone(1500.0, 1.0, RATE, harmonics=10, dtype=F64)
    assert spectrum(waveform).gt(1e-9).nonzero().flatten().tolist() == [1500, 3000]
    assert level_of(waveform.samples) == pytest.approx(-20.0, abs=1e-9)


def test_a_harmonic_tones_phase_is_a_shift_in_time():
    later = harmonic_tone(100.0, 0.1, RATE, phase=0.25, dtype=F64).samples[0]
    whole = harmonic_tone(100.0, 0.2, RATE, dtype=F64).samples[0]
    torch.testing.assert_close(later, whole[20:820], rtol=0, atol=1e-12)


def test_a_noise_band_has_its_level_and_nothing_outside():
    waveform = noise_band(500.0, 1000.0, 1.0, RATE, level_db=-12.0, dtype=F64)
    amplitudes = spectrum(waveform)
    assert level_of(waveform.samples) == pytest.approx(-12.0, abs=1e-9)
    assert amplitudes[:500].max() < 1e-12
    assert amplitudes[1000:].max() < 1e-12
    assert amplitudes[500:1000].min() > 0


def test_noise_is_flat_within_its_band():
    """Mean power of both halves, 1500 bins each: exponential, so the ratio strays by 5 %."""
    power = spectrum(noise_band(500.0, 3500.0, 1.0, RATE, seed=3, dtype=F64)).square()
    assert (power[500:2000].mean() / power[2000:3500].mean()).item() == pytest.approx(1, abs=0.2)


def test_the_same_seed_gives_the_same_noise_and_another_another():
    first, again, other = (noise_band(100, 200, 0.5, RATE, seed=s).samples for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_noise_leaves_the_state_of_random_numbers_alone():
    before = torch.get_rng_state()
    noise_band(100, 200, 0.5, RATE)
    assert torch.equal(before, torch.get_rng_state())


def test_clicks_are_single_samples_where_they_were_wanted():
    samples = clicks([0.0, 0.25], 0.5, RATE, level_db=-6.0, dtype=F64).samples[0]
    assert samples.nonzero().flatten().tolist() == [0, 2000]
    assert samples.max().item() == pytest.approx(10 ** (-6 / 20), abs=1e-15)


@pytest.mark.parametrize(("start", "stop"), [(200.0, 3200.0), (3200.0, 200.0)])
@pytest.mark.parametrize("scale", ["linear", "logarithmic"])
def test_a_chirp_is_at_the_frequency_of_its_formula_at_every_time(start, stop, scale):
    """Oracle: the phase of the analytic signal, differenced; away from the ends, where it leaks."""
    samples = chirp(start, stop, 1.0, RATE, scale=scale, level_db=0.0, dtype=F64).samples[0]
    values = torch.fft.fft(samples)
    values[RATE // 2 :] = 0
    analytic = torch.fft.ifft(2 * values)
    measured = (analytic[1:] / analytic[:-1]).angle() * RATE / (2 * math.pi)
    time = (torch.arange(RATE - 1, dtype=F64) + 0.5) / RATE
    straight = start + (stop - start) * time
    wanted = straight if scale == "linear" else start * (stop / start) ** time
    deviation = (measured / wanted - 1).abs()[RATE // 4 : -RATE // 4]
    assert deviation.median() < 2e-3
    assert deviation.max() < 0.03
    assert level_of(samples) == pytest.approx(0.0, abs=0.02)


def test_a_chirp_between_equal_frequencies_is_a_tone():
    expected = tone(440.0, 0.1, RATE, dtype=F64).samples
    for scale in ("linear", "logarithmic"):
        glide = chirp(440.0, 440.0, 0.1, RATE, scale=scale, dtype=F64).samples
        torch.testing.assert_close(glide, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda ramp: tone(1000.0, 0.5, RATE, phase=0.25, ramp=ramp, dtype=F64),
        lambda ramp: harmonic_tone(250.0, 0.5, RATE, phase=0.1, ramp=ramp, dtype=F64),
        lambda ramp: noise_band(100.0, 3000.0, 0.5, RATE, ramp=ramp, dtype=F64),
        lambda ramp: chirp(100.0, 3000.0, 0.5, RATE, ramp=ramp, dtype=F64),
    ],
)
def test_ramps_rise_and_fall_as_half_a_raised_cosine_and_leave_the_middle_alone(make):
    plain, ramped = make(0.0).samples[0], make(0.01).samples[0]
    length = 80
    rise = (1 - torch.cos(math.pi * torch.arange(length, dtype=F64) / length)) / 2
    torch.testing.assert_close(ramped[:length], plain[:length] * rise, rtol=0, atol=1e-12)
    torch.testing.assert_close(ramped[-length:], plain[-length:] * rise.flip(0), rtol=0, atol=1e-12)
    torch.testing.assert_close(ramped[length:-length], plain[length:-length], rtol=0, atol=0)


def test_silence_is_zeros_of_the_wanted_length():
    assert torch.equal(silence(0.25, RATE).samples, torch.zeros(1, 2000))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_have_the_wanted_type(dtype):
    made = (
        silence(0.1, RATE, dtype=dtype),
        tone(440.0, 0.1, RATE, dtype=dtype),
        noise_band(100, 200, 0.1, RATE, dtype=dtype),
        clicks([0.05], 0.1, RATE, dtype=dtype),
        chirp(100, 200, 0.1, RATE, dtype=dtype),
    )
    assert {waveform.samples.dtype for waveform in made} == {dtype}


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: tone(4000.0, 0.1, RATE), "below half the sample rate, 4000 Hz, got 4000 Hz"),
        (lambda: tone(0.0, 0.1, RATE), "above 0"),
        (lambda: tone(float("nan"), 0.1, RATE), "got nan"),
        (lambda: harmonic_tone(100.0, 0.1, RATE, harmonics=0), "harmonics must be at least 1"),
        (lambda: tone(100.0, 0.1, RATE, ramp=0.051), "half the length, 0.05 s, got 0.051 s"),
        (lambda: tone(100.0, 0.1, RATE, ramp=-0.01), "ramp must be from 0"),
        (lambda: tone(100.0, 0.0, RATE), "at least one sample"),
        (lambda: silence(float("inf"), RATE), "at least one sample"),
        (lambda: silence(1.0, 0), "sample_rate must be positive"),
        (lambda: noise_band(200.0, 100.0, 0.1, RATE), "low < high"),
        (lambda: noise_band(100.0, 4001.0, 0.1, RATE), "4000 Hz, got 100 to 4001 Hz"),
        (lambda: noise_band(101.0, 102.0, 0.1, RATE), "make it at least 1 s long"),
        (lambda: clicks([0.1], 0.1, RATE), "outside the signal"),
        (lambda: clicks([-0.1], 0.1, RATE), "outside the signal"),
        (lambda: chirp(100.0, 5000.0, 0.1, RATE), "stop must be"),
        (lambda: chirp(100.0, 500.0, 0.1, RATE, scale="mel"), "'mel'"),
    ],
)
def test_what_cannot_be_made_is_refused_by_name(make, match):
    with pytest.raises(InvalidValueError, match=match):
        make()
