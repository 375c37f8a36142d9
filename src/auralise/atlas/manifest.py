"""What an atlas says of itself: network, layers, collections, counts; and its lists of files."""

from __future__ import annotations

import hashlib
import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from auralise.activations.receptive_field import ReceptiveField
from auralise.atlas.collection import Entry
from auralise.atlas.layers import Layer
from auralise.atlas.parts import Shard
from auralise.atlas.store import MANIFEST, Store, read_json, write_json
from auralise.errors import InvalidValueError
from auralise.models.base import MusicNetwork

FORMAT = 1
FILES, SHARDS = "files.parquet", "shards.parquet"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an atlas says of itself.

    Attributes
    ----------
    model : mapping
        ``name``, ``sha256`` (of the weights), ``folder`` (where a network that does not come with
        the package was loaded from), ``labels``, ``frontend``.
    seconds : float
        Length of the windows.
    layer_sets : mapping of str to tuple of Layer
        Layers that were heard in one pass, by the name of the set.
    collections : mapping of str to mapping
        ``root`` and ``fingerprint`` by the collection's name.
    counts : mapping of str to int
        ``files`` is the sum of ``clips``, ``duplicates`` and ``unreadable``.
    state : str
        "building" or "complete".
    versions : mapping of str to str
    """

    model: Mapping[str, Any]
    seconds: float
    layer_sets: Mapping[str, tuple[Layer, ...]]
    collections: Mapping[str, Mapping[str, str]]
    counts: Mapping[str, int] = field(default_factory=dict)
    state: str = "building"
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, in the order of the sets."""
        return tuple(layer for kept in self.layer_sets.values() for layer in kept)

    def with_layers(self, layers: tuple[Layer, ...]) -> Manifest:
        """Return the manifest with one more set of layers."""
        return replace(self, layer_sets={**self.layer_sets, set_name(layers): layers})


def set_name(layers: Sequence[Layer]) -> str:
    """Return a name for layers that are heard in one pass."""
    text = "\n".join(layer.name for layer in layers)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def identity(network: MusicNetwork) -> str:
    """Return the sha256 of a network's weights: its file's, or else of their names and values."""
    if network.card.sha256:
        return network.card.sha256
    digest = hashlib.sha256(repr(network.card.frontend.describe()).encode())
    for name, value in sorted(network.module.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(str(network.module).encode())
    return digest.hexdigest()


def describe_model(network: MusicNetwork, folder: str = "") -> dict[str, Any]:
    """Return what a manifest has of a network."""
    return {
        "name": network.card.name,
        "sha256": identity(network),
        "folder": folder,
        "labels": list(network.card.labels),
        "frontend": network.card.frontend.describe(),
    }


def versions() -> dict[str, str]:
    """Return the versions that an atlas was made with."""
    from auralise import __version__

    return {
        "auralise": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
    }


def write_manifest(store: Store, manifest: Manifest) -> None:
    """Write the manifest."""
    value = {
        "format": FORMAT,
        "model": dict(manifest.model),
        "seconds": manifest.seconds,
        "layer_sets": [
            {"name": name, "layers": [asdict(layer) for layer in layers]}
            for name, layers in manifest.layer_sets.items()
        ],
        "collections": {name: dict(kept) for name, kept in manifest.collections.items()},
        "counts": dict(manifest.counts),
        "state": manifest.state,
        "versions": dict(manifest.versions),
    }
    write_json(store, MANIFEST, value)


def read_manifest(store: Store) -> Manifest | None:
    """Return the manifest of an atlas; None if there is none.

    Raises
    ------
    InvalidValueError
        If it is of another format.
    """
    value = read_json(store, MANIFEST)
    if value is None:
        return None
    if value.get("format") != FORMAT or "layer_sets" not in value:
        raise InvalidValueError(
            f"{store.location} has a {MANIFEST} that is no atlas of format {FORMAT}"
        )
    sets = {s["name"]: tuple(_layer(layer) for layer in s["layers"]) for s in value["layer_sets"]}
    keys = ("model", "seconds", "collections", "counts", "state", "versions")
    return Manifest(layer_sets=sets, **{key: value[key] for key in keys})


def _layer(value: Mapping[str, Any]) -> Layer:
    plain = {key: tuple(kept) for key, kept in value["field"].items()}
    return Layer(value["name"], value["channels"], tuple(value["shape"]), ReceptiveField(**plain))


def write_entries(store: Store, entries: Sequence[Entry]) -> None:
    """Write the list of files."""
    columns = [
        pa.array([getattr(entry, field.name) for entry in entries], field.type) for field in _ENTRY
    ]
    _write_table(store, FILES, pa.table(columns, schema=_ENTRY))


_ENTRY = pa.schema(
    [
        ("collection", pa.string()),
        ("path", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("group", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("sha256", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
    ]
)


def read_entries(store: Store) -> list[Entry]:
    """Return the list of files; empty if there is none yet."""
    rows = _read_table(store, FILES)
    return [Entry(**{**row, "labels": tuple(row["labels"])}) for row in rows]


def write_shards(store: Store, shards: Sequence[Shard]) -> None:
    """Write which clips are in which shard."""
    names = [shard.name for shard in shards]
    clips = pa.array([list(shard.clips) for shard in shards], pa.list_(pa.string()))
    _write_table(store, SHARDS, pa.table({"shard": pa.array(names, pa.string()), "clips": clips}))


def read_shards(store: Store) -> list[Shard]:
    """Return the shards; none if there are none yet."""
    return [Shard(row["shard"], tuple(row["clips"])) for row in _read_table(store, SHARDS)]


def _write_table(store: Store, name: str, table: pa.Table) -> None:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    store.write(name, stream.getvalue())


def _read_table(store: Store, name: str) -> list[dict[str, Any]]:
    try:
        data = store.read(name)
    except FileNotFoundError:
        return []
    try:
        rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
    except pa.ArrowException as error:
        raise InvalidValueError(f"{name} of {store.location} is damaged: {error}") from error
    return rows


def folder_of(model: str) -> str:
    """Return the folder that a network is loaded from; empty if it comes with the package."""
    return str(Path(model).absolute()) if model and Path(model).is_dir() else ""
