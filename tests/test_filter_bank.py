"""Effective filters against what the network itself does, and what cannot be analysed."""

import copy

import pytest
import torch
from torch import nn

from auralise.errors import InvalidValueError, NetworkError, ShapeError, UnknownNameError
from auralise.filters import FilterBank, effective_bank, untrained_banks
from auralise.frontends import RawFrontend
from auralise.models import MODELS, wrap
from auralise.models.tiny import tiny_network

RATE = 16000


def seeded(*layers):
    """Layers with weights and batch statistics that are neither zero nor one."""
    torch.manual_seed(3)
    network = nn.Sequential(*layers).double()
    for part in network.modules():
        if isinstance(part, nn.Conv1d):
            nn.init.normal_(part.weight)
        if isinstance(part, nn.BatchNorm1d):
            nn.init.normal_(part.weight)
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2.0)
    return network.eval()


def answer(network, samples):
    """What the network adds to its answer to silence."""
    with torch.no_grad():
        return (network(samples[None, None]) - network(torch.zeros_like(samples)[None, None]))[0]


def convolve(taps, samples, stride):
    """True convolution, sample by sample; the output at n has heard n, n - 1, ..."""
    frames = range(len(taps) - 1, len(samples), stride)
    return torch.stack([(taps * samples[n - len(taps) + 1 : n + 1].flip(0)).sum() for n in frames])


NETWORKS = {
    "plain": [nn.Conv1d(1, 3, 16)],
    "stride": [nn.Conv1d(1, 3, 16, stride=5)],
    "dilation": [nn.Conv1d(1, 3, 6, stride=2, dilation=3)],
    "batch normalisation": [nn.Conv1d(1, 3, 16, stride=4, bias=False), nn.BatchNorm1d(3)],
    "pre-emphasis": [nn.Conv1d(1, 1, 2, bias=False), nn.Conv1d(1, 3, 16, stride=4)],
    "thinned out twice": [nn.Conv1d(1, 1, 5, stride=2), nn.Conv1d(1, 3, 8, stride=3, dilation=2)],
    "all": [nn.BatchNorm1d(1), nn.Conv1d(1, 1, 4), nn.Conv1d(1, 3, 9, 2), nn.BatchNorm1d(3)],
}


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_a_bank_does_what_the_network_does(layers):
    network = seeded(*layers)
    bank = effective_bank(network, sample_rate=RATE)
    samples = torch.randn(200, dtype=torch.float64)
    theirs = answer(network, samples)
    for taps, channel in zip(bank.impulse_responses, theirs, strict=True):
        ours = convolve(taps, samples, bank.stride)
        torch.testing.assert_close(ours[: len(channel)], channel, rtol=0, atol=1e-10)


@pytest.mark.parametrize("padding", [3, "same"])
def test_padding_changes_nothing(padding):
    network = seeded(nn.Conv1d(1, 1, 5, padding=padding), nn.Conv1d(1, 3, 9, padding=padding))
    bank = effective_bank(network, sample_rate=RATE)
    for part in network:
        part.padding, part._reversed_padding_repeated_twice = (0,), [0, 0]
    bare = effective_bank(network, sample_rate=RATE)
    torch.testing.assert_close(bank.impulse_responses, bare.impulse_responses, rtol=0, atol=1e-12)


def test_the_impulse_response_is_in_the_order_of_time():
    """A layer correlates: its last weight meets the newest sample, and answers first."""
    network = seeded(nn.Conv1d(1, 1, 3, bias=False))
    network[0].weight.data = torch.tensor([[[1.0, 2.0, 3.0]]]).double()
    bank = effective_bank(network, "0", sample_rate=RATE)
    torch.testing.assert_close(
        bank.impulse_responses, torch.tensor([[3.0, 2.0, 1.0]]).double(), rtol=0, atol=1e-12
    )


def test_a_music_network_knows_its_rate_and_layer():
    network = wrap(MODELS["dieleman2014-raw"].build(3).eval(), RawFrontend(RATE))
    bank = effective_bank(network)
    assert bank.impulse_responses.shape == (128, 256)
    assert (bank.sample_rate, bank.stride, bank.dead) == (RATE, 64, 0)
    assert bank.names[17] == "frames.conv:17"
    assert any("above 125 Hz is aliased" in note for note in bank.notes)
    assert any("batch normalisation" in note for note in bank.notes)
    with pytest.raises(InvalidValueError, match="sample_rate is 8000 Hz but network"):
        effective_bank(network, sample_rate=8000)


def test_a_step_in_place_behind_the_layer_does_not_pass_for_part_of_it():
    network = seeded(nn.Conv1d(1, 3, 16), nn.ReLU(inplace=True))
    bank = effective_bank(network, sample_rate=RATE)
    weights = network[0].weight.detach()[:, 0].flip(1)
    torch.testing.assert_close(bank.impulse_responses, weights, rtol=0, atol=1e-12)


