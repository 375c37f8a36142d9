"""Cutting what a unit answered to out of the original files; the atlas itself holds no sound."""

from __future__ import annotations

from pathlib import Path

from auralise.atlas.query import Atlas
from auralise.atlas.unit import Example
from auralise.audio.files import read_audio
from auralise.audio.waveform import Waveform
from auralise.auralisation import Auralisation, auralise_unit
from auralise.datasets.duplicates import content_hash
from auralise.errors import AudioFileError
from auralise.models.base import MusicNetwork
from auralise.settings import DEFAULTS, Settings

LEAST_SECONDS = 1.0
"""Shortest excerpt; what a unit of a first layer sees is too short to be heard as anything."""


def file_of(atlas: Atlas, example: Example) -> Path:
    """Return the file that an example is from, after a look whether it is still the same.

    Raises
    ------
    AudioFileError
        If there is no such file, or its bytes are others than those the atlas was made of.
    """
    path = Path(atlas.path_of(example.collection, example.path))
    try:
        found = content_hash(path)
    except OSError as error:
        raise AudioFileError(
            f"{str(path)!r} cannot be read ({error.strerror}); if the collection has moved, say "
            "where it is (--root FOLDER)"
        ) from error
    if found != example.clip:
        raise AudioFileError(
            f"{str(path)!r} is another file than the one the atlas was made of; build again"
        )
    return path


def heard_window(atlas: Atlas, example: Example) -> Waveform:
    """Return the window that the network heard, at the file's own rate, all channels."""
    path = file_of(atlas, example)
    seconds = atlas.manifest.seconds
    sound = read_audio(path, start=example.window, seconds=seconds, allow_truncated=True)
    return sound.waveform


def excerpt(atlas: Atlas, example: Example, least: float = LEAST_SECONDS) -> Waveform:
    """Return what the unit saw and, where that is short, what is around it.

    Parameters
    ----------
    atlas : Atlas
    example : Example
    least : float
        In seconds; shorter only where the file is.

    Raises
    ------
    AudioFileError
        As `file_of`.
    """
    start, seconds = span(example, least)
    sound = read_audio(file_of(atlas, example), start=start, seconds=seconds, allow_truncated=True)
    return sound.waveform


def span(example: Example, least: float = LEAST_SECONDS) -> tuple[float, float]:
    """Return where an excerpt begins and how long it is, in seconds.

    Examples
    --------
    >>> from dataclasses import replace
    >>> one = Example("conv1:0", "", "", "", (), 1.0, 2.0, 2.1, None, None, 0.0, 0)
    >>> span(one), span(replace(one, start=0.1, end=0.2))
    ((1.55, 1.0), (0.0, 1.0))
    """
    seconds = max(example.end - example.start, least)
    middle = (example.start + example.end) / 2
    return round(max(0.0, middle - seconds / 2), 6), seconds


def auralise_example(
    atlas: Atlas, network: MusicNetwork, example: Example, settings: Settings = DEFAULTS
) -> Auralisation:
    """Let a unit be heard in the window of an example, followed from its peak there.

    Parameters
    ----------
    atlas : Atlas
    network : MusicNetwork
        The one that the atlas is of.
    example : Example
    settings : Settings

    Raises
    ------
    AuraliseError
        As `file_of` and `auralise_unit`.
    """
    return auralise_unit(network, heard_window(atlas, example), example.unit, settings=settings)
