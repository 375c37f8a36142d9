"""The trainings of `filter_study.py`, and the first layers that are kept of them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from auralise.datasets import open_dataset
from auralise.datasets.cache import ClipCache, open_cache
from auralise.datasets.clips import Clip
from auralise.datasets.splits import Split, split_by_group
from auralise.filters import FilterBank, effective_bank
from auralise.models import MODELS
from auralise.models.base import Architecture, wrap
from auralise.training.checkpoints import LAST, read_state
from auralise.training.fit import FitOptions, fit
from auralise.training.voting import clip_logits, mean_vote

SAMPLE_RATE = 16000
LENGTHS = (64, 256, 1024)
SEEDS = tuple(range(5))
KINDS = ("trained", "shuffled", "whitened")
ARCHITECTURE = "dieleman2014-raw"

# Small enough for one core of a CPU; stated in the page.
OPTIONS: dict[str, float] = {"seconds": 1.0, "stride": 64, "width": 0.5}
EPOCHS, BATCH, RATE, SEMITONES = 16, 16, 3e-3, 0.0


@dataclass(frozen=True)
class Run:
    """One training."""

    kind: str
    length: int
    seed: int
    epochs: int = EPOCHS

    @property
    def name(self) -> str:
        """Also of its files."""
        return f"{self.kind}-{self.length}-{self.seed}"

    @property
    def key(self) -> str:
        """What a result must have been made with to count."""
        work = {**asdict(self), **OPTIONS, "batch": BATCH, "rate": RATE, "semitones": SEMITONES}
        return hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()[:16]


def all_runs(epochs: int = EPOCHS) -> list[Run]:
    """Return all trainings, the most important first."""

    def trained(seeds: Sequence[int]) -> list[Run]:
        return [Run("trained", length, seed, epochs) for seed in seeds for length in LENGTHS]

    def controls(lengths: Sequence[int], seeds: Sequence[int]) -> list[Run]:
        return [
            Run(kind, length, seed, epochs)
            for seed in seeds
            for length in lengths
            for kind in ("shuffled", "whitened")
        ]

    return [
        *trained(SEEDS[:3]),
        *controls((256,), SEEDS[:2]),
        *trained(SEEDS[3:]),
        *controls((64, 1024), SEEDS[:2]),
        *controls((256, 64, 1024), SEEDS[2:]),
    ]


def architecture_of(length: int) -> Architecture:
    """Return the network that is trained, with a first layer of a length in samples."""
    return MODELS[ARCHITECTURE].configure(length=length, **OPTIONS)


def open_notes(folder: Path, cache: Path) -> ClipCache:
    """Return all notes, decoded once."""
    dataset = open_dataset(f"philharmonia:{folder}")
    return open_cache(dataset.tracks, SAMPLE_RATE, cache, check=False)


def split_notes(folder: Path, seed: int) -> Split:
    """Return the parts of a seed: takes of one pitch by one instrument stay together."""
    return split_by_group(open_dataset(f"philharmonia:{folder}"), seed=seed)


def shuffle_labels(clips: Sequence[Clip], seed: int) -> list[Clip]:
    """Give each clip the label of another one, drawn without regard to what is heard."""
    order = np.random.default_rng(seed).permutation(len(clips))
    return [
        replace(clip, track=replace(clip.track, label=clips[other].track.label))
        for clip, other in zip(clips, order, strict=True)
    ]


def whitening(clips: Sequence[Clip], taps: int = 1024, floor_db: float = -60.0) -> Tensor:
    """Return a symmetric filter that makes the mean power spectrum of clips flat.

    The mean is over frames of all clips; where it is more than ``floor_db`` below its largest
    value, it is taken to be that, so that noise is not raised without end.
    """
    window = torch.hann_window(taps, periodic=True)
    total = torch.zeros(taps // 2 + 1, dtype=torch.float64)
    for clip in clips:
        if len(clip.samples) >= taps:
            frames = clip.samples.unfold(0, taps, taps // 2) * window
            total += torch.fft.rfft(frames).abs().double().square().mean(0)
    power = total / total.max()
    inverse = power.clamp_min(10 ** (floor_db / 10)).rsqrt()
    response = torch.fft.irfft(inverse.to(torch.complex128), taps).roll(taps // 2)
    return response * torch.hann_window(taps, periodic=True, dtype=torch.float64)


def whiten(clips: Sequence[Clip], taps: Tensor) -> list[Clip]:
    """Filter clips and scale their peaks back to 1."""
    found = []
    for clip in clips:
        n = len(clip.samples)
        width = 1 << (n + len(taps) - 1).bit_length()
        product = torch.fft.rfft(clip.samples.double(), width) * torch.fft.rfft(taps, width)
        start = len(taps) // 2
        filtered = torch.fft.irfft(product, width)[start : start + n]
        scaled = (filtered / filtered.abs().max().clamp_min(1e-9)).float()
        found.append(replace(clip, samples=scaled))
    return found


def patches(clips: Sequence[Clip], filters: int, length: int, seed: int) -> FilterBank:
    """Cut filters out of the music: stretches at random places, none below -40 dB of full scale."""
    random = np.random.default_rng(seed)
    found: list[Tensor] = []
    while len(found) < filters:
        samples = clips[int(random.integers(len(clips)))].samples
        if len(samples) < length:
            continue
        start = int(random.integers(len(samples) - length + 1))
        part = samples[start : start + length].double()
        if float(part.square().mean().sqrt()) > 0.01:
            found.append(part / torch.linalg.vector_norm(part))
    return FilterBank(torch.stack(found), SAMPLE_RATE)


def untrained(length: int, seed: int, labels: int) -> FilterBank:
    """Return the filters that the training of a seed begins with."""
    architecture = architecture_of(length)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = architecture.build(labels).eval()
    return effective_bank(wrap(module, architecture.frontend()))


def carry_out(run: Run, notes: ClipCache, folder: Path, out: Path) -> dict[str, Any]:
    """Train, test, and keep the filters; return what is known of the run."""
    split = split_notes(folder, run.seed)
    train, valid = (list(notes.clips_of(part)) for part in (split.train, split.valid))
    test = list(notes.clips_of(split.test))
    labels = tuple(sorted({clip.track.label for clip in notes}))
    if run.kind == "whitened":
        taps = whitening(train)
        train, valid, test = (whiten(part, taps) for part in (train, valid, test))
    if run.kind == "shuffled":
        train = shuffle_labels(train, run.seed)
    if len(train) % BATCH == 1:  # a batch of one has no variance to normalise by
        train = train[:-1]
    architecture = architecture_of(run.length)
    options = FitOptions(
        epochs=run.epochs, batch_size=BATCH, learning_rate=RATE, semitones=SEMITONES, seed=run.seed
    )
    start = time.perf_counter()
    state_folder = out / "state" / f"{run.name}-{run.key}"
    fitted = fit(architecture, labels, train, valid[::4], options, folder=state_folder)
    minutes = (time.perf_counter() - start) / 60
    module = fitted.module
    # The state after the last epoch, for all kinds alike: with shuffled labels, "best" is chance.
    last = read_state(state_folder / LAST)["state_dict"]
    module.load_state_dict({name.partition(".")[2]: value for name, value in last.items()})
    module.eval()
    bank = effective_bank(wrap(module, fitted.architecture.frontend()))
    convolution = module.get_submodule("frames.conv")
    np.savez(
        out / f"{run.name}.npz",
        bank=bank.impulse_responses.numpy().astype(np.float32),
        weight=convolution.weight.detach()[:, 0].numpy(),
        key=run.key,
    )
    found = {"test": _accuracy(module, architecture, test, labels)}
    found["train"] = _accuracy(module, architecture, train[::3], labels)
    history = [[round(epoch.loss, 4), round(epoch.valid_score, 4)] for epoch in fitted.history]
    return {
        **asdict(run),
        "key": run.key,
        "accuracy": found,
        "clips": [len(train), len(valid[::4]), len(test)],
        "minutes": minutes,
        "history": history,
        "torch": torch.__version__,
    }


def _accuracy(
    module: torch.nn.Module, architecture: Architecture, clips: list[Clip], labels: tuple[str, ...]
) -> float:
    answers = clip_logits(module, architecture, clips)
    truth = np.array([labels.index(track.label) for track in answers.tracks])
    return float((mean_vote(answers).argmax(1) == truth).mean())


def read_results(out: Path) -> dict[str, dict[str, Any]]:
    """Return what is known, by the runs' keys."""
    found = {}
    for path in sorted(out.glob("*.json")):
        line = json.loads(path.read_text(encoding="utf-8"))
        found[line["key"]] = line
    return found


def work(runs: Sequence[Run], folder: Path, out: Path, until: float) -> None:
    """Make the runs that have no result yet and no other process makes, until the time is over."""
    out.mkdir(parents=True, exist_ok=True)
    notes = open_notes(folder, out / "cache")
    for number, run in enumerate(runs, 1):
        if time.time() > until:
            print("time is over", flush=True)
            return
        with suppress(Timeout), FileLock(out / f"{run.name}.lock", timeout=0):
            path = out / f"{run.name}.json"
            if path.exists() and json.loads(path.read_text(encoding="utf-8"))["key"] == run.key:
                continue
            start = time.perf_counter()
            found = carry_out(run, notes, folder, out)
            aside = path.with_suffix(".part")
            aside.write_text(json.dumps(found, allow_nan=False), encoding="utf-8")
            aside.replace(path)
            took = time.perf_counter() - start
            print(
                f"{number}/{len(runs)} {run.name}: accuracy {found['accuracy']['test']:.3f}, on "
                f"training clips {found['accuracy']['train']:.3f} ({took:.0f} s)",
                flush=True,
            )
