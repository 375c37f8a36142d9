"""What training costs: clips a second, share of the machine's matrix rate, minutes of a recipe.

Each recipe's network is trained on random clips that are in memory already, with the recipe's batch
and optimiser, for ``--seconds``. Clips a second are those of the fastest of three stretches. The
matrix rate is what one large product of two square matrices reaches on the same device in the same
precision, the fastest of five; the achieved share is three times the operations of a forward pass
(as `auralise.models.cost` counts them), times clips a second, over that rate. Hours of a recipe are
its epochs over ``--clips`` clips at that speed, without reading and validation.

With ``--kill`` a training is killed ten times at random moments by SIGKILL and then let to its end;
what is compared is every bit of the weights with those of a training that was left alone.

    python benchmarks/training.py                    # on the GPU if there is one, else on the CPU
    python benchmarks/training.py --report docs      # and writes the table of docs/models.md
    python benchmarks/training.py --device cpu --recipes samplecnn --width 0.25
    python benchmarks/training.py --dry              # tiny networks: whether all of it runs
    python benchmarks/training.py --kill
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import subprocess
import sys
import tempfile
import time
from inspect import signature
from pathlib import Path
from typing import Any

import torch

from auralise.datasets.base import Track
from auralise.datasets.clips import Clip
from auralise.errors import AuraliseError
from auralise.models import MODELS
from auralise.models.base import Architecture
from auralise.models.cost import count_flops
from auralise.training import FitOptions, Progress, fit
from auralise.training.checkpoints import LAST, read_state
from auralise.training.recipes import Recipe, load_recipe, options_of, recipe_names

LABELS = tuple("abcdefghij")


def matrix_rate(device: str, bfloat16: bool, size: int) -> float:
    """Return floating-point operations a second of a product of two square matrices."""
    kind = torch.bfloat16 if bfloat16 else torch.float32
    first, second = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    best = float("inf")
    for _ in range(6):  # the first one sets things up
        start = time.perf_counter()
        first @ second
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def random_clips(paper: Architecture, count: int) -> list[Clip]:
    """Return noise of the length that the network takes."""
    generator = torch.Generator().manual_seed(0)
    frontend = paper.frontend()
    shape: tuple[int, ...] = (round(paper.seconds * frontend.sample_rate),)
    if "feature" in frontend.axes:
        shape = (frontend.channels, *shape)
    return [
        Clip(
            torch.randn(shape, generator=generator).clamp(-1, 1),
            Track(Path(f"{i}"), LABELS[i % 10], f"{i}"),
        )
        for i in range(count)
    ]


class Over(Exception):
    """The time that a row may take is over."""


def clips_per_second(
    paper: Architecture, options: FitOptions, device: str, seconds: float
) -> tuple[float, float]:
    """Return clips a second of training, and the memory that was taken in GiB (0 on a CPU)."""
    clips = random_clips(paper, 8 * options.batch_size)
    ends: list[float] = []
    start = time.perf_counter()

    def report(progress: Progress) -> None:
        ends.append(time.perf_counter())
        if ends[-1] - start > seconds and len(ends) > 12:
            raise Over

    with contextlib.suppress(Over):
        fit(paper, LABELS, clips, clips[:1], options, device=device, report=report)
    third = max(1, (len(ends) - 3) // 3)
    stretches = [ends[i + third] - ends[i] for i in range(2, len(ends) - third, third)]
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.startswith("cuda") else 0.0
    return third * options.batch_size / min(stretches), memory


def forward_flops(paper: Architecture) -> int:
    """Return the operations of one clip's forward pass, without the frontend."""
    values = random_clips(paper, 1)[0].samples[None]
    frontend = paper.frontend()
    if "feature" not in frontend.axes:
        values = frontend.module(values)
    return count_flops(paper.build(len(LABELS)).eval(), values)


def row(recipe: Recipe, wishes: argparse.Namespace) -> dict[str, Any]:
    """Measure one recipe."""
    paper = MODELS[recipe.architecture]
    narrow = "width" in signature(paper.build).parameters and wishes.width != 1
    paper = paper.configure(**{**recipe.model, **({"width": wishes.width} if narrow else {})})
    changes = {"epochs": 10_000, "patience": 0, "bfloat16": wishes.bfloat16}
    if wishes.batch_size:
        changes["batch_size"] = wishes.batch_size
    options = options_of(changes, "the benchmark", recipe.training)
    speed, memory = clips_per_second(paper, options, wishes.device, wishes.seconds)
    rate = matrix_rate(wishes.device, wishes.bfloat16, wishes.size)
    return {
        "recipe": recipe.name,
        "batch": options.batch_size,
        "clips/s": speed,
        "share": 3 * forward_flops(paper) * speed / rate,
        "GiB": memory,
        "hours": recipe.training.epochs * wishes.clips / speed / 3600,
    }


