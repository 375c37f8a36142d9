"""Which frequency scale a bank lies on, as a sentence with numbers, or why that cannot be said."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from auralise.filters.resampling import Interval, percentiles, resample
from auralise.filters.response import BankResponse
from auralise.filters.scales import (
    SCALES,
    chance_distance,
    cramer_von_mises_to_uniform,
    fit_family,
    stretch,
    visible_slope,
    warp_to_unit,
    wasserstein_to_uniform,
)
from auralise.filters.selectivity import (
    GATE_QUANTILE,
    Banks,
    as_list,
    bandwidth_slope,
    check_question,
    selectivity_gate,
)

FEWEST = 16
LEAST_VISIBLE = 0.15
"""Slopes of bandwidth below this, of log against log, are too near to 0 to be told from it."""

_TIMES_CHANCE = 5.0  # so many more filters must pass the gate than untrained ones do


class Finding(Enum):
    """What a verdict says."""

    ONE = "one scale"
    TIED = "scales that cannot be told apart"
    NONE = "none of the scales"
    TOO_FEW = "no verdict"


@dataclass(frozen=True, slots=True)
class ScaleDistance:
    """How far a bank is from being spread evenly on one scale.

    Attributes
    ----------
    scale : str
        Name in `SCALES`.
    wasserstein : Interval
        Of the warped centre frequencies to the uniform distribution, in parts of the band.
    cramer_von_mises : float
        The same by another distance.
    stretched : float
        Wasserstein distance when the band is the filters' own, from the lowest to the highest.
    untrained : float
        Mean Wasserstein distance of the controls.
    leading : bool
        Whether the scale is the nearest or cannot be told apart from it, or would be as near in
        the filters' own band.
    even : bool
        Whether a bank that is spread evenly at random on this scale would be further away in
        more than 5 % of draws, in one of the two bands.
    """

    scale: str
    wasserstein: Interval
    cramer_von_mises: float
    stretched: float
    untrained: float
    leading: bool
    even: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be said about the scale of a bank's centre frequencies.

    Attributes
    ----------
    finding : Finding
        Which kind of answer this is.
    scales : tuple of ScaleDistance
        From the nearest to the farthest; empty if there is no verdict.
    passing, filters, needed : int
        Filters that passed the gate and lie in the band, of all, and how many have to.
    gate : float
        Share of energy within 2 fs / L of the peak above which a filter is tuned.
    banks : int
        Number of banks, one for each training seed.
    band : pair of float
        In Hz.
    learned : bool
        Whether every control is further from the nearest scale than the bank's interval reaches.
        If not, the spacing is no evidence of training.
    corner : Interval or None
        The a of log(1 + f / a), in Hz; see `fit_family`.
    slope : Interval or None
        Of log bandwidth against log centre frequency; see `bandwidth_slope`.
    gate_of : str
        Which filters the gate lets pass only 1 % of.
    visible_slope : float
        The slope that an even bank with the same centre frequencies would show at this length; see
        `auralise.filters.scales.visible_slope`.
    """

    finding: Finding
    scales: tuple[ScaleDistance, ...]
    passing: int
    filters: int
    needed: int
    gate: float
    banks: int
    band: tuple[float, float]
    learned: bool
    corner: Interval | None
    slope: Interval | None
    gate_of: str = "untrained filters"
    visible_slope: float = math.inf

    @property
    def leading(self) -> tuple[str, ...]:
        """Names of the nearest scale and of those that cannot be told apart from it."""
        return tuple(entry.scale for entry in self.scales if entry.leading)

    @property
    def sentence(self) -> str:
        """The verdict in words, with the numbers it rests on."""
        gate = (
            f"{self.passing} of {self.filters} filters hold more than {self.gate:.1%} of their "
            f"energy near their peak, as {1 - GATE_QUANTILE:.0%} of {self.gate_of} do"
        )
        if self.finding is Finding.TOO_FEW:
            return f"No verdict: {gate}; {self.needed} are needed."
        words = (self._scale_words(), *self._warnings(), self._control_words())
        return " ".join([f"{gate}.", *words])

    @property
    def widths_agree(self) -> bool:
        """Whether bandwidths grow with frequency if the nearest scale says so.

        On every scale but the linear one, filters that are evenly spread are also wider the higher
        they lie. False if the slope's interval reaches down to 0 all the same, though the length
        would have let it be seen.
        """
        if not self.scales or self.slope is None or self.scales[0].scale == "linear":
            return True
        return self.slope.low > 0 or not self.widths_tell

    @property
    def widths_tell(self) -> bool:
        """Whether filters of this length can show that bandwidths grow with frequency."""
        return self.visible_slope >= LEAST_VISIBLE

    def _warnings(self) -> Iterator[str]:
        if not self.widths_agree:
            yield (
                "Their bandwidths do not grow with frequency, as those of a bank on "
                f"{self.scales[0].scale} do: spacing and bandwidth disagree, and it is none."
            )
        if not self.widths_tell:
            yield "At this length bandwidths could hardly be seen to grow with frequency."

    def _scale_words(self) -> str:
        best = self.scales[0]
        tied = [entry.scale for entry in self.scales[1:] if entry.leading]
        apart = [
            f"{entry.scale} {entry.wasserstein.value:.3f}"
            for entry in self.scales
            if not entry.leading
        ]
        words = f"Their frequencies are spread most evenly on {best.scale}"
        if self.finding is Finding.NONE:
            words = (
                f"Their frequencies are spread evenly on no scale, least unevenly on {best.scale}"
            )
        words += f" (W1 {best.wasserstein}"
        words += f"; {', '.join(apart)})" if apart else ")"
        if tied:
            words += f", from which {', '.join(tied)} cannot be told apart"
        return (
            f"{words}; a = {self.corner} Hz; bandwidth goes with frequency to the power "
            f"{self.slope}."
        )

    def _control_words(self) -> str:
        best = self.scales[0]
        if self.learned:
            control = f"Untrained, W1 to {best.scale} is {best.untrained:.3f}."
        else:
            control = (
                f"Untrained filters are as near to {best.scale} ({best.untrained:.3f}): "
                "the spacing is no evidence of training."
            )
        if self.banks > 1:
            return f"{control} The intervals cover filters and {self.banks} training seeds."
        return f"{control} The intervals cover filters, not training seeds."


