"""Folders that appear whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from auralise.errors import OutputError

MANIFEST = "manifest.json"
SCHEMA = "auralise.bundle"


@contextmanager
def whole_folder(folder: str | os.PathLike[str], *, force: bool = False) -> Iterator[Path]:
    """Write a folder aside and move it to its name when the block ends well.

    Parameters
    ----------
    folder : str or path-like
        Where it shall be; missing parents are made.
    force : bool
        Replace a folder that is there, if it is empty or a bundle. It is gone only after the new
        one is complete.

    Yields
    ------
    Path
        An empty folder beside the place, to write into.

    Raises
    ------
    OutputError
        If something is there that may not be replaced, or writing fails; then what was there is
        still there, and nothing else is left.
    """
    place = Path(folder).absolute()
    check_folder(place, force=force)
    token = secrets.token_hex(6)
    aside = place.with_name(f".{place.name}-{token}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            aside.mkdir()
            undo.callback(shutil.rmtree, aside, ignore_errors=True)
            yield aside
            _move(aside, place, place.with_name(f".{place.name}-{token}.old"))
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write {os.fspath(folder)!r}: {error.strerror or error}; "
            "nothing was left there; free some space or choose another folder"
        ) from error


def is_bundle(folder: Path) -> bool:
    """Say whether a folder was written by auralise and holds nothing else."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        return False
    listed = manifest.get("files")
    known = {MANIFEST, *(listed if isinstance(listed, list) else [])}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    return found <= known


def check_folder(folder: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a place whose content may not be replaced; for asking before long work.

    Raises
    ------
    OutputError
        As `whole_folder` would.
    """
    place = Path(folder).absolute()
    if not os.path.lexists(place):
        return
    if place.is_symlink() or not place.is_dir():
        raise OutputError(f"{str(place)!r} is there and is no folder; choose another name")
    if not force:
        raise OutputError(f"folder {str(place)!r} is there already; use --force to replace it")
    if any(place.iterdir()) and not is_bundle(place):
        raise OutputError(
            f"folder {str(place)!r} holds files that auralise did not write and is left as it is; "
            "choose another folder"
        )


def _move(aside: Path, place: Path, old: Path) -> None:
    """Put the new folder in place; the old one comes back if that fails."""
    with ExitStack() as undo:
        if place.exists():
            place.rename(old)
            undo.callback(old.rename, place)
        aside.rename(place)
        undo.pop_all()
    shutil.rmtree(old, ignore_errors=True)
