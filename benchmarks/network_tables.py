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
STOOD = "\N{DAGGER}"
NOTE = (
    f"{STOOD} measured by an earlier run of the same command, whose single runs were not kept; its "
    "times are medians over the seeds."
)
Rows = dict[tuple[str, ...], list[str]]  # of a page: by heading, then what the row is of


def rows_of(page: str) -> Rows:
    """Return the rows of the tables in a page, so that those without new runs can stay."""
    rows: Rows = {}
    heading, head = "", ""
    for line in page.splitlines():
        if line.startswith("#"):
            heading = line.strip("# ")
        if not line.startswith("| "):
            head = ""
            continue
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not head:
            head = line
        elif not set(line) <= set("|- "):
            width = 2 if "first less second" in head else 1
            if "| seeds |" not in head and "majority vote" in head:
                cells.insert(1, "5")
            rows[(heading, *cells[:width])] = cells
    return rows


def standing(rows: Rows, heading: str, new: list[str], seeds: int) -> list[str]:
    """Return a row of the page where it rests on more seeds than the new one, marked; else the new.

    ``seeds`` is the place of the number of seeds in a row.
    """
    old = next((row for key, row in rows.items() if key == (heading, *new[: len(key) - 1])), None)
    if old is None or not old[seeds].split()[0].isdigit() or len(old) != len(new):
        return new
    if int(new[seeds] or 0) >= int(old[seeds].split()[0]):
        return new
    return [*old[:seeds], f"{old[seeds].split()[0]} {STOOD}", *old[seeds + 1 :]]


def with_note(text: str) -> str:
    """Add what the mark of rows that stood means, if there is one."""
    return f"{text.rstrip()}\n\n{NOTE}\n" if f" {STOOD} |" in text else text


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


HEADINGS = {"instruments": "Instruments", "genres": "Four genres: a smoke test"}


def network_table(data: str, results: Results, budget: str, stood: Rows) -> str:
    """Write all networks on one collection."""
    runs = network_runs(data, budget)
    rows = []
    for name in dict.fromkeys(run.architecture for run in runs):
        own = [run for run in runs if run.architecture == name]
        known = found(own, results)
        failed = [results[run.key]["failed"] for run in own if "failed" in results.get(run.key, {})]
        if not known:
            why = f"failed: {failed[0]}" if failed else "not run"
            rows.append([f"`{name}`", "0", why, *[""] * 7])
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
    rows = [standing(stood, HEADINGS[data], row, 1) for row in rows]
    return with_note(f"{about(known)}\n\n{table(head, rows)}")


def mean(scores: Sequence[dict[str, float]], kind: str) -> str:
    """Write the mean of a score over seeds."""
    return f"{np.mean([score[kind] for score in scores]):.3f}"


def costs(known: Sequence[Result]) -> list[str]:
    """Write what a network costs: of times the best over seeds, as others may use the machine."""
    cost = known[0]["cost"]
    return [
        f"{cost['parameters']:,}",
        f"{cost['flops_per_second'] / 1e6:,.1f}",
        f"{min(r['minutes'] for r in known):.2f}",
        f"{max(r['cost']['clips_per_second'] for r in known):,.0f}",
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
        "per second are of one forward pass, frontend included, 16 at a time; of both times the "
        "best of the seeds."
    )


def pair_rows(name: str, results: Results, budget: str, stood: Rows) -> list[list[str]]:
    """Return the rows of one comparison."""
    rows = []
    for pair in (pair for pair in PAIRS if pair.table == name):
        sides = known_sides(pair, results, budget)
        if sides is None:
            continue
        first, second = sides
        gap = difference(first, second)
        seeds = len({r["run"]["seed"] for r in first} & {r["run"]["seed"] for r in second})
        if gap is None:
            rows.append([pair.label, pair.data, str(seeds), "", "", "not run"])
            continue
        cells = [words(accuracy(first)), words(accuracy(second)), words(gap, signed=True)]
        rows.append([pair.label, pair.data, str(seeds), *cells])
    return [standing(stood, TITLES[name], row, 2) for row in rows]


def pair_table(name: str, results: Results, budget: str, stood: Rows) -> str:
    """Write the differences of one comparison."""
    rows = pair_rows(name, results, budget, stood)
    head = ["first less second", "data", "seeds", "first", "second", "difference in % (95 %)"]
    body = table(head, rows) if rows else "Not in this version.\n"
    return with_note(f"### {TITLES[name]}\n\n{body}")


