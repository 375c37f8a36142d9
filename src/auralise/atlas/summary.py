"""From the parts to the tables that are asked: one pass over the clips for each layer.

Clips stand in the order of their checksums in every computation, so that the tables are the same
whatever order the parts were made or merged in, down to the last bit.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from auralise.atlas.correlations import correlate
from auralise.atlas.descriptors import NAMES
from auralise.atlas.histogram import ZERO
from auralise.atlas.layers import Layer
from auralise.atlas.listing import Listing
from auralise.atlas.naming import Evidence, suggest
from auralise.atlas.places import Places
from auralise.atlas.statistics import benjamini_hochberg, selectivity
from auralise.atlas.store import Store
from auralise.atlas.values import (
    SAMPLE,
    Clips,
    LayerValues,
    Task,
    read_clips,
    read_layers,
    together,
)

FOLDER = "summary"
NEAREST = 10
ALWAYS_ON = 0.999
"""Share of places above 0 from which a unit counts as always on."""


def summarise(
    task: Task, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, pa.Table]:
    """Make all tables of a summary.

    Returns
    -------
    dict of str to pyarrow.Table
        ``clips``, ``units``, ``top``, ``quantiles``, ``labels``, ``evidence``, ``nearest``.
    """
    clips = read_clips(task)
    layers = sum(len(kept) for kept in task.layer_sets.values())
    found: list[_LayerSummary] = []
    for layer_set, group in together(task, len(clips.names)):
        read = read_layers(task, clips.names, layer_set, group)
        for layer in group:
            found.append(_LayerSummary.of(task, clips, read.pop(0), layer, len(found)))
            progress(len(found), layers)
    tables = {"clips": _clips_table(task, clips)}
    rates = _rates(found)
    tables["units"] = _units_table(found, rates)
    for name in ("top", "quantiles"):
        tables[name] = pa.concat_tables([getattr(layer, name) for layer in found])
    tables["labels"] = _labels_table(found, rates)
    tables["evidence"] = _evidence_table(found, rates)
    tables["nearest"] = _nearest_table(found)
    return tables


def write_tables(store: Store, tables: Mapping[str, pa.Table]) -> None:
    """Write tables as Parquet, in small row groups, so that one unit's rows are read alone."""
    for name, table in tables.items():
        stream = io.BytesIO()
        pq.write_table(table, stream, compression="zstd", row_group_size=4096)
        store.write(f"{FOLDER}/{name}.parquet", stream.getvalue())


@dataclass(frozen=True, slots=True, eq=False)
class _LayerSummary:
    """One layer's rows, before what needs all layers: rates of false discovery, neighbours."""

    layer: Layer
    number: int
    values: LayerValues
    statistics: dict[str, NDArray[Any]]
    top: pa.Table
    quantiles: pa.Table
    labels: tuple[str, ...]
    groups: NDArray[np.int64]
    selectivity: Any
    rho: NDArray[np.float64]
    p: NDArray[np.float64]
    sample: NDArray[np.float32]

    @classmethod
    def of(
        cls, task: Task, clips: Clips, values: LayerValues, layer: Layer, number: int
    ) -> _LayerSummary:
        places = Places(task.frontend, layer.field, layer.shape, task.seconds)
        order = _descending(values.peak)
        membership, labels_of = clips.groups()
        names = tuple(sorted({label for labels in labels_of for label in labels}))
        members = np.array([[name in labels for name in names] for labels in labels_of], bool)
        members = members.reshape(len(labels_of), len(names))
        sizes = np.bincount(membership, minlength=len(labels_of))
        sums = np.zeros((len(labels_of), layer.channels))
        np.add.at(sums, membership, values.peak.astype(np.float64))
        rho, p = correlate(clips, values, places, membership)
        listing = Listing(clips, values, places, layer, number)
        return cls(
            layer=layer,
            number=number,
            values=LayerValues(
                values.peak[:0], values.mean[:0], values.window[:0], values.position[:0],
                values.histogram,
            ),
            statistics=_statistics(values),
            top=listing.top(order),
            quantiles=listing.quantiles(order),
            labels=names,
            groups=members.sum(0),
            selectivity=selectivity(sums / sizes[:, None], members),
            rho=rho,
            p=p,
            sample=values.peak[:SAMPLE].copy(),
        )  # fmt: skip


