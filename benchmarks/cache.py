"""The decode cache: how fast it is made, and how far training has to wait for it.

Made: `open_cache` with two processes, which also checks and trims each sound, takes checksums and
writes it to a file, against a plain loop of soundfile and soxr at the same quality that keeps the
samples in memory, and against two such loops at once, each with half of the files, which is what
the machine can give without any check. Read: one epoch of training steps on excerpts of clips from
the cache, against the same from clips that are in memory, with the same random numbers. The sides
take turns; each number is the fastest of ``--repeat`` turns, which others disturb least, and the
ratio that of these. The first turn of the decoding processes, which have to import everything, is
counted apart. The songs are measured once more as MP3, encoded for the purpose. Last, what 16-bit
integers would have lost. Wall times need a machine that does nothing else: the load is printed.

    AURALISE_DATA=FOLDER python benchmarks/cache.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before the libraries that read them are imported

import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import soxr  # noqa: E402
import torch  # noqa: E402

from auralise.datasets import Track, open_dataset  # noqa: E402
from auralise.datasets.cache import open_cache  # noqa: E402
from auralise.datasets.clips import Clip  # noqa: E402

COLLECTIONS = {
    "instrument notes (mp3)": "philharmonia:{}/philharmonia",
    "songs (wav)": "gtzan:{}/gtzan_mini",
}


def plain(tracks: Sequence[Track], rate: int) -> list[np.ndarray]:
    """Decode one after another."""
    found = []
    for track in tracks:
        samples, old = soundfile.read(track.path, dtype="float32", always_2d=True)
        found.append(soxr.resample(samples.mean(1), old, rate, quality="HQ"))
    return found


def divided(tracks: Sequence[Track], rate: int) -> None:
    """Decode in two processes that share nothing and hand nothing over."""
    context = get_context("fork")
    halves = [context.Process(target=plain, args=(tracks[i::2], rate)) for i in (0, 1)]
    for process in halves:
        process.start()
    for process in halves:
        process.join()


def as_mp3(tracks: Sequence[Track], folder: Path) -> list[Track]:
    """Encode sounds as MP3 at the encoder's default rate of bits."""
    made = []
    for number, track in enumerate(tracks):
        samples, rate = soundfile.read(track.path)
        path = folder / f"{number}.mp3"
        soundfile.write(path, samples, rate, format="MP3")
        made.append(replace(track, path=path))
    return made


