"""Train networks on raw audio, and say which scale their first layers lie on, with controls.

Each training's result is a file in OUT; those that are there are not made again, so that the
command can be stopped at any moment. One thread.

    python benchmarks/filter_study.py train --data NOTES --out OUT
    python benchmarks/filter_study.py keep --data NOTES --out OUT
    python benchmarks/filter_study.py report

`keep` writes the first layers into `benchmarks/data`, which comes along: `report` makes the tables
and figures of `docs/filter-study.md` again from there, without the notes and without training.
`all` does the three in a row.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before the libraries that read it are imported

import torch
from filter_study_conditions import keep
from filter_study_report import report
from filter_study_runs import all_runs, work


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("train", "keep", "report", "all"))
    parser.add_argument("--data", type=Path, help="folder of the instrument notes")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="trainings whose name contains this word")
    parser.add_argument(
        "--minutes", type=float, default=1e9, help="begin no training after so many"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if options.step != "report" and (options.data is None or options.out is None):
        parser.error("--data and --out are needed to train and to keep")
    if options.step in ("train", "all"):
        runs = [run for run in all_runs() if options.only in run.name]
        work(runs, options.data, options.out, time.time() + 60 * options.minutes)
    if options.step in ("keep", "all"):
        keep(options.data, options.out)
    if options.step in ("report", "all"):
        report(Path(__file__).parents[1] / "docs")


if __name__ == "__main__":
    main()
