"""The whole way: a unit's sound holds what the unit answered to, and nothing is lost on the way."""

import pytest
import torch
from torch import nn

from auralise.activations import Unit
from auralise.audio import Waveform
from auralise.auralisation import (
    auralise_layer,
    auralise_unit,
    sonify,
    strongest_units,
)
from auralise.errors import InvalidValueError, ShapeError, UnknownNameError
from auralise.frontends import RawFrontend, SpectrogramFrontend
from auralise.inversion import INVERTERS
from auralise.inversion.relu_rules import RULES
from auralise.models import tiny_network, wrap
from auralise.models.tiny import ONSET, RELEASE, SUSTAIN
from auralise.phase import PHASE_METHODS
from auralise.preparation import prepare
from auralise.settings import Settings
from auralise.spectral import StftSpec

TINY = tiny_network()
RATE = 8000


@pytest.fixture
def song():
    """One second: a click at 0.25 s, a 1 kHz tone from 0.5 s on that fades from 0.8 s to 0.9 s."""
    t = torch.arange(RATE, dtype=torch.float64) / RATE
    fade = ((0.9 - t) * 10).clamp(0, 1)
    tone = 0.5 * torch.sin(2 * torch.pi * 1000 * t) * (t >= 0.5) * fade
    tone[2000] = 1.0
    return Waveform(tone[None], RATE)


def raw_network():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv1d(1, 4, 64, 16), nn.ReLU(), nn.Conv1d(4, 3, 8), nn.ReLU())
    return wrap(module.double().eval(), RawFrontend(RATE), name="raw")


def spectrogram_double():
    network = tiny_network()
    return wrap(network.module.double(), network.card.frontend, name="tiny")


def test_the_onset_unit_keeps_the_click_and_the_beginning_of_the_tone(song):
    result = auralise_unit(spectrogram_double(), song, Unit("conv1", ONSET), settings=WHOLE)
    energy = result.waveform.samples[0].square()
    near = torch.zeros(RATE, dtype=torch.bool)
    near[1800:2200] = True
    near[3800:4200] = True
    assert energy[near].sum() / energy.sum() > 0.9
    assert result.inversion.flags == ()


def test_the_release_unit_hears_the_end_of_the_tone_and_not_its_middle(song):
    result = auralise_unit(spectrogram_double(), song, Unit("conv1", RELEASE), settings=WHOLE)
    energy = result.waveform.samples[0].square()
    assert energy[6400:7400].sum() > 50 * energy[4800:5800].sum()


def test_the_sustain_unit_keeps_the_tone_at_its_frequency(song):
    result = auralise_unit(spectrogram_double(), song, Unit("conv1", SUSTAIN), settings=WHOLE)
    spectrum = torch.fft.rfft(result.waveform.samples[0]).abs()
    assert int(spectrum.argmax()) == pytest.approx(1000, abs=3)


WHOLE = Settings(method="guided", at="whole")


def test_the_round_trip_of_a_mask_with_the_source_phase_is_the_source(song):
    result = auralise_unit(spectrogram_double(), song, "conv1:0")
    torch.testing.assert_close(result.round_trip.samples, song.samples, rtol=0, atol=1e-12)
    assert (result.sonification, result.phase) == ("mask", "source")


def test_a_raw_map_is_the_sound_itself(song):
    result = auralise_unit(raw_network(), song, "2:1", method="gradient")
    assert torch.equal(result.waveform.samples, result.inversion.relevance)
    assert torch.equal(result.round_trip.samples, song.samples)
    assert (result.sonification, result.phase) == ("waveform", "none")
    assert result.scores["spectral_convergence_db"] is None


@pytest.mark.parametrize("method", sorted(RULES))
@pytest.mark.parametrize("sonification", ["mask", "magnitude"])
def test_every_method_and_sonification_gives_finite_sound_of_the_song_s_length(
    method, sonification, song
):
    settings = Settings(method=method, at="whole", sonification=sonification)
    result = auralise_unit(spectrogram_double(), song, "conv2:0", settings=settings)
    assert result.waveform.samples.shape == song.samples.shape
    assert torch.isfinite(result.waveform.samples).all()
    assert result.waveform.samples.abs().max() > 0


