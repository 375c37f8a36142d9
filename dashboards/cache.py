"""A folder of computed results that never grows beyond a limit.

Entries are plain files: they appear whole (written aside, then renamed), are found by their key,
and the ones used longest ago are deleted first. Several threads and processes may share a folder,
and a process may be killed at any moment: what it leaves behind is a file aside, which the next
one deletes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

from auralise.errors import InvalidValueError, OutputError

_NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{32}\.[a-z]{2,4}")
_ASIDE = ".part"
_STALE = 3600.0  # seconds after which a file aside belongs to nobody
_TOUCH = 60.0  # seconds; an entry used more recently than that is not marked again
_SHARED = "shared"

T = TypeVar("T")


class DiskCache:
    """Files by key, bounded in bytes, the ones used longest ago deleted first.

    Parameters
    ----------
    folder : Path
        Made if absent, readable by its owner only.
    max_bytes : int
        Of all entries together. An entry larger than that is kept until the next one comes.

    Examples
    --------
    >>> import tempfile
    >>> cache = DiskCache(Path(tempfile.mkdtemp()), 10_000)
    >>> name = cache.name("sound", "wav", song="demo", start=0.0)
    >>> cache.read(name) is None
    True
    >>> cache.write(name, b"RIFF")
    >>> cache.read(name)
    b'RIFF'
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        if max_bytes < 1:
            raise InvalidValueError(f"max_bytes must be at least 1, got {max_bytes}")
        self.folder = folder
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._keys: dict[str, tuple[threading.Lock, int]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError(
                f"the cache {os.fspath(folder)!r} cannot be made: {error.strerror}; "
                "choose another folder"
            ) from error
        self.secret = _secret(folder / "secret")
        self._sweep_aside()
        self._bytes = self.evict()

    def name(self, kind: str, suffix: str, *, scope: str = _SHARED, **key: object) -> str:
        """Return the file name of an entry: the same key gives the same name, nobody else's.

        Parameters
        ----------
        kind : str
            What the entry is.
        suffix : str
            Of the file, e.g. ``"wav"``.
        scope : str
            What the entry goes with, such as an uploaded song; see `forget`.
        **key
            Everything the content depends on; plain values.
        """
        text = json.dumps([kind, key], sort_keys=True)
        name = f"{self._scope(scope)}-{self._digest(text + scope)[:32]}.{suffix}"
        if not _NAME.fullmatch(name):
            raise InvalidValueError(f"a suffix has two to four small letters, got {suffix!r}")
        return name

    def path(self, name: str) -> Path | None:
        """Return the file of an entry, marked as used; None if it is not there.

        Anything that `name` would never return is not there, whatever it looks like.
        """
        if not _NAME.fullmatch(name):
            return None
        path = self._path(name)
        try:
            if time.time() - path.stat().st_mtime > _TOUCH:
                os.utime(path)
        except OSError:
            return None
        return path

    def read(self, name: str) -> bytes | None:
        """Return an entry's content; None if it is not there."""
        path = self.path(name)
        try:
            return None if path is None else path.read_bytes()
        except OSError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Keep an entry; an older one of that name is replaced in one step.

        Raises
        ------
        OutputError
            If the disk does not take it; what was there stays.
        """
        path = self._path(name)
        aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_ASIDE}")
        try:
            path.parent.mkdir(exist_ok=True)
            aside.write_bytes(content)
            aside.replace(path)
        except OSError as error:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise OutputError(
                f"the cache cannot be written: {error.strerror or error}; free some space"
            ) from error
        with self._lock:
            self._bytes += len(content)
            full = self._bytes > self.max_bytes
        if full:
            self.evict(keep=name)

    def forget(self, scope: str) -> None:
        """Delete all entries of a scope."""
        shutil.rmtree(self.folder / self._scope(scope), ignore_errors=True)

    def evict(self, keep: str = "") -> int:
        """Delete entries, the ones used longest ago first, until nine tenths of the limit hold all.

        Parameters
        ----------
        keep : str
            Name of an entry that stays.

        Returns
        -------
        int
            Bytes that are left.
        """
        found = sorted(self._entries())
        total = sum(size for _, size, _ in found)
        if total > self.max_bytes:
            for _, size, path in found:
                if total <= 0.9 * self.max_bytes:
                    break
                if path.name != keep:
                    with suppress(OSError):
                        path.unlink()
                        total -= size
        with self._lock:
            self._bytes = total
        return total

    @contextmanager
    def making(self, name: str) -> Iterator[None]:
        """Let one thread at a time make an entry; the others wait and then find it."""
        with self._lock:
            lock, users = self._keys.get(name, (threading.Lock(), 0))
            self._keys[name] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._keys[name]
                if users == 1:
                    del self._keys[name]
                else:
                    self._keys[name] = (lock, users - 1)

    def get_or_make(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return an entry's content; it is made, once, if it is not there."""
        found = self.read(name)
        if found is not None:
            return found
        with self.making(name):
            found = self.read(name)
            if found is None:
                found = make()
                self.write(name, found)
        return found

    def _path(self, name: str) -> Path:
        scope = name.partition("-")[0]
        return self.folder / scope / name

    def _scope(self, scope: str) -> str:
        return self._digest(f"scope {scope}")[:16]

    def _digest(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), key=self.secret).hexdigest()

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """Yield time of use, size and file of every entry."""
        for path in self.folder.glob("*/*"):
            with suppress(OSError):
                if _NAME.fullmatch(path.name):
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path

    def _sweep_aside(self) -> None:
        """Delete what a killed process was writing."""
        for path in self.folder.glob(f"*/*{_ASIDE}"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE:
                    path.unlink()


class Recent(Generic[T]):
    """The last few values that were used, in memory; safe with several threads.

    Parameters
    ----------
    most : int
        How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[tuple[Hashable, ...], T] = OrderedDict()

    def get(self, key: tuple[Hashable, ...]) -> T | None:
        """Return a value and count it as used; None if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: tuple[Hashable, ...], value: T) -> None:
        """Keep a value, and drop the one used longest ago where there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)

    def drop(self, part: Hashable) -> None:
        """Drop all values that have ``part`` in their key."""
        with self._lock:
            for key in [key for key in self._values if part in key]:
                del self._values[key]


def _secret(path: Path) -> bytes:
    """Return the folder's secret, which makes names that nobody can guess; made once."""
    with suppress(FileExistsError), open(path, "xb", opener=_private) as file:
        file.write(secrets.token_bytes(32))
    for _ in range(100):
        found = path.read_bytes()
        if len(found) == 32:
            return found
        time.sleep(0.02)  # another process has made the file and not filled it yet
    path.unlink(missing_ok=True)  # that process was killed
    return _secret(path)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