def timed(run: Callable[[], object]) -> float:
    """Return how long it takes, in seconds."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def making(tracks: Sequence[Track], rate: int, repeat: int) -> tuple[float, float, float, float]:
    """Return seconds of the plain loop, of two at once, of the cache and of its first turn."""
    loop, two, cache = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(repeat + 1):
            made = Path(folder) / str(turn)
            cache.append(timed(lambda made=made: open_cache(tracks, rate, made, workers=2)))
            if turn:
                loop.append(timed(lambda: plain(tracks, rate)))
                two.append(timed(lambda: divided(tracks, rate)))
    return min(loop), min(two), min(cache[1:]), cache[0]


def row(name: str, tracks: Sequence[Track], rate: int, repeat: int) -> str:
    """Measure making a cache, and write a line of the table."""
    loop, two, cache, first = making(tracks, rate, repeat)
    return (
        f"| {name} | {len(tracks)} | {loop:.2f} s | {two:.2f} s | {cache:.2f} s "
        f"| {loop / cache:.2f} x | {first:.2f} s |"
    )


def epoch(clips: Sequence[Clip], labels: Sequence[str], architecture) -> None:  # noqa: ANN001
    """Take each clip once, in batches of 32, with a step of the optimiser for each."""
    # Here, since the decoding processes import this file, too.
    from torch.utils.data import DataLoader

    from auralise.training.batches import Excerpts, Item, collate
    from auralise.training.options import FitOptions

    torch.manual_seed(0)
    frontend = architecture.frontend()
    network = architecture.build(len(labels)).train()
    module = frontend.module
    optimiser = torch.optim.Adam(network.parameters())
    length = round(architecture.seconds * frontend.sample_rate)
    excerpts = Excerpts(clips, labels, False, length, frontend.sample_rate, FitOptions())
    order = np.random.default_rng(0).permutation(len(clips)).tolist()
    steps = [[Item(0, i, 1 / 32) for i in order[k : k + 32]] for k in range(0, len(order), 32)]
    for batch in DataLoader(excerpts, batch_sampler=steps, collate_fn=collate):
        optimiser.zero_grad()
        logits = network(module(batch.samples))
        torch.nn.functional.cross_entropy(logits, batch.targets).backward()
        optimiser.step()


def reading(tracks: Sequence[Track], architecture, repeat: int) -> tuple[float, float, float]:  # noqa: ANN001
    """Return seconds of an epoch from memory and from the cache, and the ratio of CPU seconds."""
    rate = architecture.frontend().sample_rate
    labels = sorted({track.label for track in tracks})
    wall: tuple[list[float], list[float]] = ([], [])
    cpu: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory() as folder:
        cache = open_cache(tracks, rate, Path(folder), workers=2)
        sides = ([Clip(clip.samples.clone(), clip.track) for clip in cache], cache)
        epoch(sides[0], labels, architecture)
        for turn in range(repeat):
            for side in (0, 1) if turn % 2 else (1, 0):
                begun = time.process_time()
                wall[side].append(timed(partial(epoch, sides[side], labels, architecture)))
                cpu[side].append(time.process_time() - begun)
    memory, cached = map(min, wall)
    return memory, cached, min(cpu[1]) / min(cpu[0])


def rounding(tracks: Sequence[Track], rate: int) -> tuple[float, float]:
    """Return the level of what 16-bit codes would add, against each clip: median, worst, in dB."""
    levels = []
    with tempfile.TemporaryDirectory() as folder:
        for clip in open_cache(tracks, rate, Path(folder), workers=2):
            samples = clip.samples.double()
            error = (samples * 32767).round() / 32767 - samples
            levels.append(float(10 * (error.square().mean() / samples.square().mean()).log10()))
    return statistics.median(levels), max(levels)


def main() -> None:
    """Measure and print."""
    from auralise.models import MODELS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=3000, help="at most, of each collection")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--epoch-tracks", type=int, default=192, help="at most, for an epoch")
    parser.add_argument("--rate", type=int, default=16000, help="of the cache that is made, in Hz")
    parser.add_argument("--making", action="store_true", help="only how fast it is made")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    root = os.environ["AURALISE_DATA"]
    architecture = MODELS["choi2016"].configure(width=0.25)
    rate = architecture.frontend().sample_rate
    print(f"begun at a load of {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| collection | clips | loop | 2 loops | cache, 2 processes | faster | first turn |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    chosen = {}
    for name, place in COLLECTIONS.items():
        tracks = open_dataset(place.format(root)).tracks
        chosen[name] = [tracks[i] for i in np.random.default_rng(0).permutation(len(tracks))]
        chosen[name] = chosen[name][: options.tracks]
        print(row(name, chosen[name], options.rate, options.repeat), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        encoded = as_mp3(chosen["songs (wav)"], Path(folder))
        print(row("songs (mp3)", encoded, options.rate, options.repeat))
    if options.making:
        return
    print("\n| epoch of choi2016, width 0.25 | in memory | cache | ratio | ratio of CPU time |")
    print("|---|---:|---:|---:|---:|")
    for name, tracks in chosen.items():
        memory, cached, cpu = reading(tracks[: options.epoch_tracks], architecture, options.repeat)
        print(f"| {name} | {memory:.2f} s | {cached:.2f} s | {cached / memory:.3f} | {cpu:.3f} |")
    for name, tracks in chosen.items():
        middle, worst = rounding(tracks, rate)
        print(f"\n16 bits on {name}: error at {middle:.0f} dB (median), {worst:.0f} dB (worst)")


if __name__ == "__main__":
    main()
