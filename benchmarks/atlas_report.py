"""The figures of docs/atlas.md: two networks over two collections, and a million clips from that.

    python benchmarks/atlas_report.py build --data DATA --out OUT
    python benchmarks/atlas_report.py write --out OUT --scale SCALE --page docs/atlas.md

``build`` makes the atlases in OUT, on one thread; DATA has ``philharmonia`` and ``gtzan_mini``. It
goes on where it was ended. SCALE is where ``benchmarks/atlas.py`` has kept its figures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from atlas import show_against, show_builds
from listening_runs import put

from auralise.atlas import Atlas, Options, build
from auralise.models import load_model

MODELS = ("dieleman2014-raw-instruments", "choi2016-instruments")
COLLECTIONS = {"philharmonia": "philharmonia", "gtzan_mini": "gtzan"}
UNITS = ("output:9", "conv2:5", "conv1:2")
MILLION = 1_000_000
PROCESSORS = 64


def measure(model: str, name: str, data: Path, out: Path) -> None:
    """Hear one collection with one network, and keep what that took."""
    kept = out / f"{model}-{name}.json"
    if kept.exists():
        return
    place, before = out / model, size_of(out / model)
    stages: dict[str, float] = {}
    started, cpu = time.perf_counter(), time.process_time()

    def note(stage: str, _done: int, _total: int) -> None:
        stages[stage] = time.process_time() - cpu

    report = build(
        f"{COLLECTIONS[name]}:{data / name}",
        load_model(model),
        place,
        name=name,
        options=Options(workers=0, device="cpu"),
        progress=note,
    )
    clips = [row for row in Atlas.open(place).clips if row["collection"] == name]
    found = {
        "counts": dict(report.manifest.counts),
        "layers": len(report.manifest.layers),
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "hearing": stages.get("hearing shards", 0.0) - stages["reading files"],
        "clips": len(clips),
        "audio_seconds": sum(row["seconds"] for row in clips),
        "parts_heard": report.heard,
        "parts": -(-len(clips) // Options().shard_clips),
        "megabytes": size_of(place) - before,
    }
    kept.write_text(json.dumps(found, indent=1) + "\n")
    print(model, name, found, flush=True)


def size_of(folder: Path) -> float:
    """Return how much the files of a folder's parts hold, in MB."""
    return sum(path.stat().st_size for path in folder.glob("parts/*")) / 1e6


def built(out: Path) -> tuple[str, ...]:
    """Return the networks whose atlases are there."""
    return tuple(
        model
        for model in MODELS
        if all((out / f"{model}-{name}.json").exists() for name in COLLECTIONS)
    )


def collections_table(out: Path) -> str:
    """Return the table of both networks over both collections."""
    found = {m: [read(out / f"{m}-{name}.json") for name in COLLECTIONS] for m in built(out)}
    rows: dict[str, list[str]] = {"": list(found)}
    for model, (notes, songs) in found.items():
        counts = songs["counts"]
        total = sum(counts[key] for key in ("clips", "duplicates", "unreadable"))
        if total != counts["files"]:
            raise ValueError(f"{total} files are accounted for, of {counts['files']}: {model}")
        for key, text in {
            "units of layers": f"{counts['units']:,} of {songs['layers']}",
            "files": f"{counts['files']:,}",
            "clips + duplicates + unreadable": f"{counts['clips']:,} + {counts['duplicates']} + "
            f"{counts['unreadable']}",
            "silent clips": f"{counts['silent']}",
            "notes, processor time": f"{_took(notes)}",
            "songs, processor time": f"{_took(songs)}",
            "of that, hearing": f"{notes['hearing']:.0f} s, {songs['hearing']:.0f} s",
            "size": f"{_size(out / model):.0f} MB",
        }.items():
            rows.setdefault(key, []).append(text)
    lines = ["| " + " | ".join([key, *row]) + " |" for key, row in rows.items()]
    return "\n".join([lines[0], "|---" * (len(built(out)) + 1) + "|", *lines[1:]])


def _took(row: Mapping[str, Any]) -> str:
    whole = row["parts_heard"] >= row["parts"]
    return f"{row['cpu_seconds']:.0f} s" + ("" if whole else " (of a build that was gone on with)")


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def units_text(out: Path) -> str:
    """Describe three units of the first network with what speaks for it."""
    atlas = Atlas.open(out / MODELS[0])
    return "\n".join(_unit_text(atlas, name) for name in UNITS)


