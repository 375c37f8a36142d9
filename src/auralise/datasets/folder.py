"""A folder for each class: ``trumpet/one.wav``, ``violin/two.flac``."""

from __future__ import annotations

import warnings
from pathlib import Path

from auralise.datasets.base import DATASETS, Dataset, EmptyLabelWarning, Track, require_folder

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3"})


def sound_files(folder: Path) -> list[Path]:
    """Return the sound files directly in the sub-folders of ``folder``, sorted."""
    return sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)


@DATASETS.register("folder")
def folder_per_class(folder: Path) -> Dataset:
    """Take each sub-folder's name as the label of the files in it, each file a group of its own.

    Sub-folders without sound files are named in an `EmptyLabelWarning`.
    """
    require_folder(folder, "folder")
    tracks = tuple(Track(path, path.parent.name, path.stem) for path in sound_files(folder))
    filled = {track.label for track in tracks}
    shown = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    empty = sorted(path.name for path in shown if path.name not in filled)
    if empty:
        text = f"{folder.name}: no sound files in {', '.join(empty)}; no such label is learned"
        warnings.warn(text, EmptyLabelWarning, stacklevel=2)
    return Dataset(folder.name, tracks, "unknown", "each file is a group of its own")
