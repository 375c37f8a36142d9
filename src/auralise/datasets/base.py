"""Many sounds with labels, and the table of known collections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from auralise.errors import InvalidValueError
from auralise.registry import Registry


class EmptyLabelWarning(UserWarning):
    """A collection, or its given training part, has no clips of a label."""


@dataclass(frozen=True, slots=True)
class Track:
    """One sound file of a collection.

    Attributes
    ----------
    path : Path
    label : str
        What a network is to say of it.
    group : str
        Tracks that are too alike to stand on both sides of a split have the same group.
    tags : tuple of str
        All that holds of it, in collections of many labels; ``label`` is empty there.
    artist : str
        Empty if not known.
    part : str
        "train", "valid" or "test" where the collection's makers have divided it; else empty.
    """

    path: Path
    label: str
    group: str
    tags: tuple[str, ...] = ()
    artist: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A collection.

    Attributes
    ----------
    name : str
    tracks : tuple of Track
        In a fixed order.
    licence : str
        Of the recordings, and what it means for networks trained on them.
    grouping : str
        What a group is, in words; printed beside results.
    kind : str
        Name in `DATASETS` that it is opened by.
    tags : tuple of str
        The vocabulary of a collection with many labels a track; empty where each track has one.
    root : Path or None
        Where it was opened, if clips are read from there rather than from their tracks' paths.
    """

    name: str
    tracks: tuple[Track, ...]
    licence: str
    grouping: str
    kind: str = "folder"
    tags: tuple[str, ...] = ()
    root: Path | None = None

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise InvalidValueError(
                f"data set {self.name!r} has {len(self.tracks)} sound files with "
                f"{len(self.labels)} different labels; at least two labels are needed"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The meaning of a network's outputs, in order: the tags, or the labels that occur."""
        return self.tags or tuple(sorted({track.label for track in self.tracks}))

    @property
    def multilabel(self) -> bool:
        """Whether a track may have any number of tags, rather than one label."""
        return bool(self.tags)


DATASETS: Registry[Callable[[Path], Dataset]] = Registry("data set")


def open_dataset(text: str) -> Dataset:
    """Open a collection written ``kind:path``, as in ``philharmonia:recordings/notes``.

    Raises
    ------
    InvalidValueError
        If the text is not of that form, or there is no such folder or file, or no sounds in it.
    UnknownNameError
        If there is no such kind.
    """
    kind, colon, path = text.partition(":")
    if not colon:
        raise InvalidValueError(
            f"a data set is written kind:folder, as in philharmonia:notes; got {text!r}"
        )
    return DATASETS[kind](Path(path).expanduser())


def require_folder(path: Path, kind: str) -> None:
    """Refuse a path that is no folder.

    Raises
    ------
    InvalidValueError
        If there is none at ``path``.
    """
    if not path.is_dir():
        raise InvalidValueError(f"no folder {str(path)!r} for data set kind {kind!r}")
