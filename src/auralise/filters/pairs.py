"""Filters that share a frequency, and the phase between them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.errors import InvalidValueError, ShapeError
from auralise.filters.bank import PAIRS, FilterBank, neighbours
from auralise.filters.response import BankResponse


@dataclass(frozen=True, slots=True, eq=False)
class PhasePairs:
    r"""Pairs of filters with the same peak frequency.

    With the spectra :math:`A, B` of a pair, of unit energy each, over positive frequencies,
    :math:`z = \sum_f A \bar B` has their coherence as magnitude and their phase as angle.

    Attributes
    ----------
    first, second : Tensor, shape (pairs,), int64
        Indices of the filters; ``first < second``.
    frequency : Tensor, shape (pairs,)
        Mean of the two peaks, in Hz.
    phase : Tensor, shape (pairs,)
        Phase between the filters in radians, in [0, pi]: 0 for the same filter, pi for its
        negative, pi / 2 for quadrature. Which of them leads is not told.
    coherence : Tensor, shape (pairs,)
        :math:`|z|` in [0, 1]: 1 if one filter is the other with its phase shifted. Filters with
        the same magnitudes that answer at different times have less.
    negative_fraction : Tensor, shape (pairs,)
        Share of energy at negative frequencies, in [0, 0.5], when the pair is taken as real and
        imaginary part of one filter, in the better order: 0 for an analytic filter.
    """

    first: Tensor
    second: Tensor
    frequency: Tensor
    phase: Tensor
    coherence: Tensor
    negative_fraction: Tensor

    def quadrature(self, tolerance: float = torch.pi / 8, coherence: float = 0.7) -> Tensor:
        """Which pairs are a quarter of a period apart: bool, (pairs,).

        Parameters
        ----------
        tolerance : float
            In radians. A share of ``2 * tolerance / pi`` of pairs with random phases is within
            it: a quarter with the default.
        coherence : float
            Least coherence of a pair that counts.
        """
        near = (self.phase - torch.pi / 2).abs() <= tolerance
        return near & (self.coherence >= coherence)


def phase_pairs(
    bank: FilterBank,
    response: BankResponse,
    *,
    tolerance: float | None = None,
    among: Tensor | None = None,
) -> PhasePairs:
    """Find the filters that share a frequency, and compare their phases.

    Parameters
    ----------
    bank : FilterBank
        With real impulse responses.
    response : BankResponse
        Of ``bank``.
    tolerance : float, optional
        How far apart two peaks may be, in Hz; half of fs / L if not given.
    among : Tensor, shape (filters,), bool, optional
        Which filters to look at, for instance ``response.selective(threshold)``; those that are
        resolved if not given.

    Returns
    -------
    PhasePairs
        In the order of frequency; may be empty.

    Raises
    ------
    InvalidValueError
        If the bank is complex, or the tolerance negative.
    ShapeError
        If the response is of another bank, or ``among`` of another length.

    Examples
    --------
    >>> from auralise.filters.response import respond
    >>> time = torch.arange(-128, 128, dtype=torch.float64) / 16000
    >>> envelope, angle = torch.exp(-0.5 * (time / 0.002) ** 2), 2 * torch.pi * 1000 * time
    >>> bank = FilterBank(torch.stack([envelope * angle.cos(), envelope * angle.sin()]), 16000)
    >>> pairs = phase_pairs(bank, respond(bank))
    >>> round(pairs.phase.item() / torch.pi, 6), pairs.quadrature().tolist()
    (0.5, [True])
    """
    taps = bank.impulse_responses
    tolerance = bank.resolution / 2 if tolerance is None else tolerance
    _check(bank, response, tolerance, among)
    allowed = ~response.unresolved if among is None else among & ~response.unresolved
    first, second = neighbours(response.peak, allowed, tolerance)
    unit = taps / torch.linalg.vector_norm(taps, dim=1, keepdim=True).clamp_min(1e-300)
    turned = _hilbert(unit)
    inner, outer = [], []
    for one, two in zip(torch.split(first, PAIRS), torch.split(second, PAIRS), strict=True):
        # Parseval: sum A conj(B) over positive frequencies is <a, b> + i <a, Hilbert of b>,
        # and outside of its taps the first factor is zero.
        inner.append((unit[one] * unit[two]).sum(1))
        outer.append((unit[one] * turned[two]).sum(1))
    real, imaginary = torch.cat(inner), torch.cat(outer)
    return PhasePairs(
        first=torch.minimum(first, second),
        second=torch.maximum(first, second),
        frequency=0.5 * (response.peak[first] + response.peak[second]),
        phase=torch.atan2(imaginary.abs(), real),
        coherence=torch.hypot(real, imaginary).clamp(max=1.0),
        negative_fraction=0.5 * (1.0 - imaginary.abs()).clamp_min(0.0),
    )


def _check(
    bank: FilterBank, response: BankResponse, tolerance: float, among: Tensor | None
) -> None:
    filters = len(bank.impulse_responses)
    if bank.impulse_responses.is_complex():
        raise InvalidValueError(
            "phases between complex filters are not defined here; negative_fraction of the "
            "response tells how analytic each of them is"
        )
    if len(response.peak) != filters:
        raise ShapeError(f"the response has {len(response.peak)} filters, the bank {filters}")
    if among is not None and among.shape != (filters,):
        raise ShapeError(f"among must have shape ({filters},), got {tuple(among.shape)}")
    if not tolerance >= 0:
        raise InvalidValueError(f"tolerance must not be negative, got {tolerance} Hz")


def _hilbert(taps: Tensor) -> Tensor:
    """Turn every frequency by a quarter of a period, and keep the first taps of the result."""
    length = taps.shape[1]
    n_fft = 1 << (max(4096, 16 * length) - 1).bit_length()
    rows = max(1, (1 << 21) // n_fft)
    parts = []
    for part in torch.split(taps, rows):
        spectrum = torch.fft.rfft(part, n_fft) * -1j
        spectrum[:, 0] = spectrum[:, -1] = 0.0
        parts.append(torch.fft.irfft(spectrum, n_fft)[:, :length])
    return torch.cat(parts)
