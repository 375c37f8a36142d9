"""Which files an atlas is of: found, known by their content, no file left out without a word."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from auralise.datasets.base import DATASETS, Track
from auralise.datasets.duplicates import content_hash
from auralise.datasets.folder import SUFFIXES
from auralise.errors import InvalidValueError

CLIP, DUPLICATE, UNREADABLE = "clip", "duplicate", "unreadable"

_HASHING = 8  # threads that read files; they wait for the disk most of the time


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a collection, and what became of it.

    Attributes
    ----------
    collection : str
        Name of the collection that it is in.
    path : str
        Relative to the collection's root, with ``/``; absolute where it lies elsewhere.
    labels : tuple of str
        Empty if nothing is known.
    group : str
        Files that are too alike to count as independent have the same.
    size, mtime_ns : int
        When the collection was read.
    sha256 : str
        Of the bytes; empty if they could not be read. It is the name of the clip.
    status : str
        `CLIP`, `DUPLICATE` (of a file with the same bytes) or `UNREADABLE`.
    reason : str
        Why it is unreadable, or which file it is a duplicate of.
    """

    collection: str
    path: str
    labels: tuple[str, ...]
    group: str
    size: int = 0
    mtime_ns: int = 0
    sha256: str = ""
    status: str = CLIP
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """A folder, a manifest or a data set, before its files are read.

    Attributes
    ----------
    name : str
    root : Path
        What the paths of the entries are relative to.
    tracks : tuple of Track
        Sorted by path.
    """

    name: str
    root: Path
    tracks: tuple[Track, ...]


def open_collection(text: str) -> Collection:
    """Find the files of a collection.

    Parameters
    ----------
    text : str
        A folder, whose sound files at any depth are taken, with the folder that a file lies in as
        its label; a manifest (``.csv`` or ``.parquet``); or a data set written ``kind:path``.

    Raises
    ------
    InvalidValueError
        If there is no such folder or file, or no sound files in it.
    """
    kind, colon, _ = text.partition(":")
    path = Path(text).expanduser()
    if path.is_dir():
        return _of_folder(path)
    if colon and kind in DATASETS:
        place = Path(text[len(kind) + 1 :]).expanduser()
        dataset = DATASETS[kind](place)
    elif path.is_file() and path.suffix.lower() in {".csv", ".parquet"}:
        place = path
        dataset = DATASETS["manifest"](path)
    else:
        raise InvalidValueError(
            f"{text!r} is no folder, no manifest (.csv or .parquet), and no data set written "
            f"kind:folder with a kind of {', '.join(DATASETS)}"
        )
    root = place if place.is_dir() else place.parent
    tracks = sorted(dataset.tracks, key=lambda track: track.path)
    return Collection(dataset.name, root.absolute(), tuple(tracks))


def _of_folder(folder: Path) -> Collection:
    root = folder.absolute()
    paths = sorted(
        path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES | {".au", ".aiff"}
    )
    if not paths:
        raise InvalidValueError(f"there are no sound files in {str(folder)!r}")
    tracks = tuple(
        Track(path, "" if path.parent == root else path.parent.name, str(path)) for path in paths
    )
    return Collection(root.name or "collection", root, tracks)


def scan(
    collection: Collection,
    known: Iterable[Entry] = (),
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Entry]:
    """Read every file's bytes once and tell clips, duplicates and unreadable files apart.

    Parameters
    ----------
    collection : Collection
    known : iterable of Entry
        Of an earlier reading; a file of the same size and time is not read again.
    progress : callable
        Called with how many files are done and how many there are.

    Returns
    -------
    list of Entry
        One for each track, in their order. Of files with the same bytes the first is the clip.
    """
    earlier = {entry.path: entry for entry in known if entry.collection == collection.name}
    entries = []
    with ThreadPoolExecutor(_HASHING) as pool:
        found = pool.map(lambda track: _entry(collection, track, earlier), collection.tracks)
        for number, entry in enumerate(found, 1):
            entries.append(entry)
            progress(number, len(collection.tracks))
    return settle(entries)


def _entry(collection: Collection, track: Track, earlier: Mapping[str, Entry]) -> Entry:
    labels = track.tags or ((track.label,) if track.label else ())
    group = _relative(Path(track.group), collection.root) if track.group else ""
    path = _relative(track.path, collection.root)
    entry = Entry(collection.name, path, labels, group)
    try:
        status = track.path.stat()
        entry = replace(entry, size=status.st_size, mtime_ns=status.st_mtime_ns)
        old = earlier.get(entry.path)
        if old and (old.size, old.mtime_ns) == (entry.size, entry.mtime_ns) and old.sha256:
            return replace(entry, sha256=old.sha256)
        return replace(entry, sha256=content_hash(track.path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return replace(entry, status=UNREADABLE, reason=reason)


def _relative(path: Path, root: Path) -> str:
    absolute = path if not path.is_absolute() else path.absolute()
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(path)


def settle(entries: Iterable[Entry]) -> list[Entry]:
    """Mark all but one of the files with the same bytes as duplicates, in any order given.

    The one that stays is the first by collection and path, so that the answer is the same
    whatever is read or merged first.

    Examples
    --------
    >>> one, two = (Entry("c", path, (), "", sha256="ab") for path in ("b.wav", "a.wav"))
    >>> [(entry.path, entry.status, entry.reason) for entry in settle([one, two])]
    [('a.wav', 'clip', ''), ('b.wav', 'duplicate', 'c: a.wav')]
    """
    first: dict[str, Entry] = {}
    settled = []
    for entry in sorted(entries, key=lambda entry: (entry.collection, entry.path)):
        if entry.status == UNREADABLE:
            settled.append(entry)
            continue
        kept = first.setdefault(entry.sha256, entry)
        if kept is entry:
            settled.append(replace(entry, status=CLIP, reason=""))
        else:
            where = f"{kept.collection}: {kept.path}"
            settled.append(replace(entry, status=DUPLICATE, reason=where))
    return settled


def fingerprint(entries: Sequence[Entry]) -> str:
    """Return a sha256 that two collections share if their files have the same names and bytes."""
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: (entry.collection, entry.path)):
        digest.update(f"{entry.collection}\0{entry.path}\0{entry.sha256}\n".encode())
    return digest.hexdigest()
