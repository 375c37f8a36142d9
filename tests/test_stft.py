"""The transform against the Hann window's closed form, librosa and itself turned round."""

import math

import pytest
import torch

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.phase import PHASE_METHODS
from auralise.spectral.spectrogram import Spectrogram
from auralise.spectral.stft import StftSpec, istft, istft_samples, stft, stft_samples

SPEC = StftSpec(sample_rate=16000, n_fft=512, hop=128)


def noise(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_tone_on_a_bin_has_the_hann_pattern():
    """1 kHz is bin 32 of 512 at 16 kHz; Hann spreads it over 3 bins as N/8, N/4, N/8."""
    time = torch.arange(16000, dtype=torch.float64) / 16000
    tone = Waveform(torch.cos(2 * math.pi * 1000 * time)[None], 16000)
    magnitude = stft(tone, SPEC).abs()[0, :, 10:-10]
    expected = torch.zeros(SPEC.bins, dtype=torch.float64)
    expected[31:34] = torch.tensor([64.0, 128.0, 64.0])
    torch.testing.assert_close(magnitude, expected[:, None].expand_as(magnitude), rtol=0, atol=1e-9)


def test_impulse_has_the_window_as_magnitude_and_a_phase_counted_from_the_first_sample():
    samples = torch.zeros(1, 4000, dtype=torch.float64)
    samples[0, 1000] = 1
    spectrum = stft(Waveform(samples, 16000), SPEC)[0]
    place = 1000 - 128 * 7 + 256  # of the impulse in frame 7, which is centred on sample 896
    window = 0.5 - 0.5 * math.cos(2 * math.pi * place / 512)
    phase = -2 * math.pi * torch.arange(257, dtype=torch.float64) * place / 512
    expected = torch.polar(torch.full((257,), window, dtype=torch.float64), phase)
    torch.testing.assert_close(spectrum[:, 7], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_samples", [4000, 4001, 513])
def test_agrees_with_librosa(n_samples):
    librosa = pytest.importorskip("librosa")
    samples = noise(n_samples)
    ours = stft(Waveform(samples[None], 16000), SPEC)[0]
    theirs = librosa.stft(samples.numpy(), n_fft=512, hop_length=128, pad_mode="reflect")
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (512, 256), (512, 100), (16, 7), (4, 1)])
@pytest.mark.parametrize("n_samples", [520, 1025, 4097, 5003])
def test_inverse_returns_the_signal(n_fft, hop, n_samples):
    """Any length, also odd ones, and hops that do not divide the window."""
    spec = StftSpec(8000, n_fft, hop)
    waveform = Waveform(noise(2, n_samples), 8000)
    spectrum = stft(waveform, spec)
    assert spectrum.shape == (2, spec.bins, spec.frames(n_samples))
    back = istft(spectrum, spec, n_samples)
    assert back.sample_rate == 8000
    torch.testing.assert_close(back.samples, waveform.samples, rtol=0, atol=1e-9)


def test_leading_axes_are_a_batch():
    samples = noise(2, 3, 2000)
    spectrum = stft_samples(samples, SPEC)
    assert spectrum.shape == (2, 3, 257, 16)
    alone = stft_samples(samples[1, 2], SPEC)
    torch.testing.assert_close(spectrum[1, 2], alone, rtol=0, atol=1e-12)
    back = istft_samples(spectrum, SPEC, 2000)
    torch.testing.assert_close(back, samples, rtol=0, atol=1e-9)


def test_gradients_reach_the_samples():
    """Parseval: frames of a signal's energy have a gradient linear in the signal."""
    samples = noise(1, 600).requires_grad_()
    energy = stft_samples(samples, SPEC).abs().square().sum()
    energy.backward()
    # The energy is a quadratic form q(x) with gradient 2 A x, so x . grad = 2 q(x).
    product = (samples * samples.grad).sum()
    torch.testing.assert_close(product, 2 * energy, rtol=0, atol=1e-6)


def test_bins_know_their_frequencies():
    frequencies = SPEC.frequencies()
    assert frequencies[[0, 32, 256]].tolist() == [0.0, 1000.0, 8000.0]
    assert len(frequencies) == SPEC.bins