def _unit_text(atlas: Atlas, name: str) -> str:
    unit = atlas.unit(name)
    about, evidence = unit.summary(), unit.evidence()[:4]
    labels = [row for row in unit.labels() if row["auc"] is not None][:2]
    reasons = ", ".join(f"{row['descriptor']} {row['rho']:+.2f}" for row in evidence)
    prefers = ", then ".join(
        f"{row['label']} (AUC {row['auc']:.2f}, q {row['q']:.1g})" for row in labels
    )
    clips = "; ".join(
        f"{one.path.rpartition('/')[2]} at {one.start:.2f}-{one.end:.2f} s" for one in unit.top(3)
    )
    return (
        f"- **{name}**: {about['name'] or 'no name'} ({reasons}). Fires in "
        f"{about['firing_clips']:.0%} of the clips, at {about['firing_places']:.1%} of the "
        f"places. Prefers {prefers}. Strongest: {clips}."
    )


def scale_text(scale: Path) -> str:
    """Return what ``benchmarks/atlas.py show`` prints, as a block."""
    found = {path.stem: read(path) for path in sorted(scale.glob("*.json"))}
    builds = sorted((v for k, v in found.items() if k.startswith("build-")), key=_clips)
    said = StringIO()
    with redirect_stdout(said):
        show_builds(builds)
        for name, row in found.items():
            if name.startswith("alone-"):
                show_against(row, builds)
    return f"```text\n{said.getvalue()}```"


def _clips(row: Mapping[str, Any]) -> int:
    return int(row["clips"])


def million_table(out: Path, scale: Path, core_hour: float, gigabyte_month: float) -> str:
    """Return what a million clips of 30 s take, from the songs and the largest synthetic build."""
    largest = max((read(path) for path in scale.glob("build-*.json")), key=_clips)
    summing = largest["summing"] / largest["clips"] / largest["units"]
    rows: dict[str, list[str]] = {"": list(built(out))}
    for model in built(out):
        songs = read(out / f"{model}-gtzan_mini.json")
        per = 30 * songs["hearing"] / songs["audio_seconds"]
        kilobytes = 1000 * 30 * songs["megabytes"] / songs["audio_seconds"]
        hours = (per + summing * songs["counts"]["units"]) * MILLION / 3600
        gigabytes = kilobytes * MILLION / 1e6
        for key, text in {
            "hearing 30 s": f"{per:.3f} s of a core",
            "summing up, a clip": f"{1000 * summing * songs['counts']['units']:.2f} ms",
            "core hours for a million": f"{hours:.0f}",
            f"on {PROCESSORS} cores, if hearing is spread evenly": f"{hours / PROCESSORS:.1f} h",
            "parts, a clip": f"{kilobytes:.0f} kB",
            "parts of a million": f"{gigabytes:.0f} GB",
            f"at {core_hour:g} dollars a core hour": f"{hours * core_hour:.2f} dollars",
            f"kept, at {gigabyte_month:g} dollars a GB and month": (
                f"{gigabytes * gigabyte_month:.2f} dollars a month"
            ),
        }.items():
            rows.setdefault(key, []).append(text)
    lines = ["| " + " | ".join([key, *row]) + " |" for key, row in rows.items()]
    return "\n".join([lines[0], "|---" * (len(built(out)) + 1) + "|", *lines[1:]])


def read(path: Path) -> dict[str, Any]:
    """Return figures that were kept."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("part", choices=("build", "write"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--scale", type=Path)
    parser.add_argument("--page", type=Path, default=Path("docs/atlas.md"))
    parser.add_argument("--model", choices=MODELS, help="of build: this one only")
    parser.add_argument("--core-hour", type=float, default=0.05, help="dollars, an assumption")
    parser.add_argument("--gigabyte-month", type=float, default=0.023, help="dollars, likewise")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if given.part == "build":
        if given.data is None:
            parser.error("build needs --data")
        given.out.mkdir(parents=True, exist_ok=True)
        for model in (given.model,) if given.model else MODELS:
            for name in COLLECTIONS:
                measure(model, name, given.data, given.out)
        return
    put(given.page, "collections", collections_table(given.out))
    put(given.page, "units", units_text(given.out))
    if given.scale is None:
        parser.error("write needs --scale")
    put(given.page, "scale", scale_text(given.scale))
    prices = (given.core_hour, given.gigabyte_month)
    put(given.page, "million", million_table(given.out, given.scale, *prices))


if __name__ == "__main__":
    main()
