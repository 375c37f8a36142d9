"""Optimised masks, and whether the network recognises what sounds were made for."""

import math

import pytest
import torch

from auralise.audio.coding import mp3_round_trip
from auralise.audio.waveform import Waveform
from auralise.audit import DISTURBANCES, recognise
from auralise.audit.canvas import part_of
from auralise.auralisation import auralise_unit
from auralise.errors import InvalidValueError, NetworkError, ShapeError, UnknownNameError
from auralise.frontends.raw import RawFrontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.masks import MaskOptions, find_masks
from auralise.masks.plane import Plane
from auralise.models.base import wrap
from auralise.models.tiny import tiny_network
from auralise.settings import Settings
from auralise.spectral.stft import StftSpec

RATE = 8000


def low_and_high():
    """Return a 300 Hz tone and a 3 kHz tone together, one second."""
    t = torch.arange(RATE) / RATE
    low, high = (0.3 * torch.sin(2 * math.pi * f * t) for f in (300, 3000))
    return Waveform((low + high)[None], RATE)


def two_bands():
    """Return a raw-audio network of two units: one hears 300 Hz, the other 3 kHz; a third none."""
    t = torch.arange(128) / RATE
    window = torch.hann_window(128)
    kernels = [window * torch.sin(2 * math.pi * f * t) for f in (300, 3000)]
    conv = torch.nn.Conv1d(1, 3, 128, stride=16, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.stack([*kernels, torch.zeros(128)])[:, None])
    module = torch.nn.Sequential(conv, torch.nn.ReLU())
    return wrap(module.eval(), RawFrontend(RATE), name="two bands")


def energy_below(waveform, hz):
    power = torch.fft.rfft(waveform.samples[0]).abs() ** 2
    frequencies = torch.fft.rfftfreq(waveform.n_samples, 1 / RATE)
    return float(power[frequencies < hz].sum() / power.sum())


@pytest.fixture(scope="module")
def masks():
    return list(find_masks(two_bands(), low_and_high(), "1"))


def test_each_unit_of_a_raw_network_keeps_its_own_tone(masks):
    low, high, _ = masks
    assert energy_below(low.waveform, 1500) > 0.9
    assert energy_below(high.waveform, 1500) < 0.1
    assert min(low.contrast, high.contrast) > 0.95
    assert min(low.ratio, high.ratio) > 1.3  # at equal root mean square the tone is 3 dB louder


def test_a_masked_sound_has_the_root_mean_square_of_the_source(masks):
    expected = float(low_and_high().samples.square().mean().sqrt())
    for found in masks[:2]:
        assert float(found.waveform.samples.square().mean().sqrt()) == pytest.approx(expected, 1e-4)
        assert 0 < found.area < 0.5
        assert float(found.gains.min()) >= 0
        assert float(found.gains.max()) <= 1 + 1e-6


def test_a_unit_that_does_not_answer_gets_no_mask(masks):
    assert masks[2].flags == ("inactive",)
    assert not masks[2].gains.any()
    assert not masks[2].waveform.samples.any()


def test_silence_gives_no_masks_and_no_nan():
    silence = Waveform(torch.zeros(1, RATE), RATE)
    found = list(find_masks(tiny_network(), silence, "conv1", options=MaskOptions(steps=2)))
    assert [m.flags for m in found] == [("inactive",)] * 3


def test_a_very_loud_and_a_very_soft_source_give_the_same_mask_on_raw_audio(masks):
    for gain in (1e4, 1e-4):
        source = Waveform(low_and_high().samples * gain, RATE)
        first = next(iter(find_masks(two_bands(), source, "1", [0])))
        torch.testing.assert_close(first.gains, masks[0].gains, rtol=0, atol=2e-3)


