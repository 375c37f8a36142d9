"""What a filter sounds like: its impulse response, then noise through it, at a safe level."""

from __future__ import annotations

import torch
from torch import Tensor

from auralise.audio.levels import apply_level
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError

CLICKS = 2
GAP_SECONDS = 0.2
NOISE_SECONDS = 0.4
NOISE_DB = -26.0
"""Root mean square of the noise behind the filter, in dBFS; less if a peak would pass -1 dBFS."""

CLICK_DB = -12.0
"""Peak of the impulse response, in dBFS."""

_RAMP_SECONDS = 0.02


def filter_sound(taps: Tensor, sample_rate: int, seed: int = 0) -> Waveform:
    """Make a filter heard: its impulse response twice, then white noise that it lets pass.

    Parameters
    ----------
    taps : Tensor, shape (length,), real or complex
        The impulse response; of a complex one the real part is heard.
    sample_rate : int
        In Hz.
    seed : int
        Of the noise: the same for all filters, so that only the filters differ.

    Returns
    -------
    Waveform
        One channel, float32, without clipping; however strong the filter is, equally loud.

    Raises
    ------
    ShapeError, InvalidValueError
        If there are no taps, they are not finite, or all are zero.

    Examples
    --------
    >>> sound = filter_sound(torch.tensor([0.0, 1.0, -1.0]).double(), 8000)
    >>> round(sound.duration, 2), bool(sound.samples.abs().max() < 0.9)
    (0.8, True)
    """
    if taps.ndim != 1 or not len(taps):
        raise ShapeError(f"taps must have shape (length,), got {tuple(taps.shape)}")
    real = (taps.real if taps.is_complex() else taps).double()
    largest = float(real.abs().max())
    if not (0 < largest < float("inf")):
        raise InvalidValueError(
            "a filter that is zero or not finite has no sound; leave silent filters out"
        )
    real = real / largest
    gap = torch.zeros(max(1, round(GAP_SECONDS * sample_rate)), dtype=torch.float64)
    click = 10 ** (CLICK_DB / 20) * real
    noise = _noise_through(real, sample_rate, seed)
    parts = [_placed(click, gap)] * CLICKS
    return Waveform(torch.cat([*parts, noise]).float()[None], sample_rate)


def _placed(click: Tensor, gap: Tensor) -> Tensor:
    """Put an impulse response at the beginning of a gap, or a longer one before nothing."""
    return click if len(click) >= len(gap) else torch.cat([click, gap[len(click) :]])


def _noise_through(taps: Tensor, sample_rate: int, seed: int) -> Tensor:
    """Return noise behind a filter, ramped, at `NOISE_DB`."""
    n = round(NOISE_SECONDS * sample_rate)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n + len(taps), generator=generator, dtype=torch.float64)
    width = 1 << (len(noise) + len(taps)).bit_length()
    product = torch.fft.rfft(noise, width) * torch.fft.rfft(taps, width)
    passed = torch.fft.irfft(product, width)[len(taps) : len(taps) + n]
    ramp = min(n // 2, max(1, round(_RAMP_SECONDS * sample_rate)))
    rise = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(ramp, dtype=torch.float64) + 0.5) / ramp)
    passed[:ramp] *= rise
    passed[-ramp:] *= rise.flip(0)
    level = torch.full((1, n), 10 ** (NOISE_DB / 20), dtype=torch.float64)
    heard = apply_level(
        Waveform(passed[None], sample_rate), Waveform(level, sample_rate), "source-rms"
    )
    return heard.waveform.samples[0]
