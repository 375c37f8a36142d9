"""One network after another by the commands people type: train, evaluate, hear one of its units.

For each recipe of the package: a short training on real music (the folder ``gtzan_mini/genres``),
an evaluation on the clips that it has not seen, and the most active unit of the first layer on a
song (``open/vibe-ace.ogg``). What came out is a line of OUT/commands.jsonl; a network whose line is
there is not run again. The accuracies say that the commands work and nothing else: two epochs of a
narrow network on sixty clips.

    python benchmarks/commands.py --data DATA --out OUT
    python benchmarks/commands.py --out OUT --report docs
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import time
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before the libraries that read it are imported

from auralise.cli.main import app
from auralise.errors import AuraliseError
from auralise.models import MODELS
from auralise.training.recipes import load_recipe, recipe_names

WITHOUT_SOUND = "dieleman2011-msd"
METHOD = {"nakashika2012": "gradient"}  # its co-occurrences have no rule but the derivative
BEGIN, END = "<!-- commands -->", "<!-- /commands -->"


def auralise(*words: object) -> str:
    """Run a command and return what it writes to stdout."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        app(args=[str(word) for word in words], standalone_mode=False)
    return said.getvalue()


def training_words(name: str, data: Path, out: Path, width: float) -> list[object]:
    """Return the command that trains a recipe's network for a short while."""
    recipe = load_recipe(name)
    words: list[object] = ["train", "--recipe", name, "--data", f"folder:{data}", "--out", out]
    words += ["--name", name, "--epochs", 2, "--batch-size", 8, "--threads", 1, "--json"]
    words += ["--learning-rate", 0.002, "--optimizer", "adamw", "--cache", out.parent / "clips"]
    if "width" in signature(MODELS[recipe.architecture].build).parameters:
        words += ["--option", f"width={width}"]
    if recipe.pretraining:
        words += ["--pretrain-option", "epochs=1"]
    if recipe.fusion:
        words += ["--fusion-option", "patches=400"]
    return words


def go(name: str, data: Path, out: Path, width: float) -> dict[str, Any]:
    """Run the three commands and return what came out."""
    genres, song = data / "gtzan_mini" / "genres", data / "open" / "vibe-ace.ogg"
    place = out / name
    start = time.perf_counter()
    trained = json.loads(auralise(*training_words(name, genres, place, width)))
    words = ("evaluate", place, "--data", f"folder:{genres}", "--out", place / "evaluation")
    scores = json.loads(auralise(*words, "--json", "--force"))
    layers = json.loads(auralise("layers", place, "--all", "--json"))
    named = [item["name"] for item in layers]  # a fusion has its network inside
    layer = next(name for name in named if re.search(r"(^|\.)(conv\d|frames)$", name))
    heard = json.loads(
        auralise(
            "layer", song, "--model", place, "--layer", layer, "--top", 1, "--seconds", 10,
            "--method", METHOD.get(name, "guided"), "--out", place / "heard", "--json", "--force",
        )
    )  # fmt: skip
    return {"name": name, "trained": trained, "scores": scores, "layer": layer, "heard": heard,
            "seconds": time.perf_counter() - start}  # fmt: skip


def brief(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the table needs of what the commands said."""
    (network,), (unit,) = found["scores"]["networks"], found["heard"]["units"]
    score = network["scores"]["accuracy"]
    return {
        "name": found["name"],
        "skipped": len(found["trained"]["skipped"]),
        "clips": network["clips"],
        "accuracy": [score["value"], *score["interval"]],
        "unit": unit["unit"],
        "activation": unit["activation"],
        "again": unit["scores"]["activation_auralised"],
        "flags": unit["flags"],
        "seconds": round(found["seconds"], 1),
    }


def read_lines(path: Path) -> dict[str, dict[str, Any]]:
    """Return the lines there are, by network."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    return {line["name"]: line for line in lines}


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Write the lines as a table."""
    head = ["network", "test clips", "accuracy in % (95 %)", "unit", "it answers",
            "to its auralisation", "flags"]  # fmt: skip
    rows = [head, ["---"] * len(head)]
    for line in lines:
        mean, low, high = (f"{100 * value:.0f}" for value in line["accuracy"])
        rows.append(
            [
                f"`{line['name']}`",
                str(line["clips"]),
                f"{mean} ({low} to {high})",
                f"`{line['unit']}`",
                f"{line['activation']:.3g}",
                "" if line["again"] is None else f"{line['again']:.3g}",
                ", ".join(line["flags"]) or "none",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write_report(page: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Write the table between the markers of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise AuraliseError(f"{page} has no markers {BEGIN} ... {END}")
    page.write_text(f"{before}{begin}\n\n{table(lines)}\n\n{end}{after}", encoding="utf-8")


def main() -> None:
    """Run what has not been run, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with gtzan_mini and open")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=float, default=0.1)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin none after so many")
    parser.add_argument("--report", type=Path, help="folder of docs to write the table into")
    options = parser.parse_args()
    path = options.out / "commands.jsonl"
    until = time.time() + 60 * options.minutes
    names = [name for name in recipe_names() if name != WITHOUT_SOUND]
    for name in names if options.data else ():
        if name in read_lines(path) or time.time() > until:
            continue
        line = brief(go(name, options.data, options.out, options.width))
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    lines = [line for name, line in read_lines(path).items() if name in names]
    lines.sort(key=lambda line: names.index(line["name"]))
    print(table(lines))
    if options.report is not None:
        write_report(options.report / "models.md", lines)


if __name__ == "__main__":
    main()