def test_masks_are_the_same_again_whatever_the_batch():
    network, source = tiny_network(), low_and_high()
    options = MaskOptions(steps=5, noise_db=-math.inf)
    together = list(find_masks(network, source, "conv1", options=options))
    alone = [next(iter(find_masks(network, source, "conv1", [c], options))) for c in (2, 0)]
    for found in alone:
        other = together[found.unit.channel]
        torch.testing.assert_close(found.gains, other.gains, rtol=0, atol=2e-3)


def test_a_search_hears_the_sound_as_it_is_and_disturbed_by_turns(monkeypatch):
    heard = []
    for name in ("moved", "disturbed"):
        way = getattr(Plane, name)

        def listen(plane, gains, *rest, way=way, name=name):
            heard.append((name, gains.requires_grad))
            return way(plane, gains, *rest)

        monkeypatch.setattr(Plane, name, listen)
    options = MaskOptions(steps=4, references=4)
    list(find_masks(tiny_network(), low_and_high(), "conv1", [0], options))
    steps = [name for name, searching in heard if searching]
    assert steps == ["disturbed", "moved", "disturbed", "moved"]
    assert [name for name, searching in heard if not searching] == ["moved", "disturbed"]


def test_progress_counts_every_step():
    seen = []
    options = MaskOptions(steps=4, batch_size=2)
    source = low_and_high()
    find = find_masks(two_bands(), source, "1", options=options, report=lambda *n: seen.append(n))
    list(find)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def one_unit(weight=1.0):
    conv = torch.nn.Conv1d(1, 1, 16, stride=4, bias=False)
    with torch.no_grad():
        conv.weight.fill_(weight / 16)
    return wrap(torch.nn.Sequential(conv, torch.nn.ReLU()).eval(), RawFrontend(RATE), name="one")


def test_a_layer_of_one_unit_gets_a_mask_on_which_it_answers_more():
    found = next(iter(find_masks(one_unit(), low_and_high(), "1")))
    assert found.flags == ()
    assert found.ratio > 1.1
    assert energy_below(found.waveform, 1500) > 0.9  # a mean over 16 samples hears 300 Hz


def test_weights_that_are_no_numbers_are_refused_not_taken_for_silence():
    with pytest.raises(NetworkError, match="not finite"):
        next(iter(find_masks(one_unit(math.nan), low_and_high(), "1")))
    with pytest.raises(NetworkError, match="not finite"):
        recognise(one_unit(math.nan), low_and_high(), "1", {0: low_and_high(), 1: low_and_high()})


def test_an_excerpt_too_short_for_a_transform_is_refused_in_words():
    with pytest.raises(ShapeError, match="reflection at the ends needs more"):
        next(iter(find_masks(one_unit(), Waveform(torch.ones(1, 200), RATE), "1")))


def test_bad_options_and_units_are_refused():
    with pytest.raises(InvalidValueError, match="steps must be at least 1, got 0"):
        MaskOptions(steps=0)
    with pytest.raises(InvalidValueError, match="noise_db must be at most 0 dB"):
        MaskOptions(noise_db=3)
    with pytest.raises(InvalidValueError, match=r"cutoff must be in \(0, 1\], got nan"):
        MaskOptions(cutoff=math.nan)
    with pytest.raises(InvalidValueError, match="none numbered 7"):
        next(iter(find_masks(two_bands(), low_and_high(), "1", [7])))
    with pytest.raises(UnknownNameError, match="convx"):
        next(iter(find_masks(two_bands(), low_and_high(), "convx")))


def tones():
    t = torch.arange(RATE) / RATE
    return {
        i: Waveform(torch.sin(2 * math.pi * f * t)[None], RATE) for i, f in ((0, 300), (1, 3e3))
    }


@pytest.mark.parametrize("disturbance", sorted(DISTURBANCES))
def test_sounds_made_of_each_units_own_tone_are_recognised(disturbance):
    found = recognise(two_bands(), low_and_high(), "1", tones(), disturbance=disturbance)
    assert found.rate == 1
    assert found.answers == found.channels == (0, 1)


