"""Training: it learns, it repeats, and its scores are what they say."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from auralise.datasets import Dataset, Track, open_dataset
from auralise.datasets.clips import Clip
from auralise.errors import InvalidValueError, TrainingError
from auralise.frontends import RawFrontend
from auralise.models import read_manifest
from auralise.models.base import Architecture
from auralise.training import FitOptions, evaluate, fit
from auralise.training.augment import transpose
from auralise.training.pipeline import Job, train_network


def tiny(n_labels):
    """Mean power of 8 strided filters: enough to tell a low from a high tone."""
    return nn.Sequential(
        nn.Conv1d(1, 8, 32, 8),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(8, n_labels),
    )


PAPER = Architecture(tiny, lambda: RawFrontend(4000), 0.5, "none")


def tones(first, n=24):
    t = torch.arange(1000) / 4000
    clips = []
    for i in range(first, first + n):
        label, hertz = ("low", 150 + 5 * i) if i % 2 else ("high", 1200 + 5 * i)
        track = Track(Path(f"{i}.wav"), label, f"{label}{i // 4}")
        clips.append(Clip(torch.sin(2 * torch.pi * hertz * t), track))
    return clips


def run(**changes):
    options = FitOptions(epochs=30, batch_size=8, learning_rate=2e-2, seed=4, **changes)
    seen = []
    network = fit(PAPER, ("high", "low"), tones(0), tones(24), options, report=seen.append)
    return network, seen


def test_two_kinds_of_tones_are_learned():
    network, seen = run()
    assert max(p.valid_accuracy for p in seen if p.valid_accuracy is not None) > 0.9
    assert len(seen) == 30 * 3
    assert not network.module.training


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    first, second = run()[0].module.state_dict(), run()[0].module.state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_diverging_loss_stops_with_advice():
    options = FitOptions(epochs=3, learning_rate=1e30)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        fit(PAPER, ("high", "low"), tones(0), tones(24), options)


def test_no_clips_are_refused():
    with pytest.raises(InvalidValueError, match="0 training and 24 validation clips"):
        fit(PAPER, ("high", "low"), [], tones(24), FitOptions())


def test_evaluation_by_hand():
    """8 clips in 2 + 2 groups; the network always says "low", so groups are all right or wrong."""
    clips = tones(0, 8)
    logits = torch.tensor([[0.0, 1.0]]).expand(8, 2)
    result = evaluate(logits, clips, ("high", "low"), tones(0, 3))
    assert result.accuracy == 0.5
    assert result.floor == 0.5
    assert result.confusion == ((0, 4), (0, 4))
    assert (result.n_clips, result.n_groups) == (8, 4)
    assert result.interval == (0.0, 1.0)


def test_interval_resamples_groups_rather_than_clips():
    """With every clip its own group the interval narrows: 200 clips in 4 groups are 4 draws."""
    clips = [Clip(torch.zeros(1), Track(Path("a"), "low", f"g{i % 4}")) for i in range(200)]
    right = torch.tensor([[0.0, 1.0] if i % 4 < 2 else [1.0, 0.0] for i in range(200)])
    grouped = evaluate(right, clips, ("high", "low"), clips)
    alone = [Clip(c.samples, Track(Path("a"), "low", f"g{i}")) for i, c in enumerate(clips)]
    single = evaluate(right, alone, ("high", "low"), clips)
    assert grouped.interval == (0.0, 1.0)
    assert single.interval[1] - single.interval[0] == pytest.approx(2 * 1.96 * 0.0354, rel=0.1)


def test_dataset_must_have_two_labels():
    with pytest.raises(InvalidValueError, match="at least two labels"):
        Dataset("none", (), "", "")


@pytest.mark.parametrize("semitones", [-4.0, 0.0, 7.0, 12.0])
def test_transposing_moves_a_tone_by_so_many_semitones(semitones):
    rate, hertz = 8000, 500.0
    tone = torch.sin(2 * torch.pi * hertz * torch.arange(rate, dtype=torch.float64) / rate)
    moved = transpose(tone, semitones)
    assert moved.shape[0] == pytest.approx(rate / 2 ** (semitones / 12), abs=1)
    spectrum = torch.fft.rfft(moved * torch.hann_window(len(moved), dtype=torch.float64), 16 * rate)
    found = float(spectrum.abs().argmax()) / 16
    assert found == pytest.approx(hertz * 2 ** (semitones / 12), rel=1e-3)


def test_a_trained_network_s_card_names_the_command_that_makes_it_again(tmp_path):
    """The kind of collection and not its folder's name; a licence only if one was given."""
    for label, hertz in (("high", 2000), ("low", 200)):
        (tmp_path / "notes" / label).mkdir(parents=True)
        for take in range(4):
            tone = 0.3 * np.sin(2 * np.pi * hertz * (1 + take / 50) * np.arange(16000) / 16000)
            soundfile.write(tmp_path / "notes" / label / f"{label}{take}.wav", tone, 16000)
    trained = train_network(
        Job("dieleman2014-raw", FitOptions(epochs=1, batch_size=4), licence="CC BY 4.0"),
        open_dataset(f"folder:{tmp_path / 'notes'}"),
        out=tmp_path / "out",
        bar=lambda *_: None,
    )
    entry = read_manifest(tmp_path / "out")[trained.name]
    assert entry["command"].startswith("auralise train dieleman2014-raw --data folder:FOLDER ")
    assert entry["command"].endswith("--licence 'CC BY 4.0'")
    card = (tmp_path / "out" / f"{trained.name}.md").read_text()
    assert "| licence of the weights | CC BY 4.0 |" in card
    assert "| differs from the paper in | batch normalisation" in card