def judge_scale(
    banks: Banks,
    controls: Banks,
    *,
    band: tuple[float, float] | None = None,
    measure: str = "peak",
    fewest: int = FEWEST,
    draws: int = 500,
    seed: int = 0,
    gate_from: Banks | None = None,
) -> Verdict:
    """Say which scale the centre frequencies of a bank are spread evenly on, if it can be said.

    Only filters count that are tuned: more selective than 99 % of untrained ones. There must be
    ``fewest`` of them, and five times as many as would pass by chance. Two scales cannot be told
    apart if, in more than 2.5 % of bootstrap draws, the farther one is as near; nor if the farther
    one is as near when the band is the filters' own, from the lowest to the highest: so where a
    bank begins and ends does not pass for a scale.

    Parameters
    ----------
    banks : BankResponse or sequence of BankResponse
        One for each training seed, of one length and sample rate.
    controls : BankResponse or sequence of BankResponse
        Of the same architecture, untrained; of other kinds too (random patches of music), if
        what they share is to be ruled out.
    band : pair of float, optional
        In Hz; from fs / L to half the sample rate if not given.
    measure : str
        "peak", "centroid" or "median": which number is the centre frequency.
    fewest : int
        Least number of filters, at least 4.
    draws, seed : int
        Of the bootstrap, over banks and filters.
    gate_from : BankResponse or sequence of BankResponse, optional
        Filters of random taps that tell what is tuned, where the controls themselves begin
        tuned, as SincNet's do.

    Returns
    -------
    Verdict

    Raises
    ------
    InvalidValueError
        If there is no control, or banks and controls differ in length or sample rate.
    """
    banks, controls = as_list(banks), as_list(controls)
    check_question(banks, controls, measure, fewest, band)
    gate = selectivity_gate(controls if gate_from is None else gate_from)
    gate_of = "untrained filters" if gate_from is None else "filters of random taps"
    band = (banks[0].resolution, banks[0].nyquist) if band is None else band
    groups = [_centres(bank, measure, band, bank.selective(gate)) for bank in banks]
    passing, filters = sum(map(len, groups)), sum(len(bank.peak) for bank in banks)
    needed = max(fewest, math.ceil(_TIMES_CHANCE * (1.0 - GATE_QUANTILE) * filters))
    counts = (passing, filters, needed, gate, len(banks), band)
    if passing < needed:
        return Verdict(Finding.TOO_FEW, (), *counts, False, None, None, gate_of)
    untrained = [_centres(bank, measure, band, ~bank.unresolved) for bank in controls]
    scales, learned = _rank(groups, untrained, band, draws, seed)
    corner = fit_family(groups, band, draws=draws, seed=seed)
    slope = bandwidth_slope(banks, gate, draws=draws, seed=seed)
    visible = visible_slope(groups, scales[0].scale, band, banks[0].resolution)
    return Verdict(_finding(scales), scales, *counts, learned, corner, slope, gate_of, visible)


