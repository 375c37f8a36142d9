"""Sound files written without clipping, whole or not at all."""

from __future__ import annotations

import io
import os
import secrets
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, OutputError, UnknownNameError

# Bits of the sample formats that store integers; 0 for those that store floats.
_BITS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "FLOAT": 0,
    "DOUBLE": 0,
}
SUBTYPES = {
    "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
    "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
}
"""Sample formats that each file format can be written with."""


def write_audio(
    path: str | os.PathLike[str], waveform: Waveform, *, subtype: str = "PCM_24"
) -> None:
    """Write a sound as WAV or FLAC, after the name's ending; replaces a file of that name.

    The file appears under its name when it is complete. Integer formats get the nearest code to
    every sample, without dither; the codes reach from -1 to just below 1, so 1 becomes the largest.

    Parameters
    ----------
    path : str or path-like
        Ends in ``.wav`` or ``.flac``; the folder exists.
    waveform : Waveform
        At least one sample; finite. Within [-1, 1], unless the sample format stores floats.
    subtype : str
        From `SUBTYPES`.

    Raises
    ------
    InvalidValueError
        If the sound would clip, is empty or not finite, or the ending is another.
    UnknownNameError
        If the file format has no such sample format.
    OutputError
        If the file cannot be written; nothing is left behind then, and a file that was there stays.
    """
    path = Path(path)
    formats = {f".{name.lower()}": name for name in SUBTYPES}
    if path.suffix.lower() not in formats:
        raise InvalidValueError(
            f"a sound file's name must end in {' or '.join(formats)}, got {path.name!r}"
        )
    _write_whole(path, _encode(waveform, formats[path.suffix.lower()], subtype))


def encode_wav(waveform: Waveform, subtype: str = "PCM_16") -> bytes:
    """Return a sound as the bytes of a WAV file.

    Parameters
    ----------
    waveform : Waveform
        As for `write_audio`.
    subtype : str
        From ``SUBTYPES["WAV"]``.

    Raises
    ------
    InvalidValueError
        If the sound would clip, is empty or not finite.
    UnknownNameError
        If there is no such sample format.

    Examples
    --------
    >>> import torch
    >>> encode_wav(Waveform(torch.zeros(1, 8), 8000))[:4]
    b'RIFF'
    """
    return _encode(waveform, "WAV", subtype)


def _encode(waveform: Waveform, name: str, subtype: str) -> bytes:
    """Return the bytes of a file of format ``name``."""
    if subtype not in SUBTYPES[name]:
        raise UnknownNameError(f"{name} sample format", subtype, SUBTYPES[name])
    samples = waveform.samples.detach().cpu().double().numpy().T
    _check(samples, _BITS[subtype])
    if name == "WAV" and samples.size * max(1, (_BITS[subtype] or 64) // 8) > 0xFFFF0000:
        raise InvalidValueError(
            f"{samples.size} samples as {subtype} do not fit into a WAV file (4 GiB); write FLAC"
        )
    buffer = io.BytesIO()
    codes = _codes(samples, _BITS[subtype])
    try:
        soundfile.write(buffer, codes, waveform.sample_rate, subtype=subtype, format=name)
    except soundfile.LibsndfileError as error:
        raise InvalidValueError(
            f"{samples.shape[1]} channels at {waveform.sample_rate} Hz cannot be written as "
            f"{name} {subtype}: {error.error_string}"
        ) from error
    return buffer.getvalue()


def _check(samples: NDArray[np.float64], bits: int) -> None:
    """Refuse what cannot be written without loss: nothing, NaN, clipping."""
    if samples.size == 0:
        raise InvalidValueError(
            f"a sound of {samples.shape[1]} channels and {samples.shape[0]} samples is empty; "
            "there is nothing to write"
        )
    bad = int((~np.isfinite(samples)).sum())
    if bad:
        raise InvalidValueError(f"{bad} of {samples.size} samples are NaN or infinite")
    peak = float(np.abs(samples).max())
    if bits and peak > 1:
        raise InvalidValueError(
            f"the sound would clip: its peak is {peak:.4g} ({20 * np.log10(peak):+.2f} dBFS) and "
            "must be at most 1; bring it down with apply_level, or write it as FLOAT"
        )


def _codes(samples: NDArray[np.float64], bits: int) -> NDArray[np.float64] | NDArray[np.int32]:
    """Round to the nearest code, in the upper bits of 32 as libsndfile takes them."""
    if not bits:
        return samples
    scale = float(2 ** (bits - 1))
    codes = np.clip(np.rint(samples * scale), -scale, scale - 1)
    return (codes * float(2 ** (32 - bits))).astype(np.int32)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and move it there; remove it if that fails."""
    aside = path.with_name(f".auralise-{secrets.token_hex(8)}.part")
    try:
        try:
            with aside.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(path)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(
            f"{os.fspath(path)!r} cannot be written: {reason}; nothing was left there"
        ) from error
