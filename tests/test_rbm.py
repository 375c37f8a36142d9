"""Restricted Boltzmann machines against sums over all their states, and what they learn."""

from itertools import product
from pathlib import Path

import pytest
import torch

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError
from auralise.models import MODELS
from auralise.training.fit import FitOptions, fit
from auralise.training.pretraining import PretrainOptions, pretrain
from auralise.training.rbm import ConvolutionalRBM


def machine(**options):
    torch.manual_seed(0)
    found = ConvolutionalRBM(2, 2, 2, spread=0.7, **options).double()
    with torch.no_grad():
        found.hidden_bias.copy_(torch.tensor([0.3, -0.4]))
        found.visible_bias.copy_(torch.tensor([0.2, -0.1]))
    return found


def energy(rbm, v, h):
    """By the sums of the definition, one product after the other."""
    total = sum(
        0.5 * (v[d, t] - rbm.visible_bias[d]) ** 2 for d in range(2) for t in range(v.shape[1])
    )
    for k, t in product(range(2), range(h.shape[1])):
        drive = rbm.hidden_bias[k] + sum(
            rbm.weight[k, d, s] * v[d, t + s] for d in range(2) for s in range(2)
        )
        total = total - h[k, t] * drive
    return total


def states(places, pool):
    """Every state of two maps of binary units, at most one on in each group."""
    for bits in product((0.0, 1.0), repeat=2 * places):
        h = torch.tensor(bits, dtype=torch.float64).view(2, places)
        if pool == 1 or bool((h.unflatten(1, (-1, pool)).sum(2) <= 1).all()):
            yield h


@pytest.mark.parametrize("pool", [1, 2])
def test_the_free_energy_is_the_sum_over_all_hidden_states(pool):
    rbm = machine(hidden="binary", pool=pool)
    v = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    terms = torch.stack([-energy(rbm, v, h) for h in states(4, pool)])
    expected = -terms.logsumexp(0)[None]
    torch.testing.assert_close(rbm.free_energy(v[None]), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("pool", [1, 2])
def test_expected_hidden_units_are_the_mean_over_all_states(pool):
    rbm = machine(hidden="binary", pool=pool)
    v = torch.randn(2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    every = list(states(4, pool))
    weights = torch.stack([-energy(rbm, v, h) for h in every]).softmax(0)
    expected = sum(w * h for w, h in zip(weights, every, strict=True))
    torch.testing.assert_close(rbm.hidden_mean(v[None])[0], expected, rtol=0, atol=1e-12)
    generator = torch.Generator().manual_seed(2)
    drawn = rbm.sample_hidden(v.expand(20000, 2, 5), generator).mean(0)
    torch.testing.assert_close(drawn, expected, rtol=0, atol=0.02)


def test_rectified_units_answer_as_the_derivative_of_their_free_energy():
    rbm = machine()
    v = torch.randn(1, 2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    (slope,) = torch.autograd.grad(rbm.free_energy(v).sum(), rbm.hidden_bias)
    torch.testing.assert_close(-slope, rbm.hidden_mean(v).sum((0, 2)), rtol=0, atol=1e-12)


def test_what_a_machine_makes_of_hidden_units_is_the_transposed_convolution():
    rbm = machine()
    h = torch.zeros(1, 2, 4, dtype=torch.float64)
    h[0, 1, 2] = 2.0
    made = rbm.visible_mean(h, 5)[0]
    expected = rbm.visible_bias[:, None].expand(2, 5).clone()
    expected[:, 2:4] += 2 * rbm.weight[1]
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-12)


def test_groups_of_rectified_units_are_refused():
    with pytest.raises(InvalidValueError, match="pool must be 1 for rectified"):
        ConvolutionalRBM(1, 1, 2, pool=2)


def clips():
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(4 * 16000) / 16000
    found = []
    for number in range(12):
        hz = 200 * 2 ** (number % 4) * (1 + 0.1 * torch.rand((), generator=generator))
        tone = torch.sin(2 * torch.pi * hz * time) * (time % 0.5 < 0.3)
        found.append(Clip(tone, Track(Path(f"{number}.wav"), "ab"[number % 2], str(number))))
    return found


@pytest.fixture(scope="module")
def learned():
    paper = MODELS["dieleman2011"].configure(width=0.1)
    options = PretrainOptions(epochs=4, batch_size=4)
    return paper, options, pretrain(paper, clips(), options)


def test_the_error_of_each_layer_falls(learned):
    _, _, found = learned
    for layer in ("conv1", "conv2"):
        errors = [step.error for step in found.history if step.layer == layer]
        assert len(errors) == 4
        assert errors[-1] < 0.9 * errors[0]


def test_pretraining_is_the_same_again_and_leaves_the_random_state(learned):
    paper, options, found = learned
    before = torch.get_rng_state()
    again = pretrain(paper, clips(), options)
    assert torch.equal(before, torch.get_rng_state())
    assert sorted(found.state) == [
        f"conv{n}.conv.{key}" for n in (1, 2) for key in ("bias", "weight")
    ]
    for key, value in found.state.items():
        assert torch.equal(again.state[key], value)


def test_training_starts_from_what_was_learned(learned):
    _, _, found = learned
    options = FitOptions(epochs=1, batch_size=4, learning_rate=1e-12, standardise=False)
    sounds = clips()
    done = fit(found.architecture, ("a", "b"), sounds, sounds, options, start=found.state)
    weights = done.module.conv1.conv.weight
    torch.testing.assert_close(weights, found.state["conv1.conv.weight"], rtol=0, atol=1e-6)


def test_a_network_without_such_convolutions_is_refused():
    with pytest.raises(InvalidValueError, match="nothing to pretrain"):
        pretrain(MODELS["kereliuk2015"].configure(width=0.1), clips()[:2])
