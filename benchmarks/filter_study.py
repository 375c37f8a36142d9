"""Train networks on raw audio, and say which scale their first layers lie on, with controls.

Each training's result is a file in OUT; those that are there are not made again, so that the
command can be stopped at any moment. One thread.

    python benchmarks/filter_study.py train --data NOTES --out OUT
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before the libraries that read it are imported

import torch
from filter_study_runs import all_runs, work


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("train",))
    parser.add_argument("--data", type=Path, help="folder of the instrument notes")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="trainings whose name contains this word")
    parser.add_argument(
        "--minutes", type=float, default=1e9, help="begin no training after so many"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    runs = [run for run in all_runs() if options.only in run.name]
    work(runs, options.data, options.out, time.time() + 60 * options.minutes)


if __name__ == "__main__":
    main()
