"""A collection listed in a table, CSV or Parquet: path, label or tags, split, artist, group.

The paths are relative to the table's folder, or absolute. In CSV the tags of a track are separated
by ``;``, in Parquet they are a list, or a text like that. Only ``path`` and one of ``label`` and
``tags`` are needed; other columns are ignored.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from auralise.datasets.base import DATASETS, Dataset, Track
from auralise.errors import InvalidValueError

COLUMNS = ("path", "label", "tags", "split", "artist", "group")
PARTS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "test": "test",
    "": "",
}
"""What may stand in the column ``split``, in any case, and the part that it names."""


@DATASETS.register("manifest")
def manifest(path: Path) -> Dataset:
    """Read a table whose name ends in ``.csv`` or ``.parquet``.

    Raises
    ------
    InvalidValueError
        If there is no such file, it is no such table, a row lacks its label, names a part that is
        none, or points nowhere. All rows that point nowhere are listed.
    """
    if not path.is_file():
        raise InvalidValueError(f"no file {str(path)!r} for data set kind 'manifest'")
    rows = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    columns = set().union(*rows) if rows else set()
    if "path" not in columns or len(columns & {"label", "tags"}) != 1:
        raise InvalidValueError(
            f"{path.name} must have a column 'path' and one of 'label' and 'tags', got "
            f"{', '.join(sorted(columns)) or 'no rows'}"
        )
    tracks = tuple(_track(path, number, row) for number, row in enumerate(rows, 2))
    _refuse_lost(path, tracks)
    tags = tuple(sorted({tag for track in tracks for tag in track.tags}))
    grouped = "group" in columns
    return Dataset(
        path.stem,
        tracks,
        "unknown",
        "as the manifest groups them" if grouped else "each file is a group of its own",
        kind="manifest",
        tags=tags,
    )


def _read_csv(path: Path) -> list[dict[str, str | Sequence[str] | None]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            rows: list[dict[str, Any]] = [dict(row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidValueError(f"{path.name} is not a CSV table in UTF-8: {error}") from error
    except OSError as error:
        raise InvalidValueError(f"{path} cannot be read: {error.strerror}") from error
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InvalidValueError(
                f"row {number} of {path.name} has more or fewer values than there are columns"
            )
    return rows


def _read_parquet(path: Path) -> list[dict[str, str | Sequence[str] | None]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InvalidValueError(
            "Parquet needs pyarrow: pip install 'auralise[parquet]', or write the table as CSV"
        ) from error
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidValueError(f"{path.name} is not a Parquet table: {error}") from error
    known = [name for name in table.column_names if name in COLUMNS]
    rows: list[dict[str, str | Sequence[str] | None]] = table.select(known).to_pylist()
    return rows


def _track(manifest: Path, number: int, row: Mapping[str, str | Sequence[str] | None]) -> Track:
    place = f"row {number} of {manifest.name}"
    text = {name: _text(row.get(name), name, place) for name in COLUMNS if name != "tags"}
    if not text["path"]:
        raise InvalidValueError(f"{place} has no path")
    tags = row.get("tags")
    named = tags.split(";") if isinstance(tags, str) else list(tags or ())
    strange = [tag for tag in named if not isinstance(tag, str)]
    if strange:
        raise InvalidValueError(f"{place} has a tag that is no text: {strange[0]!r}")
    if "label" in row and not text["label"]:
        raise InvalidValueError(f"{place} has no label")
    part = PARTS.get(text["split"].strip().lower())
    if part is None:
        raise InvalidValueError(
            f"{place} is in a part {text['split']!r}; parts are train, valid and test"
        )
    return Track(
        manifest.parent / text["path"],
        text["label"],
        text["group"] or text["path"],
        tuple(sorted({tag.strip() for tag in named} - {""})),
        text["artist"],
        part,
    )


def _text(value: object, column: str, place: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidValueError(f"{place} has {value!r} in column {column!r}, which is no text")
    return value


def _refuse_lost(path: Path, tracks: Sequence[Track]) -> None:
    lost = [
        f"row {number}: {str(track.path)!r}"
        for number, track in enumerate(tracks, 2)
        if not _is_file(track.path)
    ]
    if lost:
        raise InvalidValueError(
            f"{len(lost)} of {len(tracks)} rows of {path.name} point to no file (paths are "
            "relative to its folder):\n" + "\n".join(lost)
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that is too long, or has a null in it
        return False
