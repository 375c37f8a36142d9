"""Restricted Boltzmann machines against enumeration; layers learned from clips without labels."""

from itertools import product
from pathlib import Path

import pytest
import torch

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError, TrainingError
from auralise.models import MODELS
from auralise.training.evaluate import logits_of
from auralise.training.fit import FitOptions, fit
from auralise.training.pretraining import PretrainOptions, _fold, pretrain
from auralise.training.rbm import ConvolutionalRBM

CHANNELS, MAPS, LENGTH, TIME = 2, 2, 2, 3  # 2 x 3 visible units, 2 x 2 hidden ones


def machine(**kinds):
    torch.manual_seed(1)
    made = ConvolutionalRBM(CHANNELS, MAPS, LENGTH, spread=0.8, **kinds).double()
    torch.nn.init.normal_(made.hidden_bias, std=0.5)
    torch.nn.init.normal_(made.visible_bias, std=0.5)
    return made


def states(channels, places):
    """All patterns of binary units."""
    every = list(product((0.0, 1.0), repeat=channels * places))
    return torch.tensor(every, dtype=torch.float64).view(-1, channels, places)


def hidden_states(made):
    """All patterns that the machine allows: of a group at most one unit is on."""
    every = states(MAPS, TIME - LENGTH + 1)
    groups = every.unflatten(2, (-1, made.pool)).sum(3)
    return every[(groups <= 1).all((1, 2))]


def energy(made, v, h):
    """The definition, with loops over units: v (channels, time), h (maps, places)."""
    total = 0.0
    for d, t in product(range(v.shape[0]), range(v.shape[1])):
        c = made.visible_bias[d]
        total = total + (0.5 * (v[d, t] - c) ** 2 if made.visible == "gaussian" else -c * v[d, t])
    for k, t in product(range(h.shape[0]), range(h.shape[1])):
        x = made.hidden_bias[k]
        for d, s in product(range(v.shape[0]), range(LENGTH)):
            x = x + made.weight[k, d, s] * v[d, t + s]
        total = total - x * h[k, t]
    return total


BINARY = [
    {"visible": v, "hidden": "binary", "pool": p} for v in ("binary", "gaussian") for p in (1, 2)
]


def test_expected_visible_units_are_those_of_enumeration():
    made = machine(visible="binary", hidden="binary")
    visible = states(CHANNELS, TIME)
    for h in hidden_states(made)[::5]:
        weights = torch.stack([-energy(made, v, h) for v in visible])
        mean = (weights.softmax(0)[:, None, None] * visible).sum(0)
        torch.testing.assert_close(made.visible_mean(h[None], TIME)[0], mean)


@pytest.mark.parametrize("pool", [1, 2])
def test_the_two_phases_are_the_derivative_of_the_exact_likelihood(pool):
    """Of data less of the model, here with all visible patterns in place of one step's."""
    made = machine(visible="binary", hidden="binary", pool=pool)
    data, every = states(CHANNELS, TIME)[[3, 17, 40]], states(CHANNELS, TIME)

    def likelihood():
        return -made.free_energy(data).mean() - (-made.free_energy(every)).logsumexp(0)

    shares = (-made.free_energy(every)).softmax(0).detach()
    loss = made.free_energy(data).mean() - (shares * made.free_energy(every)).sum()
    gradient = torch.autograd.grad(loss, made.weight)[0]
    step = 1e-6
    with torch.no_grad():
        for index in [(0, 0, 0), (1, 1, 1)]:
            made.weight[index] += step
            above = likelihood()
            made.weight[index] -= 2 * step
            below = likelihood()
            made.weight[index] += step
            slope = float(above - below) / (2 * step)
            assert float(-gradient[index]) == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("kinds", [{"hidden": "rectified"}, *BINARY], ids=str)
def test_the_contrast_has_the_statistics_of_data_less_those_of_one_step(kinds):
    made = machine(**kinds)
    v = torch.randn(4, CHANNELS, TIME, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    made.contrast(v, generator).backward()
    hidden = made.sample_hidden(v, torch.Generator().manual_seed(3))
    again = made.visible_mean(hidden, TIME).detach()
    wanted = torch.zeros_like(made.weight)
    for sign, values in ((-1, v), (1, again)):
        mean = made.hidden_mean(values).detach()
        for s in range(LENGTH):
            cut = values[..., s : s + mean.shape[2]]
            wanted[:, :, s] += sign * torch.einsum("bkt,bdt->kd", mean, cut)
    places = TIME - LENGTH + 1
    torch.testing.assert_close(made.weight.grad, wanted / len(v) / places)


@pytest.mark.parametrize("kinds", [{"hidden": "rectified"}, *BINARY], ids=str)
def test_drawn_units_have_the_expected_mean(kinds):
    made = machine(**kinds)
    v = torch.randn(1, CHANNELS, TIME, dtype=torch.float64).expand(40000, -1, -1)
    drawn = made.sample_hidden(v, torch.Generator().manual_seed(0)).mean(0)
    expected = made.hidden_mean(v[:1])[0]
    if kinds["hidden"] == "rectified":  # of a rectified normal distribution
        x = made.drive(v[:1])[0]
        std = x.sigmoid().sqrt()
        normal = torch.distributions.Normal(0.0, 1.0)
        expected = x * normal.cdf(x / std) + std * normal.log_prob(x / std).exp()
    torch.testing.assert_close(drawn, expected, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"visible": "poisson"}, "visible must be one of gaussian, binary"),
        ({"hidden": "rectified", "pool": 2}, "pool must be 1 for rectified"),
        ({"hidden": "binary", "pool": 0}, "at least 1"),
    ],
)
def test_units_that_do_not_exist_are_refused(kinds, message):
    with pytest.raises(InvalidValueError, match=message):
        machine(**kinds)


