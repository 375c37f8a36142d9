"""How selective filters are, against untrained ones, and how their width goes with frequency."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from auralise.errors import InvalidValueError
from auralise.filters.resampling import Interval, draw, percentiles
from auralise.filters.response import BankResponse

GATE_QUANTILE = 0.99
"""Share of untrained filters that do not pass the gate."""

Banks = BankResponse | Sequence[BankResponse]
"""One bank, or one for each training seed."""


def selectivity_gate(controls: Banks, quantile: float = GATE_QUANTILE) -> float:
    """Return the share of energy near the peak that untrained filters rarely exceed.

    Parameters
    ----------
    controls : BankResponse or sequence of BankResponse
        Of the same architecture, untrained.
    quantile : float
        Share of untrained filters below.

    Returns
    -------
    float
        To be compared with ``peak_fraction``; see `BankResponse.selective`.

    Raises
    ------
    InvalidValueError
        If there is no control with a filter that is resolved.
    """
    fractions = [bank.peak_fraction[~bank.unresolved] for bank in as_list(controls)]
    if not fractions or not sum(len(part) for part in fractions):
        raise InvalidValueError(
            "a control is needed, with filters that are resolved: pass responses of the same "
            "architecture untrained (untrained_banks)"
        )
    return float(torch.quantile(torch.cat(fractions), quantile))


def bandwidth_slope(banks: Banks, gate: float, *, draws: int = 500, seed: int = 0) -> Interval:
    """Return the slope of log bandwidth against log peak frequency, by least squares.

    0 is a bank of one bandwidth, as of a short-time Fourier transform; 1 is constant Q. A filter
    cannot be narrower than its length allows, which flattens the slope at low frequencies.

    Parameters
    ----------
    banks : BankResponse or sequence of BankResponse
        One for each training seed.
    gate : float
        Filters that are not more selective are left out.
    draws, seed : int
        Of the bootstrap, over banks and filters.

    Raises
    ------
    InvalidValueError
        If fewer than two filters pass.
    """
    chosen = [(bank, bank.selective(gate)) for bank in as_list(banks)]
    x = [bank.peak[passing].log() for bank, passing in chosen]
    y = torch.cat([bank.bandwidth[passing].log() for bank, passing in chosen])
    if len(y) < 2:
        raise InvalidValueError(f"a slope needs two filters that pass the gate, got {len(y)}")
    values, _, index = draw(x, draws, seed)
    slopes = _slope(values[index], y[index])
    return percentiles(float(_slope(values, y)), slopes[torch.isfinite(slopes)])


def as_list(banks: Banks) -> list[BankResponse]:
    """Return one bank, or several, as a list."""
    return [banks] if isinstance(banks, BankResponse) else list(banks)


def _slope(x: Tensor, y: Tensor) -> Tensor:
    """Return the least-squares slope along the last axis."""
    x = x - x.mean(-1, keepdim=True)
    return (x * y).sum(-1) / (x * x).sum(-1)


def check_question(
    banks: list[BankResponse],
    controls: list[BankResponse],
    measure: str,
    fewest: int,
    band: tuple[float, float] | None,
) -> None:
    """Refuse what `auralise.filters.verdict.judge_scale` cannot answer."""
    if not banks or not controls:
        raise InvalidValueError(
            f"got {len(banks)} banks and {len(controls)} controls; one of each is needed: without "
            "the same architecture untrained, no scale can be ascribed to training"
        )
    kinds = {(bank.resolution, bank.nyquist) for bank in (*banks, *controls)}
    if len(kinds) > 1:
        shown = ", ".join(f"{r:g} Hz up to {n:g} Hz" for r, n in sorted(kinds))
        raise InvalidValueError(
            f"banks and controls must have one length and sample rate; they resolve {shown}"
        )
    if measure not in ("peak", "centroid", "median"):
        raise InvalidValueError(f"measure must be peak, centroid or median, got {measure!r}")
    if fewest < 4:
        raise InvalidValueError(f"fewest must be at least 4, got {fewest}")
    if band is not None and not 0 < band[0] < band[1]:
        raise InvalidValueError(f"a band needs 0 < low < high, got {band[0]:g} to {band[1]:g} Hz")
