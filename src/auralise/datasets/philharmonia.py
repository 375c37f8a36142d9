"""Single notes by players of the Philharmonia Orchestra, one folder per instrument."""

from __future__ import annotations

from pathlib import Path

from auralise.datasets.base import DATASETS, Dataset, Track, require_folder
from auralise.datasets.folder import sound_files
from auralise.errors import InvalidValueError

LICENCE = (
    "Philharmonia Orchestra sound samples: free to use in any work; not to be sold or made "
    "available as samples. Networks trained on them may be shared."
)


@DATASETS.register("philharmonia")
def philharmonia(folder: Path) -> Dataset:
    """Read notes named ``instrument_note_length_dynamic_articulation.mp3``.

    A group is all takes of one pitch by one instrument, whatever their length, dynamic and
    articulation: they are near-duplicates, and stay on one side of a split.

    Raises
    ------
    InvalidValueError
        If there is no such folder, or a file name is not of that form.
    """
    require_folder(folder, "philharmonia")
    tracks = []
    for path in sound_files(folder):
        parts = path.stem.split("_")
        if len(parts) != 5:
            raise InvalidValueError(
                f"{path.name!r} is not named instrument_note_length_dynamic_articulation"
            )
        tracks.append(Track(path, path.parent.name, f"{parts[0]}_{parts[1]}"))
    return Dataset(
        "philharmonia",
        tuple(tracks),
        LICENCE,
        "one instrument at one pitch",
        kind="philharmonia",
    )
