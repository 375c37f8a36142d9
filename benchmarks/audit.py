"""What can be believed of maps, method by method: all numbers of an audit over many excerpts.

For each network and excerpt, one unit of the last convolution is drawn from those that answer, and
audited by each method (`auralise.audit`). Where classes are compared, the maps are those of the
network's outputs.

    python benchmarks/audit.py --data GTZAN --minutes 9      # until it says "0 left"
    python benchmarks/audit.py --report docs/audit.md
"""

from __future__ import annotations

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
from recognition import MASKS, QUIET, bind, load

from auralise.activations import Unit, run_to
from auralise.audit import Audit, AuditOptions, audit
from auralise.audit.faithfulness import Faithfulness
from auralise.audit.maps import Mapper
from auralise.audit.sensitivity import class_cosines
from auralise.auralisation import auralise_unit
from auralise.models.base import MusicNetwork
from auralise.settings import Settings

PATH = RESULTS / "audit.jsonl"
METHODS = ("gradient", "deconvnet", "guided", "mask")
MASKED = 20
"""Excerpts on which masks are audited, whose other maps each take a search."""

OPTIONS = AuditOptions(others=7, points=4, steps=6, networks=1)
OF_MASKS = AuditOptions(others=2, points=1, steps=6, networks=1)
OTHER_CLASSES = 3
OUTPUT = "output"
NUMBERS = (
    "unit_in", "unit_out", "deletion", "insertion", "increase", "drop", "gain", "removal", "same",
    "sparseness", "complexity", "complexity_share",
)  # fmt: skip


def main() -> None:
    """Run, or write the tables."""
    arguments = parser(__doc__).parse_args()
    if arguments.report:
        write(arguments.report)
        return
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    for line in work_off(PATH, jobs_of(arguments.data, arguments.networks), arguments.minutes):
        names = (line[name] for name in ("network", "layer", "excerpt", "kind"))
        print(*names, f"{line['seconds']:.0f} s", flush=True)
    print(f"{pending(PATH, jobs_of(arguments.data, LAYERS))} left")


def jobs_of(data: Path, networks: Iterable[str]) -> Iterator[tuple[Line, Callable[[], Line]]]:
    """Name all that there is to do, excerpt by excerpt."""
    loaded = {name: load(name) for name in networks}
    for number, excerpt in enumerate(excerpts()):
        for name, network in loaded.items():
            layer = LAYERS[name][-1]
            line = {"network": name, "layer": layer, "excerpt": excerpt.name}
            for method in METHODS:
                if method != "mask" or number < MASKED:
                    job = bind(ask, network, excerpt, data, layer, method)
                    yield {**line, "kind": method}, job


def ask(network: MusicNetwork, excerpt: Excerpt, data: Path, layer: str, method: str) -> Line:
    """Audit one unit, and compare the classes."""
    source = excerpt.read(data, network)
    settings = Settings(method=method, mask=MASKS)
    features = network.card.frontend.analyse(source)
    with torch.no_grad():
        base = run_to(network.module, features.values[None], layer)[0].flatten(1).amax(1)
        outputs = network.module(features.values[None])[0]
    live = (base > QUIET * base.max()).nonzero()[:, 0]
    generator = torch.Generator().manual_seed(excerpts().index(excerpt))
    channel = int(live[torch.randint(len(live), (), generator=generator)])
    result = auralise_unit(network, source, Unit(layer, channel), settings=settings)
    found = audit(network, result, settings, OF_MASKS if method == "mask" else OPTIONS)
    line = numbers(found)
    if method != "mask":
        labels = outputs.argsort(descending=True)[: 1 + OTHER_CLASSES].tolist()
        mapper = Mapper(network, OUTPUT, settings.resolved(network.card.frontend))
        there = [abs(c) for c in class_cosines(mapper, features, labels) if c is not None]
        line["classes"] = sum(there) / len(there) if there else None
    return {"unit": channel, **line}