def test_a_normalisation_of_something_else_is_not_folded_in():
    network = seeded(nn.Conv1d(1, 3, 16), nn.ReLU(), nn.BatchNorm1d(3))
    bank = effective_bank(network, sample_rate=RATE)
    weights = network[0].weight.detach()[:, 0].flip(1)
    torch.testing.assert_close(bank.impulse_responses, weights, rtol=0, atol=1e-12)


class Squared(nn.Module):
    """Has a step that no module shows between the layer and the normalisation."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(1, 3, 16), nn.BatchNorm1d(3)

    def forward(self, samples):
        return self.norm(self.conv(samples) ** 2)


def test_a_normalisation_behind_a_hidden_step_is_not_folded_in():
    network = seeded(Squared())
    bank = effective_bank(network, sample_rate=RATE)
    weights = network[0].conv.weight.detach()[:, 0].flip(1)
    torch.testing.assert_close(bank.impulse_responses, weights, rtol=0, atol=1e-12)


def test_what_fails_behind_the_layer_does_not_matter():
    network = seeded(nn.Conv1d(1, 3, 16), nn.Flatten(), nn.Linear(7, 2))
    assert effective_bank(network, sample_rate=RATE).impulse_responses.shape == (3, 16)


def test_the_network_is_left_as_it_was():
    network = seeded(nn.Conv1d(1, 3, 16), nn.BatchNorm1d(3))
    before = copy.deepcopy(network.state_dict())
    effective_bank(network, sample_rate=RATE)
    untrained_banks(network, sample_rate=RATE)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert not any(part._forward_hooks for part in network.modules())


class Rectified(nn.Module):
    """Takes the absolute value, which no module shows, before the convolution."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 3, 16)

    def forward(self, samples):
        return self.conv(samples.abs())


class Normalised(Rectified):
    def forward(self, samples):
        return self.conv(samples / (samples.std() + 1e-3))


class Flipped(Rectified):
    """Linear, but not a convolution."""

    def forward(self, samples):
        return self.conv(samples.flip(2))


@pytest.mark.parametrize("kind", [Rectified, Normalised, Flipped])
def test_a_hidden_step_that_is_no_convolution_is_noticed(kind):
    with pytest.raises(NetworkError, match="before layer 'conv' is not only convolutions"):
        effective_bank(kind().eval(), sample_rate=RATE)


REFUSED = {
    "convolution in two dimensions": (nn.Conv2d(1, 3, 3), "no one-dimensional convolution"),
    "a spectrogram's layer": (
        nn.Sequential(nn.Linear(9, 9), nn.Conv1d(1, 3, 3)),
        "begins with layer '0' \\(Linear\\)|cannot be run on raw audio",
    ),
    "two channels": (nn.Sequential(nn.Conv1d(2, 4, 3)), "cannot be run on raw audio"),
    "no convolution": (nn.Sequential(nn.Flatten(), nn.Linear(8, 2)), "no one-dimensional"),
    "complex": (nn.Sequential(nn.Conv1d(1, 3, 3, dtype=torch.complex64)), "complex|cannot be run"),
    "no statistics": (
        nn.Sequential(nn.Conv1d(1, 3, 3), nn.BatchNorm1d(3, track_running_stats=False)),
        "no running statistics",
    ),
}


@pytest.mark.parametrize(("network", "message"), REFUSED.values(), ids=REFUSED)
def test_a_network_without_filters_on_raw_audio_is_refused(network, message):
    with pytest.raises(NetworkError, match=message):
        effective_bank(network.eval(), sample_rate=RATE)


class Stereo(nn.Module):
    """Doubles the channel, so that a grouped convolution has something to run on."""

    def __init__(self, groups):
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 8, groups=groups)

    def forward(self, samples):
        return self.conv(torch.cat([samples, samples], 1))


@pytest.mark.parametrize(
    ("groups", "message"),
    [(2, r"'conv' is a grouped convolution \(groups=2\)"), (1, "'conv' takes 2 channels")],
)
def test_convolutions_on_several_channels_are_refused_by_name(groups, message):
    with pytest.raises(NetworkError, match=message):
        effective_bank(Stereo(groups).eval(), sample_rate=RATE)


class Analytic(nn.Module):
    def __init__(self):
        super().__init__()
        self.bank = nn.Conv1d(1, 4, 8, dtype=torch.complex64)

    def forward(self, samples):
        return self.bank(samples.to(torch.complex64))


def test_complex_convolutions_are_refused_by_name():
    with pytest.raises(NetworkError, match="'bank' is a complex convolution"):
        effective_bank(Analytic().eval(), sample_rate=RATE)


