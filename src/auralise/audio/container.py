"""What is known of a sound file before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Container:
    """A recognised sound file.

    Attributes
    ----------
    name : str
        ``"WAV"``, ``"AIFF"``, ``"W64"``, ``"OGG"``, ``"FLAC"`` or ``"MP3"``.
    notes : tuple of str
        What a listener should know although nothing is wrong.
    damage : str or None
        What is missing or wrong, as the end of a sentence; None for a whole file.
    head : bytes
        What a decoder shall see in place of the first ``skip`` bytes of the file.
    skip : int
        See ``head``.
    """

    name: str
    notes: tuple[str, ...] = ()
    damage: str | None = None
    head: bytes = b""
    skip: int = 0


def read_at(stream: BinaryIO, position: int, length: int) -> bytes:
    """Return ``length`` bytes from ``position`` on, or as many as there are."""
    stream.seek(position)
    return stream.read(length)