LABELS = ("high", "low")
BEATS = MODELS["dieleman2011-msd"].configure(width=0.1)
QUICK = PretrainOptions(epochs=12, batch_size=4, learning_rate=0.05)


def beats(n=12):
    """Beats whose features have means and scales of their own, and move together."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.logspace(-2, 2, 24)[:, None]
    few = torch.randn(n, 3, 130, generator=generator)
    mixed = torch.einsum("dk,nkt->ndt", torch.randn(24, 3, generator=generator), few)
    return [
        Clip(mixed[i] * scale + 5 * scale, Track(Path(f"{i}"), LABELS[i % 2], f"{i}"))
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def learned():
    return pretrain(BEATS, beats(), QUICK, seed=1)


def test_each_layer_loses_less_from_pass_to_pass(learned):
    """Of inputs of variance 1; a machine that says nothing loses all of it."""
    for layer in ("conv1", "conv2"):
        errors = [step.error for step in learned.history if step.layer == layer]
        assert len(errors) == QUICK.epochs
        assert errors[-1] < 0.9 * errors[0]


def test_another_seed_gives_other_weights(learned):
    other = pretrain(BEATS, beats(), QUICK, seed=2)
    assert not torch.equal(learned.state["conv1.conv.weight"], other.state["conv1.conv.weight"])


def test_the_normalisation_has_the_moments_of_the_clips(learned):
    values = torch.stack([clip.samples[:, 5:125] for clip in beats()])
    variance, mean = torch.var_mean(values, (0, 2), correction=0)
    torch.testing.assert_close(learned.state["norm.running_mean"], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(learned.state["norm.running_var"], variance, rtol=1e-4, atol=1e-7)


def test_a_network_of_features_is_fitted_from_there(learned):
    options = FitOptions(epochs=1, batch_size=6, learning_rate=1e-12, weight_decay=0)
    clips = beats()
    fitted = fit(learned.architecture, LABELS, clips, clips, options, start=learned.state)
    found = fitted.module.state_dict()["conv2.conv.weight"]
    torch.testing.assert_close(found, learned.state["conv2.conv.weight"], rtol=0, atol=1e-6)
    logits = logits_of(fitted.module, fitted.architecture, clips)
    middle = torch.stack([clip.samples[:, 5:125] for clip in clips])
    torch.testing.assert_close(logits, fitted.module(middle))


def test_the_first_layer_computes_the_drives_of_a_machine_on_standardised_features():
    """Features times another scale and plus another offset: the same answers."""
    clips = beats()
    moved = [Clip(clip.samples * 7 - 3, clip.track) for clip in clips]
    answers = []
    for own in (clips, moved):
        found = pretrain(BEATS, own, PretrainOptions(epochs=1, batch_size=4), seed=1)
        network = BEATS.build(2).eval()
        network.load_state_dict(found.state, strict=False)
        values = torch.stack([clip.samples[:, :120] for clip in own])
        answers.append(network.conv2(network.pool1(network.conv1(network.norm(values)))))
    assert answers[0].any()
    torch.testing.assert_close(answers[0], answers[1], rtol=1e-3, atol=1e-4)


def test_binary_units_in_groups_can_be_learned_with():
    options = PretrainOptions(epochs=1, batch_size=4, hidden="binary", pool=4)
    found = pretrain(BEATS, beats(8), options)
    assert all(value.isfinite().all() for value in found.state.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "at least 1"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"hidden": "sigmoid"}, "hidden must be one of rectified, binary"),
    ],
)
def test_options_outside_their_range_are_refused(change, message):
    with pytest.raises(InvalidValueError, match=message):
        PretrainOptions(**change)


def test_nothing_to_learn_from_or_with_is_refused():
    with pytest.raises(InvalidValueError, match="no clips"):
        pretrain(BEATS, [])
    normed = MODELS["dieleman2014-mel"].configure(width=0.05, norm=True)
    with pytest.raises(InvalidValueError, match="no convolutions over time"):
        pretrain(normed, [Clip(torch.rand(48000), beats(1)[0].track)])


def test_a_machine_that_runs_away_says_so():
    clips = [Clip(torch.full((24, 130), float("nan")), clip.track) for clip in beats(4)]
    with pytest.raises(TrainingError, match="ran away in pass 1"):
        pretrain(BEATS, clips, QUICK)


def test_a_layer_computes_on_its_own_input_what_the_machine_does_on_the_standardised_one():
    torch.manual_seed(0)
    made = ConvolutionalRBM(3, 4, 5, spread=0.5)
    torch.nn.init.normal_(made.hidden_bias)
    mean, std = torch.tensor([[1.0], [-2.0], [30.0]]), torch.tensor([[0.5], [3.0], [10.0]])
    convolution = torch.nn.Conv1d(3, 4, 5)
    _fold(made, mean, std, convolution)
    values = torch.randn(2, 3, 9) * std + mean
    torch.testing.assert_close(convolution(values), made.drive((values - mean) / std))
