"""The first layers of the filter study: gathered, kept in small files, and analysed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filter_study_runs import (
    KINDS,
    LENGTHS,
    SAMPLE_RATE,
    SEEDS,
    all_runs,
    open_notes,
    patches,
    split_notes,
    untrained,
)
from torch import Tensor

from auralise.datasets.splits import Split
from auralise.errors import AuraliseError
from auralise.filters import (
    SCALES,
    BankResponse,
    FilterBank,
    Interval,
    Verdict,
    judge_scale,
    respond,
)
from auralise.filters.known import scale_bank
from auralise.filters.resampling import percentiles, resample
from auralise.filters.scales import warp_to_unit, wasserstein_to_uniform

DATA = Path(__file__).parent / "data"
KEPT, RUNS = DATA / "filter-study.npz", DATA / "filter-study.json"
DRAWS = 1000
CONTROLS = ("untrained", "shuffled", "whitened", "patches")
NAMES = {
    "trained": "trained",
    "untrained": "untrained twins",
    "shuffled": "shuffled labels",
    "whitened": "whitened audio",
    "patches": "patches of the music",
    "mel": "mel Gabors (made)",
    "constant": "log Gabors (made)",
}


@dataclass(frozen=True)
class Condition:
    """Banks of one kind and length, one for each seed."""

    kind: str
    length: int
    banks: tuple[BankResponse, ...]
    verdict: Verdict
    taps: tuple[Tensor, ...]

    @property
    def tuned(self) -> list[Tensor]:
        """Centre frequencies of the filters that pass the gate and lie in the band, by seed."""
        low, high = self.verdict.band
        found = [bank.peak[bank.selective(self.verdict.gate)] for bank in self.banks]
        return [part[(part >= low) & (part <= high)] for part in found]


def keep(data: Path, out: Path) -> None:
    """Gather the first layers of all trainings, and patches of the music, into small files."""
    notes = open_notes(data, out / "cache")
    arrays: dict[str, Any] = {}
    runs: list[dict[str, Any]] = []
    for run in all_runs():
        path = out / f"{run.name}.json"
        if not path.exists():
            continue
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["key"] != run.key:
            raise AuraliseError(f"{path} was made with other options; train it again")
        arrays[run.name] = _small(np.load(out / f"{run.name}.npz")["bank"])
        runs.append(found)
    filters = len(next(iter(arrays.values())))
    floors = []
    for seed in SEEDS:
        split = split_notes(data, seed)
        floors.append(_floor(split))
        clips = notes.clips_of(split.train)
        for length in LENGTHS:
            bank = patches(clips, filters, length, seed)
            arrays[f"patches-{length}-{seed}"] = _small(bank.impulse_responses.numpy())
    labels = len({clip.track.label for clip in notes})
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(KEPT, allow_pickle=False, **arrays)
    text = json.dumps({"labels": labels, "floors": floors, "runs": runs}, indent=1)
    RUNS.write_text(f"{text}\n", encoding="utf-8")
    print(f"{len(runs)} trainings kept, {KEPT.stat().st_size / 2**20:.1f} MiB")


def _floor(split: Split) -> float:
    """Return the accuracy of naming the most frequent label of the training notes."""
    most = Counter(track.label for track in split.train).most_common(1)[0][0]
    return sum(track.label == most for track in split.test) / len(split.test)


def _small(bank: np.ndarray) -> np.ndarray:
    """Scale each filter to a peak of 1, and keep 11 bits of it: noise 66 dB below."""
    largest = np.abs(bank).max(1, keepdims=True)
    return (bank / np.where(largest > 0, largest, 1.0)).astype(np.float16)


def read_conditions() -> tuple[list[Condition], dict[str, Any]]:
    """Return what was kept, analysed, with the made banks that the analysis must get right."""
    runs = json.loads(RUNS.read_text(encoding="utf-8"))
    kept = np.load(KEPT)
    found = []
    for length in LENGTHS:
        begun = [untrained(length, seed, runs["labels"]) for seed in SEEDS]
        filters = len(begun[0].names)
        banks: dict[str, list[FilterBank]] = {"untrained": begun}
        for kind in (*KINDS, "patches"):
            names = [f"{kind}-{length}-{seed}" for seed in SEEDS]
            there = [name in kept for name in names]
            if there != sorted(there, reverse=True):
                raise AuraliseError(f"of {kind} {length}, a seed is missing between others")
            banks[kind] = [_bank(kept[name]) for name in names if name in kept]
        for kind, scale in (("mel", "mel-htk"), ("constant", "log2")):
            banks[kind] = [scale_bank(scale, filters, length=length, seed=seed) for seed in SEEDS]
        controls = [respond(bank) for bank in begun]
        for kind in ("trained", *CONTROLS, "mel", "constant"):
            if banks[kind]:
                responses = tuple(respond(bank) for bank in banks[kind])
                verdict = judge_scale(responses, controls, draws=DRAWS)
                taps = tuple(bank.impulse_responses for bank in banks[kind])
                found.append(Condition(kind, length, responses, verdict, taps))
    return found, runs


def _bank(taps: np.ndarray) -> FilterBank:
    return FilterBank(torch.from_numpy(taps.astype(np.float64)), SAMPLE_RATE)


def of(conditions: Sequence[Condition], kind: str, length: int) -> Condition | None:
    """Return the condition of a kind and length, if there is one."""
    return next((c for c in conditions if (c.kind, c.length) == (kind, length)), None)


def difference(one: Condition, two: Condition, scale: str) -> Interval:
    """Return how much farther from a scale one is than the other; filters and seeds drawn again."""
    drawn, seen = [], []
    for number, condition in enumerate((one, two)):
        values, index = resample(condition.tuned, DRAWS, seed=number)
        units = warp_to_unit(values, SCALES[scale], condition.verdict.band)
        drawn.append(wasserstein_to_uniform(units[index]))
        seen.append(float(wasserstein_to_uniform(units)))
    return percentiles(seen[0] - seen[1], drawn[0] - drawn[1])
