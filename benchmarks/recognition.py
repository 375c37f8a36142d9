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
from itertools import product
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
from auralise.auralisation import sonify
from auralise.errors import NetworkError
from auralise.frontends import SpectrogramFrontend
from auralise.inversion import invert_layer
from auralise.masks import MaskOptions, find_masks
from auralise.masks.plane import spec_of
from auralise.models import load_model
from auralise.models.base import MusicNetwork
from auralise.positions import position_of
from auralise.settings import Settings

PATH = RESULTS / "recognition.jsonl"
UNITS = 8
CLIPS = (8, 9)
METHODS = ("gradient", "deconvnet", "guided")
OTHERS = ("input-x-gradient", "grad-cam", "guided-grad-cam", "deeplift")
DEAR = ("integrated-gradients", "occlusion", "feature-inversion", "activation-maximisation")
OWN_INPUT = ("feature-inversion", "activation-maximisation")
APART = ("shift-10ms", "noise-40db", "16-bit", "mp3")
Job = Callable[[MusicNetwork, Excerpt, Path, str], Line]

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
    first: dict[str, Job] = {"mask": masks_job, "literature": literature_job}
    last: dict[str, Job] = {"others": others_job, "dear": dear_job}
    for kinds, shallow in product((first, last), (False, True)):
        for excerpt in excerpts(CLIPS):
            for name, network in loaded.items():
                for layer in LAYERS[name]:
                    if (layers and layer not in layers) or shallow != (layer == LAYERS[name][0]):
                        continue
                    line = {"network": name, "layer": layer, "excerpt": excerpt.name}
                    for kind, job in kinds.items():
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
    """Make the sounds of the methods of the literature and feed them back in."""
    return methods_job(network, excerpt, data, layer, METHODS)


def others_job(network: MusicNetwork, excerpt: Excerpt, data: Path, layer: str) -> Line:
    """Do the same with what other methods make in about a second."""
    return methods_job(network, excerpt, data, layer, OTHERS)


def dear_job(network: MusicNetwork, excerpt: Excerpt, data: Path, layer: str) -> Line:
    """Do the same with what takes longer."""
    return methods_job(network, excerpt, data, layer, DEAR)


def methods_job(
    network: MusicNetwork, excerpt: Excerpt, data: Path, layer: str, methods: Sequence[str]
) -> Line:
    """Make the sounds of each method and sonification and feed them back in."""
    source = excerpt.read(data, network)
    channels = drawn(network, source, layer, excerpt)
    features = network.card.frontend.analyse(source)
    found, refused = {}, {}
    for method in methods:
        position = position_of(network, features, layer, "peak")
        module, values = network.module, features.values
        try:
            maps = list(invert_layer(module, values, layer, channels, method, position=position))
        except NetworkError as error:  # DeepLIFT, where its contributions do not add up
            refused[method] = str(error)
            continue
        for sonification in sonifications(network, method):
            settings = Settings(method=method, sonification=sonification)
            sounds = {m.unit.channel: sonify(network, features, m, settings) for m in maps}
            kind = settings.resolved(network.card.frontend).sonification
            found[f"{method}, {kind}"] = rates(network, source, layer, sounds)
    return {"units": channels, "rates": found, "refused": refused}


def sonifications(network: MusicNetwork, method: str) -> tuple[str | None, ...]:
    """Return all that a method's maps can be heard by; None is the only one there is."""
    if method in OWN_INPUT or not isinstance(network.card.frontend, SpectrogramFrontend):
        return (None,)
    return ("mask", "magnitude")


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
        cells, counts = [], set()
        for layer in layers:
            found = [
                ln["rates"][name] for ln in lines if ln["layer"] == layer and name in ln["rates"]
            ]
            plain, hard = ([rates[kind] for rates in found] for kind in ("none", "all"))
            cells.append(f"{cell(plain)}, {cell(hard)}" if found else "-")
            counts.add(len(found))
        many = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
        rows.append([{"random": "random mask"}.get(name, name), many, *cells])
    return table(["method, sonification", "excerpts", *layers], rows)


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
