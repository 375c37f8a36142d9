"""Frequency scales, and how far centre frequencies are from being spread evenly on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor

from auralise.errors import InvalidValueError, ShapeError
from auralise.filters.resampling import Interval, resample
from auralise.filters.response import BankResponse
from auralise.registry import Registry
from auralise.units import hz_to_bark, hz_to_erb_rate, hz_to_mel, hz_to_octave

Warp = Callable[[Tensor], Tensor]

SCALES: Registry[Warp] = Registry("scale")
"""Warps from Hz, increasing: linear, mel-htk, mel-slaney, bark, erb-rate, log2."""


@SCALES.register("linear")
def linear(hz: Tensor) -> Tensor:
    """Leave frequencies as they are."""
    return hz


SCALES.register("mel-htk")(partial(hz_to_mel, scale="htk"))
SCALES.register("mel-slaney")(partial(hz_to_mel, scale="slaney"))
SCALES.register("bark")(hz_to_bark)
SCALES.register("erb-rate")(hz_to_erb_rate)
SCALES.register("log2")(hz_to_octave)

_TAPERED = 5.0 * math.sqrt(math.log(2.0)) / math.pi  # see `visible_slope`
_CORNERS = torch.logspace(0.0, 6.0, 73, dtype=torch.float64)  # Hz; a twelfth of a decade apart


def wasserstein_to_uniform(values: Tensor) -> Tensor:
    r"""Return the Wasserstein distance between samples and the uniform distribution on [0, 1].

    .. math:: W_1 = \int_0^1 | F_n^{-1}(q) - q |\, dq, \qquad
              F_n^{-1}(q) = u_{(i)} \text{ for } (i - 1) / n < q \le i / n

    Parameters
    ----------
    values : Tensor, shape (..., n)
        Sorted along the last axis, in [0, 1].

    Returns
    -------
    Tensor, shape (...)
        From 1 / (4 n), for samples in the middles of n equal parts, to 1 / 2.

    Examples
    --------
    >>> wasserstein_to_uniform(torch.tensor([0.25, 0.75], dtype=torch.float64)).item()
    0.125
    """
    n = _count(values)
    low = torch.arange(n, dtype=values.dtype) / n
    below = (values - low).clamp(-1.0, 1.0)
    above = low + 1.0 / n - values
    # Each part adds the area between a constant and the diagonal: two triangles if they cross.
    crossing = 0.5 * (below**2 + above**2)
    beside = 0.5 * (below - above).abs() / n
    return torch.where((below > 0) & (above > 0), crossing, beside).sum(-1)


def cramer_von_mises_to_uniform(values: Tensor) -> Tensor:
    r"""Return the Cramér-von Mises distance between samples and the uniform distribution.

    .. math:: \int_0^1 (F_n(u) - u)^2 du
              = \frac{1}{12 n^2} + \frac{1}{n} \sum_i (u_{(i)} - \frac{2 i - 1}{2 n})^2

    Parameters
    ----------
    values : Tensor, shape (..., n)
        Sorted along the last axis, in [0, 1].

    Returns
    -------
    Tensor, shape (...)
        The integral, without the factor n of the test statistic, so that banks of different sizes
        can be compared.

    Examples
    --------
    >>> cramer_von_mises_to_uniform(torch.tensor([0.5], dtype=torch.float64)).item()
    0.08333333333333333
    """
    n = _count(values)
    middles = (torch.arange(n, dtype=values.dtype) + 0.5) / n
    return ((values - middles) ** 2).mean(-1) + 1.0 / (12.0 * n * n)


def warp_to_unit(hz: Tensor, warp: Warp, band: tuple[float, float]) -> Tensor:
    """Map a band to [0, 1] so that even spacing on a scale becomes even spacing.

    Parameters
    ----------
    hz : Tensor
        Frequencies within the band.
    warp : callable
        E.g. ``SCALES["bark"]``.
    band : pair of float
        Its edges, in Hz.

    Raises
    ------
    InvalidValueError
        If the band is empty or begins at or below 0 Hz, or a frequency is outside.

    Examples
    --------
    >>> frequencies = torch.tensor([100.0, 1000.0, 10000.0], dtype=torch.float64)
    >>> warp_to_unit(frequencies, SCALES["log2"], (100.0, 10000.0))
    tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)
    """
    low, high = band
    if not 0 < low < high:
        raise InvalidValueError(f"a band needs 0 < low < high, got {low:g} to {high:g} Hz")
    if hz.numel() and not (float(hz.min()) >= low and float(hz.max()) <= high):
        raise InvalidValueError(
            f"frequencies from {float(hz.min()):g} to {float(hz.max()):g} Hz are not all within "
            f"the band from {low:g} to {high:g} Hz; leave the others out first"
        )
    edges = warp(torch.tensor([low, high], dtype=torch.float64))
    return ((warp(hz) - edges[0]) / (edges[1] - edges[0])).clamp(0.0, 1.0)


def stretch(values: Tensor) -> Tensor:
    """Spread sorted samples over [0, 1] by their own extremes, for a bank of unknown band.

    The smallest becomes 1 / (2 n), the largest 1 - 1 / (2 n).
    """
    n = _count(values)
    span = (values[..., -1:] - values[..., :1]).clamp_min(1e-12)
    return ((values - values[..., :1]) / span * (n - 1) + 0.5) / n


@lru_cache(maxsize=64)
def chance_distance(n: int, *, stretched: bool = False, level: float = 0.95) -> float:
    """Return the Wasserstein distance that samples from the uniform distribution rarely exceed.

    Parameters
    ----------
    n : int
        Number of samples.
    stretched : bool
        Whether `stretch` is applied to them.
    level : float
        Share of draws below, of 2000 that are made.
    """
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(2000, n, generator=generator, dtype=torch.float64).sort(-1).values
    distances = wasserstein_to_uniform(stretch(draws) if stretched else draws)
    return float(torch.quantile(distances, level))


def fit_family(
    groups: Tensor | list[Tensor], band: tuple[float, float], *, draws: int = 500, seed: int = 0
) -> Interval:
    """Find the corner frequency a of log(1 + f / a) on which frequencies are spread most evenly.

    700 Hz is the mel scale (HTK), 229 Hz the ERB-rate; towards 0 the scale becomes logarithmic,
    towards infinity linear. The best of 73 values from 1 Hz to 1 MHz in equal ratios (1.21), by
    the Cramér-von Mises distance; the ends of this range are given as 0 and infinity.

    Parameters
    ----------
    groups : Tensor, shape (n,), or list of Tensor
        Centre frequencies in Hz, in one tensor for each bank.
    band : pair of float
        Where they are to be spread, in Hz.
    draws : int
        Of the bootstrap, over banks and over filters within them.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Interval
        In Hz; of 95 %.

    Examples
    --------
    >>> mel = torch.linspace(hz_to_mel(100.0, "htk"), hz_to_mel(8000.0, "htk"), 64)
    >>> from auralise.units import mel_to_hz
    >>> fit = fit_family(mel_to_hz(mel.double(), "htk"), (100.0, 8000.0))
    >>> fit.low < 700 < fit.high
    True
    """
    frequencies, index = resample(groups, draws, seed)
    n = frequencies.numel()
    corners = _CORNERS[:, None]
    low, high = (torch.log1p(edge / corners) for edge in band)
    table = ((torch.log1p(frequencies / corners) - low) / (high - low)).clamp(0.0, 1.0)
    # The distance is a sum over samples of u^2 - 2 u q, up to what all corners share.
    middles = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    costs = torch.stack([(u[index] * (u[index] - 2.0 * middles)).sum(-1) for u in table])
    observed = (table * (table - 2.0 * middles)).sum(-1)
    values = _CORNERS.clone()
    values[0], values[-1] = 0.0, math.inf
    drawn = values[costs.argmin(0)].sort().values
    return Interval(
        float(values[observed.argmin()]),
        float(drawn[int(0.025 * (draws - 1))]),
        float(drawn[math.ceil(0.975 * (draws - 1))]),
    )


def visible_slope(
    groups: list[Tensor], scale: str, band: tuple[float, float], resolution: float
) -> float:
    r"""Return the slope of log bandwidth that an even bank of the same length could show.

    Each centre frequency is given the bandwidth that filters spread evenly on the scale would have,
    one and a half times the distance to the next, but none below 1.33 fs / L, the bandwidth of a
    Gaussian of which five standard deviations fit in.

    Parameters
    ----------
    groups : list of Tensor
        Centre frequencies in Hz, in one tensor for each bank.
    scale : str
        Name in `SCALES`.
    band : pair of float
        In Hz.
    resolution : float
        fs / L, in Hz.

    Examples
    --------
    >>> centres = torch.logspace(2, 3.5, 40, dtype=torch.float64)
    >>> round(visible_slope([centres], "log2", (62.5, 8000.0), 1.0), 3)
    1.0
    >>> abs(round(visible_slope([centres], "log2", (62.5, 8000.0), 1000.0), 3))
    0.0
    """
    warp = SCALES[scale]
    centres = torch.cat(groups)
    each = max(1.0, len(centres) / sum(len(part) > 0 for part in groups))
    low, high = warp(torch.tensor(band, dtype=torch.float64))
    nearby = torch.stack([warp(centres * 0.999), warp(centres * 1.001)])
    width = 1.5 * (high - low) / each * 0.002 * centres / (nearby[1] - nearby[0])
    x, y = centres.log(), width.clamp_min(_TAPERED * resolution).log()
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum().clamp_min(1e-12))


def cumulative_response(response: BankResponse, weights: Tensor | None = None) -> Tensor:
    """Add up what a bank passes, every filter with the same energy.

    Parameters
    ----------
    response : BankResponse
    weights : Tensor, shape (filters,), optional
        What each filter counts, for instance its mean activation on real sound; not negative.
        All alike if not given.

    Returns
    -------
    Tensor, shape (bins,)
        A density per Hz, whose integral over ``response.frequencies`` is 1; silent filters count
        nothing.

    Raises
    ------
    InvalidValueError
        If no filter counts.
    """
    heard = ~response.silent
    share = torch.ones(len(heard), dtype=torch.float64) if weights is None else weights.double()
    if share.shape != heard.shape:
        raise ShapeError(f"weights must have shape {tuple(heard.shape)}, got {tuple(share.shape)}")
    share = torch.where(heard, share, torch.zeros_like(share))
    if not bool((share >= 0).all()) or not float(share.sum()) > 0:
        raise InvalidValueError("weights must not be negative, and one filter must count")
    energy = torch.trapezoid(response.power, response.frequencies, dim=1)
    scale = torch.where(share > 0, share / energy, torch.zeros_like(share))
    return (scale @ response.power) / share.sum()


def _count(values: Tensor) -> int:
    """Return the number of samples along the last axis; refuse none."""
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ShapeError(f"samples must have shape (..., n), n > 0, got {tuple(values.shape)}")
    return int(values.shape[-1])
