"""The tables and curves of `networks.py`, written into `docs/models.md`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from network_runs import (
    LENGTHS,
    PAIRS,
    PUBLISHED,
    SEEDS,
    TITLES,
    Pair,
    Run,
    network_runs,
    pair_runs,
)
from numpy.typing import NDArray

from auralise.errors import AuraliseError
from auralise.output.charts import Axis, Chart, ChartFigure, Series
from auralise.output.charts_png import encode_charts_png

Result = dict[str, Any]
Results = dict[str, Result]
Estimate = tuple[float, float, float]
BEGIN, END = "<!-- networks: {} -->", "<!-- /networks -->"
DRAWS = 2000
MINUS = "\N{MINUS SIGN}"


def estimate(values: Sequence[NDArray[np.float64]], units: Sequence[list[str]]) -> Estimate:
    """Return the mean over seeds and clips with a 95 % interval over both.

    Each draw takes seeds with replacement, and in each of them groups of clips with replacement.

    Parameters
    ----------
    values : sequence of array, shape (clips,)
        One for each seed.
    units : sequence of list of str
        Group of each clip.
    """
    random = np.random.default_rng(0)
    seeds = len(values)
    sums, sizes = [], []
    for value, unit in zip(values, units, strict=True):
        _, group = np.unique(unit, return_inverse=True)
        total, count = np.bincount(group, value), np.bincount(group)
        drawn = random.integers(0, len(count), (seeds, DRAWS, len(count)))
        sums.append(total[drawn].sum(-1))
        sizes.append(count[drawn].sum(-1))
    means = np.array(sums) / np.array(sizes)  # (seed, place in the draw, draw)
    picked = random.integers(0, seeds, (seeds, DRAWS))
    draws = means[picked, np.arange(seeds)[:, None], np.arange(DRAWS)].mean(0)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(np.mean([value.mean() for value in values])), float(low), float(high)


def found(runs: Sequence[Run], results: Results) -> list[Result]:
    """Return what is known of runs; failed ones are not."""
    known = [results[run.key] for run in runs if run.key in results]
    return [result for result in known if "failed" not in result]


def difference(
    first: Sequence[Result], second: Sequence[Result], kind: str = "right"
) -> Estimate | None:
    """Return the mean difference over the seeds that both have."""
    others = {result["run"]["seed"]: result for result in second}
    pairs = [(r, others[r["run"]["seed"]]) for r in first if r["run"]["seed"] in others]
    if not pairs:
        return None
    for one, other in pairs:
        if one["units"] != other["units"]:
            raise AuraliseError(f"runs of seed {one['run']['seed']} were tested on other clips")
    values = [np.array(a[kind], dtype=float) - np.array(b[kind]) for a, b in pairs]
    return estimate(values, [a["units"] for a, _ in pairs])


def accuracy(known: Sequence[Result], kind: str = "right") -> Estimate:
    """Return the accuracy over seeds and clips."""
    return estimate([np.array(r[kind], dtype=float) for r in known], [r["units"] for r in known])


def words(value: Estimate, *, signed: bool = False) -> str:
    """Write an estimate with its interval, in percent."""
    mean, low, high = (f"{100 * x:{'+' if signed else ''}.1f}" for x in value)
    return f"{mean} ({low} to {high})".replace("-", MINUS)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def network_table(data: str, results: Results, budget: str) -> str:
    """Write all networks on one collection."""
    runs = network_runs(data, budget)
    rows = []
    for name in dict.fromkeys(run.architecture for run in runs):
        own = [run for run in runs if run.architecture == name]
        known = found(own, results)
        failed = [results[run.key]["failed"] for run in own if "failed" in results.get(run.key, {})]
        if not known:
            rows.append([f"`{name}`", f"failed: {failed[0]}" if failed else "not run", *[""] * 9])
            continue
        scores = [result["scores"] for result in known]
        rows.append(
            [
                f"`{name}`",
                str(len(known)),
                words(accuracy(known)),
                mean(scores, "macro_f1"),
                mean(scores, "calibration_error"),
                *costs(known),
                given(own[0]),
            ]
        )
    head = ["network", "seeds", "accuracy in % (95 %)", "macro F1", "calibration error",
            "parameters", "MFLOP per second of audio", "training min", "clips per second",
            "given"]  # fmt: skip
    known = found(runs, results)
    return f"{about(known)}\n\n{table(head, [row[: len(head)] for row in rows])}"


def mean(scores: Sequence[dict[str, float]], kind: str) -> str:
    """Write the mean of a score over seeds."""
    return f"{np.mean([score[kind] for score in scores]):.3f}"


def costs(known: Sequence[Result]) -> list[str]:
    """Write what a network costs: the median over seeds where it is timed."""
    cost = known[0]["cost"]
    return [
        f"{cost['parameters']:,}",
        f"{cost['flops_per_second'] / 1e6:,.1f}",
        f"{np.median([r['minutes'] for r in known]):.2f}",
        f"{np.median([r['cost']['clips_per_second'] for r in known]):,.0f}",
    ]


def given(run: Run) -> str:
    """Write what a run was given."""
    options = ", ".join(f"{key} {value}" for key, value in run.options)
    repeat = f" x {run.repeat}" if run.repeat > 1 else ""
    return f"{run.epochs}{repeat} epochs{'; ' if options else ''}{options}"


def about(known: Sequence[Result]) -> str:
    """Say on how many clips and on what machine."""
    if not known:
        return "Not run yet."
    train, valid, test = known[0]["clips"]
    machines = sorted({f"{r['device']}, torch {r['torch']}" for r in known})
    floors = [r["floor"] for r in known]
    return (
        f"Trained on {train} clips, epoch chosen on {valid}, tested on {test} (seed 0; the other "
        f"seeds split anew). Always answering the label most frequent in the test part gives "
        f"{100 * min(floors):.1f} to {100 * max(floors):.1f} %. One thread of: "
        f"{'; '.join(machines)}. Operations are those of convolutions and matrix products; clips "
        "per second are of one forward pass, frontend included, 16 at a time."
    )


def pair_table(name: str, results: Results, budget: str) -> str:
    """Write the differences of one comparison."""
    rows = []
    for pair in (pair for pair in PAIRS if pair.table == name):
        sides = known_sides(pair, results, budget)
        if sides is None:
            continue
        first, second = sides
        gap = difference(first, second)
        seeds = min(len(first), len(second))
        if gap is None:
            rows.append([pair.label, pair.data, str(seeds), "", "", "not run"])
            continue
        cells = [words(accuracy(first)), words(accuracy(second)), words(gap, signed=True)]
        rows.append([pair.label, pair.data, str(seeds), *cells])
    head = ["first less second", "data", "seeds", "first", "second", "difference in % (95 %)"]
    body = table(head, rows) if rows else "Not in this version.\n"
    return f"### {TITLES[name]}\n\n{body}"


def known_sides(
    pair: Pair, results: Results, budget: str
) -> tuple[list[Result], list[Result]] | None:
    """Return what is known of a pair; None if the architecture does not have it."""
    try:
        first, second = pair_runs(pair, budget)
    except AuraliseError:
        return None
    return found(first, results), found(second, results)


def vote_table(results: Results, budget: str) -> str:
    """Write what voting over a clip's segments gains over single segments."""
    rows = []
    runs = network_runs("genres", budget)
    for name in dict.fromkeys(run.architecture for run in runs):
        known = found([run for run in runs if run.architecture == name], results)
        if not known:
            continue
        units = [r["units"] for r in known]
        single = [np.array(r["segment"]) for r in known]
        gains = [
            estimate([np.array(r[k]) - s for r, s in zip(known, single, strict=True)], units)
            for k in ("right", "majority")
        ]
        rows.append(
            [f"`{name}`", words(estimate(single, units)), *(words(g, signed=True) for g in gains)]
        )
    head = ["network", "single segments in %", "mean vote, gain", "majority vote, gain"]
    body = table(head, rows) if rows else "Not run yet.\n"
    return f"### Voting against single segments, four genres\n\n{body}"


