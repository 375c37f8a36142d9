"""The same file twice in a collection, under whatever name."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from auralise.datasets.base import Track
from auralise.datasets.splits import Split
from auralise.errors import InvalidValueError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def content_hash(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find_duplicates(tracks: Sequence[Track]) -> tuple[tuple[Track, ...], ...]:
    """Find files of the same bytes; the same sound in another coding is not found.

    Only files of the same size are read.

    Parameters
    ----------
    tracks : sequence of Track
        Several tracks of one path are one file.

    Returns
    -------
    tuple of tuples of Track
        Each of at least two tracks whose files are the same, both in the order of ``tracks``.

    Raises
    ------
    InvalidValueError
        If a file cannot be read.
    """
    different = {track.path: track for track in tracks}
    try:
        sizes = _alike((track.path.stat().st_size, track) for track in different.values())
        hashes = _alike((content_hash(track.path), track) for group in sizes for track in group)
    except OSError as error:
        raise InvalidValueError(
            f"cannot look for duplicates: {error.filename}: {error.strerror}"
        ) from error
    return tuple(tuple(group) for group in hashes)


Finder = Callable[[Sequence[Track]], tuple[tuple[Track, ...], ...]]


def refuse_duplicates(split: Split, find: Finder = find_duplicates) -> None:
    """Refuse a split with the same file in two parts.

    Parameters
    ----------
    split : Split
    find : callable
        Finds the tracks that are the same, as `find_duplicates` does.

    Raises
    ------
    InvalidValueError
        If there is one: names both paths, and says how many more there are.
    """
    parts = {"training": split.train, "validation": split.valid, "test": split.test}
    part_of: dict[Path, str] = {}
    for name, part in parts.items():
        for track in part:
            if part_of.setdefault(track.path, name) != name:
                raise InvalidValueError(
                    f"{track.path} is in the {part_of[track.path]} part and in the {name} part"
                )
    tracks = [track for part in parts.values() for track in part]
    pairs = []
    for group in find(tracks):
        first = group[0]
        other = next((t for t in group if part_of[t.path] != part_of[first.path]), None)
        if other is not None:
            pairs.append((first, other))
    if pairs:
        first, other = pairs[0]
        more = f" There are {len(pairs) - 1} more such pairs." if len(pairs) > 1 else ""
        raise InvalidValueError(
            f"{first.path} ({part_of[first.path]} part) and {other.path} "
            f"({part_of[other.path]} part) are the same file; remove one.{more}"
        )


def _alike(items: Iterable[tuple[K, V]]) -> list[list[V]]:
    """Return the values that share a key with another, key by key."""
    groups: dict[K, list[V]] = defaultdict(list)
    for key, value in items:
        groups[key].append(value)
    return [group for group in groups.values() if len(group) > 1]
