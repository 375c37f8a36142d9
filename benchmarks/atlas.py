"""How the atlas grows: time, memory and queries on collections of 1,000 to 16,000 short clips.

    python benchmarks/atlas.py scale --out FOLDER
    python benchmarks/atlas.py ray --out FOLDER
    python benchmarks/atlas.py show --out FOLDER

The clips are made by a formula, each of other samples. Every measurement runs in a process of its
own, on one thread, and is kept in FOLDER: a call that was ended goes on with what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auralise.atlas import Atlas, Options, build
from auralise.atlas.decoding import STRETCH_SECONDS
from auralise.atlas.layout import with_channels_last
from auralise.audio.files import read_audio
from auralise.audio.resampling import resample
from auralise.audio.waveform import Waveform
from auralise.audio.writing import write_audio
from auralise.models.base import MODELS, ModelCard, MusicNetwork

SIZES = (1000, 4000, 16000)
KEPT = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
}
"""One thread, and memory that the C library keeps: else fresh pages are half of a forward pass."""
SECONDS, RATE = 2.0, 22050
LABELS = ("low", "high", "noise", "pulses")


def network(width: float) -> MusicNetwork:
    """Return an untrained network of the first auralised kind, for clips of two seconds."""
    architecture = MODELS["choi2016"].configure(width=width, seconds=SECONDS)
    torch.manual_seed(0)
    module = architecture.build(len(LABELS)).eval()
    card = ModelCard("scale", architecture.frontend(), LABELS, SECONDS)
    return MusicNetwork(module, card)


def make(folder: Path, clips: int) -> Path:
    """Write clips that are not there yet."""
    time_ = np.arange(round(SECONDS * RATE)) / RATE
    for number in range(clips):
        label = LABELS[number % len(LABELS)]
        path = folder / label / f"{number:06}.wav"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn = np.random.default_rng(number)
        hertz = drawn.uniform(80, 300) if label == "low" else drawn.uniform(1000, 4000)
        samples = np.sin(2 * np.pi * hertz * time_)
        if label == "noise":
            samples = drawn.standard_normal(len(time_)) / 4
        elif label == "pulses":
            samples *= (time_ * drawn.uniform(2, 8)) % 1 < 0.1
        samples = 0.5 * samples + 1e-3 * drawn.standard_normal(len(time_))
        sound = torch.from_numpy(samples.clip(-1, 1)).float()[None]
        write_audio(path, Waveform(sound, RATE), subtype="PCM_16")
    return folder


def measure_build(sounds: Path, out: Path) -> dict[str, Any]:
    """Make an atlas in this process, and ask it."""
    shutil.rmtree(out, ignore_errors=True)
    made = network(0.5)
    started, cpu = time.perf_counter(), time.process_time()
    stages: dict[str, float] = {}

    def note(stage: str, _done: int, _total: int) -> None:
        stages[stage] = time.process_time() - cpu

    options = Options(workers=0, device="cpu")
    report = build(str(sounds), made, out, options=options, progress=note)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    queries = []
    for channel in range(32):
        asked = time.perf_counter()
        found = Atlas.open(out).unit(f"conv3:{channel}").top(9)
        queries.append(1000 * (time.perf_counter() - asked))
        if len(found) != 9:
            raise RuntimeError(f"a unit has {len(found)} clips")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return {
        "clips": report.manifest.counts["clips"],
        "units": report.manifest.counts["units"],
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "hearing": stages["hearing shards"] - stages["reading files"],
        "summing": cpu_seconds - stages["hearing shards"],
        "peak_mb": peak,
        "query_ms": float(np.median(queries)),
        "query_ms_first": queries[0],
        "query_ms_worst": max(queries[1:]),
        "megabytes": size / 1e6,
    }


def measure_alone(sounds: Path) -> dict[str, Any]:
    """Decode the clips and run the network over them, and nothing else.

    The forward pass is timed twice: of the network as it is, and of its copy with channels last,
    which is what the atlas runs.
    """
    plain = network(0.5)
    frontend = plain.card.frontend
    length = round(SECONDS * frontend.sample_rate)
    ways = {
        "forward": plain.module,
        "forward_last": with_channels_last(plain.module, frontend.module(torch.zeros(1, length))),
    }
    spent = dict.fromkeys(("decoding", "frontend", *ways), 0.0)
    waiting: list[torch.Tensor] = []
    paths = sorted(sounds.rglob("*.wav"))
    for number, path in enumerate(paths, 1):
        begun = time.process_time()
        sound = read_audio(path, start=0.0, seconds=STRETCH_SECONDS, allow_truncated=True)
        samples = resample(sound.waveform.mono(), frontend.sample_rate).samples[0, :length]
        waiting.append(samples)
        spent["decoding"] += time.process_time() - begun
        if len(waiting) == 8 or number == len(paths):
            with torch.no_grad():
                begun = time.process_time()
                features = frontend.module(torch.stack(waiting))
                spent["frontend"] += time.process_time() - begun
                for name, module in ways.items():
                    begun = time.process_time()
                    module(features)
                    spent[name] += time.process_time() - begun
            waiting = []
    return {"clips": len(paths), **spent}


def measure_ray(sounds: Path, out: Path, workers: int) -> dict[str, Any]:
    """Let Ray make the atlas; its own start is left out by counting from the first part on."""
    shutil.rmtree(out, ignore_errors=True)
    times: list[float] = []

    def note(stage: str, done: int, total: int) -> None:
        if stage == "hearing shards":
            times.append(time.perf_counter())

    options = Options(engine="ray", workers=workers, device="cpu", shard_clips=16)
    build(str(sounds), network(1.0), out, options=options, progress=note)
    skipped = len(times) // 4  # until all actors are there
    rate = 16 * (len(times) - 1 - skipped) / (times[-1] - times[skipped])
    return {"workers": workers, "clips_per_second": rate, "parts": len(times)}


def run(name: str, out: Path, *arguments: str) -> dict[str, Any]:
    """Measure in a process of its own, unless that was done."""
    kept = out / f"{name}.json"
    if not kept.exists():
        command = [sys.executable, __file__, "one", "--out", str(out), "--what", *arguments]
        found = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **KEPT}
        )
        kept.write_text(found.stdout.splitlines()[-1] + "\n")
    return json.loads(kept.read_text())


def one(out: Path, what: list[str]) -> None:
    """Measure one thing and print it."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    kind, number = what[0], int(what[1])
    if kind == "build":
        found = measure_build(out / f"sounds-{number}", out / f"atlas-{number}")
    elif kind == "alone":
        found = measure_alone(out / f"sounds-{number}")
    else:
        found = measure_ray(out / "sounds-ray", out / "atlas-ray", number)
    print(json.dumps(found))


