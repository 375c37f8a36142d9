"""Train and evaluate all networks under one protocol, and write `docs/models.md`'s tables.

Each run is a line of a file of results, benchmarks/results/networks.jsonl, written when it ends;
runs whose line is there are not made again, so that the command can be stopped, and two processes
can share the work:

    python benchmarks/networks.py --data DATA --budget small --shard 0/2
    python benchmarks/networks.py --data DATA --budget small --shard 1/2
    python benchmarks/networks.py --budget small --report docs

DATA has the folders `philharmonia` and `gtzan_mini/genres`. One thread in each process. The report
leaves rows of the page as they are that it has no runs, or fewer runs, for. ``--budget full``
trains the networks as their recipes say.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before the libraries that read it are imported

import numpy as np
import torch
from network_runs import Run, all_runs
from network_store import add_result, read_results

from auralise.datasets import Dataset, Track, open_dataset
from auralise.datasets.clips import Clip, read_clips
from auralise.datasets.splits import Split, split_by_group
from auralise.errors import AuraliseError
from auralise.models import MODELS
from auralise.models.base import Architecture
from auralise.models.cost import cost_of
from auralise.training.assessment import assess, units_of
from auralise.training.fit import FitOptions, Fitted, fit
from auralise.training.fusion import FusionOptions, fit_fusion
from auralise.training.pretraining import Pretrained, PretrainOptions, pretrain
from auralise.training.recipes import Recipe, load_recipe
from auralise.training.voting import clip_logits, majority_vote, mean_vote

RESULTS = Path(__file__).parent / "results" / "networks.jsonl"
GENRES = ("country", "disco", "hiphop", "metal")


@dataclass(frozen=True)
class Parts:
    """A collection in three parts, decoded."""

    dataset: Dataset
    train: list[Clip]
    valid: list[Clip]
    test: list[Clip]
    unlabelled: list[Clip]  # the whole training part, whatever share of it has labels


def open_genres(folder: Path) -> Dataset:
    """Return the genres of gtzan_mini that many artists play: 40 clips."""
    whole = open_dataset(f"folder:{folder}")
    tracks = tuple(track for track in whole.tracks if track.label in GENRES)
    return Dataset("four genres of gtzan_mini", tracks, whole.licence, "clip")


def split_genres(dataset: Dataset, fold: int) -> Split:
    """Return fold 0 to 4 of five: of each label two clips test, the next two choose the epoch."""
    parts: tuple[list[Track], ...] = ([], [], [])
    for label in dataset.labels:
        tracks = [track for track in dataset.tracks if track.label == label]
        for number, track in enumerate(tracks):
            turn = (number // 2 - fold) % 5
            parts[2 if turn == 0 else 1 if turn == 1 else 0].append(track)
    return Split(*(tuple(part) for part in parts))


@lru_cache(maxsize=6)
def decoded(data: str, folder: Path, rate: int) -> tuple[Dataset, dict[Path, Clip]]:
    """Return a collection and its clips at a rate; the last few are kept."""
    dataset = (
        open_dataset(f"philharmonia:{folder / 'philharmonia'}")
        if data == "instruments"
        else open_genres(folder / "gtzan_mini" / "genres")
    )
    return dataset, {clip.track.path: clip for clip in read_clips(dataset.tracks, rate)}


def parts_of(run: Run, folder: Path, rate: int) -> Parts:
    """Return the clips that a run trains on, chooses its epoch on, and is tested on."""
    dataset, clips = decoded(run.data, folder, rate)
    split = (
        split_by_group(dataset, seed=run.seed)
        if run.data == "instruments"
        else split_genres(dataset, run.seed)
    )
    train = subset(split.train, run.share, run.seed)
    valid = subset(split.valid, run.valid_share, run.seed)
    lists = [[clips[track.path] for track in part] for part in (train, valid, split.test)]
    repeated = lists[0] * run.repeat
    if len(repeated) % run.batch_size == 1:  # a batch of one has no variance to normalise by
        repeated = repeated[:-1]
    whole = [clips[track.path] for track in split.train]
    return Parts(dataset, repeated, lists[1], lists[2], whole)


def subset(tracks: Sequence[Track], share: float, seed: int) -> list[Track]:
    """Draw a share of tracks, label by label; the same for the same seed."""
    if share >= 1:
        return list(tracks)
    random = np.random.default_rng(seed)
    chosen: list[Track] = []
    for label in sorted({track.label for track in tracks}):
        own = [track for track in tracks if track.label == label]
        order = random.permutation(len(own))[: max(1, round(share * len(own)))]
        chosen.extend(own[i] for i in sorted(order.tolist()))
    return chosen


def train_plainly(run: Run, architecture: Architecture, parts: Parts, device: str) -> Fitted:
    """Fit the network to the labels, and nothing else."""
    labels = parts.dataset.labels
    return fit(architecture, labels, parts.train, parts.valid, _options(run), device=device)


def _options(run: Run) -> FitOptions:
    return FitOptions(
        epochs=run.epochs,
        batch_size=run.batch_size,
        learning_rate=run.learning_rate,
        seed=run.seed,
        **dict(run.training),
    )


def as_published(run: Run) -> Recipe | None:
    """Return the recipe of a run that is trained as one says."""
    name = "costa2017-fusion" if run.method.startswith("lbp-") else run.architecture
    return load_recipe(name) if run.training else None


PRETRAINED: dict[tuple[Any, ...], Pretrained] = {}


def train_pretrained(run: Run, architecture: Architecture, parts: Parts, device: str) -> Fitted:
    """Learn the convolutions from all training clips without labels, then fit to the labels."""
    key = (run.architecture, run.options, run.data, run.seed)
    if key not in PRETRAINED:  # whatever the share of labels
        recipe = as_published(run)
        how = (recipe and recipe.pretraining) or PretrainOptions(epochs=3)
        PRETRAINED[key] = pretrain(
            architecture, parts.unlabelled, how, seed=run.seed, device=device
        )
    learned = PRETRAINED[key]
    options = replace(_options(run), standardise=False)  # the frontend is, from all clips
    labels = parts.dataset.labels
    return fit(
        learned.architecture, labels, parts.train, parts.valid, options, device=device,
        start=learned.state,
    )  # fmt: skip


def train_fused(
    rule: str, run: Run, architecture: Architecture, parts: Parts, device: str
) -> Fitted:
    """Fit the network, then a support vector machine on local binary patterns beside it."""
    fitted = train_plainly(run, architecture, parts, device)
    labels = parts.dataset.labels
    recipe = as_published(run)
    options = replace((recipe and recipe.fusion) or FusionOptions(), rule=rule)
    fused = fit_fusion(fitted.module, fitted.architecture, labels, parts.train, options)
    return replace(fitted, module=fused.module, architecture=fused.architecture)


METHODS: dict[str, Callable[[Run, Architecture, Parts, str], Fitted]] = {
    "fit": train_plainly,
    "pretrain": train_pretrained,
    "lbp-sum": partial(train_fused, "sum"),
    "lbp-product": partial(train_fused, "product"),
}


def carry_out(run: Run, folder: Path, device: str) -> dict[str, Any]:
    """Train, evaluate, and say everything that the tables need."""
    architecture = MODELS[run.architecture].configure(**dict(run.options))
    parts = parts_of(run, folder, architecture.frontend().sample_rate)
    clock = time.process_time if device == "cpu" else time.perf_counter  # one thread
    start = clock()
    fitted = METHODS[run.method](run, architecture, parts, device)
    minutes = (clock() - start) / 60
    labels = parts.dataset.labels
    answers = clip_logits(fitted.module, fitted.architecture, parts.test, device=device)
    found = assess(answers, labels, draws=200)
    truth = np.array([labels.index(track.label) for track in answers.tracks])
    segment = np.bincount(answers.clip, answers.logits.argmax(1) == truth[answers.clip])
    cost = cost_of(architecture, len(labels), batch_size=16, device=device)
    return {
        "scores": {name: score.value for name, score in found.scores.items()},
        "floor": found.floor,
        "units": units_of(answers.tracks, "group")[1],
        "right": (mean_vote(answers).argmax(1) == truth).astype(int).tolist(),
        "majority": (majority_vote(answers) == truth).astype(int).tolist(),
        "segment": (segment / np.bincount(answers.clip)).round(6).tolist(),
        "clips": [len(parts.train) // run.repeat, len(parts.valid), len(parts.test)],
        "minutes": minutes,
        "cost": asdict(cost),
    }


def machine(device: str) -> dict[str, str]:
    """Say what the runs were made on."""
    name = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU"
    return {"device": name, "torch": torch.__version__, "python": platform.python_version()}


def work(runs: Sequence[Run], folder: Path, results: Path, device: str, until: float) -> None:
    """Make the runs that have no result yet, in order, until the time is over."""
    for number, run in enumerate(runs, 1):
        if time.time() > until:
            print(f"time is over; {len(runs) - number + 1} runs are left", flush=True)
            return
        if run.key in read_results(results):
            continue
        start = time.perf_counter()
        head = {"key": run.key, "run": asdict(run), **machine(device)}
        try:
            line = {**head, **carry_out(run, folder, device)}
            text = f"accuracy {line['scores']['accuracy']:.3f}"
        except AuraliseError as error:
            line = {**head, "failed": str(error)}
            text = f"failed: {error}"
        add_result(results, line)
        took = time.perf_counter() - start
        print(
            f"{number}/{len(runs)} {run.table} {run.label} seed {run.seed}: {text} ({took:.0f} s)",
            flush=True,
        )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with philharmonia and gtzan_mini")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of results")
    parser.add_argument("--budget", choices=("small", "full"), default="small")
    parser.add_argument("--shard", default="0/1", help="which of how many processes this is")
    parser.add_argument("--only", default="", help="tables or rows that contain this word")
    parser.add_argument("--seeds", type=int, default=5, help="the first so many")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no run after so many")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--list", action="store_true", help="print the runs and stop")
    parser.add_argument("--report", type=Path, help="folder of docs to write the tables into")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    every, left_out = all_runs(options.budget)
    for text in left_out:
        print(f"left out: {text}", file=sys.stderr)
    runs = [
        run
        for run in every
        if options.only in f"{run.table} {run.label}" and run.seed < options.seeds
    ]
    if options.report is not None:
        from network_tables import write_report

        write_report(read_results(options.results), options.report, options.budget)
        return
    which, count = (int(word) for word in options.shard.split("/"))
    own = runs[which::count]
    if options.list:
        for run in own:
            print(f"{run.key} {run.table}: {run.label}, seed {run.seed}, {dict(run.options)}")
        return
    if options.data is None:
        sys.exit("--data is needed to train")
    work(own, options.data, options.results, options.device, time.time() + 60 * options.minutes)


if __name__ == "__main__":
    main()
