"""Perturbations on sounds whose answers are known."""

import itertools
import math

import pytest
import torch

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.perturbations import (
    PERTURBATIONS,
    BandMute,
    Gain,
    NoiseFloor,
    PitchShift,
    RegionMute,
    Silence,
    Tempo,
    TimeMask,
    WithoutPart,
    bands,
)

RATE = 16_000


def tone(hertz, seconds=1.0, rate=RATE):
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    return torch.sin(2 * torch.pi * hertz * time)


def sound(*tones):
    return Waveform(sum(tones)[None].float(), RATE)


def db(samples):
    return 10 * math.log10(float(samples.double().square().mean()) + 1e-30)


def strongest(waveform):
    spectrum = torch.fft.rfft(waveform.samples[0].double()).abs()
    return int(spectrum.argmax()) * waveform.sample_rate / waveform.n_samples


def clicks():
    samples = torch.zeros(RATE, dtype=torch.float64)
    samples[1000::4000] = 1.0
    return samples


def test_a_muted_band_takes_its_tone_and_leaves_the_other():
    both = sound(tone(500), tone(3000))
    kept = BandMute(2000, 4000)(both).samples
    inner = slice(4000, -4000)  # the reflected ends of a tone are no tone
    assert db(kept[0].double()[inner] - tone(500)[inner]) < -60


def test_a_band_and_its_complement_add_up_to_the_sound():
    """Without flanks the two gains are 0 and 1 in turns, but for the bins on the border."""
    noise = Waveform(torch.randn(1, 8000, generator=torch.Generator().manual_seed(0)), RATE)
    below = BandMute(1000, 8000, edge=0)(noise).samples
    above = BandMute(0, 999.999, edge=0)(noise).samples
    assert (below + above - noise.samples).abs().max() < 1e-5


def test_a_time_mask_is_silent_inside_and_unchanged_outside():
    source = sound(tone(500))
    kept = TimeMask(0.25, 0.5, fade=0.01)(source).samples[0]
    assert not kept[4000:8001].any()
    assert torch.equal(kept[: 4000 - 160], source.samples[0, : 4000 - 160])
    assert torch.equal(kept[8000 + 161 :], source.samples[0, 8000 + 161 :])
    steps = (kept[1:] - kept[:-1]).abs().max()
    assert steps <= (source.samples[0, 1:] - source.samples[0, :-1]).abs().max() * 1.05


def test_a_muted_region_takes_one_tone_for_a_while():
    source = sound(tone(500), tone(3000))
    kept = RegionMute(0.3, 0.7, 2500, 3500)(source).samples[0].double()
    assert db(kept[6400:9600] - tone(500)[6400:9600]) < -60
    assert db(kept[:3000] - source.samples[0, :3000].double()) < -60


def test_harmonic_and_percussive_removal_part_a_tone_from_clicks():
    source = sound(tone(440) * 0.5, clicks())
    no_tone = WithoutPart("harmonic")(source).samples[0].double()
    no_clicks = WithoutPart("percussive")(source).samples[0].double()
    inner = slice(1500, -1500)
    assert db(no_clicks[inner] - 0.5 * tone(440)[inner]) < db(0.5 * tone(440)[inner]) - 20
    between = slice(2400, 3600)  # no click here: all that is left is what is left of the tone
    assert db(no_tone[between]) < db(0.5 * tone(440)[between]) - 20
    assert no_tone[5000] > 0.5
    assert (no_tone + no_clicks - source.samples[0].double()).abs().max() < 1e-5


@pytest.mark.parametrize("semitones", [-12, -1, 3, 12])
def test_a_shift_moves_a_tone_by_its_interval(semitones):
    moved = PitchShift(semitones)(sound(tone(440)))
    assert moved.n_samples == RATE
    assert strongest(moved) == pytest.approx(440 * 2 ** (semitones / 12), abs=2)


@pytest.mark.parametrize("factor", [0.5, 1.25, 2.0])
def test_a_tempo_changes_the_length_and_not_the_pitch(factor):
    played = Tempo(factor)(sound(tone(440, 2.0)))
    assert played.n_samples == round(2 * RATE / factor)
    assert strongest(played) == pytest.approx(440, abs=2 * factor)


