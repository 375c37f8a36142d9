"""What is changed at random in training: by how much, how often, and again the same."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError, WeightsError
from auralise.frontends import RawFrontend, SpectrogramFrontend
from auralise.models.base import Architecture
from auralise.spectral.stft import StftSpec
from auralise.training import FitOptions, fit
from auralise.training.augment import change, draw, mask, seed_of
from auralise.training.batches import Excerpts, Item
from auralise.training.statistics import label_weights, spread_of
from auralise.training.task import measure, parameter_groups

TONE = torch.sin(2 * torch.pi * 440 * torch.arange(4000) / 8000)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_a_draw_keeps_the_sound_but_for_place_level_and_sign():
    gains = []
    for seed in range(60):
        excerpt = draw(TONE, 6000, 8000, FitOptions(), generator(seed))
        start = int(torch.nonzero(excerpt)[0]) - 1  # the tone's own first sample is 0
        gain = float(excerpt[start + 5] / TONE[5])
        assert torch.allclose(excerpt[start : start + 4000], gain * TONE, atol=1e-6)
        gains.append(gain)
    levels = 20 * np.log10(np.abs(gains))
    assert -30 <= levels.min() < -20 < -10 < levels.max() <= 0
    assert 15 < sum(gain < 0 for gain in gains) < 45


def test_features_are_placed_and_nothing_else():
    features = torch.arange(12.0).view(2, 6) + 1
    excerpt = draw(features, 4, 1, FitOptions(semitones=3.0), generator(0))
    starts = [i for i in range(3) if torch.equal(excerpt, features[:, i : i + 4])]
    assert len(starts) == 1


def test_an_item_is_the_same_whenever_it_is_asked_for():
    clips = [Clip(TONE, Track(Path("a"), label, "")) for label in "ab"]
    options = FitOptions(semitones=2.0, effects=("noise",))
    excerpts = Excerpts(clips, "ab", False, 3000, 8000, options)
    first = excerpts[Item(2, 1, 0.5)][0]
    excerpts[Item(0, 0, 0.5)]
    assert torch.equal(excerpts[Item(2, 1, 0.5)][0], first)
    assert not torch.equal(excerpts[Item(3, 1, 0.5)][0], first)
    assert not torch.equal(excerpts[Item(2, 0, 0.5)][0], first)


def test_seeds_of_different_numbers_differ():
    found = {seed_of(a, b, c) for a in range(3) for b in range(10) for c in range(10)}
    assert len(found) == 300


def test_noise_is_as_loud_as_promised_and_the_generators_are_put_back():
    """20 to 50 dB below the tone, in half the draws."""
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = (random.random(), np.random.rand())  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    changed = [change(TONE, 8000, ("noise",), seed) for seed in range(40)]
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002
    ratios = [
        float(10 * torch.log10(TONE.square().mean() / (c - TONE).square().mean()))
        for c in changed
        if not torch.equal(c, TONE)
    ]
    assert 10 < len(ratios) < 30
    assert 19 < min(ratios) < max(ratios) < 51
    assert torch.equal(changed[3], change(TONE, 8000, ("noise",), 3))


def test_masks_cover_what_the_numbers_say():
    """Width floor(0.5 * (0.4 * 10 + 1)) = 2 frames from floor(0.25 * (10 - 2 + 1)) = 2."""
    values = torch.arange(40.0).view(1, 1, 4, 10)
    numbers = torch.tensor([[0.5, 0.25, 0.0, 0.0]])
    covered = mask(values, numbers, 0.4, 0.5) != values
    assert torch.nonzero(covered.all(2)[0, 0]).flatten().tolist() == [2, 3]
    assert covered.sum() == 8
    bins = mask(values, torch.tensor([[0.0, 0.0, 0.9, 0.99]]), 0.4, 0.5)
    assert torch.nonzero((bins != values).all(3)[0, 0]).flatten().tolist() == [2, 3]
    assert torch.equal(bins[0, 0, 2:], torch.full((2, 10), values.mean().item()))
    assert torch.equal(mask(values, torch.rand(1, 4), 0.0, 0.0), values)


def test_label_weights_by_hand():
    tracks = [Track(Path("a"), label, "") for label in "aaab"]
    clips = [Clip(TONE, track) for track in tracks]
    assert label_weights("ab", clips, False).tolist() == pytest.approx([4 / 6, 2.0])
    tagged = [Clip(TONE, Track(Path("a"), "", "", tags)) for tags in (("x",), ("x", "y"), (), ())]
    assert label_weights("xy", tagged, True).tolist() == [1.0, 3.0]


def test_the_spread_is_that_of_the_values():
    frontend = SpectrogramFrontend(StftSpec(8000, 256, 128), mean=9.0, std=7.0)
    clips = [Clip(k * TONE, Track(Path("a"), "a", "")) for k in (0.3, 1.0)]
    mean, std = spread_of(frontend, 0.5, clips)
    plain = SpectrogramFrontend(StftSpec(8000, 256, 128)).module
    values = torch.cat([plain(0.25 * clip.samples[None]) for clip in clips]).double()
    assert mean == pytest.approx(values.mean().item(), rel=1e-6)
    assert std == pytest.approx(values.std(correction=0).item(), rel=1e-6)


def flat(norm):
    middle = [nn.BatchNorm2d(1)] if norm else []
    return lambda n: nn.Sequential(
        *middle, nn.AdaptiveAvgPool2d((4, 1)), nn.Flatten(), nn.Linear(4, n)
    )


@pytest.mark.parametrize(
    ("norm", "asked", "changed"),
    [(False, None, True), (True, None, False), (True, True, True), (False, False, False)],
)
def test_spectrograms_are_standardised_where_the_network_does_not(norm, asked, changed):
    frontend = SpectrogramFrontend(StftSpec(8000, 256, 128))
    paper = Architecture(flat(norm), lambda: frontend, 0.25, "none")
    clips = [Clip(TONE, Track(Path("a"), label, label)) for label in "ab"]
    fitted = fit(paper, "ab", clips, clips, FitOptions(epochs=1, standardise=asked))
    found = fitted.architecture.frontend()
    assert (found.std != 1.0) is changed
    if changed:
        values = found.module(0.25 * torch.stack([c.samples[1000:3000] for c in clips]))
        assert values.mean() == pytest.approx(0, abs=1e-4)


def test_tags_are_learned_and_scored_by_roc_auc():
    t = torch.arange(2000) / 4000
    tones = {"low": torch.sin(2 * torch.pi * 200 * t), "high": torch.sin(2 * torch.pi * 1400 * t)}
    clips = []
    for i in range(16):
        tags = tuple(tag for bit, tag in enumerate(tones) if i >> bit & 1)
        sound = sum((tones[tag] for tag in tags), torch.zeros(2000)) / 2
        clips.append(Clip(sound, Track(Path(f"{i}"), "", f"{i}", tags)))
    frontend = SpectrogramFrontend(StftSpec(4000, 64, 32))
    paper = Architecture(
        lambda n: nn.Sequential(nn.AdaptiveAvgPool2d((11, 1)), nn.Flatten(), nn.Linear(11, n)),
        lambda: frontend,
        0.5,
        "none",
    )
    options = FitOptions(epochs=20, batch_size=4, learning_rate=0.05, lowest_gain_db=-3.0)
    fitted = fit(paper, tuple(tones), clips, clips, options, multilabel=True)
    assert fitted.history[fitted.best_epoch - 1].valid_score > 0.95


def test_validation_scores_by_hand():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    assert measure(logits, torch.tensor([0, 1, 1]), 0.5).score == pytest.approx(2 / 3)
    tags = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])  # the second tag is never there
    assert measure(logits, tags, 0.5).score == pytest.approx(0.5)
    assert measure(logits, torch.zeros(3, 2), 0.5).score == -0.5


def test_the_first_module_may_learn_at_its_own_rate():
    network = nn.Sequential(nn.ReLU(), nn.Conv1d(1, 2, 3), nn.Conv1d(2, 2, 3))
    groups = parameter_groups(network, FitOptions(learning_rate=0.1, first_layer_rate=0.01))
    assert [group["lr"] for group in groups] == [0.01, 0.1]
    assert [p.shape for p in groups[0]["params"]] == [(2, 1, 3), (2,)]
    assert len(parameter_groups(network, FitOptions())) == 1


def moved(**changes):
    """How far one step of gradient descent moves weights of 1."""
    clips = [Clip(TONE, Track(Path("a"), label, label)) for label in "aa"]
    paper = Architecture(
        lambda n: nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(4, n)),
        lambda: RawFrontend(8000),
        0.4,
        "none",
    )
    options = FitOptions(
        epochs=1,
        optimizer="sgd",
        momentum=0.0,
        schedule="constant",
        weight_decay=0.0,
        learning_rate=1.0,
        **changes,
    )
    before = {"3.weight": torch.ones(2, 4), "3.bias": torch.zeros(2)}
    after = fit(paper, "ab", clips, clips, options, start=before).module.state_dict()
    return torch.cat([(after[key] - before[key]).flatten() for key in before])


def test_gradients_are_clipped_to_the_norm_asked_for():
    assert moved().norm() > 1e-2
    assert moved(clip_norm=1e-3).norm() == pytest.approx(1e-3, rel=1e-2)


def test_bfloat16_rounds_and_hardly_changes_a_step():
    full, half = moved(), moved(bfloat16=True)
    assert not torch.equal(full, half)
    assert torch.allclose(full, half, rtol=0.05, atol=1e-4)


def test_weights_to_start_from_must_fit():
    clips = [Clip(TONE, Track(Path("a"), label, label)) for label in "ab"]
    paper = Architecture(flat(False), lambda: RawFrontend(8000), 0.5, "none")
    with pytest.raises(WeightsError, match="no extra to start from"):
        fit(paper, "ab", clips, clips, FitOptions(), start={"extra": torch.zeros(1)})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 0}, "epochs"),
        ({"optimizer": "adam"}, "optimizer must be among adamw, sgd"),
        ({"effects": ("echo",)}, "effects"),
        ({"mask_time": 1.5}, "mask_time"),
        ({"epoch_fraction": 0.0}, "epoch_fraction must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"seed": -1}, "seed"),
    ],
)
def test_options_outside_their_range_are_refused(change, named):
    with pytest.raises(InvalidValueError, match=named):
        FitOptions(**change)


def test_labels_of_clips_must_be_known():
    clips = [Clip(TONE, Track(Path("a"), label, label)) for label in "abc"]
    paper = Architecture(flat(False), lambda: RawFrontend(8000), 0.5, "none")
    with pytest.raises(InvalidValueError, match="label 'c' is not among a, b"):
        fit(paper, "ab", clips, clips, FitOptions())
