"""Another sampling rate, another length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError


def resampled_length(n_samples: int, old_rate: int, new_rate: int) -> int:
    """Return ``n_samples * new_rate / old_rate``, rounded up: no instant of the sound is lost.

    Examples
    --------
    >>> resampled_length(1001, 44_100, 16_000)
    364
    """
    return -(-n_samples * new_rate // old_rate)


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """Return the sound at another sampling rate, band-limited to the lower of both Nyquists.

    Linear phase, no delay; the sound is taken to be silent before its start and after its end.

    Parameters
    ----------
    waveform : Waveform
        With float32 or float64 samples.
    sample_rate : int
        Wanted rate in Hz.

    Returns
    -------
    Waveform
        `resampled_length` samples long, same channels, dtype and device; the waveform itself
        where it has the wanted rate already. Cut off from the gradient otherwise.

    Raises
    ------
    InvalidValueError
        If the rate is not positive or the samples have another dtype.

    Examples
    --------
    >>> resample(Waveform(torch.zeros(1, 44_100), 44_100), 16_000).samples.shape
    torch.Size([1, 16000])
    """
    if sample_rate <= 0:
        raise InvalidValueError(f"sample_rate must be positive, got {sample_rate} Hz")
    if sample_rate == waveform.sample_rate:
        return waveform
    samples = waveform.samples
    if samples.dtype not in (torch.float32, torch.float64):
        raise InvalidValueError(
            f"samples must be float32 or float64 to be resampled, got {samples.dtype}; "
            "convert them with samples.float()"
        )
    return Waveform(_resample(samples, waveform.sample_rate, sample_rate), sample_rate)


def pad_to(waveform: Waveform, n_samples: int) -> Waveform:
    """Return the sound followed by silence until it has ``n_samples`` samples.

    A sound that is long enough is returned as it is; nothing is ever cut off.

    Examples
    --------
    >>> pad_to(Waveform(torch.ones(1, 2), 8000), 4).samples
    tensor([[1., 1., 0., 0.]])
    """
    missing = n_samples - waveform.n_samples
    if missing <= 0:
        return waveform
    padded = torch.nn.functional.pad(waveform.samples, (0, missing))
    return Waveform(padded, waveform.sample_rate)


def _resample(samples: Tensor, old_rate: int, new_rate: int) -> Tensor:
    """Resample every row of ``samples``, shape (channels, time)."""
    channels, n_samples = samples.shape
    length = resampled_length(n_samples, old_rate, new_rate)
    if length == 0 or channels == 0:
        return samples.new_zeros(channels, length)
    source = np.ascontiguousarray(samples.detach().cpu().numpy().T)
    with _without_denormals():
        resampled = _soxr(source, old_rate, new_rate)[:length]
    return torch.from_numpy(np.ascontiguousarray(resampled.T)).to(samples.device)


def _soxr(source: NDArray[Any], old_rate: int, new_rate: int) -> NDArray[Any]:
    """Resample an array of shape (time, channels) to at least the length that is wanted."""
    # soxr rounds the length to the nearest; with silence behind it has the last sample, too.
    if 2 * (len(source) * new_rate % old_rate) > old_rate:
        whole: NDArray[Any] = soxr.resample(source, old_rate, new_rate, quality="HQ")
        return whole
    stream = soxr.ResampleStream(old_rate, new_rate, source.shape[1], source.dtype, quality="HQ")
    silence = np.zeros((2 * (old_rate // new_rate) + 2, source.shape[1]), source.dtype)
    parts = [stream.resample_chunk(source), stream.resample_chunk(silence, last=True)]
    resampled: NDArray[Any] = np.concatenate(parts)
    return resampled


@contextmanager
def _without_denormals() -> Iterator[None]:
    """Take numbers below 1e-37 for zeros in this thread: they are slow, and far from audible."""
    smallest = np.float32(2.0**-126)
    flushed = bool(smallest * np.float32(0.5) == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)