def test_the_window_is_periodic_and_follows_the_dtype():
    """A symmetric Hann window would end on 0 and shift the tone's pattern."""
    window = SPEC.window(torch.zeros(1, dtype=torch.complex128))
    assert window.dtype == torch.float64
    expected = torch.tensor([0.0, 0.5, 1.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(window[::128], expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 0}, "sample_rate must be positive, got 0 Hz"),
        ({"n_fft": 511}, "n_fft must be even and at least 4, got 511"),
        ({"n_fft": 2}, "n_fft must be even and at least 4, got 2"),
        ({"hop": 0}, r"hop must be in \[1, n_fft\] = \[1, 1024\], got 0"),
        ({"hop": 1025}, "got 1025; a wider hop leaves samples"),
    ],
)
def test_an_impossible_transform_is_refused(options, message):
    with pytest.raises(InvalidValueError, match=message):
        StftSpec(**({"sample_rate": 16000} | options))


def test_a_signal_too_short_to_reflect_is_refused():
    with pytest.raises(
        ShapeError, match=r"waveform has 256 samples; .* more than n_fft // 2 = 256"
    ):
        stft(Waveform(torch.zeros(1, 256), 16000), SPEC)


def test_another_rate_is_refused():
    with pytest.raises(InvalidValueError, match="44100 Hz but the transform expects 16000 Hz"):
        stft(Waveform(torch.zeros(1, 4000), 44100), SPEC)


def test_a_spectrum_of_another_size_is_refused():
    with pytest.raises(ShapeError, match="must have 257 bins for n_fft 512, got 129"):
        istft(torch.zeros(1, 129, 5, dtype=torch.complex64), SPEC, 600)


@pytest.mark.parametrize("n_samples", [4000, 4095, 4096, 4100, 4223, 4224, 4300, 4351])
@pytest.mark.parametrize(("n_fft", "hop"), [(512, 256), (512, 200), (512, 128), (4096, 2048)])
def test_wide_hops_restore_all_that_is_covered_and_never_click(n_samples, n_fft, hop):
    """Dividing by the foot of the last window would magnify rounding by more than a thousand."""
    spec = StftSpec(8000, n_fft, hop)
    sound = noise(n_samples).float()[None]
    end = spec.sound_end(n_samples)
    again = istft_samples(stft_samples(sound, spec), spec, n_samples)
    torch.testing.assert_close(again[:, :end], sound[:, :end], rtol=0, atol=1e-5)
    assert again[:, end:].abs().max() <= sound.abs().max() if end < n_samples else True
    inconsistent = stft_samples(sound, spec) * 1j
    assert istft_samples(inconsistent, spec, n_samples).abs().max() < 20 * sound.abs().max()


def test_lengths_that_are_multiples_of_the_hop_are_restored_whole():
    for hop in (64, 128, 200, 256):
        spec = StftSpec(8000, 512, hop)
        assert spec.sound_end(hop * 20) == hop * 20
    assert StftSpec(8000, 512, 256).sound_end(256 * 20 + 255) < 256 * 20 + 255
    assert StftSpec(8000, 512, 128).sound_end(128 * 20 + 127) == 128 * 20 + 127


@pytest.mark.parametrize("hop", [257, 512])
def test_frames_side_by_side_are_analysed_and_have_no_inverse(hop):
    """Each frame is the transform of its own samples; what lies between windows is lost."""
    spec = StftSpec(8000, 512, hop)
    sound = noise(5120)
    spectrum = stft_samples(sound[None], spec)
    assert spectrum.shape == (1, 257, spec.frames(5120)) == (1, 257, 1 + 5120 // hop)
    frame = sound[3 * hop - 256 : 3 * hop + 256] * spec.window(sound)
    torch.testing.assert_close(spectrum[0, :, 3], torch.fft.rfft(frame))
    with pytest.raises(InvalidValueError, match="not made sound again, which needs a hop of at"):
        istft_samples(spectrum, spec, 5120)
    target = Spectrogram(spectrum.abs(), spec, 5120)
    for name in PHASE_METHODS:
        with pytest.raises(InvalidValueError, match="take a network with a smaller stride"):
            PHASE_METHODS[name](target, None)
