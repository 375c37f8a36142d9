"""Share of auralisations that a network takes for sounds of the units they were made for.

For each network, layer and excerpt, units are drawn from those that answer. Each method makes one
sound of each; all are fed back in (`auralise.audit.recognise`), as they are and behind all of a
shift by 10 ms, noise at -40 dB, 16 bits and MP3. A random mask for each unit is the floor.

    python benchmarks/recognition.py --data GTZAN --minutes 9      # until it says "0 left"
    python benchmarks/recognition.py --report docs/audit.md
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from listening_runs import (
    LAYERS,
    RESULTS,
    Excerpt,
    Line,
    excerpts,
    interval,
    lines_of,
    parser,
    pending,
    put,
    table,
    work_off,
)

from auralise.activations import run_to
from auralise.audio.waveform import Waveform
from auralise.audit import recognise
from auralise.audit.canvas import Canvas
from auralise.audit.judge import levelled
from auralise.auralisation import auralise_layer
from auralise.frontends import SpectrogramFrontend
from auralise.masks import MaskOptions, find_masks
from auralise.masks.plane import spec_of
from auralise.models import load_model
from auralise.models.base import MusicNetwork
from auralise.settings import Settings

PATH = RESULTS / "recognition.jsonl"
UNITS = 8
CLIPS = (8, 9)
METHODS = ("gradient", "deconvnet", "guided")
APART = ("shift-10ms", "noise-40db", "16-bit", "mp3")
BLUR = 3.0
MASKS = MaskOptions(bfloat16=True, batch_size=2)
QUIET = 1e-6


def main() -> None:
    """Run, or write the tables."""
    arguments = parser(__doc__).parse_args()
    if arguments.report:
        write(arguments.report)
        return
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    jobs = jobs_of(arguments.data, arguments.networks, arguments.layers)
    for line in work_off(PATH, jobs, arguments.minutes):
        names = (line[name] for name in ("network", "layer", "excerpt", "kind"))
        print(*names, *summary(line), f"{line['seconds']:.0f} s", flush=True)
    print(f"{pending(PATH, jobs_of(arguments.data, LAYERS, None))} left")


def summary(line: Line) -> list[str]:
    """Return the rates of a line, in short."""
    return [
        f"{name} {rates['none']:.2f}/{rates['all']:.2f}" for name, rates in line["rates"].items()
    ]


def jobs_of(
    data: Path, networks: Iterable[str], layers: Sequence[str] | None
) -> Iterator[tuple[Line, Callable[[], Line]]]:
    """Name all that there is to do, excerpt by excerpt."""
    loaded = {name: load(name) for name in networks}
    for shallow in (False, True):
        for excerpt in excerpts(CLIPS):
            for name, network in loaded.items():
                for layer in LAYERS[name]:
                    if (layers and layer not in layers) or shallow != (layer == LAYERS[name][0]):
                        continue
                    line = {"network": name, "layer": layer, "excerpt": excerpt.name}
                    for kind, job in (("mask", masks_job), ("literature", literature_job)):
                        yield {**line, "kind": kind}, bind(job, network, excerpt, data, layer)


def load(name: str) -> MusicNetwork:
    """Load a network, with its weights in the order that is quickest on a processor."""
    network = load_model(name)
    if isinstance(network.card.frontend, SpectrogramFrontend):
        network.module.to(memory_format=torch.channels_last)
    return network


def bind(job: Callable[..., Line], *arguments: Any) -> Callable[[], Line]:  # noqa: ANN401
    """Return the job with its arguments."""
    return lambda: job(*arguments)


def masks_job(network: MusicNetwork, excerpt: Excerpt, data: Path, layer: str) -> Line:
    """Search for the masks and feed them and the random ones back in."""
    source = excerpt.read(data, network)
    channels = drawn(network, source, layer, excerpt)
    begun = time.process_time()
    masks = list(find_masks(network, source, layer, channels, MASKS))
    seconds = (time.process_time() - begun) / len(channels)
    sounds = {mask.unit.channel: mask.waveform for mask in masks}
    return {
        "units": channels,
        "rates": {
            "mask": rates(network, source, layer, sounds, ("none", "all", *APART)),
            "random": rates(network, source, layer, at_random(network, source, channels)),
        },
        "area": sum(mask.area for mask in masks) / len(masks),
        "ratio": sum(mask.ratio for mask in masks) / len(masks),
        "seconds_per_unit": seconds,
    }


def literature_job(network: MusicNetwork, excerpt: Excerpt, data: Path, layer: str) -> Line:
    """Make the sounds of each method and sonification and feed them back in."""
    source = excerpt.read(data, network)
    channels = drawn(network, source, layer, excerpt)
    spectral = isinstance(network.card.frontend, SpectrogramFrontend)
    found = {}
    for method in METHODS:
        for sonification in ("mask", "magnitude") if spectral else ("waveform",):
            settings = Settings(method=method, sonification=sonification)
            results = auralise_layer(network, source, layer, channels, settings=settings)
            sounds = {r.inversion.unit.channel: r.waveform for r in results}
            found[f"{method}, {sonification}"] = rates(network, source, layer, sounds)
    return {"units": channels, "rates": found}


def drawn(network: MusicNetwork, source: Waveform, layer: str, excerpt: Excerpt) -> list[int]:
    """Draw units from those that answer to the source."""
    values = network.card.frontend.module(source.samples)
    with torch.no_grad():
        base = run_to(network.module, values, layer)[0].flatten(1).amax(1)
    live = (base > QUIET * base.max()).nonzero()[:, 0]
    seed = excerpts().index(excerpt)
    order = torch.randperm(len(live), generator=torch.Generator().manual_seed(seed))
    return sorted(live[order[:UNITS]].tolist())


def at_random(
    network: MusicNetwork, source: Waveform, channels: Sequence[int]
) -> dict[int, Waveform]:
    """Return a random mask's sound for each unit."""
    canvas = Canvas.of(source, spec_of(network.card.frontend))
    masks = torch.stack([(BLUR * canvas.random(1000 + c)).sigmoid() for c in channels])
    samples = levelled(canvas.kept(masks), source.samples)
    rate = source.sample_rate
    return {c: Waveform(samples[i : i + 1], rate) for i, c in enumerate(channels)}


