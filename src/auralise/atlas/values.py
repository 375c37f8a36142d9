"""Reading parts together: all clips, and all clips' values in one layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auralise.atlas.collection import Entry
from auralise.atlas.histogram import BINS
from auralise.atlas.layers import Layer
from auralise.atlas.parts import Shard, each_part
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
    columns = ["samples", "silent", "tempo", "notes", "grid"]
    for _, part in each_part(task.store, task.shards, first, columns):
        if not part.clips:
            continue
        plain = {name: part.values(name) for name in columns[:-1]}
        for row, (clip, grid) in enumerate(zip(part.clips, part.grids(), strict=True)):
            number = at.get(clip)
            if number is None:
                continue
            samples[number], silent[number] = plain["samples"][row], plain["silent"][row]
            tempo[number], notes[number] = plain["tempo"][row], tuple(plain["notes"][row])
            if number < SAMPLE:
                grids[number] = grid.copy()
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


def read_layer(task: Task, names: Sequence[str], layer_set: str, layer: Layer) -> LayerValues:
    """Collect one layer's values from all parts; of a clip in two parts once."""
    at = {name: number for number, name in enumerate(names)}
    shape = (len(names), layer.channels)
    peak, mean = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    window, position = np.zeros(shape, np.uint32), np.zeros(shape, np.uint32)
    counts = np.zeros((layer.channels, BINS), np.int64)
    keys = ("peak", "mean", "window", "position", "histogram")
    columns = [f"{key}/{layer.name}" for key in keys]
    taken = np.zeros(len(names), bool)
    for _, part in each_part(task.store, task.shards, layer_set, columns):
        if not part.clips:
            continue
        places = np.array([at.get(clip, -1) for clip in part.clips])
        rows = np.flatnonzero((places >= 0) & ~taken[places])
        places = places[rows]
        for key, values in zip(keys, (peak, mean, window, position), strict=False):
            values[places] = part.column(key, layer.name)[rows]
        counts += part.column("histogram", layer.name)[rows].sum(0, dtype=np.int64)
        taken[places] = True
    return LayerValues(peak, mean, window, position, counts)
