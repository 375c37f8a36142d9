"""Sound files: read with every doubt resolved, written whole or not at all."""

from __future__ import annotations

import math
import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from auralise.audio import containers, decoding
from auralise.audio.container import Container
from auralise.audio.waveform import Waveform
from auralise.audio.writing import encode_wav, write_audio
from auralise.errors import AudioFileError, InvalidValueError

__all__ = ["AudioFile", "clipped_share", "encode_wav", "read_audio", "write_audio"]

# The largest code of formats too coarse to come nearer to 1 than this.
_LARGEST = {
    "PCM_U8": 127 / 128,
    "PCM_S8": 127 / 128,
    "ULAW": 32124 / 32768,
    "ALAW": 32256 / 32768,
}
_FULL_SCALE = 0.9999
_SILENCE = 1e-12  # Opus turns zeros into values near 1e-34


@dataclass(frozen=True, slots=True, eq=False)
class AudioFile:
    """A stretch of a sound file.

    Attributes
    ----------
    waveform : Waveform
        All channels, float32, at the file's own rate.
    path : Path
        Where it was read from.
    format : str
        Container and sample format, e.g. ``"WAV PCM_24"``.
    start : float
        Where in the file the waveform begins, in seconds.
    total_seconds : float
        Length of the file.
    notes : tuple of str
        What a listener should know: silence, clipping, a stretch shorter than asked for.
    """

    waveform: Waveform
    path: Path
    format: str
    start: float
    total_seconds: float
    notes: tuple[str, ...] = ()