def rates(
    network: MusicNetwork,
    source: Waveform,
    layer: str,
    sounds: dict[int, Waveform],
    disturbances: Sequence[str] = ("none", "all"),
) -> dict[str, float]:
    """Return the recognition rate behind each disturbance."""
    return {
        name: recognise(network, source, layer, sounds, disturbance=name).rate
        for name in disturbances
    }


def write(page: Path) -> None:
    """Write the tables."""
    lines = lines_of(PATH)
    for network, layers in LAYERS.items():
        mine = [line for line in lines if line["network"] == network]
        put(page, f"recognition {network}", rate_table(mine, layers))
    put(page, "recognition mask", mask_table(lines))


def rate_table(lines: Sequence[Line], layers: Sequence[str]) -> str:
    """Write a row for each method and a column for each layer: as it is / disturbed."""
    names = dict.fromkeys(name for line in lines for name in line["rates"])
    rows = []
    for name in ("mask", *(n for n in names if n not in ("mask", "random")), "random"):
        cells = []
        for layer in layers:
            found = [
                ln["rates"][name] for ln in lines if ln["layer"] == layer and name in ln["rates"]
            ]
            plain, hard = ([rates[kind] for rates in found] for kind in ("none", "all"))
            cells.append(f"{cell(plain)}, {cell(hard)}" if found else "-")
        rows.append([{"random": "random mask"}.get(name, name), *cells])
    masks = [line["layer"] for line in lines if line["kind"] == "mask"]
    counts = {layer: masks.count(layer) for layer in layers}
    return table(["method, sonification", *(f"{n}, {c} excerpts" for n, c in counts.items())], rows)


def cell(values: Sequence[float]) -> str:
    """Write a mean with its interval."""
    mean, low, high = interval(values)
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def mask_table(lines: Sequence[Line]) -> str:
    """Write, for the mask alone, each disturbance, its area and the time it takes."""
    head = ["network", "layer", "excerpts", "as it is", *APART, "all four", "area", "s per unit"]
    rows = []
    for network, layers in LAYERS.items():
        for layer in layers:
            mine = [
                line
                for line in lines
                if (line["network"], line["layer"], line["kind"]) == (network, layer, "mask")
            ]
            if not mine:
                continue
            kinds = ("none", *APART, "all")
            means = [sum(ln["rates"]["mask"][k] for ln in mine) / len(mine) for k in kinds]
            area = sum(line["area"] for line in mine) / len(mine)
            seconds = sorted(line["seconds_per_unit"] for line in mine)[len(mine) // 2]
            numbers = [f"{value:.2f}" for value in (*means, area)]
            rows.append([network, layer, str(len(mine)), *numbers, f"{seconds:.1f}"])
    return table(head, rows)


if __name__ == "__main__":
    main()