def known_sides(
    pair: Pair, results: Results, budget: str
) -> tuple[list[Result], list[Result]] | None:
    """Return what is known of a pair; None if the architecture does not have it."""
    try:
        first, second = pair_runs(pair, budget)
    except AuraliseError:
        return None
    return found(first, results), found(second, results)


VOTING = "Voting against single segments, four genres"


def vote_table(results: Results, budget: str, stood: Rows) -> str:
    """Write what voting over a clip's segments gains over single segments."""
    rows = []
    runs = network_runs("genres", budget)
    for name in dict.fromkeys(run.architecture for run in runs):
        known = found([run for run in runs if run.architecture == name], results)
        if not known:
            rows.append(standing(stood, VOTING, [f"`{name}`", "0", "not run", "", ""], 1))
            continue
        units = [r["units"] for r in known]
        single = [np.array(r["segment"]) for r in known]
        gains = [
            estimate([np.array(r[k]) - s for r, s in zip(known, single, strict=True)], units)
            for k in ("right", "majority")
        ]
        cells = [words(estimate(single, units)), *(words(gain, signed=True) for gain in gains)]
        rows.append(standing(stood, VOTING, [f"`{name}`", str(len(known)), *cells], 1))
    head = ["network", "seeds", "single segments in %", "mean vote, gain", "majority vote, gain"]
    body = table(head, rows) if rows else "Not run yet.\n"
    return with_note(f"### {VOTING}\n\n{body}")


def published_table() -> str:
    """Write what the papers reached, on what."""
    rows = [[f"`{name}`", score, protocol] for name, (score, protocol) in PUBLISHED.items()]
    return table(["network", "published", "on what, how"], rows)


def curves(rows: Sequence[Sequence[str]]) -> bytes | None:
    """Draw accuracy over length and stride, mel beside raw; None where there are no rows."""
    places: dict[str, list[tuple[float, Estimate]]] = {"mel": [], "raw": []}
    for place, row in enumerate(rows):
        if row[3]:
            places["mel"].append((place - 0.06, read_words(row[3])))
            places["raw"].append((place + 0.06, read_words(row[4])))
    if not places["mel"]:
        return None
    series = []
    for name, role in (("mel", "tuned"), ("raw", "guide")):
        x = np.array([place for place, _ in places[name]])
        y = np.array([[v for v in value] for _, value in places[name]])
        series.append(Series(name, role, x, y[:, 0], line=True))
        series.append(Series(f"{name}, 95 %", role, x, y[:, 0], reach=y[:, 1:].T))
    ticks = tuple((float(i), f"{place[0]}/{place[1]}") for i, place in enumerate(LENGTHS))
    levels = tuple((float(v), f"{v} %") for v in range(0, 101, 20))
    chart = Chart(
        "Accuracy on instruments",
        Axis("length / stride in samples", (-0.5, float(len(LENGTHS))), ticks),
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


def read_words(text: str) -> Estimate:
    """Return what `words` wrote, in percent."""
    mean, low, _, high = text.replace(MINUS, "-").replace("(", "").replace(")", "").split()
    return float(mean), float(low), float(high)


def write_report(results: Results, docs: Path, budget: str) -> None:
    """Write tables between the markers of models.md, and the curves into images."""
    page = docs / "models.md"
    text = page.read_text(encoding="utf-8")
    stood = rows_of(text)
    drawn = curves(pair_rows("raw-mel", results, budget, stood))
    pictures = ""
    if drawn is not None:
        (docs / "images" / "raw-mel.png").write_bytes(drawn)
        pictures = (
            "\n```{image} images/raw-mel.png\n:alt: Accuracy over length and stride of the first "
            "layer, mel and raw, with intervals\n:width: 100%\n```\n"
        )
    sections: dict[str, Callable[[], str]] = {
        "instruments": lambda: network_table("instruments", results, budget, stood),
        "genres": lambda: network_table("genres", results, budget, stood),
        "comparisons": lambda: "\n".join(
            [
                pair_table("raw-mel", results, budget, stood) + pictures,
                *(pair_table(name, results, budget, stood) for name in TITLES if name != "raw-mel"),
                vote_table(results, budget, stood),
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
