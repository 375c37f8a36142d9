"""How fast phase methods are: against librosa, against their own transforms, on several threads.

Three tables, each of times taken in turns in one process, medians of ``--repeat`` rounds, denormal
numbers flushed:

1. For one clip of each genre of GTZAN (30 s at 22,050 Hz, n_fft 1024, hop 256, float32), one
   thread: the fewest iterations of ``pghi-fast-griffin-lim`` that reach the spectral convergence of
   ``librosa.griffinlim(n_iter=32, momentum=0.99)``, and both times.
2. One iteration against its two Fourier transforms: what one more iteration costs, and an inverse
   and a forward transform of all frames by SciPy and by PyTorch, with nothing else.
3. Sixteen of the clips on one thread and on two.

    python benchmarks/phase_speed.py --data DATA
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before the libraries that read them are imported

import torch  # noqa: E402
from phase import clips, librosa_griffin_lim  # noqa: E402
from scipy import fft  # noqa: E402

from auralise.phase import phase_method  # noqa: E402
from auralise.phase.batch import reconstruct_all  # noqa: E402
from auralise.spectral.convergence import convergence_of  # noqa: E402
from auralise.spectral.spectrogram import Spectrogram  # noqa: E402

METHOD = "pghi-fast-griffin-lim"


def medians(calls: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Return the median seconds of each call, taken in turns."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in taken.items()}


def fewest_iterations(target: Spectrogram, wanted: float) -> tuple[int, float]:
    """Return the fewest iterations that come as near as ``wanted`` dB, and how near they come."""
    for n_iter in range(1, 33):
        reached = convergence_of(phase_method(METHOD, n_iter=n_iter)(target), target)
        if reached <= wanted:
            return n_iter, reached
    raise SystemExit(f"32 iterations do not reach {wanted:.1f} dB")


def against_librosa(targets: list[Spectrogram], repeat: int) -> None:
    """Print the first table."""
    print("| clip | librosa SC, ms | auralise iterations, SC, ms | librosa / auralise |")
    print("|---|---|---|---|")
    ratios = []
    for number, target in enumerate(targets):
        theirs = convergence_of(librosa_griffin_lim(target, 0.99), target)
        n_iter, ours = fewest_iterations(target, theirs)
        method = phase_method(METHOD, n_iter=n_iter)
        found = medians(
            {"l": partial(librosa_griffin_lim, target, 0.99), "a": partial(method, target)},
            repeat,
        )
        ratios.append(found["l"] / found["a"])
        print(
            f"| {number} | {theirs:.1f} dB, {1000 * found['l']:.0f} | {n_iter}, {ours:.1f} dB, "
            f"{1000 * found['a']:.0f} | {ratios[-1]:.1f} |",
            flush=True,
        )
    print(f"\nratio: median {median(ratios):.1f}, from {min(ratios):.1f} to {max(ratios):.1f}\n")


def iteration(target: Spectrogram, repeat: int) -> None:
    """Print the second table."""
    magnitude = target.magnitude[0].T.contiguous()
    spectrum = torch.polar(magnitude, torch.rand_like(magnitude))
    array, n_fft = spectrum.numpy(), target.spec.n_fft
    framed = torch.empty(len(magnitude), n_fft)
    few, many = (phase_method("fast-griffin-lim", n_iter=n) for n in (4, 20))
    found = medians(
        {
            "few": lambda: few(target),
            "many": lambda: many(target),
            "scipy": lambda: fft.rfft(fft.irfft(array, n=n_fft, workers=1), workers=1),
            "torch": lambda: torch.fft.rfft(torch.fft.irfft(spectrum, n=n_fft, out=framed)),
        },
        repeat,
    )
    one = (found["many"] - found["few"]) / 16
    print("| one iteration | two transforms, SciPy | ratio | two transforms, PyTorch | ratio |")
    print("|---|---|---|---|---|")
    print(
        f"| {1000 * one:.1f} ms | {1000 * found['scipy']:.1f} ms | {one / found['scipy']:.2f} | "
        f"{1000 * found['torch']:.1f} ms | {one / found['torch']:.2f} |\n",
        flush=True,
    )


def threads(targets: list[Spectrogram], n_iter: int, repeat: int) -> None:
    """Print the third table."""
    method = phase_method(METHOD, n_iter=n_iter)
    found = medians(
        {
            str(workers): lambda w=workers: list(reconstruct_all(targets, method, workers=w))
            for workers in (1, 2)
        },
        repeat,
    )
    print(f"| {len(targets)} clips, {n_iter} iterations | one thread | two threads | ratio |")
    print("|---|---|---|---|")
    print(f"| | {found['1']:.2f} s | {found['2']:.2f} s | {found['1'] / found['2']:.2f} |")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("AURALISE_DATA")
    parser.add_argument(
        "--data",
        type=Path,
        default=default,
        required=default is None,
        help="folder that holds gtzan_mini/genres; AURALISE_DATA if that is set",
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each clip")
    parser.add_argument("--clips", type=int, default=10, help="how many genres")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--tables", nargs="+", default=["librosa", "iteration", "threads"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    targets = clips(options.data, 0, options.seconds)[: options.clips]
    phase_method(METHOD, n_iter=2)(targets[0])  # compilation and first allocations are not timed
    print(f"{len(targets)} clips of {options.seconds:g} s\n")
    if "librosa" in options.tables:
        against_librosa(targets, options.repeat)
    if "iteration" in options.tables:
        iteration(targets[0], options.repeat)
    if "threads" in options.tables:
        sixteen = [targets[i % len(targets)] for i in range(16)]
        threads(sixteen, 4, options.repeat)


if __name__ == "__main__":
    main()
