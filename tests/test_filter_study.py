"""The filter study's controls do what they are said to, and what is kept fits the code."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.filters import effective_bank, respond
from auralise.models import wrap

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def study():
    pytest.importorskip("lightning", reason="training is an extra")
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import filter_study_conditions
        import filter_study_runs
    finally:
        sys.path.remove(str(BENCHMARKS))
    return filter_study_runs, filter_study_conditions


def clips(count, labels="abc", seed=0, samples=8000):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, samples, generator=generator)
    # A first-order low-pass colours the noise by 40 dB from 0 Hz to half the rate.
    coloured = torch.zeros_like(noise)
    for t in range(1, samples):
        coloured[:, t] = 0.98 * coloured[:, t - 1] + noise[:, t]
    coloured /= coloured.abs().amax(1, keepdim=True)
    return [
        Clip(sound, Track(Path(f"{i}.wav"), labels[i % len(labels)], str(i)))
        for i, sound in enumerate(coloured)
    ]


def spectrum(sounds):
    frames = torch.stack([clip.samples for clip in sounds]).unfold(1, 512, 256)
    power = torch.fft.rfft(frames * torch.hann_window(512)).abs().square().mean((0, 1))
    return 10 * torch.log10(power[4:-4])


def test_whitening_flattens_the_mean_spectrum(study):
    runs, _ = study
    sounds = clips(12)
    white = runs.whiten(sounds, runs.whitening(sounds))
    before, after = spectrum(sounds), spectrum(white)
    assert (before.max() - before.min()).item() > 25
    assert after.std().item() < 1.0
    assert all(abs(clip.samples.abs().max().item() - 1) < 1e-6 for clip in white)
    assert [len(clip.samples) for clip in white] == [8000] * 12


def test_whitening_does_not_raise_what_is_sixty_decibels_down(study):
    runs, _ = study
    time = torch.arange(16000) / 16000
    tone = torch.sin(2 * torch.pi * 1000 * time)
    filter_ = runs.whitening([Clip(tone, Track(Path("a.wav"), "a", "a"))])
    gain = torch.fft.rfft(filter_).abs()
    assert (gain.max() / gain.min()).item() <= 10**3 * 1.01


def test_shuffled_labels_are_the_same_labels_on_other_sounds(study):
    runs, _ = study
    sounds = clips(300, labels="abcde", samples=4)
    mixed = runs.shuffle_labels(sounds, seed=0)
    assert sorted(c.track.label for c in mixed) == sorted(c.track.label for c in sounds)
    same = sum(a.track.label == b.track.label for a, b in zip(sounds, mixed, strict=True))
    assert same / 300 == pytest.approx(0.2, abs=0.1)
    assert all(a.samples is b.samples for a, b in zip(sounds, mixed, strict=True))


def test_patches_are_stretches_of_the_music_that_are_not_silent(study):
    runs, _ = study
    (sound,) = clips(1)
    sound.samples[:4000] = 0
    bank = runs.patches([sound], 20, 64, seed=0)
    again = runs.patches([sound], 20, 64, seed=0)
    assert torch.equal(bank.impulse_responses, again.impulse_responses)
    windows = sound.samples.double().unfold(0, 64, 1)
    units = windows / torch.linalg.vector_norm(windows, dim=1, keepdim=True).clamp_min(1e-12)
    best = (bank.impulse_responses @ units.T).max(1).values
    torch.testing.assert_close(best, torch.ones(20).double(), rtol=0, atol=1e-9)


def test_a_twin_is_what_a_training_of_the_seed_begins_with(study):
    runs, _ = study
    architecture = runs.architecture_of(64)
    torch.manual_seed(3)  # as fit does before it builds
    module = architecture.build(12).eval()
    begun = effective_bank(wrap(module, architecture.frontend()))
    assert torch.equal(begun.impulse_responses, runs.untrained(64, 3, 12).impulse_responses)


def test_what_is_kept_is_of_the_trainings_that_the_code_describes(study):
    runs, conditions = study
    kept = json.loads(conditions.RUNS.read_text(encoding="utf-8"))
    keys = {run.name: run.key for run in runs.all_runs()}
    arrays = np.load(conditions.KEPT, allow_pickle=False)
    for run in kept["runs"]:
        name = f"{run['kind']}-{run['length']}-{run['seed']}"
        assert run["key"] == keys[name]
        assert arrays[name].shape == (64, run["length"])
    trained = {(r["length"], r["seed"]) for r in kept["runs"] if r["kind"] == "trained"}
    assert trained == {(length, seed) for length in runs.LENGTHS for seed in runs.SEEDS}


def test_keeping_few_bits_moves_no_number(study):
    runs, conditions = study
    taps = runs.untrained(256, 0, 12).impulse_responses
    exact = respond(conditions._bank(taps.numpy()))
    kept = respond(conditions._bank(conditions._small(taps.numpy())))
    assert (exact.peak - kept.peak).abs().max() < 0.2
    assert (exact.peak_fraction - kept.peak_fraction).abs().max() < 1e-3
