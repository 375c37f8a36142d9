"""Making an atlas, going on with one, and adding to it: collections, layers, another atlas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from auralise.atlas.collection import (
    CLIP,
    DUPLICATE,
    UNREADABLE,
    Collection,
    Entry,
    fingerprint,
    open_collection,
)
from auralise.atlas.decoding import Source
from auralise.atlas.engines import ENGINES, Job, default_device
from auralise.atlas.layers import Layer, layers_of
from auralise.atlas.local import Work
from auralise.atlas.manifest import (
    Manifest,
    read_entries,
    read_manifest,
    read_shards,
    write_entries,
    write_manifest,
)
from auralise.atlas.options import Options, ProgressReport, Report, silent
from auralise.atlas.parts import Shard, check_parts
from auralise.atlas.plan import (
    begin,
    known,
    look,
    of_collection,
    require_empty,
    require_same,
    required,
    unlisted,
    with_collection,
    with_new,
    write_plan,
)
from auralise.atlas.store import Store, open_store
from auralise.atlas.summary import summarise, write_tables
from auralise.atlas.values import Task
from auralise.errors import InvalidValueError, OutputError
from auralise.frontends.build import build as build_frontend
from auralise.models.base import MusicNetwork

_ROUNDS = 3  # how often an engine is asked for parts that did not come


def build(
    collection: str,
    network: MusicNetwork,
    out: str | Path,
    *,
    layers: Sequence[str] | None = None,
    window: float | None = None,
    model: str = "",
    name: str = "",
    moved: bool = False,
    options: Options | None = None,
    progress: ProgressReport = silent,
) -> Report:
    """Make an atlas of a collection, or go on with one, or add the collection to it.

    A call that is ended at any moment can be made again: what was written as a whole is kept, the
    rest is done. A collection that the atlas has not seen is added; files that have changed since,
    or are new in one it has seen, are taken in.

    Parameters
    ----------
    collection : str
        See `open_collection`.
    network : MusicNetwork
        The same for all that is in an atlas.
    out : str or Path
        Folder or URL of the atlas.
    layers : sequence of str, optional
        See `layers_of`; in an atlas that there is, only those it has.
    window : float, optional
        Length of the windows in seconds, for networks that take any.
    model : str
        What the network was loaded by, if it was a folder.
    name : str
        Of the collection, in place of its folder's.
    moved : bool
        The collection of that name has moved to where ``collection`` says.
    options : Options, optional
    progress : callable
        Called with the name of a stage, how much of it is done and how much there is.

    Returns
    -------
    Report

    Raises
    ------
    InvalidValueError
        If there is an atlas of another network, other windows or other layers, something else is
        in the folder, or another collection of the same name is in the atlas.
    OutputError
        If it cannot be written, as on a full disk: what was done is kept.
    """
    store, options = open_store(out), options or Options()
    found = open_collection(collection)
    found = Collection(name or found.name, found.root, found.tracks)
    old = read_manifest(store)
    if old is None:
        require_empty(store)
    manifest = begin(old, network, layers, window, model)
    manifest = with_collection(manifest, found, moved)
    earlier, shards = known(store)
    entries, gone = look(found, earlier, progress)
    lost = unlisted(manifest, [*earlier, *entries])
    prints = {
        "root": str(found.root),
        "fingerprint": fingerprint(of_collection(entries, found.name)),
    }
    manifest = replace(
        manifest,
        collections={
            **{key: kept for key, kept in manifest.collections.items() if key not in lost},
            found.name: prints,
        },
        state="building",
    )
    shards = with_new(shards, entries, options.shard_clips)
    write_plan(store, manifest, entries, shards)
    report = _complete(store, manifest, entries, shards, network, options, progress, gone)
    return replace(report, lost=lost)


def add_layers(
    atlas: str | Path,
    network: MusicNetwork,
    layers: Sequence[str],
    *,
    roots: Mapping[str, str] | None = None,
    options: Options | None = None,
    progress: ProgressReport = silent,
) -> Report:
    """Hear the collections of an atlas again, for layers that it does not have yet.

    Parameters
    ----------
    atlas : str or Path
    network : MusicNetwork
        The one that the atlas is of.
    layers : sequence of str
    roots : mapping of str to str, optional
        Where collections have moved to, by name.
    options : Options, optional
    progress : callable
        As in `build`.

    Raises
    ------
    InvalidValueError
        If there is no atlas, or it is of another network.
    """
    store, options = open_store(atlas), options or Options()
    manifest = required(store)
    require_same(manifest, network)
    have = {layer.name for layer in manifest.layers}
    wanted = layers_of(network, manifest.seconds, layers)
    new = tuple(layer for layer in wanted if layer.name not in have)
    entries, shards = read_entries(store), read_shards(store)
    moved = {
        name: {**kept, "root": (roots or {}).get(name, kept["root"])}
        for name, kept in manifest.collections.items()
    }
    manifest = replace(manifest, collections=moved, state="building")
    if new:
        manifest = manifest.with_layers(new)
    write_manifest(store, manifest)
    return _complete(store, manifest, entries, shards, network, options, progress, ())


def _complete(
    store: Store,
    manifest: Manifest,
    entries: Sequence[Entry],
    shards: Sequence[Shard],
    network: MusicNetwork,
    options: Options,
    progress: ProgressReport,
    gone: tuple[str, ...],
) -> Report:
    """Make the parts that are missing, then the summary."""
    rebuilt: list[str] = []
    heard = 0
    sources = _sources(manifest, entries)
    for number, (layer_set, layers) in enumerate(manifest.layer_sets.items()):
        needed = [shard for shard in shards if any(clip in sources for clip in shard.clips)]
        for attempt in range(_ROUNDS):
            check = check_parts(store, needed, layer_set)
            rebuilt.extend(check.corrupt)
            missing = set(check.missing)
            if options.retry and attempt == 0:
                missing |= {name for name, receipt in check.whole.items() if receipt["failed"]}
            work = [(s, _of_shard(s, sources)) for s in needed if s.name in missing]
            if not work:
                break
            heard += len(work)
            job = _job(network, layers, layer_set, manifest.seconds, options, grids=number == 0)
            _run(options.engine, job, work, store, len(needed), progress)
        else:
            raise OutputError(f"{len(work)} parts did not come in {_ROUNDS} rounds; build again")
    report = Report(manifest, heard, tuple(rebuilt), gone)
    return finish(store, manifest, entries, shards, progress, report)


def _job(
    network: MusicNetwork,
    layers: tuple[Layer, ...],
    layer_set: str,
    seconds: float,
    options: Options,
    *,
    grids: bool,
) -> Job:
    return Job(
        network=network,
        layers=layers,
        layer_set=layer_set,
        seconds=seconds,
        grids=grids,
        batch=options.batch,
        device=options.device or default_device(),
        workers=options.workers,
    )


def _run(
    engine: str,
    job: Job,
    work: Work,
    store: Store,
    total: int,
    progress: ProgressReport,
) -> None:
    there = total - len(work)
    count = [there]

    def done(shard: Shard) -> None:
        count[0] += 1
        progress("hearing shards", count[0], total)

    ENGINES[engine](job, work, store, done)


def _sources(manifest: Manifest, entries: Sequence[Entry]) -> dict[str, Source]:
    """Return where each clip is read from."""
    return {
        entry.sha256: Source(
            entry.sha256,
            str(Path(manifest.collections[entry.collection]["root"]) / entry.path),
            entry.size,
            entry.mtime_ns,
        )
        for entry in entries
        if entry.sha256 and entry.status != DUPLICATE
    }


def _of_shard(shard: Shard, sources: Mapping[str, Source]) -> list[Source]:
    """Return the clips of a shard that are still in the collection, in its order."""
    return [sources[clip] for clip in shard.clips if clip in sources]


def finish(
    store: Store,
    manifest: Manifest,
    entries: Sequence[Entry],
    shards: Sequence[Shard],
    progress: ProgressReport,
    report: Report,
) -> Report:
    """Write the summary, what became of each file, and that the atlas is complete."""
    failed: dict[str, str] = {}
    for layer_set in manifest.layer_sets:
        for receipt in check_parts(store, shards, layer_set).whole.values():
            failed.update(receipt["failed"])
    settled = [_judged(entry, failed) for entry in entries]
    heard = [entry for entry in settled if entry.status == CLIP]
    if not heard:
        reason = settled[0].reason if settled else "there are no files"
        raise InvalidValueError(f"none of {len(settled)} files can be heard; the first: {reason}")
    frontend = build_frontend(manifest.model["frontend"])
    names = {entry.sha256 for entry in heard}
    used = [shard for shard in shards if not names.isdisjoint(shard.clips)]
    task = Task(store, heard, used, manifest.layer_sets, frontend, manifest.seconds)
    tables = summarise(task, lambda done, total: progress("summing up layers", done, total))
    write_tables(store, tables)
    write_entries(store, settled)
    counts = {
        "files": len(settled),
        "clips": len(heard),
        "duplicates": sum(entry.status == DUPLICATE for entry in settled),
        "unreadable": sum(entry.status == UNREADABLE for entry in settled),
        "silent": sum(tables["clips"]["silent"].to_pylist()),
        "units": tables["units"].num_rows,
    }
    manifest = replace(manifest, counts=counts, state="complete")
    write_manifest(store, manifest)
    return replace(report, manifest=manifest)


def _judged(entry: Entry, failed: Mapping[str, str]) -> Entry:
    """Mark a file that could not be heard; of its duplicates, the reason stays what it was."""
    if entry.status == CLIP and entry.sha256 in failed:
        return replace(entry, status=UNREADABLE, reason=failed[entry.sha256])
    return entry