@pytest.mark.parametrize("method", sorted(set(INVERTERS) - set(RULES)))
@pytest.mark.parametrize("network", ["spectrogram", "raw"])
def test_methods_that_are_no_rules_can_be_heard(method, network, song):
    made, unit = (
        (spectrogram_double(), "conv2:0") if network == "spectrogram" else (raw_network(), "2:1")
    )
    result = auralise_unit(made, song, unit, settings=Settings(method=method))
    assert result.waveform.samples.shape == song.samples.shape
    assert torch.isfinite(result.waveform.samples).all()
    assert result.waveform.samples.abs().max() > 0 or "grad-cam" in method  # nothing positive
    searched = method in ("feature-inversion", "activation-maximisation")
    if network == "raw":
        expected = "waveform" if searched or method == "guided-grad-cam" else "mask"
    else:
        expected = "input" if searched else "mask"
    assert result.sonification == expected


@pytest.mark.parametrize(
    ("method", "sonification", "part"),
    [
        ("feature-inversion", "mask", None),
        ("activation-maximisation", "magnitude", None),
        ("guided", "input", None),
        ("feature-inversion", None, "positive"),
    ],
)
def test_an_input_is_heard_as_an_input_and_a_map_as_a_map(method, sonification, part, song):
    settings = Settings(method=method, sonification=sonification, part=part)
    with pytest.raises(InvalidValueError, match="input"):
        auralise_unit(spectrogram_double(), song, "conv2:0", settings=settings)


@pytest.mark.parametrize("phase", PHASE_METHODS)
def test_every_phase_method_can_be_asked_for(phase, song):
    result = auralise_unit(spectrogram_double(), song, "conv1:0", phase=phase)
    assert result.phase == phase
    assert torch.isfinite(result.waveform.samples).all()


@pytest.mark.parametrize("sonification", ["mask", "magnitude"])
def test_a_map_that_is_there_sounds_as_if_made_again(sonification, song):
    network = spectrogram_double()
    settings = Settings(method="deconvnet", sonification=sonification)
    result = auralise_unit(network, song, "conv2:1", settings=Settings(method="deconvnet"))
    wanted = auralise_unit(network, song, "conv2:1", settings=settings)
    sound = sonify(network, result.features, result.inversion, settings)
    assert sound.sample_rate == wanted.waveform.sample_rate
    torch.testing.assert_close(sound.samples, wanted.waveform.samples)


@pytest.mark.parametrize(("made", "asked"), [("deconvnet", "guided"), ("mask", "mask")])
def test_a_map_is_not_heard_as_one_of_another_method(made, asked, song):
    network = spectrogram_double()
    result = auralise_unit(network, song, "conv2:1", settings=Settings(method=made))
    with pytest.raises(InvalidValueError, match=made):
        sonify(network, result.features, result.inversion, Settings(method=asked))


def test_a_layer_gives_what_its_units_give_one_by_one(song):
    network = spectrogram_double()
    together = list(auralise_layer(network, song, "conv2", settings=WHOLE))
    assert [str(r.inversion.unit) for r in together] == ["conv2:0", "conv2:1", "conv2:2"]
    for result in together:
        alone = auralise_unit(network, song, result.inversion.unit, settings=WHOLE)
        assert torch.equal(alone.waveform.samples, result.waveform.samples)
        assert alone.scores == result.scores


def test_scores_are_the_unit_s_strongest_values(song):
    network = spectrogram_double()
    result = auralise_unit(network, song, Unit("conv1", ONSET))
    values = network.card.frontend.analyse(song).values[None]
    answer = network.module.conv1(values)[0, ONSET].detach()
    assert result.scores["activation_source"] == float(answer.max())
    assert result.scores["activation_round_trip"] == pytest.approx(float(answer.max()), abs=1e-9)
    assert result.inversion.activation == float(answer.max())


def test_silence_is_inactive_and_stays_silent():
    silence = Waveform(torch.zeros(1, RATE, dtype=torch.float64), RATE)
    result = auralise_unit(spectrogram_double(), silence, "conv1:0")
    assert result.inversion.flags == ("inactive",)
    assert result.waveform.samples.abs().max() == 0.0
    assert result.scores["spectral_convergence_db"] is None


def test_a_map_of_which_nothing_can_be_heard_is_flagged():
    """The bias alone drives this unit: in silence it has a map, and a mask of nothing is silent."""
    silent = wrap(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()).double().eval(), TINY.card.frontend)
    with torch.no_grad():
        silent.module[0].bias.fill_(1.0)
    nothing = Waveform(torch.zeros(1, RATE, dtype=torch.float64), RATE)
    assert auralise_unit(silent, nothing, "1:0").inversion.flags == ("silent",)


