"""MagnaTagATune: 25 863 clips of 29 s with 188 tags, of which the 50 most frequent are used.

Its mp3 files are in folders named 0 to f. As in most work with it, 0 to b are for training, c for
validation and d to f for testing; clips with none of the 50 tags are left out.

Sources:

- E. Law, K. West, M. Mandel, M. Bay, J. S. Downie, "Evaluation of algorithms using games: the
  case of music tagging", ISMIR 2009.
- J. Lee, J. Park, K. L. Kim, J. Nam, "Sample-level deep convolutional neural networks for
  music auto-tagging using raw waveforms", SMC 2017: tags and parts.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from auralise.datasets.base import DATASETS, Dataset, Track, require_folder
from auralise.errors import InvalidValueError

ANNOTATIONS = "annotations_final.csv"
INFORMATION = "clip_info_final.csv"
N_TAGS = 50
LICENCE = "Magnatune recordings, CC BY-NC-SA; networks trained on them are for non-commercial use"

_EXCERPT = re.compile(r"-\d+-\d+$")


@DATASETS.register("magnatagatune")
def magnatagatune(folder: Path) -> Dataset:
    """Read ``annotations_final.csv`` and the clips that it names.

    Artists are taken from ``clip_info_final.csv`` where that is there. A group is one recording,
    of which there may be several clips. Clips whose file is not there are left out.

    Parameters
    ----------
    folder : Path
        With the tables, and with the folders 0 to f in it or in ``mp3``.

    Raises
    ------
    InvalidValueError
        If there is no such folder, table or clip.
    """
    require_folder(folder, "magnatagatune")
    rows = read_table(folder / ANNOTATIONS, ("clip_id", "mp3_path"))
    names = [name for name in rows[0] if name not in ("clip_id", "mp3_path")]
    tags = top_tags(rows, names)
    information = folder / INFORMATION
    artists = {}
    if information.is_file():
        table = read_table(information, ("clip_id", "artist"))
        artists = {row["clip_id"]: row["artist"] for row in table}
    sounds = folder / "mp3" if (folder / "mp3").is_dir() else folder
    tracks = []
    for row in rows:
        own = tuple(tag for tag in tags if row[tag] == "1")
        path = sounds / row["mp3_path"]
        if own and row["mp3_path"] and path.is_file():
            group = _EXCERPT.sub("", Path(row["mp3_path"]).stem)
            artist = artists.get(row["clip_id"], "")
            tracks.append(Track(path, "", group, own, artist, part_of(row["mp3_path"])))
    if not tracks:
        raise InvalidValueError(
            f"none of the {len(rows)} clips of {ANNOTATIONS} is in {sounds}; it should have "
            "folders named 0 to f"
        )
    return Dataset(
        "magnatagatune", tuple(tracks), LICENCE, "one recording", kind="magnatagatune", tags=tags
    )


def read_table(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a table of MagnaTagATune: columns separated by tabs, values in quotation marks.

    Raises
    ------
    InvalidValueError
        If it cannot be read, has no rows, a row of another length, or not the ``needed`` columns.
    """
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t", strict=True))
    except csv.Error as error:
        raise InvalidValueError(f"{path.name} is no table: {error}") from error
    except OSError as error:
        raise InvalidValueError(f"{path} cannot be read: {error.strerror}") from error
    if not rows or not set(needed) <= set(rows[0]):
        raise InvalidValueError(f"{path} must have rows with the columns {', '.join(needed)}")
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InvalidValueError(f"row {number} of {path.name} has another length than the head")
    return rows


def top_tags(rows: list[dict[str, str]], names: list[str], number: int = N_TAGS) -> tuple[str, ...]:
    """Return the most frequent tags, most frequent first and in their order among equals."""
    counts = Counter({name: sum(row[name] == "1" for row in rows) for name in names})
    return tuple(tag for tag, count in counts.most_common(number) if count)


def part_of(mp3_path: str) -> str:
    """Return the part that a clip's folder belongs to.

    Raises
    ------
    InvalidValueError
        If the folder is not one of 0 to f.

    Examples
    --------
    >>> part_of("b/one.mp3"), part_of("c/two.mp3"), part_of("f/three.mp3")
    ('train', 'valid', 'test')
    """
    folder = mp3_path.split("/")[0]
    if len(folder) != 1 or folder not in _PARTS:
        raise InvalidValueError(f"{mp3_path!r} is not in a folder named 0 to f")
    return _PARTS[folder]


_PARTS: Mapping[str, str] = {
    **dict.fromkeys("0123456789ab", "train"),
    "c": "valid",
    **dict.fromkeys("def", "test"),
}
