"""What filters pass: centre frequency, width, selectivity, each from the power response."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.errors import InvalidValueError, ShapeError
from auralise.filters.bank import FilterBank

_CHUNK = 1 << 17  # values that are worked on at a time: few enough for a processor's cache
_FLOOR = 1e-12  # powers below -120 dB of the peak count as that, in logarithms
_NARROWEST = 0.886  # -3 dB width of a rectangular window, in units of fs / L


@dataclass(frozen=True, slots=True, eq=False)
class BankResponse:
    r"""The power responses of a bank, and numbers that describe them.

    All are float64, of shape (filters,) and in Hz where nothing else is said; not a number for
    silent filters. The power is :math:`P(f) = |H(f)|^2` from 0 to half the sample rate.

    Attributes
    ----------
    frequencies : Tensor, shape (bins,)
        Where the response is sampled.
    power : Tensor, shape (filters, bins)
        :math:`P`.
    resolution : float
        fs / L: no structure narrower than about this can be seen.
    peak : Tensor
        Frequency of the largest power, by a parabola through three logarithms.
    centroid : Tensor
        Mean frequency, weighted with the power.
    median : Tensor
        Half of the energy lies below it.
    bandwidth : Tensor
        Between the nearest points on both sides of the peak where the power is half of it; a side
        that has none ends at 0 Hz or at half the sample rate.
    erb : Tensor
        Equivalent rectangular bandwidth, :math:`\int P df / \max P`.
    rms_width : Tensor
        Standard deviation of frequency, weighted with the power.
    quality : Tensor
        Peak over bandwidth, Q; not a number where the bandwidth is larger.
    peak_fraction : Tensor
        Share of the energy within :math:`\pm 2 f_s / L` of the peak, in [0, 1].
    flatness : Tensor
        Geometric over arithmetic mean of the power, in (0, 1]; 1 is white. Powers more than
        120 dB below the peak count as -120 dB.
    negative_fraction : Tensor
        Share of the energy at negative frequencies: 0.5 for a real filter, 0 for an analytic one.
    silent, duplicate : Tensor, bool
        Filters that add nothing: see `FilterBank`.
    unresolved : Tensor, bool
        The peak is below fs / L, or the filter is silent.
    names : tuple of str
        One for each filter.

    References
    ----------
    .. [1] F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier
       transform", Proc. IEEE 66(1), 1978.
    """

    frequencies: Tensor
    power: Tensor
    resolution: float
    peak: Tensor
    centroid: Tensor
    median: Tensor
    bandwidth: Tensor
    erb: Tensor
    rms_width: Tensor
    quality: Tensor
    peak_fraction: Tensor
    flatness: Tensor
    negative_fraction: Tensor
    silent: Tensor
    duplicate: Tensor
    names: tuple[str, ...]

    @property
    def unresolved(self) -> Tensor:
        """Which filters have no frequency that their length can resolve: bool, (filters,)."""
        return ~(self.peak >= self.resolution)

    @property
    def nyquist(self) -> float:
        """Half the sample rate, in Hz."""
        return float(self.frequencies[-1])

    @property
    def relative_bandwidth(self) -> Tensor:
        """Bandwidth in units of the narrowest a filter of this length can be (0.886 fs / L)."""
        return self.bandwidth / (_NARROWEST * self.resolution)

    def selective(self, threshold: float) -> Tensor:
        """Which filters are tuned to a frequency: bool, (filters,).

        Those that have more than ``threshold`` of their energy within 2 fs / L of their peak, are
        resolved, and copy no earlier filter.
        """
        return (self.peak_fraction > threshold) & ~self.unresolved & ~self.duplicate


def respond(bank: FilterBank) -> BankResponse:
    """Analyse a bank of filters.

    The Fourier transform is taken over at least 4096 points and 16 times the length, so that
    reading between its bins costs nothing; the resolution stays fs / L.

    Parameters
    ----------
    bank : FilterBank

    Returns
    -------
    BankResponse

    Examples
    --------
    >>> time = torch.arange(-128, 128, dtype=torch.float64) / 16000
    >>> gabor = torch.exp(-0.5 * (time / 0.002) ** 2) * torch.cos(2 * torch.pi * 1000 * time)
    >>> response = respond(FilterBank(gabor[None], 16000))
    >>> round(response.peak.item(), 1), round(response.bandwidth.item(), 1)
    (1000.0, 132.5)
    """
    taps = bank.impulse_responses
    n_fft = 1 << (max(4096, 16 * taps.shape[1]) - 1).bit_length()
    rows = max(1, _CHUNK // n_fft)
    power = torch.empty(len(taps), n_fft // 2 + 1, dtype=torch.float64)
    negative = torch.empty(len(taps), dtype=torch.float64)
    for part, *out in zip(*(torch.split(x, rows) for x in (taps, power, negative)), strict=True):
        for target, value in zip(out, _power(part, n_fft), strict=True):
            target.copy_(value)
    step = bank.sample_rate / n_fft
    return _describe(
        power, step, bank.resolution, negative, bank.silent, bank.duplicate, bank.names
    )


def respond_to_magnitudes(
    magnitudes: Tensor, sample_rate: int, names: tuple[str, ...] = ()
) -> BankResponse:
    """Analyse filters that are weights over the bins of a spectrum, such as a mel bank's.

    Parameters
    ----------
    magnitudes : Tensor, shape (filters, bins), float64
        ``|H|`` on equally spaced frequencies from 0 to half of ``sample_rate``; not negative.
    sample_rate : int
        In Hz.
    names : tuple of str, optional
        One for each filter.

    Returns
    -------
    BankResponse
        Its resolution is the spacing of the bins.

    Raises
    ------
    ShapeError, InvalidValueError
        If the magnitudes are of another shape, negative or not finite.

    Examples
    --------
    >>> from auralise.spectral import StftSpec, mel_bank
    >>> bank = mel_bank(StftSpec(16000, 2048, 512), 40)
    >>> response = respond_to_magnitudes(bank.weights, 16000)
    >>> bool(((response.peak - bank.centres).abs() < response.resolution).all())
    True
    """
    if magnitudes.ndim != 2 or len(magnitudes) == 0 or magnitudes.shape[1] < 3:
        raise ShapeError(
            f"magnitudes must have shape (filters, bins), 3 bins or more, got "
            f"{tuple(magnitudes.shape)}"
        )
    if not bool((magnitudes >= 0).all() & torch.isfinite(magnitudes).all()):
        raise InvalidValueError("magnitudes must be finite and not negative")
    if sample_rate <= 0:
        raise InvalidValueError(f"sample_rate must be positive, got {sample_rate} Hz")
    weights = magnitudes.double()
    # Weights over bins have the same norms and correlations as filters have: ask a bank.
    like = FilterBank(weights, sample_rate, names=names)
    step = sample_rate / 2 / (weights.shape[1] - 1)
    negative = torch.full((len(weights),), 0.5, dtype=torch.float64)
    return _describe(weights**2, step, step, negative, like.silent, like.duplicate, like.names)


def _power(taps: Tensor, n_fft: int) -> tuple[Tensor, Tensor]:
    """Return ``|H|``^2 at frequencies from 0 to half the rate, and the share at negative ones."""
    half = n_fft // 2
    if not taps.is_complex():
        spectrum = torch.fft.rfft(taps, n_fft)
        share = torch.full((len(taps),), 0.5, dtype=torch.float64)
        return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag), share
    spectrum = torch.fft.fft(taps, n_fft)
    power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
    both = 0.5 * (power[:, 0] + power[:, half])  # belong to either side
    share = (power[:, half + 1 :].sum(1) + both) / power.sum(1)
    return power[:, : half + 1].contiguous(), share


def _describe(
    power: Tensor,
    step: float,
    resolution: float,
    negative: Tensor,
    silent: Tensor,
    duplicate: Tensor,
    names: tuple[str, ...],
) -> BankResponse:
    """Compute every number from the power response, some filters at a time."""
    rows = max(1, _CHUNK // power.shape[1])
    chunks = [_measure(part, step, resolution) for part in torch.split(power, rows)]
    table = {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}
    table["negative_fraction"] = negative
    missing = torch.full_like(negative, torch.nan)
    numbers = {name: torch.where(silent, missing, value) for name, value in table.items()}
    return BankResponse(
        frequencies=torch.arange(power.shape[1], dtype=torch.float64) * step,
        power=power,
        resolution=resolution,
        silent=silent,
        duplicate=duplicate,
        names=names,
        **numbers,
    )


def _measure(power: Tensor, step: float, resolution: float) -> dict[str, Tensor]:
    """Return the numbers of `BankResponse`; positions are in bins until the end."""
    last = power.shape[1] - 1
    top, at = power.max(1)
    scaled = power / top.clamp_min(torch.finfo(torch.float64).tiny)[:, None]
    logs = scaled.clamp_min(_FLOOR).log_()
    position, height = _summit(logs, at)
    low, high = _half_power(logs, at, height - torch.tensor(2.0).log())
    # Energy below each bin by the trapezoidal rule: exact for the polynomial that ``|H|``^2 is.
    below = torch.zeros_like(scaled)
    torch.cumsum(0.5 * (scaled[:, 1:] + scaled[:, :-1]), 1, out=below[:, 1:])
    energy = below[:, -1]
    bins = torch.arange(last + 1, dtype=torch.float64)
    weights = torch.ones_like(bins)
    weights[0] = weights[-1] = 0.5
    mean = scaled @ (weights * bins) / energy
    square = scaled @ (weights * bins**2) / energy
    reach = 2.0 * resolution / step
    near = _read(below, position + reach) - _read(below, position - reach)
    bandwidth = high - low
    quality = torch.where(position > bandwidth, position / bandwidth, torch.nan)
    return {
        "peak": position * step,
        "centroid": mean * step,
        "median": _where(below, 0.5 * energy) * step,
        "bandwidth": bandwidth * step,
        "erb": energy / height.exp() * step,
        "rms_width": (square - mean**2).clamp_min(0.0).sqrt() * step,
        "quality": quality,
        "peak_fraction": near / energy,
        "flatness": logs.mean(1).exp() / scaled.clamp_min(_FLOOR).mean(1),
    }


def _summit(logs: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """Return position in bins and logarithm of the peak, by a parabola through three bins.

    At 0 Hz and half the sample rate the response of a real filter is its own mirror image: there
    the summit is on the bin.
    """
    last = logs.shape[1] - 1
    inner = at.clamp(1, last - 1)
    left, mid, right = (logs.gather(1, (inner + k)[:, None])[:, 0] for k in (-1, 0, 1))
    curve = left - 2.0 * mid + right
    bent = (at == inner) & (curve < -1e-9)
    shift = torch.where(bent, 0.5 * (left - right) / torch.where(bent, curve, 1.0), 0.0)
    height = torch.where(bent, mid - 0.25 * (left - right) * shift, 0.0)
    return at + shift, height


def _half_power(logs: Tensor, at: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the response first falls below ``level`` on both sides of its peak, in bins."""
    last = logs.shape[1] - 1
    bins = torch.arange(last + 1, dtype=torch.int32)
    under = logs < level[:, None]
    side = bins < at[:, None]
    left = torch.where(under & side, bins, -1).amax(1).long()
    right = torch.where(under & ~side, bins, last + 1).amin(1).long()
    low = _crossing(logs, left, left + 1, level)
    high = _crossing(logs, right, right - 1, level)
    return torch.where(left < 0, 0.0, low), torch.where(right > last, float(last), high)


