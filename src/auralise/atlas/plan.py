"""What an atlas is to be made of, and whether that goes with what is there already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from auralise.atlas.collection import CLIP, Collection, Entry, scan, settle
from auralise.atlas.layers import layers_of, window_seconds
from auralise.atlas.manifest import (
    Manifest,
    describe_model,
    folder_of,
    identity,
    read_entries,
    read_manifest,
    read_shards,
    set_name,
    versions,
    write_entries,
    write_manifest,
    write_shards,
)
from auralise.atlas.parts import Shard, cut
from auralise.atlas.store import Store
from auralise.errors import InvalidValueError
from auralise.models.base import MusicNetwork


def required(store: Store) -> Manifest:
    """Return the manifest of an atlas that has to be there."""
    manifest = read_manifest(store)
    if manifest is None:
        raise InvalidValueError(f"there is no atlas in {store.location!r}")
    return manifest


def require_empty(store: Store) -> None:
    """Refuse a folder with an atlas, or anything else, in it."""
    if read_manifest(store) is not None:
        raise InvalidValueError(f"there is an atlas in {store.location!r} already")
    strange = [name for name in store.names(".") if name not in {"files.parquet", "shards.parquet"}]
    if strange:
        raise InvalidValueError(
            f"{store.location} has {strange[0]!r} in it, which is no part of an atlas; name a new "
            "folder"
        )


def require_same(manifest: Manifest, network: MusicNetwork) -> None:
    """Refuse a network that the atlas is not of."""
    have, given = manifest.model["sha256"], identity(network)
    if have != given:
        raise InvalidValueError(
            f"this is an atlas of {manifest.model['name']!r} (sha256 {have[:12]}), not of "
            f"{network.card.name!r} ({given[:12]}); name another folder"
        )


def begin(
    old: Manifest | None,
    network: MusicNetwork,
    layers: Sequence[str] | None,
    window: float | None,
    model: str,
) -> Manifest:
    """Return the manifest to go on with."""
    if old is None:
        seconds = window_seconds(network, window)
        kept = layers_of(network, seconds, layers)
        described = describe_model(network, folder_of(model))
        return Manifest(described, seconds, {set_name(kept): kept}, {}, versions=versions())
    require_same(old, network)
    if window is not None and window != old.seconds:
        raise InvalidValueError(f"the atlas has windows of {old.seconds:g} s, got {window:g} s")
    if layers is not None:
        have = {layer.name for layer in old.layers}
        new = [x.name for x in layers_of(network, old.seconds, layers) if x.name not in have]
        if new:
            raise InvalidValueError(
                f"the atlas has no layer {new[0]!r}; auralise atlas add ATLAS --layer {new[0]} "
                "hears its collections for it"
            )
    return old


def with_collection(manifest: Manifest, found: Collection, moved: bool) -> Manifest:
    """Refuse another collection of a name that is taken."""
    kept = manifest.collections.get(found.name)
    if kept is not None and kept["root"] != str(found.root) and not moved:
        raise InvalidValueError(
            f"the atlas has a collection {found.name!r} in {kept['root']}; if it is the same and "
            "has moved, say so (--moved), if it is another, give it another name (--name)"
        )
    return manifest


def known(store: Store) -> tuple[list[Entry], list[Shard]]:
    """Return the lists of files and shards there are; a damaged list is made anew."""
    lists: list[Any] = []
    for read in (read_entries, read_shards):
        try:
            lists.append(read(store))
        except InvalidValueError:
            lists.append([])
    return lists[0], lists[1]


def look(
    found: Collection, known: Sequence[Entry], progress: Callable[[str, int, int], None]
) -> tuple[list[Entry], tuple[str, ...]]:
    """Return all entries of the atlas, and which files of this collection are gone."""
    new = scan(found, known, progress=lambda done, total: progress("reading files", done, total))
    others = [entry for entry in known if entry.collection != found.name]
    there = {entry.path for entry in new}
    gone = tuple(
        entry.path for entry in of_collection(known, found.name) if entry.path not in there
    )
    return settle([*others, *new]), gone


def unlisted(manifest: Manifest, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return the collections of an atlas of whose files nothing is known."""
    listed = {entry.collection for entry in entries}
    return tuple(name for name in manifest.collections if name not in listed)


def of_collection(entries: Sequence[Entry], collection: str) -> list[Entry]:
    """Return the entries of one collection."""
    return [entry for entry in entries if entry.collection == collection]


def with_new(shards: Sequence[Shard], entries: Sequence[Entry], size: int) -> list[Shard]:
    """Cut clips that are in no shard yet into new ones."""
    have = {clip for shard in shards for clip in shard.clips}
    new = [e.sha256 for e in entries if e.status == CLIP and e.sha256 not in have]
    return [*shards, *cut(new, size)]


def write_plan(
    store: Store, manifest: Manifest, entries: Sequence[Entry], shards: Sequence[Shard]
) -> None:
    """Write what an atlas is to be made of."""
    write_shards(store, shards)
    write_entries(store, entries)
    write_manifest(store, manifest)
