"""Asking an atlas: a unit's clips, units by name or label, what is like a clip."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auralise.activations.layers import Unit
from auralise.atlas.collection import Entry
from auralise.atlas.manifest import Manifest, read_entries, read_manifest, read_shards
from auralise.atlas.parts import each_part
from auralise.atlas.store import Database, Store, open_store
from auralise.atlas.summary import FOLDER
from auralise.atlas.unit import AtlasUnit, finite
from auralise.errors import InvalidValueError, UnknownNameError

SORTS = {
    "selectivity": "abs(auc - 0.5) DESC NULLS LAST",
    "maximum": "maximum DESC",
    "sparsity": "firing_places ASC",
    "unit": "layer_number, channel",
}
"""What units are ordered by."""


class Atlas:
    """A complete atlas, to be asked.

    Parameters
    ----------
    store : Store
    manifest : Manifest
    roots : mapping of str to str
        Where the collections are now.
    """

    def __init__(self, store: Store, manifest: Manifest, roots: Mapping[str, str]) -> None:
        self.store, self.manifest, self.roots = store, manifest, dict(roots)
        self._database = Database(store)

    @classmethod
    def open(
        cls, location: str | os.PathLike[str], *, root: str | Mapping[str, str] | None = None
    ) -> Atlas:
        """Open an atlas.

        Parameters
        ----------
        location : str or path-like
            Folder or URL.
        root : str, or mapping of str to str, optional
            Where the collection has moved to; for several by their names.

        Raises
        ------
        InvalidValueError
            If there is no atlas, it is not complete, or no such collection is in it.
        """
        store = open_store(location)
        manifest = read_manifest(store)
        if manifest is None:
            raise InvalidValueError(f"there is no atlas in {store.location!r}")
        if manifest.state != "complete":
            raise InvalidValueError(
                f"the atlas in {store.location!r} is not complete; call auralise atlas build again "
                "with the same arguments, which goes on with it"
            )
        return cls(store, manifest, roots_of(manifest, root))

    def unit(self, name: str | Unit) -> AtlasUnit:
        """Return one unit, such as ``"conv3:17"``.

        Raises
        ------
        UnknownNameError
            If the atlas has no such layer.
        InvalidValueError
            If the layer has no such channel.
        """
        unit = Unit.parse(name) if isinstance(name, str) else name
        layers = {layer.name: layer for layer in self.manifest.layers}
        if unit.layer not in layers:
            raise UnknownNameError("layer", unit.layer, layers)
        if unit.channel >= layers[unit.layer].channels:
            raise InvalidValueError(
                f"layer {unit.layer!r} has units 0 to {layers[unit.layer].channels - 1}, "
                f"got {unit.channel}"
            )
        return AtlasUnit(self.rows, unit)

    def rows(self, sql: str, parameters: Sequence[object] = (), **tables: str) -> list[Any]:
        """Run a query of DuckDB's SQL; ``{name}`` stands for a table of the summary."""
        files = {key: f"{FOLDER}/{name}.parquet" for key, name in tables.items()}
        return self._database.rows(sql, parameters, **files)

    def units(
        self,
        *,
        like: str = "",
        label: str = "",
        layer: str = "",
        state: str = "",
        sort: str = "selectivity",
        rate: float = 0.05,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """List units.

        Parameters
        ----------
        like : str
            In the suggested name.
        label : str
            Only units that prefer it at a false discovery rate of at most ``rate``; ``auc``, ``q``
            and ``label`` are then for it, else for the label that each unit prefers most.
        layer, state : str
            Only units of that layer, or "dead" or "always on" ones.
        sort : str
            From `SORTS`.
        rate : float
        limit : int

        Raises
        ------
        UnknownNameError
            If there is no such order, layer or label.
        """
        if sort not in SORTS:
            raise UnknownNameError("order", sort, SORTS)
        if layer:
            self.unit(Unit(layer, 0))
        where, parameters = ["true"], list[object]()
        for text, value in (("layer = ?", layer), ("state = ?", state)):
            if value:
                where.append(text)
                parameters.append(value)
        for word in like.split():
            where.append("name ILIKE ?")
            parameters.append(f"%{word}%")
        kept = "SELECT unit, layer, layer_number, channel, name, state, minimum, maximum, mean, "
        kept += "firing_clips, firing_places, "
        if not label:
            sql = kept + "label, auc, q FROM {units} WHERE " + " AND ".join(where)
            tables = {"units": "units"}
        else:
            if label not in self.labels:
                raise UnknownNameError("label", label, self.labels)
            sql = (
                kept.replace("mean,", "u.mean,").replace("layer,", "u.layer,", 1)
                .replace(" channel,", " u.channel,")
                + "l.label, l.auc, l.q FROM {units} u JOIN {labels} l ON l.layer = u.layer AND "
                "l.channel = u.channel WHERE l.label = ? AND l.q <= ? AND l.auc > 0.5 AND "
                + " AND ".join(where).replace("layer =", "u.layer =")
            )  # fmt: skip
            parameters = [label, rate, *parameters]
            tables = {"units": "units", "labels": "labels"}
        order = f" ORDER BY {SORTS[sort]}, layer_number, channel LIMIT {int(limit)}"
        sql = f"SELECT * FROM ({sql}){order}"
        return [finite(row) for row in self.rows(sql, parameters, **tables)]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All labels of the collections, sorted."""
        found = self.rows(
            "SELECT DISTINCT unnest(labels) AS label FROM {clips} ORDER BY label", clips="clips"
        )
        return tuple(row["label"] for row in found)

    @cached_property
    def clips(self) -> list[dict[str, Any]]:
        """What is known of the clips, in the order of their checksums."""
        found = self.rows("SELECT * FROM {clips} ORDER BY clip", clips="clips")
        return [finite(row) for row in found]

    def files(self) -> list[Entry]:
        """Return all files of the collections with what became of them."""
        return read_entries(self.store)

    def find_clip(self, song: str) -> dict[str, Any]:
        """Return the clip that a path, the end of one, or the beginning of a checksum means.

        Raises
        ------
        InvalidValueError
            If there is none, or several.
        """
        name = Path(song).as_posix()
        found = [
            clip
            for clip in self.clips
            if clip["path"] == name
            or clip["path"].endswith(f"/{name}")
            or self.path_of(clip["collection"], clip["path"]) == str(Path(song).absolute())
            or (len(song) >= 8 and clip["clip"].startswith(song))
        ]
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(clip["path"] for clip in found[:3])
            raise InvalidValueError(f"{song!r} may be any of {len(found)} clips: {some}, ...")
        for entry in self.files():
            if entry.path == name or entry.path.endswith(f"/{name}"):
                raise InvalidValueError(
                    f"{song!r} is in the atlas as {entry.status}: {entry.reason}"
                )
        raise InvalidValueError(f"no clip of the atlas is named {song!r}")

    def path_of(self, collection: str, path: str) -> str:
        """Return where a file of a collection is now."""
        return str(Path(self.roots[collection]) / path)

    def clip_values(self, clip: str) -> list[dict[str, Any]]:
        """Return what every unit made of a clip, the one that ranks highest among clips first.

        Returns
        -------
        list of dict
            ``unit``, ``value``, and ``share``: the share of clips with a lower value in the unit,
            from the unit's tenths, so to a tenth.
        """
        shard = next(s for s in read_shards(self.store) if clip in s.clips)
        rows: list[dict[str, Any]] = []
        for layer_set, layers in self.manifest.layer_sets.items():
            columns = [f"peak/{layer.name}" for layer in layers]
            for _, part in each_part(self.store, [shard], layer_set, columns):
                at = part.clips.index(clip)
                for layer in layers:
                    values = part.column("peak", layer.name)[at]
                    rows.extend(
                        {"unit": f"{layer.name}:{channel}", "value": float(value)}
                        for channel, value in enumerate(values)
                    )
        known = {row["unit"]: row for row in self._spread()}
        for row in rows:
            unit = known[row["unit"]]
            row["name"] = unit["name"]
            spread = unit["deviation"]
            row["z"] = (row["value"] - unit["mean"]) / spread if spread > 0 else 0.0
        return sorted(rows, key=lambda row: (-row["z"], row["unit"]))

    def _spread(self) -> list[dict[str, Any]]:
        return self.rows("SELECT unit, name, mean, deviation FROM {units}", units="units")

    def embedding(self, layer: str) -> NDArray[np.float32]:
        """Return the clips' embedding in a layer: each unit's mean over time and frequency.

        Returns
        -------
        ndarray, shape (clips, channels)
            In the order of `clips`.
        """
        self.unit(Unit(layer, 0))
        at = {row["clip"]: number for number, row in enumerate(self.clips)}
        for layer_set, layers in self.manifest.layer_sets.items():
            for kept in layers:
                if kept.name == layer:
                    found = np.zeros((len(at), kept.channels), np.float32)
                    columns = [f"mean/{layer}"]
                    shards = read_shards(self.store)
                    for _, part in each_part(self.store, shards, layer_set, columns):
                        rows = [n for n, clip in enumerate(part.clips) if clip in at]
                        if rows:
                            places = [at[part.clips[n]] for n in rows]
                            found[places] = part.column("mean", layer)[rows]
                    return found
        raise UnknownNameError("layer", layer, [kept.name for kept in self.manifest.layers])

    def similar(self, song: str, *, layer: str = "", limit: int = 10) -> list[dict[str, Any]]:
        """Return the clips nearest to one in a layer's embedding.

        Parameters
        ----------
        song : str
            See `find_clip`.
        layer : str
            The last but one if not given: what the network knows before it decides.
        limit : int

        Returns
        -------
        list of dict
            What is known of each clip, and ``similarity``: the cosine of the embeddings after each
            unit was brought to mean 0 and deviation 1 over the clips.
        """
        clip = self.find_clip(song)
        names = [kept.name for kept in self.manifest.layers]
        layer = layer or names[max(0, len(names) - 2)]
        values = standardised(self.embedding(layer))
        norm = np.linalg.norm(values, axis=1)
        values /= np.where(norm > 0, norm, 1)[:, None]
        here = next(n for n, row in enumerate(self.clips) if row["clip"] == clip["clip"])
        likeness = values @ values[here]
        order = [n for n in np.argsort(-likeness, kind="stable") if n != here][:limit]
        return [{**self.clips[n], "similarity": float(likeness[n])} for n in order]


def standardised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bring each column to mean 0 and deviation 1; constant columns to 0."""
    centred = values - values.mean(0)
    spread = centred.std(0)
    found: NDArray[np.float32] = centred / np.where(spread > 0, spread, 1)
    return found


def roots_of(manifest: Manifest, root: str | Mapping[str, str] | None) -> dict[str, str]:
    """Return where the collections are, some of them moved.

    Raises
    ------
    InvalidValueError
        If there is no such collection, or one place is given for several.
    """
    roots = {name: kept["root"] for name, kept in manifest.collections.items()}
    if root is None:
        return roots
    if isinstance(root, str):
        if len(roots) != 1:
            raise InvalidValueError(
                f"the atlas has collections {', '.join(roots)}; say which one has moved, as in "
                f"--root {next(iter(roots))}=FOLDER"
            )
        return {name: root for name in roots}
    for name in root:
        if name not in roots:
            raise UnknownNameError("collection", name, roots)
    return {**roots, **root}