def test_no_shift_and_no_change_of_tempo_are_the_sound_itself():
    source = sound(tone(440))
    assert PitchShift(0)(source) is source
    assert Tempo(1)(source) is source


def test_a_gain_is_a_factor():
    source = sound(tone(440))
    assert torch.allclose(Gain(-20)(source).samples, source.samples * 0.1, rtol=0, atol=1e-7)


def test_silence_has_no_sound():
    assert not Silence()(sound(tone(440))).samples.any()


@pytest.mark.parametrize("colour", ["white", "source"])
def test_a_noise_floor_has_its_level_and_no_trace_of_what_happened(colour):
    burst = sound(tone(3000) * (torch.arange(RATE) < RATE // 2))
    noise = NoiseFloor(-30, colour, seed=3)(burst).samples[0]
    assert db(noise) == pytest.approx(db(burst.samples) - 30, abs=1e-3)
    assert db(noise[: RATE // 2]) == pytest.approx(db(noise[RATE // 2 :]), abs=1.5)


def test_noise_in_the_colour_of_a_tone_is_a_narrow_band():
    power = torch.fft.rfft(NoiseFloor(0, "source")(sound(tone(3000))).samples[0]).abs().square()
    assert float(power[2800:3201].sum() / power.sum()) > 0.99


def test_noise_under_silence_is_silence():
    quiet = Waveform(torch.zeros(1, 4000), RATE)
    for colour in ("white", "source"):
        assert not NoiseFloor(0, colour)(quiet).samples.any()


@pytest.mark.parametrize("name", sorted(PERTURBATIONS))
def test_every_registered_perturbation(name):
    change = PERTURBATIONS[name]
    stereo = Waveform(torch.stack([tone(300, 0.7), tone(4000, 0.7)]).float(), RATE)
    before = stereo.samples.clone()
    found = change(stereo)
    assert torch.equal(stereo.samples, before)
    assert torch.equal(change(stereo).samples, found.samples)
    assert found.sample_rate == RATE
    assert len(found.samples) == 2
    assert found.samples.dtype == torch.float32
    assert found.samples.isfinite().all()
    if not isinstance(change, Tempo):
        assert found.n_samples == stereo.n_samples
    assert not torch.equal(found.samples, stereo.samples) or found.n_samples != stereo.n_samples
    nothing = change(Waveform(torch.zeros(1, 9000), RATE))
    assert not nothing.samples.any()
    broken = Waveform(torch.full((1, 9000), float("nan")), RATE)
    with pytest.raises(InvalidValueError, match="NaN or infinite"):
        change(broken)
    with pytest.raises(ShapeError, match="no samples"):
        change(Waveform(torch.zeros(1, 0), RATE))


def test_bands_cover_everything_without_gaps():
    made = bands(RATE, 6)
    assert made[0].low == 0
    assert made[-1].high == pytest.approx(RATE / 2)
    assert all(a.high == b.low for a, b in itertools.pairwise(made))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BandMute(300, 200), "low < high"),
        (lambda: BandMute(float("nan"), 200), "low < high"),
        (lambda: BandMute(100, 200, -1), "edge must be at least 0"),
        (lambda: BandMute(9000, 9500)(sound(tone(440))), "ends at 8000 Hz"),
        (lambda: TimeMask(1, 1), "start < end"),
        (lambda: TimeMask(2, 3)(sound(tone(440))), "ends at 1.000 s"),
        (lambda: TimeMask(0, 1, float("nan")), "fade must be at least 0"),
        (lambda: RegionMute(0, 1, 5, 2), "low < high"),
        (lambda: WithoutPart("vocals"), "harmonic or percussive"),
        (lambda: WithoutPart("harmonic", kernel=4), "odd"),
        (lambda: WithoutPart("harmonic", power=0), "positive"),
        (lambda: PitchShift(30), "-24, 24"),
        (lambda: Tempo(0), "0.25, 4"),
        (lambda: Gain(float("-inf")), "Silence"),
        (lambda: NoiseFloor(float("nan")), "finite"),
        (lambda: NoiseFloor(colour="pink"), "white or source"),
        (lambda: NoiseFloor(seed=-1), "seed must be in"),
        (lambda: bands(RATE, 0), "at least 1"),
        (lambda: bands(RATE, 3, 9000), "lowest must be in"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(InvalidValueError, match=message):
        make()
