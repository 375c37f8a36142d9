"""Analysing many filters: all at once, against one after the other with NumPy.

The peer goes through the filters in a loop and does for each what is usually written in a script:
Fourier transform, peak by parabola, walk to both half-power points, centroid, median, equivalent
rectangular bandwidth, share of energy at the peak, flatness. Both answers are compared. One thread;
each time is the best of ``--repeat`` runs.

    python benchmarks/filters.py
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before the libraries that read them are imported

import numpy as np  # noqa: E402
import torch  # noqa: E402

from auralise.filters import respond  # noqa: E402
from auralise.filters.known import scale_bank  # noqa: E402

NAMES = ("peak", "bandwidth", "centroid", "median", "erb", "peak_fraction", "flatness")


def naive(filters: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return `NAMES` for each filter, in a loop; (filters, numbers)."""
    length = filters.shape[1]
    n_fft = 1 << (max(4096, 16 * length) - 1).bit_length()
    step = sample_rate / n_fft
    frequencies = np.arange(n_fft // 2 + 1) * step
    return np.array([describe(taps, n_fft, step, frequencies) for taps in filters])


def describe(taps: np.ndarray, n_fft: int, step: float, frequencies: np.ndarray) -> list[float]:
    """Describe one filter."""
    power = np.abs(np.fft.rfft(taps, n_fft)) ** 2
    logs = np.log(np.maximum(power / power.max(), 1e-12))
    at = int(power.argmax())
    shift, height = 0.0, 0.0
    if 0 < at < len(power) - 1:
        left, mid, right = logs[at - 1 : at + 2]
        shift = 0.5 * (left - right) / (left - 2 * mid + right)
        height = mid - 0.25 * (left - right) * shift
    level = height - np.log(2.0)
    edges = [walk(logs, at, -1, level), walk(logs, at, 1, level)]
    energy = np.trapezoid(power, frequencies)
    below = np.concatenate([[0.0], np.cumsum(0.5 * (power[1:] + power[:-1])) * step])
    peak, reach = (at + shift) * step, 2.0 * n_fft * step / len(taps)
    near = np.interp([peak - reach, peak + reach], frequencies, below)
    return [
        peak,
        (edges[1] - edges[0]) * step,
        np.trapezoid(power * frequencies, frequencies) / energy,
        np.interp(0.5 * energy, below, frequencies),
        energy / (power.max() * np.exp(height)),
        (near[1] - near[0]) / energy,
        np.exp(logs.mean()) / np.maximum(power / power.max(), 1e-12).mean(),
    ]


def walk(logs: np.ndarray, at: int, direction: int, level: float) -> float:
    """Go from the peak to where the response falls below ``level``."""
    place = at
    while 0 <= place + direction < len(logs):
        ahead = logs[place + direction]
        if ahead < level:
            return place + direction * (logs[place] - level) / (logs[place] - ahead)
        place += direction
    return float(place)


def best(run: Callable[[], object], repeat: int) -> float:
    """Return the shortest of several times, in seconds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filters", type=int, default=3000)
    parser.add_argument("--length", type=int, default=256, help="in samples")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    bank = scale_bank("mel-htk", options.filters, length=options.length)
    taps = bank.impulse_responses.numpy()
    found = respond(bank)
    ours = torch.stack([getattr(found, name) for name in NAMES], 1).numpy()
    theirs = naive(taps, bank.sample_rate)
    seconds = best(lambda: respond(bank), options.repeat)
    loop = best(lambda: naive(taps, bank.sample_rate), options.repeat)
    print(f"{options.filters} filters of {options.length} samples at {bank.sample_rate} Hz")
    print(
        f"all at once {seconds:.2f} s, in a loop {loop:.2f} s: {loop / seconds:.1f} times as long"
    )
    print("(all at once also has RMS width, Q, silent filters, copies, and keeps the responses)")
    for name, one, two in zip(NAMES, ours.T, theirs.T, strict=True):
        print(f"  {name}: largest difference {np.abs(one - two).max():.2g}")


if __name__ == "__main__":
    main()