def scale(out: Path, sizes: list[int]) -> None:
    """Measure all sizes, and the way without an atlas."""
    for size in sizes:
        make(out / f"sounds-{size}", size)
        if size == min(sizes):
            run(f"alone-{size}", out, "alone", str(size))
        run(f"build-{size}", out, "build", str(size))
    show(out)


def ray(out: Path, clips: int) -> None:
    """Measure one actor and two."""
    make(out / "sounds-ray", clips)
    for workers in (1, 2):
        run(f"ray-{workers}", out, "ray", str(workers))
    show(out)


def show(out: Path) -> None:
    """Print what was measured."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(out.glob("*.json"))}
    builds = sorted((v for k, v in found.items() if k.startswith("build-")), key=_clips)
    show_builds(builds)
    for name, row in found.items():
        if name.startswith("alone-"):
            show_against(row, builds)
    if "ray-1" in found and "ray-2" in found:
        one_, two = (found[f"ray-{n}"]["clips_per_second"] for n in (1, 2))
        print(
            f"Ray: {one_:.1f} clips a second with one actor, {two:.1f} with two: {two / one_:.2f}"
        )


def show_builds(builds: list[dict[str, Any]]) -> None:
    """Print a row for each size, and how the largest compares with the smallest."""
    print("CPU milliseconds a clip; queries in milliseconds: median, worst, first of the process")
    print("clips    all  hearing  summing  peak MB  query  worst  first     MB")
    for row in builds:
        per = [1000 * row[key] / row["clips"] for key in ("cpu_seconds", "hearing", "summing")]
        print(
            f"{row['clips']:5}  {per[0]:5.2f}  {per[1]:7.2f}  {per[2]:7.2f}  "
            f"{row['peak_mb']:7.0f}  {row['query_ms']:5.1f}  {row['query_ms_worst']:5.1f}  "
            f"{row['query_ms_first']:5.1f}  {row['megabytes']:5.1f}"
        )
    if len(builds) > 1:
        first, last = builds[0], builds[-1]
        ratio = last["cpu_seconds"] / last["clips"] / (first["cpu_seconds"] / first["clips"])
        print(f"time per clip at {last['clips']} against {first['clips']}: {ratio:.3f}")
        print(f"peak memory likewise: {last['peak_mb'] / first['peak_mb']:.3f}")


def show_against(alone: dict[str, Any], builds: list[dict[str, Any]]) -> None:
    """Print how long decoding and a forward pass take, and the atlas in such times."""
    per = {
        key: 1000 * alone[key] / alone["clips"]
        for key in ("decoding", "frontend", "forward", "forward_last")
    }
    print(
        f"alone, a clip: decoding {per['decoding']:.2f} ms, frontend {per['frontend']:.2f} ms, "
        f"forward pass {per['forward']:.2f} ms, with channels last {per['forward_last']:.2f} ms"
    )
    for each in builds:
        cost = 1000 * each["cpu_seconds"] / each["clips"]
        plain, last = (
            cost / (per["decoding"] + per["frontend"] + per[key])
            for key in ("forward", "forward_last")
        )
        print(
            f"an atlas of {each['clips']} takes {plain:.2f} times decoding and a forward pass, "
            f"{last:.2f} times if that has channels last too"
        )


def _clips(row: dict[str, Any]) -> int:
    return int(row["clips"])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("scale", "ray", "show", "one"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--clips", type=int, default=640, help="of the measurement of Ray")
    parser.add_argument("--what", nargs="+", default=[])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.part == "scale":
        scale(given.out, given.sizes)
    elif given.part == "ray":
        ray(given.out, given.clips)
    elif given.part == "show":
        show(given.out)
    else:
        one(given.out, given.what)


if __name__ == "__main__":
    main()