def published_table() -> str:
    """Write what the papers reached, on what."""
    rows = [[f"`{name}`", score, protocol] for name, (score, protocol) in PUBLISHED.items()]
    return table(["network", "published", "on what, how"], rows)


def curves(results: Results, budget: str) -> bytes | None:
    """Draw accuracy over length and stride, mel beside raw; None where nothing is known."""
    places: dict[str, list[tuple[float, Estimate]]] = {"mel": [], "raw": []}
    for place, pair in enumerate(p for p in PAIRS if p.table == "raw-mel"):
        sides = known_sides(pair, results, budget)
        if sides is None or not all(sides):
            continue
        for name, known, shift in (("mel", sides[0], -0.06), ("raw", sides[1], 0.06)):
            places[name].append((place + shift, accuracy(known)))
    if not places["mel"]:
        return None
    series = []
    for name, role in (("mel", "tuned"), ("raw", "guide")):
        x = np.array([place for place, _ in places[name]])
        y = np.array([[100 * v for v in value] for _, value in places[name]])
        series.append(Series(name, role, x, y[:, 0], line=True))
        series.append(Series(f"{name}, 95 %", role, x, y[:, 0], reach=y[:, 1:].T))
    ticks = tuple((float(i), f"{length}/{stride}") for i, (length, stride) in enumerate(LENGTHS))
    levels = tuple((float(v), f"{v} %") for v in range(0, 101, 20))
    chart = Chart(
        "Accuracy on instruments",
        Axis("length / stride in samples", (-0.5, len(LENGTHS) - 0.5), ticks),
        Axis("accuracy", (0.0, 100.0), levels),
        tuple(series),
    )
    return encode_charts_png(
        ChartFigure(
            "Mel spectrogram and raw audio before the same back end",
            f"up to {len(SEEDS)} seeds; bars are 95 % intervals over seeds and clips",
            (chart,),
            "Accuracy over length and stride of the first layer, mel and raw.",
        )
    )


def write_report(results: Results, docs: Path, budget: str) -> None:
    """Write tables between the markers of models.md, and the curves into images."""
    page = docs / "models.md"
    text = page.read_text(encoding="utf-8")
    drawn = curves(results, budget)
    pictures = ""
    if drawn is not None:
        (docs / "images" / "raw-mel.png").write_bytes(drawn)
        pictures = (
            "\n```{image} images/raw-mel.png\n:alt: Accuracy over length and stride of the first "
            "layer, mel and raw, with intervals\n:width: 100%\n```\n"
        )
    sections: dict[str, Callable[[], str]] = {
        "instruments": lambda: network_table("instruments", results, budget),
        "genres": lambda: network_table("genres", results, budget),
        "comparisons": lambda: "\n".join(
            [
                pair_table("raw-mel", results, budget) + pictures,
                *(pair_table(name, results, budget) for name in TITLES if name != "raw-mel"),
                vote_table(results, budget),
            ]
        ),
        "published": published_table,
    }
    for name, make in sections.items():
        before, begin, rest = text.partition(BEGIN.format(name))
        inside, end, after = rest.partition(END)
        if not begin or not end:
            raise AuraliseError(f"{page} has no markers {BEGIN.format(name)} ... {END}")
        del inside
        text = f"{before}{begin}\n\n{make().rstrip()}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")