def numbers(found: Audit) -> Line:
    """Return an audit's numbers, each under a name of its own."""
    line: Line = {"inactive": found.inactive}
    if found.feedback is not None:
        heard = found.feedback
        line |= {
            "own": [heard.own, heard.random_mask, heard.energy_mask],
            "above": heard.above,
            "disordered": heard.disordered,
        }
    if found.sensitivity is not None:
        alike = found.sensitivity
        line |= {"units": alike.units, "sound": alike.sound, "noise": alike.noise}
    if found.randomisation is not None:
        line |= {"disorder": found.randomisation.cosines, "ranks": found.randomisation.ranks}
    masks = found.map, found.random_mask, found.energy_mask
    for name in NUMBERS:
        line[name] = [of(mask, name) for mask in masks]
    return line


def of(mask: Faithfulness | None, name: str) -> float | None:
    """Return one number of a mask."""
    return None if mask is None else getattr(mask, name)


ROWS: tuple[tuple[str, str], ...] = (
    ("own", "unit on its own sound"),
    ("above", "share of other units that answer less to it"),
    ("disordered", "unit on it, weights in disorder"),
    ("units", "likeness to other units' maps"),
    ("classes", "likeness of classes' maps"),
    ("sound", "likeness to its map, backwards"),
    ("noise", "likeness under noise at -60 dB"),
    ("disorder", "likeness, all weights in disorder"),
    ("ranks", "the same as rank correlation"),
    ("unit_in", "unit on what the map keeps"),
    ("unit_out", "unit on the rest"),
    ("deletion", "deletion"),
    ("insertion", "insertion"),
    ("increase", "AI, %"),
    ("drop", "AD, %"),
    ("gain", "AG, %"),
    ("removal", "FF"),
    ("same", "Fid-in"),
    ("sparseness", "SPS"),
    ("complexity", "COMP, nats"),
    ("complexity_share", "COMP, of its greatest"),
)
FLOORED = {"own", *NUMBERS} - {"sparseness", "complexity", "complexity_share"}
LAST = {"disorder", "ranks"}


def write(page: Path) -> None:
    """Write the tables."""
    lines = [line for line in lines_of(PATH) if not line["inactive"]]
    for network in LAYERS:
        mine = [line for line in lines if line["network"] == network]
        put(page, f"audit {network}", rows_of(mine))
        put(page, f"disorder {network}", curves_of(mine))


def rows_of(lines: Sequence[Line]) -> str:
    """Write a row for each number and a column for each method: map (random mask, loudest)."""
    counts = {m: sum(line["kind"] == m for line in lines) for m in METHODS}
    head = ["", *(f"{method}, {count} excerpts" for method, count in counts.items())]
    rows = []
    for name, title in ROWS:
        cells = []
        for method in METHODS:
            mine = [line for line in lines if line["kind"] == method]
            cells.append(cell_of(mine, name))
        rows.append([title, *cells])
    return table(head, rows)


def cell_of(lines: Sequence[Line], name: str) -> str:
    """Write a mean with its interval, and the floors where there are some."""
    values = [value_of(line, name, 0) for line in lines]
    text = spread(values)
    if name in FLOORED and text != "-":
        floors = [spread([value_of(line, name, i) for line in lines], short=True) for i in (1, 2)]
        text += f"; floors {floors[0]}, {floors[1]}"
    return text


def value_of(line: Line, name: str, index: int) -> float | None:
    """Return a line's number: of the map, of a random mask, of the loudest parts."""
    value: Any = line.get(name)
    if not isinstance(value, list):
        return value
    return value[-1] if name in LAST else value[index]


def spread(values: Sequence[float | None], short: bool = False) -> str:
    """Write the mean of those that are there, with its interval unless it is to be short."""
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    mean, low, high = interval(there)
    return f"{mean:.2f}" if short else f"{mean:.2f} ({low:.2f} to {high:.2f})"


def curves_of(lines: Sequence[Line]) -> str:
    """Write the randomisation curves of the methods that have one."""
    rows = []
    for method in METHODS[:-1]:
        curves = [line["disorder"] for line in lines if line["kind"] == method]
        if curves:
            points = zip(*curves, strict=True)
            rows.append([method, *(spread(point, short=True) for point in points)])
    count = max(len(row) for row in rows) - 1 if rows else 0
    return table(["method", *(f"step {i} of {count}" for i in range(1, count + 1))], rows)


if __name__ == "__main__":
    main()
