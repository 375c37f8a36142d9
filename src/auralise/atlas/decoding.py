"""From a file of a collection to samples at the network's rate, a stretch at a time.

A long file is read in stretches of some minutes, so that memory does not grow with its length; each
is resampled for itself. Samples are left as loud as they are in the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auralise.atlas.descriptors import describe
from auralise.audio.files import read_audio
from auralise.audio.resampling import resample
from auralise.errors import AuraliseError, InvalidValueError

STRETCH_SECONDS = 600.0
SILENCE = 1e-12


@dataclass(frozen=True, slots=True)
class Source:
    """A clip to be heard.

    Attributes
    ----------
    clip : str
        sha256 of the file's bytes.
    path : str
    size, mtime_ns : int
        When the bytes were read.
    """

    clip: str
    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Samples of a clip, and what they sound like.

    Attributes
    ----------
    source : Source
    start : int
        First sample, at the network's rate.
    samples : ndarray, float32, shape (time,)
    grid : ndarray, float16, shape (frames, descriptors)
        See `auralise.atlas.descriptors`.
    tempo : float
    last : bool
        Whether the clip ends here.
    reason : str
        Why it cannot be read, from here on; empty if it can.
    notes : tuple of str
        What was found in the file, such as its end missing.
    """

    source: Source
    start: int
    samples: NDArray[np.float32]
    grid: NDArray[np.float16]
    tempo: float
    last: bool
    reason: str = ""
    notes: tuple[str, ...] = ()


def stretch_seconds(window: float) -> float:
    """Return how much of a file is read at once: whole windows, so that none is cut."""
    return max(1, int(STRETCH_SECONDS / window)) * window


def read_stretch(source: Source, sample_rate: int, start: float, seconds: float) -> Stretch:
    """Read one stretch; one that cannot be read says why.

    Of a file whose end is cut off, what is there is taken.

    Parameters
    ----------
    source : Source
    sample_rate : int
        Of the network, in Hz.
    start, seconds : float
        Which stretch.
    """
    first = round(start * sample_rate)
    none = np.zeros(0, np.float32)
    failed = Stretch(source, first, none, np.zeros((0, 0), np.float16), float("nan"), True)
    try:
        changed = _changed(source)
        if changed:
            return _because(failed, changed)
        sound = read_audio(source.path, start=start, seconds=seconds, allow_truncated=True)
        mono = resample(sound.waveform.mono(), sample_rate).samples[0].float().contiguous()
        changed = _changed(source)
        if changed:
            return _because(failed, changed)
    except InvalidValueError as error:
        if start > 0:  # a file whose header promises more than there is
            return failed
        return _because(failed, str(error))
    except AuraliseError as error:
        return _because(failed, str(error))
    except OSError as error:
        return _because(failed, error.strerror or str(error))
    grid, tempo = describe(mono, sample_rate)
    last = start + seconds >= sound.total_seconds - 0.5 / sample_rate
    whole = tuple(note for note in sound.notes if not note.startswith("asked for"))
    return Stretch(source, first, mono.numpy(), grid, tempo, last, notes=whole)


def _because(failed: Stretch, reason: str) -> Stretch:
    return Stretch(
        failed.source, failed.start, failed.samples, failed.grid, failed.tempo, True, reason
    )


def _changed(source: Source) -> str:
    status = os.stat(source.path)  # noqa: PTH116
    if (status.st_size, status.st_mtime_ns) == (source.size, source.mtime_ns):
        return ""
    return "changed while the atlas was made; build again to take it in as it is now"


def stretches(source: Source, sample_rate: int, window: float) -> Iterator[Stretch]:
    """Read a whole clip, stretch by stretch, up to the first that cannot be read.

    Parameters
    ----------
    source : Source
    sample_rate : int
        Of the network, in Hz.
    window : float
        Length of its windows in seconds; stretches are whole windows.
    """
    seconds = stretch_seconds(window)
    number = 0
    while True:
        stretch = read_stretch(source, sample_rate, number * seconds, seconds)
        yield stretch
        if stretch.last:
            return
        number += 1
