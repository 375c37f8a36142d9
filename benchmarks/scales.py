"""How often the scale of a bank is told rightly, on banks whose scale is known.

Each draw is a new bank: Gabor filters spread at random on a scale, untrained filters, or half of
either. Untrained banks of the same size are the controls. One thread.

    python benchmarks/scales.py --filters 64
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"  # before the libraries that read it are imported

import torch

from auralise.filters import FilterBank, Finding, Verdict, judge_scale, respond
from auralise.filters.known import scale_bank, untrained_bank

Make = Callable[[int, int], FilterBank]


def half_and_half(filters: int, seed: int) -> FilterBank:
    """Half mel Gabors, half untrained; both of unit energy."""
    parts = scale_bank("mel-htk", filters // 2, seed=seed), untrained_bank(filters // 2, seed=seed)
    taps = torch.cat([part.impulse_responses for part in parts])
    return FilterBank(taps / torch.linalg.vector_norm(taps, dim=1, keepdim=True), 16000)


# What a bank is called in the table, how it is made, and the scale it truly lies on.
BANKS: dict[str, tuple[Make, str | None]] = {
    "mel (HTK) Gabors": (lambda n, seed: scale_bank("mel-htk", n, seed=seed), "mel-htk"),
    "Bark Gabors": (lambda n, seed: scale_bank("bark", n, seed=seed), "bark"),
    "linear Gabors": (lambda n, seed: scale_bank("linear", n, seed=seed), "linear"),
    "linear Gabors, 100 to 4000 Hz": (
        lambda n, seed: scale_bank("linear", n, band=(100.0, 4000.0), seed=seed),
        "linear",
    ),
    "log Gabors": (lambda n, seed: scale_bank("log2", n, seed=seed), "log2"),
    "log Gabors, 60 to 4000 Hz": (
        lambda n, seed: scale_bank("log2", n, band=(60.0, 4000.0), seed=seed),
        "log2",
    ),
    "mel and untrained, half each": (half_and_half, "mel-htk"),
    "untrained": (lambda n, seed: untrained_bank(n, seed=seed + 10_000), None),
}


def classify(verdict: Verdict, truth: str | None) -> str:
    """Say what a verdict is worth: first, tied, wrong, no scale, no verdict."""
    if verdict.finding is Finding.TOO_FEW:
        return "no verdict"
    if verdict.finding is Finding.NONE:
        return "no scale"
    if truth not in verdict.leading:
        return "wrong"
    return "first" if verdict.scales[0].scale == truth else "tied"


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, nargs="+", default=[64], help="sizes of the banks")
    parser.add_argument("--draws", type=int, default=200, help="banks of each kind")
    parser.add_argument("--redraws", type=int, default=200, help="of the bootstrap of each bank")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kinds = ("first", "tied", "wrong", "no scale", "no verdict")
    print(
        f"{options.draws} draws of each bank, length 256 at 16 kHz; percent of draws. only mel: "
        "verdicts that leave nothing but mel. not linear: verdicts that rule linear out. scales: "
        "mean number that lead."
    )
    print(f"| filters | bank | {' | '.join(kinds)} | only mel | not linear | scales |")
    print("|---|---|" + "---|" * (len(kinds) + 3))
    start = time.process_time()
    for filters in options.filters:
        controls = [respond(untrained_bank(filters, seed=seed + 20_000)) for seed in range(5)]
        for name, (make, truth) in BANKS.items():
            verdicts = [
                judge_scale(respond(make(filters, seed)), controls, draws=options.redraws)
                for seed in range(options.draws)
            ]
            found = [classify(verdict, truth) for verdict in verdicts]
            cells = [f"{100 * found.count(kind) / len(found):.1f}" for kind in kinds]
            said = [v.leading for v in verdicts if v.finding in (Finding.ONE, Finding.TIED)]
            mel = sum(set(leading) <= {"mel-htk", "mel-slaney"} for leading in said)
            mean = f"{sum(map(len, said)) / len(said):.1f}" if said else "-"
            bent = sum("linear" not in leading for leading in said)
            cells += [f"{100 * mel / len(found):.1f}", f"{100 * bent / len(found):.1f}", mean]
            print(f"| {filters} | {name} | {' | '.join(cells)} |", flush=True)
    print(f"{time.process_time() - start:.0f} s of CPU")


if __name__ == "__main__":
    main()
