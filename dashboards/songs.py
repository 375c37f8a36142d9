"""The songs that a page may mean: the embedded one, and what visitors dropped in.

A song is known to the browser by an id only. Ids of uploads are random, so that nobody hears the
song of somebody else without having been given its address.
"""

from __future__ import annotations

import fcntl
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from auralise.audio.files import read_audio
from auralise.cli.songs import (
    ATTRIBUTION,
    LICENCE,
    TITLE,
    Excerpt,
    Request,
    read_excerpt,
    song_file,
)
from auralise.errors import AuraliseError, InvalidValueError
from auralise.models.base import MusicNetwork
from auralise.settings import DEFAULTS

from .views import DEMO

KEPT_SECONDS = 2 * 3600.0
"""How long an uploaded song is kept after it was last used."""

PER_SESSION = 8
"""Most songs that one visitor may have at a time; the oldest goes when another comes."""

_MARK = "in-use"


class UnknownSongError(AuraliseError, LookupError):
    """There is no such song, or no longer."""


@dataclass(frozen=True, slots=True)
class SongInfo:
    """What is known of a song.

    Attributes
    ----------
    id : str
        For addresses.
    title : str
        For people; of uploads, the file's name made harmless.
    seconds : float
        Its length.
    attribution, licence : str
        To be shown wherever the song is played; empty where not known.
    notes : tuple of str
        What a listener should know.
    session : str
        Whose upload it is; empty for the embedded song.
    """

    id: str
    title: str
    seconds: float
    attribution: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()
    session: str = ""

    @property
    def credits(self) -> str:
        """Whose song it is, and under which terms it may be played, in a sentence."""
        words = [f"Song: {self.title}"]
        words += [f"by {self.attribution}"] if self.attribution else []
        words += [f"licence {self.licence}"] if self.licence else []
        return ", ".join(words) + "."


@dataclass(frozen=True, slots=True)
class _Upload:
    info: SongInfo
    path: Path
    used: float


class SongLibrary:
    """All songs of one server.

    Parameters
    ----------
    folder : Path
        For uploads; made if absent. Every library has a folder of its own in it, which `close`
        deletes; what a killed process left there is deleted here.
    on_removed : callable
        Called with the id of every song that is removed, so that what was made of it goes too.
    kept_seconds : float
        How long an upload stays after it was last used.
    """

    def __init__(
        self,
        folder: Path,
        on_removed: Callable[[str], None],
        *,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _delete_deserted(folder, on_removed)
        self.folder = Path(tempfile.mkdtemp(dir=folder))
        self._mark = _marked(self.folder)
        self._on_removed = on_removed
        self._kept_seconds = kept_seconds
        self._lock = threading.Lock()
        self._uploads: dict[str, _Upload] = {}
        self._demo = _demo_info()

    def songs(self, session: str = "") -> list[SongInfo]:
        """Return the songs that a visitor may choose from: the embedded one, then their own."""
        self.expire()
        with self._lock:
            own = [u.info for u in self._uploads.values() if session and u.info.session == session]
        return [self._demo, *own]

    def info(self, song: str) -> SongInfo:
        """Return what is known of a song, which counts as using it.

        Raises
        ------
        UnknownSongError
            If there is none of that id.
        """
        if song == DEMO:
            return self._demo
        return self._used(song).info

    def excerpt(
        self, network: MusicNetwork, song: str, start: float, seconds: float | None
    ) -> Excerpt:
        """Read a stretch of a song for a network; its description names no file of the server.

        Raises
        ------
        UnknownSongError
            If there is none of that id.
        InvalidValueError
            If the stretch is not in the song.
        """
        info = self.info(song)
        if start >= info.seconds:
            raise InvalidValueError(
                f"start must be before the end of {info.title!r}, which is {info.seconds:.1f} s "
                f"long, got {start:g} s"
            )
        path = DEMO if song == DEMO else str(self._used(song).path)
        request = Request(path, network.card.name, "", start, seconds, DEFAULTS, "none", False)
        found = read_excerpt(network, request)
        if song == DEMO:
            return found
        return replace(found, song=replace(found.song, path=info.title, title=info.title))

    def new_file(self) -> Path:
        """Return a file name for an upload; its stem is random, and the song's id later."""
        return self.folder / f"{secrets.token_hex(12)}.wav"

    def add(
        self, path: Path, session: str, title: str, seconds: float, notes: tuple[str, ...]
    ) -> SongInfo:
        """Take a decoded file, made by `new_file`, as a visitor's song."""
        info = SongInfo(path.stem, title, seconds, notes=notes, session=session)
        with self._lock:
            self._uploads[info.id] = _Upload(info, path, time.monotonic())
            own = [u for u in self._uploads.values() if u.info.session == session]
        for upload in sorted(own, key=lambda upload: upload.used)[:-PER_SESSION]:
            self.remove(upload.info.id)
        return info

    def remove(self, song: str, session: str | None = None) -> bool:
        """Delete an upload and everything made of it.

        Parameters
        ----------
        song : str
        session : str, optional
            Only if it is this visitor's.

        Returns
        -------
        bool
            Whether there was one to delete.
        """
        with self._lock:
            upload = self._uploads.get(song)
            if upload is None or session not in (None, upload.info.session):
                return False
            del self._uploads[song]
        upload.path.unlink(missing_ok=True)
        self._on_removed(song)
        return True

    def expire(self) -> None:
        """Delete uploads that nobody has used for long."""
        now = time.monotonic()
        with self._lock:
            old = [k for k, u in self._uploads.items() if now - u.used > self._kept_seconds]
        for song in old:
            self.remove(song)

    def close(self) -> None:
        """Delete all uploads."""
        for song in list(self._uploads):
            self.remove(song)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._mark.close()

    def _used(self, song: str) -> _Upload:
        with self._lock:
            if song not in self._uploads:
                raise UnknownSongError(
                    "this song is not on the server: uploads are removed after a while, and when "
                    "the server ends; drop the file in again, or choose the embedded song"
                )
            upload = replace(self._uploads[song], used=time.monotonic())
            self._uploads[song] = upload
        return upload


def _demo_info() -> SongInfo:
    """Read the embedded song once for its length."""
    with song_file(DEMO) as path:
        seconds = read_audio(path).total_seconds
    return SongInfo(DEMO, TITLE, seconds, ATTRIBUTION, LICENCE)


def _marked(folder: Path) -> IO[bytes]:
    """Lock a file in a folder, which says that a living process uses it."""
    mark = (folder / _MARK).open("wb")
    fcntl.flock(mark, fcntl.LOCK_EX)
    return mark


def _delete_deserted(folder: Path, on_removed: Callable[[str], None]) -> None:
    """Delete the folders of processes that are gone, and what was made of the songs in them."""
    for path in folder.glob(f"*/{_MARK}"):
        with suppress(OSError), path.open("rb") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for song in path.parent.glob("*.wav"):
                on_removed(song.stem)
            shutil.rmtree(path.parent, ignore_errors=True)
