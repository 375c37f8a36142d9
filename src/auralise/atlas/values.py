"""Reading parts together: all clips, and all clips' values in one layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auralise.atlas.collection import Entry
from auralise.atlas.histogram import BINS
from auralise.atlas.layers import Layer
from auralise.atlas.parts import Shard, each_part, read_part
from auralise.atlas.store import Store
from auralise.frontends.base import Frontend

SAMPLE = 1024
"""Clips that names and nearest units are found by, where there are more: those whose checksums
come first, which is as good as by lot, and the same for everybody."""


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """What is known of the clips apart from units, in the order of their checksums."""

    names: tuple[str, ...]
    entries: tuple[Entry, ...]
    samples: NDArray[np.int64]
    silent: NDArray[np.bool_]
    tempo: NDArray[np.float32]
    notes: tuple[tuple[str, ...], ...]
    grids: Mapping[int, NDArray[np.float16]]

    def groups(self) -> tuple[NDArray[np.intp], tuple[tuple[str, ...], ...]]:
        """Return which group each clip is in, and the labels of each group."""
        keys = [(e.collection, e.group or e.sha256, e.labels) for e in self.entries]
        number = {key: at for at, key in enumerate(sorted(set(keys)))}
        return np.array([number[key] for key in keys], np.intp), tuple(k[2] for k in number)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a summary is made of.

    Attributes
    ----------
    store : Store
    entries : sequence of Entry
        Of the clips that were heard.
    shards : sequence of Shard
    layer_sets : mapping of str to sequence of Layer
        Name of the set, and its layers. The first one has the descriptors.
    frontend : Frontend
    seconds : float
        Length of a window.
    """

    store: Store
    entries: Sequence[Entry]
    shards: Sequence[Shard]
    layer_sets: Mapping[str, Sequence[Layer]]
    frontend: Frontend
    seconds: float


def read_clips(task: Task) -> Clips:
    """Read what is known of the clips, and the descriptors of a sample."""
    wanted = {entry.sha256: entry for entry in task.entries}
    order = sorted(wanted)
    at = {name: number for number, name in enumerate(order)}
    samples, silent = np.zeros(len(order), np.int64), np.zeros(len(order), bool)
    tempo = np.full(len(order), np.nan, np.float32)
    notes: list[tuple[str, ...]] = [()] * len(order)
    grids: dict[int, NDArray[np.float16]] = {}
    first = next(iter(task.layer_sets))
    columns = ["samples", "silent", "tempo", "notes"]
    for shard in task.shards:
        described = any(at.get(clip, SAMPLE) < SAMPLE for clip in shard.clips)
        wanted_here = [*columns, "grid"] if described else columns
        part = read_part(task.store, shard.name, first, wanted_here)
        if not part.clips:
            continue
        plain = {name: part.values(name) for name in columns}
        found = part.grids() if described else []
        for row, clip in enumerate(part.clips):
            number = at.get(clip)
            if number is None:
                continue
            samples[number], silent[number] = plain["samples"][row], plain["silent"][row]
            tempo[number], notes[number] = plain["tempo"][row], tuple(plain["notes"][row])
            if number < SAMPLE:
                grids[number] = found[row].copy()
    entries = tuple(wanted[name] for name in order)
    return Clips(tuple(order), entries, samples, silent, tempo, tuple(notes), grids)


@dataclass(frozen=True, slots=True, eq=False)
class LayerValues:
    """All clips' values in one layer, in the order of the clips; shapes (clips, channels)."""

    peak: NDArray[np.float32]
    mean: NDArray[np.float32]
    window: NDArray[np.uint32]
    position: NDArray[np.uint32]
    histogram: NDArray[np.int64]  # (channels, BINS)


_TOGETHER = 24e6  # bytes of values of layers that are read together, if they are that small


def together(task: Task, clips: int) -> Iterator[tuple[str, list[Layer]]]:
    """Yield layers of one set that are small enough to be read together, at least one."""
    for layer_set, layers in task.layer_sets.items():
        group: list[Layer] = []
        for layer in layers:
            size = sum(kept.channels for kept in (*group, layer)) * clips * _BYTES
            if group and size > _TOGETHER:
                yield layer_set, group
                group = []
            group.append(layer)
        yield layer_set, group


_KEYS = {"peak": np.float32, "mean": np.float32, "window": np.uint32, "position": np.uint32}
_BYTES = 16  # of a unit's values in one clip, without the counts, which are summed up


def read_layers(
    task: Task, names: Sequence[str], layer_set: str, layers: Sequence[Layer]
) -> list[LayerValues]:
    """Collect layers' values from all parts, in one pass; of a clip in two parts once."""
    at = {name: number for number, name in enumerate(names)}
    kept = [
        {key: np.zeros((len(names), layer.channels), dtype) for key, dtype in _KEYS.items()}
        for layer in layers
    ]
    counts = [np.zeros((layer.channels, BINS), np.int64) for layer in layers]
    columns = [f"{key}/{layer.name}" for layer in layers for key in (*_KEYS, "histogram")]
    taken = np.zeros(len(names), bool)
    for _, part in each_part(task.store, task.shards, layer_set, columns):
        if not part.clips:
            continue
        places = np.array([at.get(clip, -1) for clip in part.clips])
        rows = np.flatnonzero((places >= 0) & ~taken[places])
        places = places[rows]
        for layer, values, sums in zip(layers, kept, counts, strict=True):
            for key, target in values.items():
                target[places] = part.column(key, layer.name)[rows]
            sums += part.column("histogram", layer.name)[rows].sum(0, dtype=np.int64)
        taken[places] = True
    return [
        LayerValues(**values, histogram=sums) for values, sums in zip(kept, counts, strict=True)
    ]