def _crossing(logs: Tensor, outside: Tensor, inside: Tensor, level: Tensor) -> Tensor:
    """Return where the line between two neighbouring bins meets ``level``."""
    last = logs.shape[1] - 1
    below = logs.gather(1, outside.clamp(0, last)[:, None])[:, 0]
    above = logs.gather(1, inside.clamp(0, last)[:, None])[:, 0]
    part = (above - level) / (above - below).clamp_min(1e-12)
    return inside + part * (outside - inside)


def _read(below: Tensor, position: Tensor) -> Tensor:
    """Return the energy below a fractional bin; beyond the ends, that at the end."""
    last = below.shape[1] - 1
    position = position.clamp(0.0, float(last))
    left = position.floor().long().clamp(max=last - 1)
    part = position - left
    at_left = below.gather(1, left[:, None])[:, 0]
    return at_left + part * (below.gather(1, left[:, None] + 1)[:, 0] - at_left)


def _where(below: Tensor, energy: Tensor) -> Tensor:
    """Return the fractional bin below which ``energy`` lies; inverse of `_read`."""
    right = torch.searchsorted(below, energy[:, None]).clamp(1, below.shape[1] - 1)
    at_right, at_left = (below.gather(1, right - k)[:, 0] for k in (0, 1))
    step = (at_right - at_left).clamp_min(torch.finfo(torch.float64).tiny)
    return right[:, 0] - 1 + (energy - at_left) / step