BEGIN, END = "<!-- training: speed -->", "<!-- /training -->"


def write_report(
    page: Path, rows: list[dict[str, Any]], on: str, wishes: argparse.Namespace
) -> None:
    """Write the rows between the markers of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise AuraliseError(f"{page} has no markers {BEGIN} ... {END}")
    head = ["recipe", "batch", "clips per second", "share of the matrix rate in %",
            f"hours for {wishes.clips:,} clips an epoch", "GiB"]  # fmt: skip
    lines = [head, ["---"] * len(head)]
    for found in rows:
        numbers = (found["clips/s"], 100 * found["share"], found["hours"], found["GiB"])
        lines.append([f"`{found['recipe']}`", str(found["batch"]), *(f"{n:,.3g}" for n in numbers)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    text = f"{before}{begin}\n\nMeasured {on}, width {wishes.width:g}.\n\n{table}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")


KILLED = """
import sys, time, torch
sys.path.insert(0, {folder!r})
torch.set_num_threads(1)
from training import MODELS, LABELS, Path, FitOptions, fit, random_clips
paper = MODELS["samplecnn"].configure(width=0.05)
clips = random_clips(paper, 12)
print("ready", flush=True)
fit(paper, LABELS, clips, clips, FitOptions(epochs=8, batch_size=4), folder=Path(sys.argv[1]))
"""


def kill(times: int, seed: int) -> bool:
    """Kill a training at random moments; return whether its weights are those of a whole one."""
    script = KILLED.format(folder=str(Path(__file__).parent))
    draws = random.Random(seed)
    weights = []
    with tempfile.TemporaryDirectory() as place:
        for name, count in (("whole", 0), ("killed", times)):
            folder = Path(place) / name
            command = [sys.executable, "-c", script, str(folder)]
            for turn in range(count):
                with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                    if process.stdout is not None:
                        process.stdout.readline()
                    time.sleep(draws.uniform(0.2, 1.2))
                    process.kill()
                epochs = 0
                if (folder / LAST).exists():
                    epochs = len(read_state(folder / LAST)["callbacks"]["Keeper"]["history"])
                print(f"killed for the {turn + 1}. time; {epochs} epochs are kept", flush=True)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            weights.append(read_state(folder / LAST)["callbacks"]["Keeper"]["best"])
    return all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def main() -> None:
    """Print a row for each recipe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    has = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if has else "cpu")
    alone = [name for name in recipe_names() if load_recipe(name).fusion is None]
    parser.add_argument("--recipes", nargs="*", default=alone)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--batch-size", type=int, default=0, help="the recipe's if not given")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each recipe")
    parser.add_argument("--clips", type=int, default=15_244, help="of an epoch, for the hours")
    parser.add_argument("--size", type=int, default=8192 if has else 2048, help="of the matrices")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="folder of docs to write the table into")
    parser.add_argument("--dry", action="store_true", help="a tiny turn of everything")
    wishes = parser.parse_args()
    if wishes.dry:
        wishes.width, wishes.batch_size, wishes.seconds, wishes.size = 0.05, 2, 0.0, 64
    if wishes.kill:
        print("the same bit for bit" if kill(10, wishes.seed) else "DIFFERENT")
        return
    torch.set_flush_denormal(True)
    where = torch.cuda.get_device_name() if wishes.device.startswith("cuda") else "CPU"
    kind = "bfloat16" if wishes.bfloat16 else "float32"
    on = f"on {where}, {torch.get_num_threads()} threads, torch {torch.__version__}, {kind}"
    print(on)
    if not has:
        print("there is no CUDA device here: these are the CPU's rows")
    rows = []
    for name in wishes.recipes:
        try:
            found = row(load_recipe(name), wishes)
        except AuraliseError as error:
            print(f"{name}: {error}")
            continue
        rows.append(found)
        if wishes.json:
            print(json.dumps(found), flush=True)
        else:
            numbers = (f"{key} {value:.4g}" for key, value in found.items() if key != "recipe")
            print(f"{name:18}", *numbers, sep="  ", flush=True)
    if wishes.report is not None:
        write_report(wishes.report / "models.md", rows, on, wishes)


if __name__ == "__main__":
    main()