def test_the_strongest_units_come_first(song):
    network = spectrogram_double()
    ranking = strongest_units(network, song, "conv1", 2)
    answer = network.module.conv1(network.card.frontend.analyse(song).values[None])[0]
    peaks = answer.flatten(1).amax(1)
    assert [unit.channel for unit, _ in ranking] == peaks.argsort(descending=True)[:2].tolist()
    assert [value for _, value in ranking] == sorted(peaks.tolist(), reverse=True)[:2]


def fixed_length():
    module = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 129 * 126, 2)
    )
    frontend = SpectrogramFrontend(StftSpec(RATE, 256, 64))
    return wrap(module.eval(), frontend, ("a", "b"), name="fixed", seconds=1.0)


def test_layers_before_the_flattening_take_any_length_and_those_behind_say_theirs():
    longer = Waveform(torch.rand(1, 2 * RATE), RATE)
    assert auralise_unit(fixed_length(), longer, "0:1").waveform.n_samples == 2 * RATE
    with pytest.raises(ShapeError, match=r"'3' of 'fixed' takes excerpts of 1 s only.* 2\.00 s"):
        auralise_unit(fixed_length(), longer, "3:1")


def test_short_sound_is_padded_and_said():
    prepared, notes = prepare(fixed_length(), Waveform(torch.ones(1, 4000), RATE))
    assert prepared.n_samples == RATE
    assert prepared.samples[0, 4000:].abs().max() == 0
    assert notes == (
        "the excerpt has 0.50 s and the network takes 1.00 s; "
        "it was padded with silence at the end",
    )


def test_one_sample_is_enough_and_stereo_is_mixed():
    one = Waveform(torch.ones(2, 1), 44100)
    prepared, _ = prepare(fixed_length(), one)
    assert prepared.samples.shape == (1, RATE)


@pytest.mark.parametrize("change", [{"part": "positive"}, {"phase": "source"}, {"seed": 3}])
def test_what_has_no_meaning_for_raw_audio_is_refused(change, song):
    with pytest.raises(InvalidValueError, match="no meaning for a raw-audio network"):
        auralise_unit(raw_network(), song, "2:1", settings=Settings(**change))


def test_a_mask_of_raw_audio_is_refused(song):
    with pytest.raises(InvalidValueError, match="needs a spectrogram network"):
        auralise_unit(raw_network(), song, "2:1", settings=Settings(sonification="mask"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "guidedd"}, "no inversion method named 'guidedd'; did you mean 'guided'"),
        ({"phase": "sourc"}, "no phase method named 'sourc'; did you mean 'source'"),
        ({"sonification": "masks"}, "no sonification named 'masks'; did you mean 'mask'"),
    ],
)
def test_unknown_names_are_answered_with_close_ones(change, message, song):
    with pytest.raises(UnknownNameError, match=message):
        auralise_unit(TINY, song, "conv1:0", settings=Settings(**change))


def test_an_error_says_which_network_and_method_it_is_about(song):
    with pytest.raises(UnknownNameError, match="did you mean 'conv2'") as caught:
        auralise_unit(TINY, song, "conv3:0")
    assert caught.value.__notes__ == ["while inverting layer 'conv3' of 'tiny' with 'guided'"]


def test_a_channel_out_of_range_is_refused(song):
    with pytest.raises(InvalidValueError, match="3"):
        auralise_unit(TINY, Waveform(song.samples.float(), RATE), "conv1:3")


def test_in_a_notebook_the_result_shows_its_figure_and_players(song):
    html = auralise_unit(spectrogram_double(), song, "conv1:0")._repr_html_()
    assert html.count("<audio") == 3
    assert "data:image/png;base64," in html


def test_sounds_are_fed_back_at_the_source_s_root_mean_square(song):
    """Also where that takes the peak above full scale: a network does not clip."""
    network = spectrogram_double()
    result = auralise_unit(network, song, Unit("conv1", SUSTAIN), settings=WHOLE)
    gain = song.samples.square().mean().sqrt() / result.waveform.samples.square().mean().sqrt()
    heard = network.card.frontend.analyse(Waveform(result.waveform.samples * gain, RATE))
    answer = network.module.conv1(heard.values[None]).detach()[0, SUSTAIN]
    assert abs(float(gain) - 1) > 0.1
    assert result.scores["activation_auralised"] == pytest.approx(float(answer.max()), rel=1e-12)
