"""The folder of an atlas, on this machine or anywhere that fsspec reaches, and queries over it.

A file is there whole or not at all: it is written under another name and renamed, or handed over in
one piece where the place has no renaming.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from auralise.errors import InvalidValueError, OutputError

MANIFEST = "manifest.json"


class Store(Protocol):
    """Files under names with ``/``, in one folder."""

    @property
    def location(self) -> str:
        """Where it is, as it was opened."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's bytes; `FileNotFoundError` if there is none."""
        ...

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading, from any place in it."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of the files directly in a folder, sorted; none if it is not there."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...

    def path_of(self, name: str) -> str:
        """Return what DuckDB opens the file by."""
        ...


def open_store(location: str | os.PathLike[str]) -> Store:
    """Open a folder by its path, or by a URL such as ``s3://bucket/atlas`` or ``memory://atlas``.

    Raises
    ------
    InvalidValueError
        If fsspec does not know what the URL begins with, or it needs a package that is not there.
    """
    text = os.fspath(location)
    if "://" not in text:
        return LocalStore(Path(text).expanduser())
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(text)
    except (ValueError, ImportError) as error:
        raise InvalidValueError(f"cannot open {text!r}: {error}") from error
    return RemoteStore(text, filesystem, path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class LocalStore:
    """A folder on this machine."""

    folder: Path

    @property
    def location(self) -> str:
        """Its path."""
        return str(self.folder)

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return (self.folder / name).read_bytes()

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        return (self.folder / name).open("rb")

    def write(self, name: str, data: bytes) -> None:
        """Write a file under another name, bring it to the disk, and rename it."""
        path = self.folder / name
        other = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with other.open("wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                other.replace(path)
            finally:
                other.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror}; what was done before is kept, make room "
                "and call again"
            ) from error

    def names(self, folder: str) -> list[str]:
        """Return the names of the files directly in a folder, sorted."""
        place = self.folder / folder
        if not place.is_dir():
            return []
        return sorted(path.name for path in place.iterdir() if not path.name.endswith(".tmp"))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.folder / name).unlink(missing_ok=True)

    def path_of(self, name: str) -> str:
        """Return the file's path."""
        return str(self.folder / name)


@dataclass(frozen=True, slots=True)
class RemoteStore:
    """A folder that fsspec reaches; what it writes is there as a whole when it is there."""

    location: str
    filesystem: Any
    path: str

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        data: bytes = self.filesystem.cat_file(f"{self.path}/{name}")
        return data

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        stream: IO[bytes] = self.filesystem.open(f"{self.path}/{name}", "rb")
        return stream

    def write(self, name: str, data: bytes) -> None:
        """Hand a file over in one piece."""
        target = f"{self.path}/{name}"
        try:
            self.filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
            self.filesystem.pipe_file(target, data)
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror or error}") from error

    def names(self, folder: str) -> list[str]:
        """Return the names of the files directly in a folder, sorted."""
        self.filesystem.invalidate_cache()
        try:
            found = self.filesystem.ls(f"{self.path}/{folder}", detail=True)
        except FileNotFoundError:
            return []
        return sorted(e["name"].rpartition("/")[2] for e in found if e["type"] == "file")

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            self.filesystem.rm_file(f"{self.path}/{name}")
        except FileNotFoundError:
            return

    def path_of(self, name: str) -> str:
        """Return the file's URL."""
        return str(self.filesystem.unstrip_protocol(f"{self.path}/{name}"))


def sha256(data: bytes) -> str:
    """Return the sha256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def write_json(store: Store, name: str, value: Mapping[str, Any]) -> None:
    """Write plain values as JSON."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False)
    store.write(name, (text + "\n").encode())


def read_json(store: Store, name: str) -> dict[str, Any] | None:
    """Return a JSON object; None if there is no such file, or it is none."""
    try:
        value = json.loads(store.read(name))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


class Database:
    """DuckDB over the Parquet files of a store.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        import duckdb

        self._store = store
        self._connection = duckdb.connect(config={"threads": 1})
        self._unreadable = (duckdb.IOException, duckdb.InvalidInputException)
        self._lock = threading.Lock()
        if isinstance(store, RemoteStore):
            self._connection.register_filesystem(store.filesystem)

    def rows(
        self, sql: str, parameters: Sequence[object] = (), **files: str
    ) -> list[dict[str, Any]]:
        """Run a query, in which ``{name}`` stands for a Parquet file of the store.

        Parameters
        ----------
        sql : str
        parameters : sequence
            For the question marks.
        **files : str
            Names in the store.

        Raises
        ------
        InvalidValueError
            If one of the files is missing or damaged.
        """
        places = {key: _quoted(self._store.path_of(name)) for key, name in files.items()}
        with self._lock:
            try:
                cursor = self._connection.execute(sql.format(**places), list(parameters))
            except self._unreadable as error:
                said = str(error).splitlines()[0]
                raise InvalidValueError(
                    f"{' or '.join(files.values())} of {self._store.location} cannot be read "
                    f"({said}); build again, which makes it anew"
                ) from error
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _quoted(path: str) -> str:
    literal = path.replace("'", "''")
    return f"read_parquet('{literal}')"
