"""Banks whose answers are known: to try an analysis on, and to compare with."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from auralise.errors import InvalidValueError, ShapeError
from auralise.filters.bank import FilterBank
from auralise.filters.scales import SCALES, Warp

_LONGEST = 5.0  # standard deviations of a Gabor's envelope that must fit into its length


def gabor_bank(
    centres: Tensor, bandwidths: Tensor, *, length: int, sample_rate: int, seed: int = 0
) -> FilterBank:
    r"""Make Gabor filters: tones of random phase under a Gaussian.

    .. math:: h(t) = e^{-t^2 / 2 \sigma^2} \cos(2 \pi f t + \varphi), \qquad
              \sigma = \sqrt{\ln 2} / (\pi b)

    Here :math:`b` is the -3 dB bandwidth, unless the length has no room for it: five standard
    deviations must fit in, which widens narrower filters.

    Parameters
    ----------
    centres, bandwidths : Tensor, shape (filters,)
        In Hz, above 0.
    length : int
        In samples.
    sample_rate : int
        In Hz.
    seed : int
        Of the phases.

    Examples
    --------
    >>> centres = torch.tensor([500.0, 1000.0])
    >>> bank = gabor_bank(centres, centres / 4, length=256, sample_rate=16000)
    >>> bank.impulse_responses.shape
    torch.Size([2, 256])
    """
    if centres.ndim != 1 or centres.shape != bandwidths.shape:
        raise ShapeError(
            f"centres and bandwidths must have one shape (filters,), got {tuple(centres.shape)} "
            f"and {tuple(bandwidths.shape)}"
        )
    if not bool((centres > 0).all() & (bandwidths > 0).all()):
        raise InvalidValueError("centres and bandwidths must be above 0 Hz")
    sigma = math.sqrt(math.log(2.0)) / (math.pi * bandwidths.double()[:, None])
    sigma = sigma.clamp(max=length / sample_rate / _LONGEST)
    time = (torch.arange(length, dtype=torch.float64) - (length - 1) / 2) / sample_rate
    generator = torch.Generator().manual_seed(seed)
    turn = torch.rand(len(centres), 1, generator=generator, dtype=torch.float64)
    angle = 2.0 * math.pi * (centres.double()[:, None] * time + turn)
    return FilterBank(torch.exp(-0.5 * (time / sigma) ** 2) * torch.cos(angle), sample_rate)


def scale_bank(
    scale: str,
    filters: int,
    *,
    length: int = 256,
    sample_rate: int = 16000,
    band: tuple[float, float] | None = None,
    seed: int = 0,
) -> FilterBank:
    """Make Gabor filters that are spread evenly at random on a scale.

    Their bandwidth is one and a half times the mean distance to the next one.

    Parameters
    ----------
    scale : str
        Name in `SCALES`.
    filters : int
        How many.
    length, sample_rate : int
        In samples and Hz.
    band : pair of float, optional
        In Hz; from fs / L to half the sample rate if not given.
    seed : int
        Of frequencies and phases.

    Examples
    --------
    >>> scale_bank("bark", 32).impulse_responses.shape
    torch.Size([32, 256])
    """
    warp: Warp = SCALES[scale]
    low, high = (sample_rate / length, sample_rate / 2) if band is None else band
    grid = torch.linspace(low, high, 1 << 14, dtype=torch.float64)
    warped = warp(grid)
    generator = torch.Generator().manual_seed(seed)
    place = torch.rand(filters, generator=generator, dtype=torch.float64)
    span = warped[-1] - warped[0]
    right = torch.searchsorted(warped, warped[0] + place * span).clamp(1, len(grid) - 1)
    step = (grid[right] - grid[right - 1]) / (warped[right] - warped[right - 1])
    centres = grid[right] + (warped[0] + place * span - warped[right]) * step
    return gabor_bank(
        centres, 1.5 * step * span / filters, length=length, sample_rate=sample_rate, seed=seed
    )


def untrained_bank(
    filters: int, *, length: int = 256, sample_rate: int = 16000, seed: int = 0
) -> FilterBank:
    """Make the filters that PyTorch gives a convolution: uniform within 1 / sqrt(length).

    Examples
    --------
    >>> bool(untrained_bank(32).impulse_responses.abs().max() <= 1 / 16)
    True
    """
    generator = torch.Generator().manual_seed(seed)
    taps = torch.rand(filters, length, generator=generator, dtype=torch.float64)
    return FilterBank((2.0 * taps - 1.0) / math.sqrt(length), sample_rate)
