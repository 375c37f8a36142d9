"""Frontends: what the network sees, and the way back."""

import pytest
import torch

from auralise.audio import Waveform
from auralise.errors import InvalidValueError, ShapeError, UnknownNameError
from auralise.frontends import RawFrontend, SpectrogramFrontend, build
from auralise.phase import PHASE_METHODS
from auralise.spectral import Compression, StftSpec

SPEC = StftSpec(11025, 512, 256)
LINEAR = SpectrogramFrontend(SPEC)
FRONTENDS = [
    RawFrontend(11025),
    LINEAR,
    SpectrogramFrontend(SPEC, compression=Compression("log", 10.0), mean=1.5, std=2.0),
    SpectrogramFrontend(SPEC, 40, 50.0, 5000.0, Compression("db", 1e-4)),
]


def noise(channels=1, n=44100, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Waveform(torch.rand(channels, n, generator=generator, dtype=torch.float64) - 0.5, 11025)


def test_shape_is_that_of_the_paper():
    """4 s at 11,025 Hz with n_fft 512, hop 256: 257 bins and 173 frames."""
    assert LINEAR.analyse(noise()).values.shape == (1, 257, 173)


@pytest.mark.parametrize("frontend", FRONTENDS[:3], ids=["raw", "linear", "log"])
def test_analysing_then_synthesising_with_the_source_phase_returns_the_signal(frontend):
    sound = noise()
    features = frontend.analyse(sound)
    again = frontend.synthesise(features.values, features, PHASE_METHODS["source"])
    torch.testing.assert_close(again.samples, sound.samples, rtol=0, atol=1e-10)


def test_round_trip_in_float32_is_good_to_1e_6():
    sound = Waveform(noise().samples.float(), 11025)
    features = LINEAR.analyse(sound)
    again = LINEAR.synthesise(features.values, features, PHASE_METHODS["source"])
    torch.testing.assert_close(again.samples, sound.samples, rtol=0, atol=1e-6)


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_the_module_gives_the_same_values_for_a_batch(frontend):
    sounds = [noise(seed=s) for s in (1, 2)]
    batch = frontend.module(torch.cat([s.samples for s in sounds]))
    for row, sound in zip(batch, sounds, strict=True):
        torch.testing.assert_close(row, frontend.analyse(sound).values, rtol=0, atol=1e-10)


@pytest.mark.parametrize("frontend", FRONTENDS[1:])
def test_gradients_reach_the_waveform_also_through_silence(frontend):
    samples = torch.zeros(1, 4096, dtype=torch.float64)
    samples[0, 2000:2500] = torch.sin(torch.arange(500) * 0.3)
    samples.requires_grad_()
    frontend.module(samples).sum().backward()
    assert torch.isfinite(samples.grad).all()
    assert samples.grad[0, 2000:2500].abs().max() > 0


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_description_builds_the_same_frontend(frontend):
    assert build(frontend.describe()) == frontend


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_times_and_frequencies_are_inverse_pairs(frontend):
    assert frontend.frame_of(frontend.seconds_of(17)) == pytest.approx(17)
    hertz = frontend.hertz_of(12)
    assert hertz is None or frontend.bin_of(hertz) == pytest.approx(12)


def test_a_tone_is_seen_at_its_own_frequency():
    t = torch.arange(44100, dtype=torch.float64) / 11025
    tone = Waveform(torch.sin(2 * torch.pi * 1000 * t)[None], 11025)
    for frontend, width in ((LINEAR, 11025 / 512), (FRONTENDS[3], 100.0)):
        strongest = int(frontend.analyse(tone).values[0].sum(1).argmax())
        assert frontend.hertz_of(strongest) == pytest.approx(1000, abs=width)


def test_stereo_is_mixed_to_one_channel():
    stereo = noise(2)
    assert torch.equal(RawFrontend(11025).analyse(stereo).values, stereo.samples.mean(0)[None])


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_another_rate_is_refused(frontend):
    with pytest.raises(InvalidValueError, match="44100 Hz but the network expects 11025 Hz"):
        frontend.analyse(Waveform(torch.zeros(1, 44100), 44100))


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_values_of_another_shape_are_refused(frontend):
    features = frontend.analyse(noise())
    with pytest.raises(ShapeError, match="values must have shape"):
        frontend.synthesise(features.values[..., :-1], features, PHASE_METHODS["source"])


def test_unknown_kind_and_setting_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'spectrogram'"):
        build({"kind": "spectogram"})
    with pytest.raises(InvalidValueError, match="cannot make a raw frontend"):
        build({"kind": "raw", "rate": 3})
