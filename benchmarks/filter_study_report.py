"""From kept first layers to the tables, sentences and figures of `docs/filter-study.md`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filter_study_figures import draw_figures
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

BEGIN, END = "<!-- {}: made by benchmarks/filter_study.py -->", "<!-- end -->"
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
        controls = [respond(untrained(length, seed, runs["labels"])) for seed in SEEDS]
        filters = len(controls[0].peak)
        banks: dict[str, list[BankResponse]] = {"untrained": controls}
        for kind in (*KINDS, "patches"):
            names = [f"{kind}-{length}-{seed}" for seed in SEEDS]
            banks[kind] = [_respond(kept[name]) for name in names if name in kept]
        for kind, scale in (("mel", "mel-htk"), ("constant", "log2")):
            made = (scale_bank(scale, filters, length=length, seed=seed) for seed in SEEDS)
            banks[kind] = [respond(bank) for bank in made]
        for kind in ("trained", *CONTROLS, "mel", "constant"):
            if banks[kind]:
                verdict = judge_scale(banks[kind], controls, draws=DRAWS)
                found.append(Condition(kind, length, tuple(banks[kind]), verdict))
    return found, runs


def _respond(taps: np.ndarray) -> BankResponse:
    return respond(FilterBank(torch.from_numpy(taps.astype(np.float64)), SAMPLE_RATE))


def report(docs: Path) -> None:
    """Write tables, sentences and figures into the page."""
    conditions, runs = read_conditions()
    page = docs / "filter-study.md"
    text = page.read_text(encoding="utf-8")
    sections = {
        "accuracy": accuracy_table(runs["runs"], runs["floors"]),
        "answer": "\n\n".join(answer(conditions, length) for length in LENGTHS),
        "counts": counts_table(conditions),
        "distances": distances_table(conditions),
        "shape": shape_table(conditions),
        "differences": differences_table(conditions),
        "measures": measures_table(conditions),
    }
    for name, made in sections.items():
        before, begin, rest = text.partition(BEGIN.format(name))
        _, end, after = rest.partition(END)
        if not begin or not end:
            raise AuraliseError(f"{page} has no markers {BEGIN.format(name)} ... {END}")
        text = f"{before}{begin}\n\n{made}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")
    for name, picture in draw_figures(conditions).items():
        (docs / "images" / f"filter-study-{name}.png").write_bytes(picture)


def of(conditions: Sequence[Condition], kind: str, length: int) -> Condition | None:
    """Return the condition of a kind and length, if there is one."""
    return next((c for c in conditions if (c.kind, c.length) == (kind, length)), None)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def accuracy_table(runs: Sequence[dict[str, Any]], floors: Sequence[float]) -> str:
    """Say what each kind of training reached, and what it cost."""
    rows = []
    for kind in KINDS:
        for length in LENGTHS:
            own = [run for run in runs if (run["kind"], run["length"]) == (kind, length)]
            if not own:
                continue
            test, train = ([run["accuracy"][part] for run in own] for part in ("test", "train"))
            loss = [run["history"][-1][0] for run in own]
            rows.append(
                [
                    NAMES[kind],
                    str(length),
                    str(len(own)),
                    ", ".join(f"{100 * value:.1f}" for value in test),
                    f"{100 * np.mean(train):.1f}",
                    f"{np.mean(loss):.2f}",
                    f"{np.mean([run['minutes'] for run in own]):.1f}",
                ]
            )
    head = ("training", "length", "seeds", "test accuracy by seed (%)")
    made = table((*head, "on training notes (%)", "last loss (nats)", "minutes each"), rows)
    low, high = 100 * min(floors), 100 * max(floors)
    return (
        f"{made}\n\nAlways naming the most frequent instrument of the training notes is right on "
        f"{low:.1f} to {high:.1f} % of the test notes. Minutes are wall clock on a shared core."
    )


def answer(conditions: Sequence[Condition], length: int) -> str:
    """Give the verdict on the trained networks of a length, with what the controls say of it."""
    trained = of(conditions, "trained", length)
    if trained is None:
        return f"**{length} samples**: not trained."
    words = [f"**{length} samples** ({SAMPLE_RATE / length:.4g} Hz). {trained.verdict.sentence}"]
    if trained.verdict.scales:
        nearest = trained.verdict.scales[0].scale
        scales = ["mel-htk"] if nearest == "mel-htk" else ["mel-htk", nearest]
        for scale in scales:
            words.append(_apart(conditions, trained, scale))
    return " ".join(words)


def _apart(conditions: Sequence[Condition], trained: Condition, scale: str) -> str:
    """Say which controls are as near to a scale as the trained filters are."""
    same, apart = [], []
    for kind in CONTROLS:
        control = of(conditions, kind, trained.length)
        if control is None:
            continue
        if sum(map(len, control.tuned)) < 16:
            apart.append(f"{NAMES[kind]}: too few tuned filters to ask")
            continue
        found = difference(trained, control, scale)
        entry = f"{NAMES[kind]} ({found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}])"
        (same if found.low <= 0 <= found.high else apart).append(entry)
    words = f"Distance to {scale} less that of a control:"
    if same:
        words += f" cannot be told apart from {', '.join(same)};"
    if apart:
        words += f" differs from {', '.join(apart)};"
    return f"{words.rstrip(';')}."


def difference(one: Condition, two: Condition, scale: str) -> Interval:
    """Return how much farther from a scale one is than the other; filters and seeds drawn again."""
    drawn, seen = [], []
    for number, condition in enumerate((one, two)):
        values, index = resample(condition.tuned, DRAWS, seed=number)
        units = warp_to_unit(values, SCALES[scale], condition.verdict.band)
        drawn.append(wasserstein_to_uniform(units[index]))
        seen.append(float(wasserstein_to_uniform(units)))
    return percentiles(seen[0] - seen[1], drawn[0] - drawn[1])


def counts_table(conditions: Sequence[Condition]) -> str:
    """Count filters that are tuned, and say where they lie."""
    rows = []
    for c in conditions:
        tuned = torch.cat(c.tuned)
        filters = sum(len(bank.peak) for bank in c.banks)
        below = sum(int(bank.unresolved.sum()) for bank in c.banks)
        places = (
            [f"{v:.0f}" for v in torch.quantile(tuned, torch.tensor([0.1, 0.5, 0.9]).double())]
            if len(tuned)
            else ["-"] * 3
        )
        high = f"{float((tuned > 2000).double().mean()):.0%}" if len(tuned) else "-"
        rows.append(
            [str(c.length), NAMES[c.kind], str(len(c.banks)), str(filters), str(len(tuned)),
             f"{below / filters:.0%}", *places, high]
        )  # fmt: skip
    head = ("length", "filters of", "seeds", "filters", "tuned", "below fs / L")
    return table((*head, "10 % (Hz)", "median (Hz)", "90 % (Hz)", "above 2 kHz"), rows)


def distances_table(conditions: Sequence[Condition]) -> str:
    """Give the distance to each scale with its interval; bold where the scale leads."""
    rows = []
    for c in conditions:
        entries = {entry.scale: entry for entry in c.verdict.scales}
        if not entries:
            cells = ["no verdict"] + ["-"] * (len(SCALES) - 1)
        else:
            cells = [
                f"**{entries[s].wasserstein}**"
                if entries[s].leading
                else str(entries[s].wasserstein)
                for s in SCALES
            ]
        rows.append([str(c.length), NAMES[c.kind], *cells, c.verdict.finding.value])
    return table(("length", "filters of", *SCALES, "finding"), rows)


def shape_table(conditions: Sequence[Condition]) -> str:
    """Give the corner of the family, the slope of bandwidth, and the width itself."""
    rows = []
    for c in conditions:
        chosen = [bank.selective(c.verdict.gate) for bank in c.banks]
        widths = torch.cat(
            [bank.relative_bandwidth[mask] for bank, mask in zip(c.banks, chosen, strict=True)]
        )
        width = f"{float(torch.quantile(widths, 0.5)):.2f}" if len(widths) else "-"
        corner = "-" if c.verdict.corner is None else str(c.verdict.corner)
        slope = "-" if c.verdict.slope is None else str(c.verdict.slope)
        rows.append([str(c.length), NAMES[c.kind], corner, slope, width])
    head = ("length", "filters of", "a (Hz) of log(1 + f / a)", "slope of log bandwidth")
    return table((*head, "median bandwidth (0.886 fs / L)"), rows)


def differences_table(conditions: Sequence[Condition]) -> str:
    """Give trained less control for the scales that are spoken of."""
    rows = []
    for length in LENGTHS:
        trained = of(conditions, "trained", length)
        for kind in CONTROLS:
            control = of(conditions, kind, length)
            if trained is None or control is None:
                continue
            few = min(sum(map(len, c.tuned)) for c in (trained, control)) < 16
            cells = [
                "too few" if few else str(difference(trained, control, scale))
                for scale in ("linear", "mel-htk", "erb-rate", "log2")
            ]
            rows.append([str(length), NAMES[kind], *cells])
    return table(("length", "trained less", "linear", "mel-htk", "erb-rate", "log2"), rows)


def measures_table(conditions: Sequence[Condition]) -> str:
    """Ask again with other centre frequencies, and in the filters' own band."""
    rows = []
    for length in LENGTHS:
        trained, control = of(conditions, "trained", length), of(conditions, "untrained", length)
        if trained is None or control is None:
            continue
        for measure in ("peak", "centroid", "median"):
            found = judge_scale(trained.banks, control.banks, measure=measure, draws=DRAWS)
            near = {entry.scale: entry for entry in found.scales}
            own = min(found.scales, key=lambda entry: entry.stretched) if found.scales else None
            rows.append(
                [
                    str(length),
                    measure,
                    found.finding.value,
                    ", ".join(found.leading) or "-",
                    str(near["mel-htk"].wasserstein) if near else "-",
                    "-" if own is None else f"{own.scale} {own.stretched:.3f}",
                    "-" if not near else f"{near['mel-htk'].stretched:.3f}",
                ]
            )
    head = ("length", "centre", "finding", "leading", "W1 to mel-htk")
    return table((*head, "nearest in the own band", "mel-htk in the own band"), rows)