def test_other_mistakes_are_said():
    network = seeded(nn.Conv1d(1, 3, 16), nn.ReLU())
    with pytest.raises(InvalidValueError, match="sample rate is unknown"):
        effective_bank(network)
    with pytest.raises(UnknownNameError, match="no layer named '7'"):
        effective_bank(network, "7", sample_rate=RATE)
    with pytest.raises(NetworkError, match="'1' is a ReLU, not a Conv1d"):
        effective_bank(network, "1", sample_rate=RATE)
    with pytest.raises(NetworkError, match="training mode"):
        effective_bank(network.train(), sample_rate=RATE)
    with pytest.raises(NetworkError, match="'tiny' takes channel x frequency x time, not raw"):
        effective_bank(tiny_network())


def test_a_later_layer_is_not_on_raw_audio():
    network = seeded(nn.Conv1d(1, 3, 16), nn.Conv1d(3, 4, 3))
    with pytest.raises(NetworkError, match=r"begins with layer '0' \(Conv1d\)"):
        effective_bank(network, "1", sample_rate=RATE)


def test_weights_under_a_parametrisation_are_read():
    network = seeded(nn.utils.parametrizations.weight_norm(nn.Conv1d(1, 3, 16)))
    bank = effective_bank(network, sample_rate=RATE)
    weights = network[0].weight.detach()[:, 0].flip(1)
    torch.testing.assert_close(bank.impulse_responses, weights, rtol=0, atol=1e-12)
    with pytest.raises(NetworkError, match="parametrised"):
        untrained_banks(network, sample_rate=RATE)


def test_untrained_banks_forget_what_was_trained():
    network = seeded(nn.Conv1d(1, 3, 64, bias=False), nn.BatchNorm1d(3))
    state = torch.get_rng_state()
    first, second, again = untrained_banks(network, sample_rate=RATE, seeds=(0, 1, 0))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.impulse_responses.abs().max() <= 1 / 8
    assert torch.equal(first.impulse_responses, again.impulse_responses)
    assert not torch.equal(first.impulse_responses, second.impulse_responses)
    with pytest.raises(InvalidValueError, match="seeds must not be empty"):
        untrained_banks(network, sample_rate=RATE, seeds=())


def test_silent_filters_and_copies_are_counted_as_dead():
    taps = torch.randn(5, 32, dtype=torch.float64)
    taps[1], taps[3], taps[4] = 0, -0.5 * taps[0], 1e-9 * taps[4]
    bank = FilterBank(taps, RATE)
    assert bank.silent.tolist() == [False, True, False, False, True]
    assert bank.duplicate.tolist() == [False, False, False, True, False]
    assert bank.dead == 3
    assert FilterBank(torch.zeros(2, 4).double(), RATE).dead == 2


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"impulse_responses": torch.ones(4).double()}, ShapeError, "shape"),
        ({"impulse_responses": torch.ones(2, 0).double()}, ShapeError, "shape"),
        ({"impulse_responses": torch.ones(2, 4)}, InvalidValueError, "float64"),
        ({"impulse_responses": torch.full((2, 4), torch.nan).double()}, InvalidValueError, "2 of"),
        ({"sample_rate": 0}, InvalidValueError, "sample_rate"),
        ({"stride": 0}, InvalidValueError, "stride"),
        ({"names": ("a",)}, ShapeError, "1 names for 2 filters"),
    ],
)
def test_a_bank_that_cannot_be_is_refused(change, error, message):
    good = {"impulse_responses": torch.ones(2, 4).double(), "sample_rate": RATE}
    with pytest.raises(error, match=message):
        FilterBank(**(good | change))


def test_few_taps_are_said_to_resolve_nothing():
    bank = effective_bank(seeded(nn.Conv1d(1, 3, 3)), sample_rate=RATE)
    assert any("3 taps resolve 5333.33 Hz" in note for note in bank.notes)


def test_copies_are_those_that_a_comparison_of_all_pairs_finds():
    """Some scaled, some negative, one almost a copy; and a bank of copies only, which is slow."""
    taps = torch.randn(60, 20, dtype=torch.float64)
    taps[30:40] = taps[5:15] * torch.linspace(-3, 4, 10)[:, None]
    taps[50] = taps[20] + 1e-3 * taps[21]
    unit = taps / torch.linalg.vector_norm(taps, dim=1, keepdim=True)
    slow = torch.tril((unit @ unit.T).abs() > 1 - 1e-9, diagonal=-1).any(1)
    assert torch.equal(FilterBank(taps, RATE).duplicate, slow)
    assert slow.sum() == 10
    assert FilterBank(torch.ones(500, 64).double(), RATE).dead == 499
