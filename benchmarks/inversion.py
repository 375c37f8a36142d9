"""All units of a layer inverted, against a loop over captum's neurons: time, memory, agreement.

The network is five blocks of convolution (64 channels, 3 x 3), batch normalisation, ReLU and
max-pooling by 2; the input has 96 x 256 places; single precision, one thread. The layer is a
block's ReLU, the method guided backpropagation, the targets the strongest position of each unit or
its whole map. Every variant runs in a process of its own, in turns with the other; times are
processor times of its one thread, which other work on the machine changes less than a clock's,
medians of ``--repeat`` such runs, each after a warm-up with two units (in which the cropped way is
compared with autograd's, as it is once for each network, layer and shape of input), memory the
larger of the processes' peaks. The loop makes a new object for each unit, because one object gets
slower with every call; it is told where to start by a forward pass that is part of its time.

    python benchmarks/inversion.py

With ``--songs 1 8 32`` it prints instead how long 64 guided maps at their peaks take on so many
songs, one after the other, beside that of one song: medians of ``--repeat`` rounds in one process.

    python benchmarks/inversion.py --songs 1 8 32
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import torch
from torch import Tensor, nn

CHANNELS = 64
SHAPE = (1, 96, 256)
VARIANTS = ("captum", "auralise")


def five_blocks() -> nn.Sequential:
    """Return the network, with the same random weights every time."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for below in (1, *[CHANNELS] * 4):
        convolution = nn.Conv2d(below, CHANNELS, 3, padding=1)
        nn.init.kaiming_normal_(convolution.weight)
        layers += [convolution, nn.BatchNorm2d(CHANNELS), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers).eval()


def with_captum(
    network: nn.Sequential, features: Tensor, layer: int, units: int, target: str
) -> list[Tensor]:
    """Return the maps of a loop, scaled by the value that `auralise` sends back."""
    from captum.attr import NeuronGuidedBackprop

    with torch.no_grad():
        outputs = network[: layer + 1](features[None])[0]
    found = []
    for channel in range(units):
        values = outputs[channel]
        if target == "whole":
            # The derivative of half the sum of squares is the map itself: the seed of a whole map.
            selector, scale = lambda out, c=channel: (out[:, c] ** 2).sum((1, 2)) / 2, 1.0
        else:
            place = torch.unravel_index(values.argmax(), values.shape)
            selector, scale = (channel, *(int(p) for p in place)), values.max()
        method = NeuronGuidedBackprop(network, network[layer])
        batch = features[None].clone().requires_grad_()
        found.append(method.attribute(batch, selector).detach()[0] * scale)
    return found


def with_auralise(
    network: nn.Sequential, features: Tensor, layer: int, units: int, target: str
) -> list[Tensor]:
    """Return the maps of all units in one call."""
    from auralise.inversion import invert_layer

    found = invert_layer(network, features, str(layer), range(units), "guided", target)
    return [inversion.relevance for inversion in found]


METHODS: dict[str, Callable[..., list[Tensor]]] = {
    "captum": with_captum,
    "auralise": with_auralise,
}


def measure(variant: str, block: int, target: str) -> dict[str, object]:
    """Run one variant in this process: seconds, peak memory in MiB, norms of the maps."""
    warnings.simplefilter("ignore")  # captum's, on every call
    torch.set_num_threads(1)
    network, features = five_blocks(), torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    layer = 4 * block - 2
    METHODS[variant](network, features, layer, 2, target)
    begun = time.process_time()
    maps = METHODS[variant](network, features, layer, CHANNELS, target)
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    norms = [relevance.norm().item() for relevance in maps]
    return {"seconds": seconds, "peak": peak, "norms": norms}


def in_a_process(variant: str, block: int, target: str) -> dict[str, object]:
    """Run `measure` in a process of its own."""
    command = [sys.executable, __file__, "--one", variant, str(block), target]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def row(block: int, target: str, repeat: int) -> str:
    """Measure both variants in turns and return a line of the table."""
    runs = {variant: [] for variant in VARIANTS}
    for _ in range(repeat):
        for variant in VARIANTS:
            runs[variant].append(in_a_process(variant, block, target))
    loop, ours = (median(run["seconds"] for run in runs[v]) for v in VARIANTS)
    loop_peak, peak = (max(run["peak"] for run in runs[v]) for v in VARIANTS)
    a, b = (torch.tensor(runs[v][0]["norms"]) for v in VARIANTS)
    apart = ((a - b).abs().max() / a.max()).item()
    return (
        f"| {block} | {target} | {1000 * loop:,.0f} ms | {1000 * ours:,.0f} ms | "
        f"{loop / ours:.1f} | {loop_peak:,.0f} MiB | {peak:,.0f} MiB | {peak / loop_peak:.2f} | "
        f"{apart:.0e} |"
    )


def songs(block: int, counts: list[int], repeat: int) -> None:
    """Print how the time grows with the number of songs."""
    torch.set_num_threads(1)
    network, layer = five_blocks(), 4 * block - 2
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.rand(SHAPE, generator=generator) for _ in range(max(counts))]
    with_auralise(network, inputs[0], layer, CHANNELS, "peak")
    taken: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(repeat):
        for count in counts:
            begun = time.process_time()
            for features in inputs[:count]:
                with_auralise(network, features, layer, CHANNELS, "peak")
            taken[count].append(time.process_time() - begun)
    one = median(taken[counts[0]]) / counts[0]
    print("| block | songs | time | of one song's | per song |")
    print("|---|---|---|---|---|")
    for count in counts:
        seconds = median(taken[count])
        print(
            f"| {block} | {count} | {1000 * seconds:,.0f} ms | {seconds / one:.1f} x | "
            f"{1000 * seconds / count:.1f} ms |"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, nargs="+", default=[1, 3, 5])
    parser.add_argument("--targets", nargs="+", default=["peak", "whole"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--songs", type=int, nargs="+", help="numbers of songs")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        variant, block, target = chosen.one
        print(json.dumps(measure(variant, int(block), target)))
        return
    if chosen.songs:
        songs(chosen.blocks[0], chosen.songs, chosen.repeat)
        return
    print(
        "| block | target | captum | auralise | ratio | captum | auralise | ratio | norms differ |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for target in chosen.targets:
        for block in chosen.blocks:
            print(row(block, target, chosen.repeat), flush=True)


if __name__ == "__main__":
    main()
