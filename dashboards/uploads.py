"""Songs that visitors drop in: received in pieces, decoded elsewhere, kept for a while."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from flask import Flask, Response, jsonify, request

from auralise.errors import AuraliseError, OutputError

from .security import refusal, session_id
from .songs import SongInfo, SongLibrary

NAME_HEADER = "X-File-Name"
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What one upload may cost.

    Attributes
    ----------
    file_bytes : int
        Largest file that is taken.
    seconds : float
        Of sound that are used; the rest of a longer song is left out, and said.
    memory : int
        Bytes that decoding may take, beyond the decoder itself.
    cpu_seconds : int
    wall_seconds : float
    at_once : int
        Uploads that are decoded at the same time.
    """

    file_bytes: int = 200_000_000
    seconds: float = 600.0
    memory: int = 1_500_000_000
    cpu_seconds: int = 30
    wall_seconds: float = 60.0
    at_once: int = 2


class UploadError(AuraliseError, ValueError):
    """An upload is not taken.

    Parameters
    ----------
    message : str
        For the visitor.
    code : int
        Status of the answer.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Decoders:
    """Decodes files in processes of their own, one file each; one process is kept waiting.

    Parameters
    ----------
    limits : UploadLimits
    """

    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._turn = threading.BoundedSemaphore(limits.at_once)
        self._ready: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False

    def warm(self) -> None:
        """Start a process, so that the next upload does not wait for it."""
        with self._lock:
            if not self._closed and self._ready.empty():
                self._ready.put(_start())

    def decode(self, source: Path, target: Path) -> Mapping[str, Any]:
        """Decode a file; return its ``seconds`` and ``notes``.

        Raises
        ------
        UploadError
            If it is no sound file, is damaged, or costs too much.
        """
        limits = self._limits
        if not self._turn.acquire(timeout=limits.wall_seconds):
            raise UploadError("too many songs are being read; try again in a moment", 503)
        try:
            answer = self._ask(
                {
                    "source": str(source),
                    "target": str(target),
                    "seconds": limits.seconds,
                    "memory": limits.memory,
                    "cpu_seconds": limits.cpu_seconds,
                    "file_bytes": 2**32,
                }
            )
        finally:
            self._turn.release()
        if "error" in answer:
            raise UploadError(answer["error"], 422)
        return answer

    def close(self) -> None:
        """End the process that waits."""
        with self._lock:
            self._closed = True
            while not self._ready.empty():
                process = self._ready.get()
                process.kill()
                process.communicate()

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Hand a question to a process and return its answer; a dead one has an answer too."""
        try:
            process = self._ready.get_nowait()
        except queue.Empty:
            process = _start()
        try:
            line = json.dumps(question).encode() + b"\n"
            answer, _ = process.communicate(line, timeout=self._limits.wall_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return {"error": "decoding the file takes longer than uploads are given"}
        if process.returncode == 0 and answer:
            found: dict[str, Any] = json.loads(answer)
            return found
        return {"error": "the file cannot be decoded within the memory and time of uploads"}


def _start() -> subprocess.Popen[bytes]:
    """Start a process that waits for a file to decode."""
    kept = ("PATH", "PYTHONPATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LANG")
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "auralise.dashboards.decoder"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**{name: os.environ[name] for name in kept if name in os.environ}, **threads},
        start_new_session=True,
    )


def register_uploads(
    server: Flask, songs: SongLibrary, decoders: Decoders, limits: UploadLimits
) -> None:
    """Take songs at ``POST /upload`` and forget them at ``DELETE /upload/<song>``.

    The body is the file itself; the header ``X-File-Name`` has its name, percent-encoded, which is
    shown and used for nothing else. The answer is JSON: ``song``, ``title``, ``seconds`` and
    ``notes``, or ``error``.

    Parameters
    ----------
    server : Flask
    songs : SongLibrary
    decoders : Decoders
    limits : UploadLimits
    """

    @server.post("/upload")
    def upload() -> tuple[Response, int]:
        title = clean_name(request.headers.get(NAME_HEADER, ""))
        if NAME_HEADER not in request.headers:
            return refusal(f"an upload has its name in the header {NAME_HEADER}", 400)
        if (request.content_length or 0) > limits.file_bytes:
            return refusal(str(_too_large(limits)), 413)
        try:
            info = take(request.stream, title, session_id(), songs, decoders, limits)
        except UploadError as error:
            return refusal(f"{title}: {error}", error.code)
        return jsonify(
            song=info.id, title=info.title, seconds=info.seconds, notes=list(info.notes)
        ), 201

    @server.delete("/upload/<song>")
    def forget(song: str) -> tuple[Response, int]:
        return jsonify(removed=songs.remove(song, session_id())), 200


def take(
    stream: IO[bytes],
    title: str,
    session: str,
    songs: SongLibrary,
    decoders: Decoders,
    limits: UploadLimits,
) -> SongInfo:
    """Receive a file, decode it and add it to the songs; nothing is left of one that is refused.

    Parameters
    ----------
    stream : file
        The visitor's bytes.
    title : str
        For people.
    session : str
        Whose it is.
    songs, decoders, limits
        See `register_uploads`.

    Raises
    ------
    UploadError
        If it is empty, too large, no sound, or damaged.
    """
    target = songs.new_file()
    received = target.with_suffix(".upload")
    try:
        _receive(stream, received, limits)
        found = decoders.decode(received, target)
        return songs.add(target, session, title, found["seconds"], tuple(found["notes"]))
    except UploadError:
        target.unlink(missing_ok=True)
        raise
    finally:
        received.unlink(missing_ok=True)
        threading.Thread(target=decoders.warm, daemon=True).start()


def clean_name(name: str) -> str:
    """Return a file name that is safe to show: one line, no invisible or turning characters.

    Examples
    --------
    >>> clean_name("..%2F..%2Fetc%2Fpasswd%0A%E2%80%AEgnp.mp3")
    'passwdgnp.mp3'
    """
    text = unquote(name[:2000], errors="replace").replace("\\", "/").rpartition("/")[2]
    kept = [c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c)[0] != "C"]
    short = " ".join("".join(kept).split())[:80]
    return short if short.strip(". ") else "your song"


def _receive(stream: IO[bytes], path: Path, limits: UploadLimits) -> None:
    """Write a stream to a file, as far as the limit."""
    received = 0
    try:
        with path.open("xb") as file:
            while piece := stream.read(_PIECE):
                received += len(piece)
                if received > limits.file_bytes:
                    raise _too_large(limits)
                file.write(piece)
    except OSError as error:
        if isinstance(error, AuraliseError):
            raise
        raise OutputError(f"the upload cannot be kept: {error.strerror or error}") from error
    if received == 0:
        raise UploadError("the file is empty (0 bytes)", 422)


def _too_large(limits: UploadLimits) -> UploadError:
    return UploadError(
        f"a song has at most {limits.file_bytes // 1_000_000} MB; cut it or encode it", 413
    )
