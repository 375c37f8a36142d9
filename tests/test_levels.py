"""How loud: measures by hand, policies by their promises, extremes survive."""

import json
import math

import pytest
import torch

from auralise.audio.levels import CEILING_DB, LEVELS, apply_level, measure, peak_db, rms_db
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, UnknownNameError

CEILING = 10 ** (CEILING_DB / 20)


def sound(*values, dtype=torch.float64):
    return Waveform(torch.tensor([values], dtype=dtype), 8000)


def sine(amplitude, dtype=torch.float64):
    time = torch.arange(8000, dtype=torch.float64) / 8000
    return Waveform((amplitude * torch.sin(2 * math.pi * 100 * time))[None].to(dtype), 8000)


SILENCE = Waveform(torch.zeros(2, 100), 8000)


def test_full_scale_sine_has_3_db_less_rms_than_peak():
    assert peak_db(sine(1.0)) == pytest.approx(0.0, rel=0, abs=1e-12)
    assert rms_db(sine(1.0)) == pytest.approx(10 * math.log10(0.5), rel=0, abs=1e-9)


def test_rms_is_over_all_channels_and_peak_over_both_signs():
    stereo = Waveform(torch.tensor([[3.0, 0.0], [0.0, -4.0]]), 8000)
    assert (measure(stereo).peak, measure(stereo).rms) == (4.0, 2.5)


def test_silence_and_nothing_at_all_have_no_level():
    for quiet in (SILENCE, Waveform(torch.zeros(1, 0), 8000), Waveform(torch.zeros(0, 8), 8000)):
        assert peak_db(quiet) is None
        assert rms_db(quiet) is None


def test_source_rms_gives_the_sources_rms():
    result = apply_level(sine(1e-3), sine(0.25))
    assert result.policy == "source-rms"
    assert result.rms_db == pytest.approx(rms_db(sine(0.25)), rel=0, abs=1e-9)
    assert result.gain_db == pytest.approx(20 * math.log10(250), rel=0, abs=1e-9)


def test_source_rms_stops_at_the_ceiling():
    click = sound(0.01, *[0.0] * 99)  # peak 20 dB over its rms
    result = apply_level(click, sine(0.9))
    assert result.peak_db == pytest.approx(-1.0, rel=0, abs=1e-12)
    assert result.rms_db < rms_db(sine(0.9))


def test_peak_brings_every_sound_to_the_ceiling():
    for amplitude in (1e-6, 0.5, 1.0, 40.0):
        result = apply_level(sine(amplitude), SILENCE, "peak")
        assert result.peak_db == pytest.approx(-1.0, rel=0, abs=1e-12)


def test_none_changes_nothing_that_does_not_clip():
    loud = sound(1.0, -0.5)
    result = apply_level(loud, SILENCE, "none")
    assert result.waveform is loud
    assert (result.gain_db, result.peak_db) == (0.0, 0.0)


def test_none_lowers_what_would_clip():
    result = apply_level(sound(2.0, -0.5), SILENCE, "none")
    assert result.gain_db == pytest.approx(-1 - 20 * math.log10(2), rel=0, abs=1e-12)
    samples = result.waveform.samples[0]
    assert samples.tolist() == pytest.approx([CEILING, -CEILING / 4], rel=0, abs=1e-15)


@pytest.mark.parametrize("policy", LEVELS)
def test_silence_stays_silent_and_says_so_in_json(policy):
    result = apply_level(SILENCE, sine(0.5), policy)
    assert result.waveform is SILENCE
    assert (result.gain_db, result.peak_db, result.rms_db) == (0.0, None, None)
    json.dumps([result.gain_db, result.peak_db, result.rms_db], allow_nan=False)


def test_a_silent_source_gives_no_rms_to_follow():
    assert apply_level(sine(0.3), SILENCE).waveform.samples.equal(sine(0.3).samples)
    assert apply_level(sine(3.0), SILENCE).peak_db == pytest.approx(-1.0, rel=0, abs=1e-12)


@pytest.mark.parametrize("policy", LEVELS)
@pytest.mark.parametrize(
    ("amplitude", "dtype"),
    [
        (1e-30, torch.float32),
        (1e-37, torch.float32),
        (3e38, torch.float32),
        (1e-300, torch.float64),
        (1e308, torch.float64),
    ],
)
@pytest.mark.parametrize("source", [0.5, 1e-300, 1e300])
def test_extreme_levels_stay_finite_and_unclipped(policy, amplitude, dtype, source):
    result = apply_level(sound(amplitude, -amplitude / 2, dtype=dtype), sound(source), policy)
    assert result.waveform.samples.dtype == dtype
    assert result.waveform.samples.isfinite().all()
    assert result.waveform.samples.abs().max() <= 1
    json.dumps([result.gain_db, result.peak_db, result.rms_db], allow_nan=False)


def test_the_smallest_double_can_be_brought_to_full_scale():
    torch.set_flush_denormal(False)
    try:
        # By its bits: written as a number it would be flushed to zero while this file is compiled.
        smallest = Waveform(torch.tensor([[1, 0]]).view(torch.float64), 8000)
        result = apply_level(smallest, SILENCE, "peak")
    finally:
        torch.set_flush_denormal(True)
    assert result.gain_db == pytest.approx(-1 + 1074 * 20 * math.log10(2), rel=0, abs=1e-9)
    samples = result.waveform.samples[0]
    assert samples.tolist() == pytest.approx([CEILING, 0.0], rel=0, abs=1e-15)


@pytest.mark.parametrize("policy", LEVELS)
def test_the_argument_is_left_alone_and_the_answer_is_stable(policy):
    loud = sine(1.7, torch.float32)
    before = loud.samples.clone()
    once = apply_level(loud, sine(0.2), policy)
    again = apply_level(once.waveform, sine(0.2), policy)
    assert loud.samples.equal(before)
    torch.testing.assert_close(again.waveform.samples, once.waveform.samples, rtol=0, atol=1e-7)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_samples_that_are_no_numbers_have_no_level(bad):
    with pytest.raises(InvalidValueError, match="1 of 3 samples are NaN or infinite"):
        apply_level(sound(0.1, bad, 0.2), sine(0.5))
    with pytest.raises(InvalidValueError):
        apply_level(sine(0.5), sound(bad))


def test_unknown_policy_is_refused_even_for_silence():
    with pytest.raises(UnknownNameError, match="no level policy named 'peek'; did you mean 'peak'"):
        apply_level(SILENCE, SILENCE, "peek")
