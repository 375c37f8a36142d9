"""How fast a layer's tuning is measured, against loops over one stimulus at a time.

Tones from 27.5 Hz to 0.95 of half the sample rate to one layer, three ways in one run: batched
stimuli no longer than the layer needs, with nothing run behind it; the same stimuli one at a
time; and the plain loop, where each tone has the length the network was made for, goes through
the whole network, and a hook keeps the layer's output. The times are those of one run each, on
one thread, after a warm-up.

    python benchmarks/tuning.py
"""

from __future__ import annotations

import argparse
import os
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before the libraries that read them are imported

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from auralise.activations.recorder import record  # noqa: E402
from auralise.audio.stimuli import tone  # noqa: E402
from auralise.filters.sweeps import frequency_grid  # noqa: E402
from auralise.filters.tuning import tune  # noqa: E402
from auralise.models import MusicNetwork, load_model  # noqa: E402


def plain_loop(network: MusicNetwork, layer: str, grid: Tensor, seconds: float) -> Tensor:
    """Play whole excerpts one at a time; return the strongest of each map."""
    rate = network.card.frontend.sample_rate
    rows = []
    with record(network.module, [layer]) as outputs, torch.no_grad():
        for hertz in grid.tolist():
            values = network.card.frontend.analyse(tone(hertz, seconds, rate)).values
            network.module(values[None])
            rows.append(outputs[layer][0].flatten(1).amax(1))
    return torch.stack(rows, 1)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="choi2016-instruments")
    parser.add_argument("--layer", default="conv3")
    parser.add_argument("--frequencies", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)

    network = load_model(options.model)
    grid = frequency_grid(network.card.frontend.sample_rate, options.frequencies)
    tune(network, options.layer, frequencies=grid[:3])  # first allocations are not timed

    start = time.perf_counter()
    batched = tune(network, options.layer, frequencies=grid, batch_size=options.batch_size)
    rows = [(f"tune, {options.batch_size} at a time", time.perf_counter() - start)]
    start = time.perf_counter()
    single = tune(network, options.layer, frequencies=grid, batch_size=1)
    rows.append(("tune, one at a time", time.perf_counter() - start))
    seconds = network.card.seconds or 4.0
    start = time.perf_counter()
    plain_loop(network, options.layer, grid, seconds)
    rows.append((f"plain loop, {seconds:g} s, whole network", time.perf_counter() - start))

    channels = len(batched.silence)
    print(
        f"{channels} channels of {options.layer} of {options.model}, {len(grid)} tones of "
        f"{batched.seconds:.3f} s, {batched.variants} phases; one thread.\n"
    )
    print("| way | time in s | time / tune |")
    print("|---|---|---|")
    for name, took in rows:
        print(f"| {name} | {took:.2f} | {took / rows[0][1]:.1f} |")
    deviation = float((batched.responses - single.responses).abs().max())
    largest = float(batched.responses.abs().max())
    print(f"\nlargest deviation between the first two: {deviation / largest:.1e} of the largest")


if __name__ == "__main__":
    main()