def _rank(
    groups: list[Tensor],
    untrained: list[Tensor],
    band: tuple[float, float],
    draws: int,
    seed: int,
) -> tuple[tuple[ScaleDistance, ...], bool]:
    """Order the scales, and say whether the nearest one is nearer than the controls are."""
    values, index = resample(groups, draws, seed)
    units = torch.stack([warp_to_unit(values, warp, band) for warp in SCALES.values()])
    distances = wasserstein_to_uniform(units)
    drawn = torch.stack([wasserstein_to_uniform(row[index]) for row in units])
    stretched = wasserstein_to_uniform(stretch(units))
    best = distances.argmin()
    leading = _leading(distances, drawn) | (stretched <= stretched[best])
    n = len(values)
    even = (distances <= chance_distance(n)) | (stretched <= chance_distance(n, stretched=True))
    control = torch.tensor([_control(part, band) for part in untrained if len(part)])
    names = list(SCALES)
    order = [int(i) for i in torch.argsort(distances)]
    found = tuple(
        ScaleDistance(
            scale=names[i],
            wasserstein=percentiles(float(distances[i]), drawn[i]),
            cramer_von_mises=float(cramer_von_mises_to_uniform(units[i])),
            stretched=float(stretched[i]),
            untrained=float(control[:, i].mean()),
            leading=bool(leading[i]),
            even=bool(even[i]),
        )
        for i in order
    )
    return found, bool((control[:, order[0]] > found[0].wasserstein.high).all())


def _leading(distances: Tensor, drawn: Tensor) -> Tensor:
    """Which scales are the nearest or cannot be told apart from it: bool, (scales,)."""
    best = int(distances.argmin())
    excess = drawn - drawn[best]
    return torch.quantile(excess, 0.025, dim=1) <= 0.0


def _control(values: Tensor, band: tuple[float, float]) -> list[float]:
    """Return a control's distance to each scale."""
    ordered = values.sort().values
    return [
        float(wasserstein_to_uniform(warp_to_unit(ordered, warp, band))) for warp in SCALES.values()
    ]


def _finding(scales: tuple[ScaleDistance, ...]) -> Finding:
    leading = [entry for entry in scales if entry.leading]
    if not any(entry.even for entry in leading):
        return Finding.NONE
    return Finding.ONE if len(leading) == 1 else Finding.TIED


def _centres(bank: BankResponse, measure: str, band: tuple[float, float], chosen: Tensor) -> Tensor:
    """Return the centre frequencies of the chosen filters that lie in the band."""
    centres: Tensor = getattr(bank, measure)[chosen]
    return centres[(centres >= band[0]) & (centres <= band[1])]
