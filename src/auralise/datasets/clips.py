"""Decoded tracks, ready to be cut to a network's input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.audio.files import read_audio
from auralise.audio.resampling import resample
from auralise.datasets.base import Track
from auralise.errors import AuraliseError

SILENCE_DB = -60.0


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One decoded track.

    Attributes
    ----------
    samples : Tensor, shape (time,)
        One channel at the asked rate, peak 1, silence at both ends cut off. Collections of
        features rather than sound have (channels, time) here.
    track : Track
    """

    samples: Tensor
    track: Track


def read_clips(
    tracks: Sequence[Track], sample_rate: int, *, progress: Callable[[], None] = lambda: None
) -> Iterator[Clip]:
    """Decode tracks: one channel, resampled, trimmed at -60 dB below the peak, peak scaled to 1.

    Of a file whose end is cut off, what is there is taken.

    Parameters
    ----------
    tracks : sequence of Track
    sample_rate : int
        Of the clips, in Hz.
    progress : callable
        Called after each track.

    Raises
    ------
    AudioFileError
        If a file cannot be read; a note says which track.
    """
    for track in tracks:
        yield Clip(decode(track, sample_rate), track)
        progress()


def decode(track: Track, sample_rate: int) -> Tensor:
    """Decode one track as `read_clips` does.

    Returns
    -------
    Tensor, shape (time,)

    Raises
    ------
    AudioFileError
        If the file cannot be read; a note says which track.
    """
    try:
        sound = read_audio(track.path, allow_truncated=True)
    except AuraliseError as error:
        error.add_note(f"while reading {track.path} ({track.label})")
        raise
    return trim(resample(sound.waveform.mono(), sample_rate).samples[0])


def trim(samples: Tensor) -> Tensor:
    """Cut silence off both ends and scale the peak to 1; silent sounds come back as they are."""
    array = samples.numpy()  # short sounds take longer to hand to torch than to look at
    peak = max(-array.min(), array.max())
    if peak == 0:
        return samples
    floor = peak * 10 ** (SILENCE_DB / 20)
    first = _first_above(array, floor)
    last = len(array) - _first_above(array[::-1], floor)
    return torch.from_numpy(array[first:last] / peak)


def _first_above(samples: NDArray[np.float32], floor: np.float32, block: int = 4096) -> int:
    """Return where the level first exceeds ``floor``, looking no farther than that."""
    for start in range(0, len(samples), block):
        loud = np.abs(samples[start : start + block]) > floor
        if loud.any():
            return start + int(loud.argmax())
    return len(samples)


def place(samples: Tensor, length: int, share: float) -> Tensor:
    """Put a sound into ``length`` samples of silence, or cut ``length`` samples out of it.

    Parameters
    ----------
    samples : Tensor, shape (..., time)
    length : int
        In samples.
    share : float
        Where: 0 puts it first (or cuts from the start), 1 last.

    Returns
    -------
    Tensor, shape (..., length)
    """
    room = length - samples.shape[-1]
    if room < 0:
        start = round(share * -room)
        return samples[..., start : start + length]
    before = round(share * room)
    return torch.nn.functional.pad(samples, (before, room - before))
