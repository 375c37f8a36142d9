"""Results of trainings, read from disk: two ways to train on the same clips, seed by seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from auralise.claims.base import Part
from auralise.claims.statistics import DRAWS, Array
from auralise.errors import InvalidValueError
from auralise.filters.resampling import Interval

Result = Mapping[str, Any]


def read_results(folder: Path) -> list[Result]:
    """Read the runs of a folder: each ``*.jsonl`` has one on a line, each ``*.json`` one or many.

    A run has ``run`` (with ``architecture``, ``options``, ``data``, ``seed``, ``share``,
    ``method``), ``right`` (whether each clip was answered rightly) and ``units`` (the group of each
    clip). In the short form of `benchmarks/results`, ``right`` is the bits of a hexadecimal number
    behind a leading 1, and the groups are in a line of kind ``parts`` for data and seed. Anything
    else is left out, as are runs that failed.

    Raises
    ------
    InvalidValueError
        If a file is no JSON.
    """
    found: list[Result] = []
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.json")]):
        try:
            text = path.read_text(encoding="utf-8")
            parts = (
                [json.loads(line) for line in text.splitlines() if line.strip()]
                if path.suffix == ".jsonl"
                else _listed(json.loads(text))
            )
        except ValueError as error:
            raise InvalidValueError(f"{str(path)!r} is no JSON: {error}") from error
        found += [part for part in _lengthened(parts) if _is_run(part)]
    unique = {json.dumps(result["run"], sort_keys=True): result for result in found}
    return list(unique.values())


def _listed(value: Any) -> list[Any]:  # noqa: ANN401
    if isinstance(value, dict) and "run" not in value:
        return _listed(value.get("runs", list(value.values())))
    return value if isinstance(value, list) else [value]


def _lengthened(parts: Sequence[Any]) -> list[Any]:
    """Return lines with the answers and groups of the short form written out."""
    lines = [line for line in parts if isinstance(line, dict)]
    groups = {line["of"]: line["groups"] for line in lines if line.get("kind") == "parts"}
    found = []
    for line in lines:
        if isinstance(line.get("right"), str) and "run" in line:
            place = f"{line['run']['data']}, seed {line['run']['seed']}"
            bits = f"{int(line['right'], 16):b}"[1:]
            if len(bits) != len(groups.get(place, ())):
                continue
            line = {**line, "right": [int(bit) for bit in bits], "units": groups[place]}
        found.append(line)
    return found


def _is_run(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, dict) and {"run", "right", "units"} <= set(value)


@dataclass(frozen=True, slots=True)
class Duel:
    """Two ways to train, on the same clips.

    Attributes
    ----------
    name : str
    first, second : tuple of mapping
        Results of the same seeds.
    """

    name: str
    first: tuple[Result, ...]
    second: tuple[Result, ...]

    def gains(self) -> list[Array]:
        """Return, for each seed, what the first has over the second on each clip: -1, 0 or 1."""
        return [
            np.asarray(one["right"], float) - np.asarray(other["right"], float)
            for one, other in zip(self.first, self.second, strict=True)
        ]


def duels(
    results: Sequence[Result],
    first: Callable[[Mapping[str, Any]], bool],
    second: Callable[[Mapping[str, Any]], bool],
    same: Callable[[Mapping[str, Any]], str],
) -> list[Duel]:
    """Pair the runs of two ways that are alike in everything else.

    Parameters
    ----------
    results : sequence of mapping
    first, second : callable
        From a run to whether it is of this way.
    same : callable
        From a run to what both ways share, the seed apart; runs of other values are other duels.
    """
    sides: dict[str, tuple[dict[int, Result], dict[int, Result]]] = {}
    for result in results:
        run = {**result["run"], "options": dict(result["run"].get("options", []))}
        for side, chosen in enumerate((first, second)):
            if chosen(run):
                sides.setdefault(same(run), ({}, {}))[side][int(run["seed"])] = result
    found = []
    for name, (one, other) in sorted(sides.items()):
        seeds = sorted(
            seed for seed in set(one) & set(other) if one[seed]["units"] == other[seed]["units"]
        )
        if seeds:
            found.append(Duel(name, tuple(one[s] for s in seeds), tuple(other[s] for s in seeds)))
    return found


def gain_interval(duel: Duel, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Return the mean difference in accuracy, with a 95 % interval over seeds and groups.

    Each draw takes seeds with replacement, and in each of them groups of clips.
    """
    random = np.random.default_rng(seed)
    gains = duel.gains()
    means = np.empty((len(gains), draws))
    for i, (gain, result) in enumerate(zip(gains, duel.first, strict=True)):
        _, group = np.unique(result["units"], return_inverse=True)
        total, count = np.bincount(group, gain), np.bincount(group)
        drawn = random.integers(0, len(count), (draws, len(count)))
        means[i] = total[drawn].sum(-1) / count[drawn].sum(-1)
    chosen = random.integers(0, len(gains), (len(gains), draws))
    mixed = means[chosen, np.arange(draws)].mean(0)
    low, high = np.quantile(mixed, [0.025, 0.975])
    return Interval(float(np.mean([gain.mean() for gain in gains])), float(low), float(high))


def gain_part(duel: Duel, name: str, question: str, seed: int) -> Part:
    """Return whether the first way is better, with a one-sided t-test over seeds."""
    means = [float(gain.mean()) for gain in duel.gains()]
    p = float(stats.ttest_1samp(means, 0.0, alternative="greater").pvalue) if _vary(means) else None
    return Part(
        name,
        question,
        gain_interval(duel, seed=seed),
        "training seeds",
        len(means),
        "above",
        0.0,
        (),
        "",
        p,
    )


def _vary(means: Sequence[float]) -> bool:
    return len(means) > 1 and float(np.std(means)) > 0


def accuracies(duel: Duel) -> tuple[float, float]:
    """Return the mean accuracy of both ways."""
    one, other = (
        float(np.mean([np.mean(result["right"]) for result in side]))
        for side in (duel.first, duel.second)
    )
    return one, other
