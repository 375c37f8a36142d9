"""How often claims get the right verdict on networks whose truth is known, and on random twins.

Each draw makes a network set by hand (small errors of its weights and everything else that is left
open are drawn) and one random network of the same parts, and tries one claim on both, each beside
eight untrained twins of its own. Each is a line of OUT/claims.jsonl, written when it ends; lines
that are there are not made again, so that the command can be stopped:

    python benchmarks/claims.py --out OUT --draws 100
    python benchmarks/claims.py --out OUT --report docs/claims.md

A p-value is that of one claim tried alone; in a run of many claims it is adjusted upwards.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before the libraries that read it are imported

import numpy as np
import torch

from auralise.claims import Context
from auralise.claims.known import KNOWN
from auralise.claims.known_sounds import mixed_collection, timbre_collection
from auralise.claims.run import Result, try_claims
from auralise.claims.stages import twins_of
from auralise.filters.orientation import wilson
from auralise.models.tiny import tiny_network

BEGIN, END = "<!-- errors -->", "<!-- /errors -->"
RIGHT = {
    ("mel", "mel-bank"): "supported",
    ("mel", "linear-bank"): "contradicted",
    ("invariance", "phase-pairs"): "supported",
    ("onsets", "onset-detector"): "supported",
    ("harmony", "notes"): "supported",
    ("labels", "instruments"): "supported",
    ("key", "chroma-invariant"): "supported",
    ("key", "chroma"): "contradicted",
    ("segments", "evidence"): "supported",
    ("distance", "neighbours"): "supported",
    ("distance", "distant-pairs"): "contradicted",
    ("believed", "bands"): "supported",
    ("spectrograms", "better"): "supported",
    ("spectrograms", "worse"): "contradicted",
    ("refinements", "better"): "supported",
    ("refinements", "worse"): "contradicted",
}
"""What the truth is, by claim and network, or by claim and what made-up trainings are."""

GAINS = {"better": 0.15, "worse": -0.15}
"""Of the first way to train over the second, in accuracy; 0 in place of random networks."""

SAME_PARTS = ("linear-bank", "chroma", "distant-pairs", "worse")
"""Networks whose random twins are not tried, for another network's are the like."""

COLLECTIONS = {"labels": timbre_collection, "segments": mixed_collection}


def try_once(claim: str, name: str, draw: int, random: bool) -> dict[str, Any]:
    """Try one claim on one network, and return what came of it."""
    if name in GAINS:
        (result,) = try_trainings(claim, 0.0 if random else GAINS[name], draw)
    else:
        network = KNOWN[name](draw)
        if random:
            network = twins_of(network, (100_000 + draw,))[0]
        collection = COLLECTIONS[claim](draw) if claim in COLLECTIONS else None
        (result,) = try_claims(Context(network, collection=collection, seed=100 * draw), [claim])
    verdict = "not tried" if result.judgement is None else result.judgement.verdict.value
    return {
        "claim": claim,
        "network": name,
        "draw": draw,
        "random": random,
        "verdict": verdict,
        "p": None if result.judgement is None else result.judgement.p,
        "parts": {}
        if result.evidence is None
        else {part.name: part.value.value for part in result.evidence.parts},
    }


def try_trainings(claim: str, gain: float, draw: int) -> list[Result]:
    """Try a claim about trainings on made-up results of two ways, 5 seeds and 100 clips each.

    Seeds differ by a standard deviation of .03 in accuracy besides what the clips do.
    """
    random = np.random.default_rng(draw)
    ways = {
        "spectrograms": (("dieleman2014-mel", []), ("dieleman2014-raw", [])),
        "refinements": (("zhang2016-nnet1", []), ("zhang2016-nnet1", [["pooling", "max"]])),
    }[claim]
    lines = []
    for seed in range(5):
        for (architecture, options), more in zip(ways, (gain, 0.0), strict=True):
            share = 0.6 + more + 0.03 * random.standard_normal()
            right = (random.random(100) < share).astype(int).tolist()
            made = {"architecture": architecture, "options": options, "seed": seed, "share": 1.0,
                    "data": "made up", "method": "fit"}  # fmt: skip
            units = [f"clip {i}" for i in range(100)]
            lines.append(json.dumps({"run": made, "right": right, "units": units}))
    with TemporaryDirectory() as folder:
        Path(folder, "results.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return try_claims(Context(tiny_network(), results=Path(folder), seed=100 * draw), [claim])


def run(out: Path, draws: int, minutes: float, only: Sequence[str]) -> None:
    """Make the draws that are not there, all networks of one draw before the next draw."""
    end = time.monotonic() + 60 * minutes
    path = out / "claims.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    done = {key_of(row) for row in rows_of(path)}
    with path.open("a", encoding="utf-8") as file:
        for draw in range(draws):
            if time.monotonic() > end:
                print("time is up; the same command goes on")
                return
            for claim, name in RIGHT:
                if only and claim not in only:
                    continue
                for random in (False,) if name in SAME_PARTS else (False, True):
                    if (claim, name, draw, random) not in done:
                        file.write(json.dumps(try_once(claim, name, draw, random)) + "\n")
                        file.flush()
            print(f"draw {draw + 1} of {draws}", flush=True)


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return what is known, without a last line that was not finished."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def key_of(row: dict[str, Any]) -> tuple[str, str, int, bool]:
    """Return what tells one trial from another."""
    return row["claim"], row["network"], row["draw"], row["random"]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the error rates as a table in Markdown."""
    lines = [
        "| claim | network | truth | supported | contradicted | undecided | right (95 %) | random "
        "twin of it supported (95 %) | draws |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (claim, name), truth in RIGHT.items():
        mine = [r for r in rows if (r["claim"], r["network"]) == (claim, name)]
        if not mine:
            continue
        own = Counter(r["verdict"] for r in mine if not r["random"])
        twins = [r for r in mine if r["random"]]
        cells = [str(own[v]) for v in ("supported", "contradicted", "undecided")]
        shown = "as above"
        if twins:
            shown = in_percent(sum(r["verdict"] == "supported" for r in twins), len(twins))
        right = in_percent(own[truth], own.total())
        lines.append(
            f"| {claim} | {name} | {truth} | {' | '.join(cells)} | {right} | {shown} | "
            f"{own.total()} |"
        )
    every = [r for r in rows if r["random"]]
    wrong = wilson(sum(r["verdict"] == "supported" for r in every), max(1, len(every)))
    lines.append("")
    lines.append(
        f"Of {len(every)} trials on random networks, {round(wrong.value * len(every))} ended in "
        f"`supported`: {wrong.value:.1%}, 95 % interval {wrong.low:.1%} to {wrong.high:.1%}."
    )
    return "\n".join(lines)


def in_percent(hits: int, total: int) -> str:
    """Return a share with Wilson's interval."""
    share = wilson(hits, max(1, total))
    return f"{share.value:.0%} ({share.low:.0%} to {share.high:.0%})"


def main() -> None:
    """Run, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after so many")
    parser.add_argument("--report", type=Path)
    parser.add_argument("--only", nargs="*", default=(), choices=sorted({c for c, _ in RIGHT}))
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if given.report is None:
        run(given.out, given.draws, given.minutes, given.only)
        return
    text = table(rows_of(given.out / "claims.jsonl"))
    page = given.report.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    given.report.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