def read_audio(
    path: str | os.PathLike[str],
    *,
    start: float = 0.0,
    seconds: float | None = None,
    allow_truncated: bool = False,
) -> AudioFile:
    """Read a sound file, or a stretch of one.

    WAV, AIFF, FLAC, OGG Vorbis, OGG Opus and MP3 of any rate, number of channels and sample format.
    WAV, AIFF, FLAC and MP3 are decoded from ``start`` on. OGG is decoded from the beginning of the
    file to the end of the stretch, since libsndfile misses places near the end of Vorbis files.

    Parameters
    ----------
    path : str or path-like
        A regular file.
    start : float
        Where to begin, in seconds.
    seconds : float or None
        How much to read; None reads to the end.
    allow_truncated : bool
        Read what is there of a file that is cut short or whose header is wrong about its length,
        and say so in a note.

    Returns
    -------
    AudioFile
        The samples and what is known of the file.

    Raises
    ------
    AudioFileError
        If the file cannot be opened, is in another format, is cut short, has no samples, or has
        samples that are NaN or infinite in the stretch that was read.
    InvalidValueError
        If ``start`` or ``seconds`` is negative or not finite, or ``start`` lies beyond the end.
    """
    _check_stretch(start, seconds)
    if not isinstance(path, Path):
        path = Path(path)
    with _open(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        container = _recognise(stream, size, path)
        if container.damage and not allow_truncated:
            raise AudioFileError(
                f"{_name(path)} cannot be read as a whole: {container.damage}. {_REMEDY}"
            )
        with ExitStack() as stack:
            remarks: list[str] = []
            if container.name == "MP3":
                remarks = stack.enter_context(decoding.captured_remarks())
            try:
                sound = stack.enter_context(decoding.open_decoder(stream, container))
                stretch = _read_stretch(sound, container, path, start, seconds, allow_truncated)
            except soundfile.LibsndfileError as error:
                raise AudioFileError(
                    f"{_name(path)} cannot be decoded: {container.damage or error.error_string}"
                ) from error
    return _with_notes(stretch, [f"decoder: {remark}" for remark in remarks])


_REMEDY = (
    "Get the file again, or call read_audio(..., allow_truncated=True) for what can be read of it"
)


def _check_stretch(start: float, seconds: float | None) -> None:
    """Refuse places and lengths that no file has."""
    if not (math.isfinite(start) and start >= 0):
        raise InvalidValueError(f"start must be at least 0 s, got {start} s")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise InvalidValueError(f"seconds must be above 0 s and finite, got {seconds} s")


def _name(path: Path) -> str:
    """Return a path as shown in messages: quoted, on one line, whatever is in it."""
    return repr(os.fspath(path))


def _open(path: Path) -> BinaryIO:
    """Open a regular file that is not empty."""
    try:
        mode = path.stat()
        if stat.S_ISDIR(mode.st_mode):
            raise AudioFileError(f"{_name(path)} is a folder; give a sound file in it")
        if not stat.S_ISREG(mode.st_mode):
            raise AudioFileError(f"{_name(path)} is not a regular file; give a sound file")
        if mode.st_size == 0:
            raise AudioFileError(f"{_name(path)} is empty (0 bytes)")
        return path.open("rb")
    except AudioFileError:
        raise
    except FileNotFoundError as error:
        raise AudioFileError(f"there is no file {_name(path)}") from error
    except OSError as error:
        raise AudioFileError(f"{_name(path)} cannot be opened: {error.strerror}") from error
    except ValueError as error:
        raise AudioFileError(f"{_name(path)} cannot be opened: {error}") from error


def _recognise(stream: BinaryIO, size: int, path: Path) -> Container:
    """Return what kind of sound file this is."""
    try:
        container = containers.inspect(stream, size)
        if container is not None:
            return container
        stream.seek(0)
        head = stream.read(64)
    except OSError as error:
        raise AudioFileError(f"{_name(path)} cannot be read: {error.strerror}") from error
    raise AudioFileError(
        f"{_name(path)} is not a sound file of a known format: {containers.guess(head)}. "
        f"Formats that work: {containers.FORMATS}"
    )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Decoded samples and where they stand."""

    samples: NDArray[np.float32]  # (time, channels)
    rate: int
    subtype: str
    format: str
    path: Path
    first: int
    total: int
    notes: tuple[str, ...]


def _read_stretch(
    sound: soundfile.SoundFile,
    container: Container,
    path: Path,
    start: float,
    seconds: float | None,
    allow_truncated: bool,
) -> _Stretch:
    """Decode what was asked for and refuse what falls short of the file's own promise."""
    rate, total = sound.samplerate, sound.frames
    if total == 0:
        raise AudioFileError(f"{_name(path)} holds no samples")
    notes = list(container.notes)
    if container.damage:
        notes.append(f"not the whole sound: {container.damage}")
    first = round(start * rate)
    if first >= total:
        raise InvalidValueError(
            f"start must be before the end of {_name(path)}, which is {total / rate:g} s long, "
            f"got {start:g} s"
        )
    wanted = total - first if seconds is None else round(seconds * rate)
    if wanted == 0:
        raise InvalidValueError(f"seconds must reach one sample (1/{rate} s), got {seconds:g} s")
    if wanted > total - first:
        notes.append(
            f"asked for {seconds:g} s from {start:g} s on; the file ends at {total / rate:g} s"
        )
    expected = min(wanted, total - first)
    in_sequence = container.name == "OGG" or container.damage is not None
    samples, complaint = decoding.decode(sound, first, expected, in_sequence=in_sequence)
    if len(samples) < expected:
        shortfall = (
            f"it promises {total} samples and decoding ends after {first + len(samples)}"
            f"{f' ({complaint})' if complaint else ''}"
        )
        if not allow_truncated or len(samples) == 0:
            raise AudioFileError(f"{_name(path)} cannot be read as a whole: {shortfall}. {_REMEDY}")
        notes.append(f"not the whole sound: {shortfall}")
        total = first + len(samples)
    format_name = f"{sound.format} {sound.subtype}"
    return _Stretch(samples, rate, sound.subtype, format_name, path, first, total, tuple(notes))


def _with_notes(stretch: _Stretch, remarks: list[str]) -> AudioFile:
    """Look at the samples, refuse those that are no numbers, and say what is odd about the rest."""
    samples = torch.from_numpy(np.ascontiguousarray(stretch.samples.T))
    peak = float(max(-stretch.samples.min(), stretch.samples.max()))  # NaN if any sample is
    if not math.isfinite(peak):
        bad = ~samples.isfinite()
        first = int(bad.any(0).int().argmax())
        raise AudioFileError(
            f"{_name(stretch.path)} holds {int(bad.sum())} samples that are NaN or infinite, "
            f"the first at {(stretch.first + first) / stretch.rate:.6f} s; make the file again"
        )
    notes = [*stretch.notes, *remarks]
    if samples.shape[1] == 1:
        notes.append("one sample only: too short to hear anything")
    if peak < _SILENCE:
        notes.append("digital silence: no sample is above -240 dBFS")
    full_scale = _LARGEST.get(stretch.subtype, 1.0)
    reaches = peak >= _FULL_SCALE * full_scale
    if reaches and (share := clipped_share(samples, full_scale)) > 0:
        notes.append(f"{share:.2%} of the samples are at full scale in a row: clipping is likely")
    if peak > 1.001:
        notes.append(f"samples go over full scale (peak {20 * math.log10(peak):+.2f} dBFS)")
    return AudioFile(
        Waveform(samples, stretch.rate),
        stretch.path,
        stretch.format,
        stretch.first / stretch.rate,
        stretch.total / stretch.rate,
        tuple(notes),
    )


def clipped_share(samples: torch.Tensor, full_scale: float = 1.0) -> float:
    """Return the share of samples in runs of three or more at full scale, of one sign.

    Parameters
    ----------
    samples : Tensor, shape (channels, time)
    full_scale : float
        Largest magnitude that the format of the samples can hold.

    Examples
    --------
    >>> clipped_share(torch.tensor([[0.0, 1.0, 1.0, 1.0, 0.0, -1.0, 0.5, 0.5]]))
    0.375
    """
    clipped = 0
    for channel in samples.numpy():
        level = channel.dtype.type(_FULL_SCALE * full_scale)
        for full in (channel >= level, channel <= -level):
            places = np.flatnonzero(full)
            ends = np.flatnonzero(np.diff(places, append=-1) != 1)
            runs = np.diff(ends, prepend=-1)
            clipped += int(runs[runs >= 3].sum())
    return clipped / samples.numel() if clipped else 0.0