def test_exchanged_sounds_are_taken_for_each_other():
    sounds = dict(zip((1, 0), tones().values(), strict=True))
    found = recognise(two_bands(), low_and_high(), "1", sounds)
    assert found.rate == 0
    assert found.chance == 0.5


def test_a_dead_unit_is_left_out_and_said():
    sounds = {**tones(), 2: low_and_high()}
    found = recognise(two_bands(), low_and_high(), "1", sounds)
    assert found.dead == (2,)
    assert found.responses.isfinite().all()
    with pytest.raises(InvalidValueError, match="recognition needs two"):
        recognise(two_bands(), low_and_high(), "1", {0: low_and_high(), 2: low_and_high()})


def test_sounds_that_are_all_the_same_cannot_be_told_apart():
    found = recognise(two_bands(), low_and_high(), "1", dict.fromkeys((0, 1), low_and_high()))
    assert found.rate == 0.5  # both are taken for the first
    assert not found.responses.any()


def test_disturbances_keep_length_and_do_little():
    source = low_and_high()
    for name, change in DISTURBANCES.items():
        changed = change(source, 0)
        assert changed.samples.shape == source.samples.shape
        error = changed.samples - source.samples
        if name not in ("shift-10ms", "mp3", "all"):
            assert float(error.square().mean() / source.samples.square().mean()) < 1.1e-4
    late = DISTURBANCES["shift-10ms"](source, 0)
    assert torch.equal(late.samples[:, 80:], source.samples[:, :-80])


def test_mp3_comes_back_in_time_with_the_source():
    source = low_and_high()
    coded = mp3_round_trip(source)
    error = (coded.samples - source.samples).square().mean() / source.samples.square().mean()
    assert float(error) < 0.05
    with pytest.raises(InvalidValueError, match="MP3 holds"):
        mp3_round_trip(Waveform(source.samples, 9000))


@pytest.mark.parametrize("kind", ["spectrogram", "raw"])
def test_a_mask_is_a_method_of_the_whole_way(kind):
    network = tiny_network() if kind == "spectrogram" else two_bands()
    layer = "conv1" if kind == "spectrogram" else "1"
    settings = Settings(method="mask", mask=MaskOptions(steps=4))
    found = auralise_unit(network, low_and_high(), f"{layer}:0", settings=settings)
    assert found.inversion.method == "mask"
    assert found.inversion.relevance.shape == found.features.values.shape
    assert found.sonification == "mask"
    assert found.phase == "source"
    torch.testing.assert_close(found.round_trip.samples, found.source.samples, rtol=0, atol=1e-5)
    canvas, mask = part_of(found)
    kept = canvas.kept(mask[None])[0]
    gain = found.waveform.samples[0].norm() / kept.norm()
    error = (kept * gain - found.waveform.samples[0]).norm() / found.waveform.samples.norm()
    assert float(error) < (1e-5 if kind == "spectrogram" else 0.1)  # gains had back from the sound


def test_what_has_no_meaning_for_a_mask_is_refused():
    for bad in ({"sonification": "magnitude"}, {"phase": "griffin-lim"}, {"at": "whole"}):
        with pytest.raises(InvalidValueError, match="has no meaning for the method 'mask'"):
            Settings(method="mask", **bad).resolved(tiny_network().card.frontend)
    with pytest.raises(UnknownNameError, match="did you mean 'mask'"):
        Settings(method="maks").resolved(tiny_network().card.frontend)


def test_gains_gathered_on_mel_bins_are_weighted_means():
    frontend = SpectrogramFrontend(StftSpec(8000, 256, 64), n_mels=20)
    ones = torch.ones(1, 129, 3)
    torch.testing.assert_close(frontend.gather(ones), torch.ones(1, 20, 3))
    low = ones * (torch.arange(129) < 40)[:, None]
    gathered = frontend.gather(low)[0, :, 0]
    assert gathered[0] == 1
    assert gathered[-1] == 0
