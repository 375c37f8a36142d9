"""Several atlases made one: parts are copied, nothing is decoded or heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from auralise.atlas.build import finish
from auralise.atlas.collection import Entry, settle
from auralise.atlas.manifest import Manifest, read_entries, read_shards, versions
from auralise.atlas.options import ProgressReport, Report, silent
from auralise.atlas.parts import Shard, check_parts, part_name, receipt_name
from auralise.atlas.plan import require_empty, required, write_plan
from auralise.atlas.store import Store, open_store
from auralise.errors import InvalidValueError, OutputError


def merge(
    atlases: Sequence[str | Path], out: str | Path, *, progress: ProgressReport = silent
) -> Report:
    """Merge atlases of one network into a new one; in any order the same comes out.

    A clip that several of them have is counted once. Nothing is decoded or heard.

    Parameters
    ----------
    atlases : sequence of str or Path
        Complete ones, with the same layers and windows.
    out : str or Path
        Folder or URL without an atlas in it.
    progress : callable
        As in `build`.

    Raises
    ------
    InvalidValueError
        If they are of different networks, windows or layers, one is not complete, or collections of
        one name lie in different places.
    """
    stores = [open_store(atlas) for atlas in atlases]
    if not stores:
        raise InvalidValueError("there is nothing to merge")
    target = open_store(out)
    require_empty(target)
    manifest = _merged([(store, required(store)) for store in stores])
    entries = settle(_distinct(entry for store in stores for entry in read_entries(store)))
    lists = [read_shards(store) for store in stores]
    shards = sorted({s.name: s for kept in lists for s in kept}.values(), key=_name)
    for number, (store, kept) in enumerate(zip(stores, lists, strict=True), 1):
        _copy(store, target, manifest, kept)
        progress("copying", number, len(stores))
    write_plan(target, manifest, entries, shards)
    return finish(target, manifest, entries, shards, progress, Report(manifest, 0, (), ()))


def _merged(parts: Sequence[tuple[Store, Manifest]]) -> Manifest:
    """Return the manifest of atlases together."""
    first = parts[0][1]
    collections: dict[str, Mapping[str, str]] = {}
    for store, manifest in parts:
        _require_mergeable(first, manifest, store)
        for name, kept in manifest.collections.items():
            if name in collections and collections[name]["root"] != kept["root"]:
                raise InvalidValueError(
                    f"collection {name!r} lies in {collections[name]['root']} and in "
                    f"{kept['root']}; build one of them under another name"
                )
            collections[name] = kept
    return replace(
        first, collections=dict(sorted(collections.items())), versions=versions(), state="building"
    )


def _copy(store: Store, target: Store, manifest: Manifest, shards: Sequence[Shard]) -> None:
    """Copy parts that are whole; refuse to go on without one."""
    for layer_set in manifest.layer_sets:
        check = check_parts(store, shards, layer_set)
        if check.missing:
            named = check.corrupt or [part_name(name, layer_set) for name in check.missing]
            raise OutputError(
                f"part {named[0]} of {store.location} is missing or damaged; build that atlas "
                "again, which makes it anew"
            )
        for shard in shards:
            for file in (part_name, receipt_name):
                name = file(shard.name, layer_set)
                target.write(name, store.read(name))


def _name(shard: Shard) -> str:
    return shard.name


def _distinct(entries: Iterable[Entry]) -> list[Entry]:
    """Keep one entry for each file."""
    return list({(entry.collection, entry.path): entry for entry in entries}.values())


def _require_mergeable(first: Manifest, other: Manifest, store: Store) -> None:
    where = store.location
    if other.state != "complete":
        raise InvalidValueError(f"the atlas {where} is not complete; build it to its end first")
    if other.model["sha256"] != first.model["sha256"]:
        raise InvalidValueError(
            f"{where} is an atlas of {other.model['name']!r}, the first one of "
            f"{first.model['name']!r}: their weights differ"
        )
    if other.seconds != first.seconds or dict(other.layer_sets) != dict(first.layer_sets):
        raise InvalidValueError(
            f"{where} has other layers or windows than the first atlas; add the layers that are "
            f"missing first: {_names(first)} against {_names(other)}"
        )


def _names(manifest: Manifest) -> str:
    return ", ".join(layer.name for layer in manifest.layers)