def _descending(peaks: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the order of each unit's clips, the highest peak first, of equals as they stand."""
    order = np.empty(peaks.shape, np.int32)
    for unit in range(peaks.shape[1]):
        order[:, unit] = np.argsort(-peaks[:, unit], kind="stable")
    return order


def _statistics(values: LayerValues) -> dict[str, NDArray[Any]]:
    peak = values.peak.astype(np.float64)
    counts = values.histogram
    above = counts[:, ZERO + 1 :].sum(1) / counts.sum(1).clip(min=1)
    state = np.where(above == 0, "dead", np.where(above >= ALWAYS_ON, "always on", ""))
    return {
        "minimum": peak.min(0),
        "maximum": peak.max(0),
        "mean": peak.mean(0),
        "deviation": peak.std(0),
        "firing_clips": (peak > 0).mean(0),
        "firing_places": above,
        "state": state,
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Rates:
    """False discovery rates over all units of all layers."""

    labels: list[NDArray[np.float64]]
    descriptors: list[NDArray[np.float64]]


def _rates(found: Sequence[_LayerSummary]) -> _Rates:
    cuts = np.cumsum([len(layer.p) for layer in found])[:-1]
    labels = benjamini_hochberg(np.concatenate([layer.selectivity.p for layer in found]))
    descriptors = benjamini_hochberg(np.concatenate([layer.p for layer in found]))
    return _Rates(np.split(labels, cuts), np.split(descriptors, cuts))


def _units_table(found: Sequence[_LayerSummary], rates: _Rates) -> pa.Table:
    rows: dict[str, list[Any]] = {}
    for layer, q_labels, q_words in zip(found, rates.labels, rates.descriptors, strict=True):
        for channel in range(layer.layer.channels):
            row: dict[str, Any] = {
                "unit": f"{layer.layer.name}:{channel}",
                "layer": layer.layer.name,
                "layer_number": layer.number,
                "channel": channel,
                **{key: values[channel].item() for key, values in layer.statistics.items()},
                "histogram": layer.values.histogram[channel].tolist(),
                **_best_label(layer, q_labels, channel),
                "name": suggest(_evidence(layer, q_words, channel))[0],
            }
            for key, value in row.items():
                rows.setdefault(key, []).append(value)
    floats = {key: pa.array(rows.pop(key), pa.float64()) for key in ("auc", "q")}
    return pa.table({**rows, **floats})


def _best_label(layer: _LayerSummary, q: NDArray[np.float64], channel: int) -> dict[str, Any]:
    """Return the label that the unit prefers most, with its AUC and false discovery rate."""
    auc = layer.selectivity.auc[channel]
    known = np.isfinite(q[channel])
    if not known.any():
        return {"label": "", "auc": None, "q": None}
    best = int(np.where(known, auc, -1).argmax())
    return {"label": layer.labels[best], "auc": float(auc[best]), "q": float(q[channel, best])}


def _evidence(layer: _LayerSummary, q: NDArray[np.float64], channel: int) -> list[Evidence]:
    return [
        Evidence(name, float(layer.rho[channel, number]), float(q[channel, number]))
        for number, name in enumerate(NAMES)
    ]


def _labels_table(found: Sequence[_LayerSummary], rates: _Rates) -> pa.Table:
    tables = []
    for layer, q in zip(found, rates.labels, strict=True):
        units, labels = layer.layer.channels, len(layer.labels)
        chosen = layer.selectivity
        tables.append(
            pa.table(
                {
                    "layer": pa.array([layer.layer.name] * units * labels, pa.string()),
                    "channel": pa.array(np.repeat(np.arange(units, dtype=np.int32), labels)),
                    "label": pa.array(list(layer.labels) * units, pa.string()),
                    "groups": pa.array(np.tile(layer.groups, units)),
                    **{
                        key: pa.array(getattr(chosen, key).reshape(-1), from_pandas=True)
                        for key in ("mean", "low", "high", "auc", "p")
                    },
                    "q": pa.array(q.reshape(-1), from_pandas=True),
                }
            )
        )
    return pa.concat_tables(tables)


def _evidence_table(found: Sequence[_LayerSummary], rates: _Rates) -> pa.Table:
    tables = []
    for layer, q in zip(found, rates.descriptors, strict=True):
        units = layer.layer.channels
        tables.append(
            pa.table(
                {
                    "layer": pa.array([layer.layer.name] * units * len(NAMES)),
                    "channel": pa.array(np.repeat(np.arange(units, dtype=np.int32), len(NAMES))),
                    "descriptor": pa.array(list(NAMES) * units),
                    "rho": pa.array(layer.rho.reshape(-1), from_pandas=True),
                    "p": pa.array(layer.p.reshape(-1), from_pandas=True),
                    "q": pa.array(q.reshape(-1), from_pandas=True),
                }
            )
        )
    return pa.concat_tables(tables)


def _nearest_table(found: Sequence[_LayerSummary]) -> pa.Table:
    """Correlate the peaks of all units over a sample of clips; keep each unit's nearest."""
    peaks = np.concatenate([layer.sample for layer in found], axis=1).astype(np.float64)
    peaks -= peaks.mean(0)
    norm = np.sqrt((peaks**2).sum(0))
    peaks /= np.where(norm > 0, norm, 1)
    names = [(layer.layer.name, c) for layer in found for c in range(layer.layer.channels)]
    rows: dict[str, list[Any]] = {
        key: [] for key in ("layer", "channel", "rank", "other_layer", "other_channel", "r")
    }
    for start in range(0, len(names), 512):
        block = peaks[:, start : start + 512].T @ peaks
        for number, line in enumerate(block, start):
            line[number] = -np.inf
            for rank, other in enumerate(np.argsort(-line, kind="stable")[:NEAREST]):
                if norm[number] == 0 or norm[other] == 0 or other == number:
                    break
                values = (*names[number], rank, *names[other], float(line[other]))
                for key, value in zip(rows, values, strict=True):
                    rows[key].append(value)
    return pa.table(rows)


def _clips_table(task: Task, clips: Clips) -> pa.Table:
    rate = task.frontend.sample_rate
    return pa.table(
        {
            "clip": pa.array(list(clips.names), pa.string()),
            "collection": pa.array([e.collection for e in clips.entries], pa.string()),
            "path": pa.array([e.path for e in clips.entries], pa.string()),
            "labels": pa.array([list(e.labels) for e in clips.entries], pa.list_(pa.string())),
            "group": pa.array([e.group for e in clips.entries], pa.string()),
            "seconds": pa.array(clips.samples / rate),
            "silent": pa.array(clips.silent),
            "tempo": pa.array(clips.tempo),
            "notes": pa.array([list(n) for n in clips.notes], pa.list_(pa.string())),
        }
    )
