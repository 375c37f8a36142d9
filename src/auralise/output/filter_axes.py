"""A bank of filters on a frequency axis of one's choice, beside its untrained control."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from auralise.errors import UnknownNameError
from auralise.filters.response import BankResponse
from auralise.filters.scales import SCALES, cumulative_response
from auralise.filters.verdict import Verdict
from auralise.output.charts import Axis, Band, Chart, ChartFigure, Image, Series
from auralise.output.figures import Array, hertz_label
from auralise.output.filter_figures import (
    alive_filters,
    at_shares,
    bandwidth_chart,
    lowest_frequency,
    rank_ticks,
    sorted_peaks,
    split_tuned,
)

AXES = {"linear": "linear", "mel": "mel-htk", "bark": "bark", "erb": "erb-rate"}
"""Names of axes, with the scale in `auralise.filters.SCALES` that each follows."""

_FLOOR = -40.0  # dB below a filter's own peak
_ROWS = 256
_FINER = 8  # points that are read for a row of the image, the strongest of which is shown
_HERTZ = (0, 200, 500, 1000, 2000, 4000, 8000, 16000)


def axis_figure(
    name: str,
    response: BankResponse,
    controls: Sequence[BankResponse],
    verdict: Verdict,
    axis: str = "mel",
) -> ChartFigure:
    """Show a bank's responses, centre frequencies and coverage on one axis, and its bandwidths.

    A bank that is spread evenly on the axis follows the straight line, and covers it evenly.

    Parameters
    ----------
    name : str
        Of the network.
    response : BankResponse
    controls : sequence of BankResponse
        The same architecture untrained, one for each seed.
    verdict : Verdict
        Of both.
    axis : str
        Name in `AXES`.

    Returns
    -------
    ChartFigure

    Raises
    ------
    UnknownNameError
        If there is no such axis.
    """
    if axis not in AXES:
        raise UnknownNameError("axis", axis, AXES)
    alive = int(alive_filters(response).sum())
    return ChartFigure(
        title=f"First layer of {name}",
        caption=f"{alive} filters that differ, of {len(response.peak)}",
        charts=(
            _responses(response, axis),
            _ranks(response, controls, verdict, axis),
            bandwidth_chart(response, controls, verdict),
            _coverage(response, controls, axis),
        ),
        words=verdict.sentence,
    )


def warped(hertz: Array, axis: str) -> Array:
    """Return frequencies in Hz on an axis of `AXES`."""
    values = SCALES[AXES[axis]](torch.from_numpy(np.asarray(hertz, dtype=np.float64)))
    return np.asarray(values.numpy(), dtype=np.float64)


def _responses(response: BankResponse, axis: str) -> Chart:
    """Draw the filters side by side, sorted by centre frequency."""
    alive = alive_filters(response)
    order = torch.argsort(response.peak[alive])
    power = response.power[alive][order].numpy()
    frequencies = response.frequencies.numpy()
    upright = _hertz_axis("frequency", response.nyquist, axis)
    low, high = upright.limits
    places = low + (np.arange(_ROWS * _FINER) + 0.5) * (high - low) / (_ROWS * _FINER)
    hertz = np.interp(places, warped(frequencies, axis), frequencies)
    rows = np.stack([np.interp(hertz, frequencies, row) for row in power])
    strongest = rows.reshape(len(rows), _ROWS, _FINER).max(2)
    ratio = strongest / power.max(1, keepdims=True)
    levels = 10 * np.log10(np.maximum(ratio, 10 ** (_FLOOR / 10)))
    ranks = np.arange(1.0, len(rows) + 1)
    return Chart(
        f"Responses in dB below each filter's peak, {axis} axis",
        Axis("filter, by centre frequency", (0.5, len(rows) + 0.5), rank_ticks(len(rows))),
        upright,
        (_even(response, ranks, axis),),
        image=Image(levels.T.clip(_FLOOR, 0.0), _FLOOR),
    )


def _ranks(
    response: BankResponse, controls: Sequence[BankResponse], verdict: Verdict, axis: str
) -> Chart:
    alive = alive_filters(response)
    order = torch.argsort(response.peak[alive])
    peaks = response.peak[alive][order].numpy()
    ranks = np.arange(1.0, len(peaks) + 1)
    shares = (ranks - 0.5) / len(peaks)
    drawn = np.stack([at_shares(sorted_peaks(control), shares) for control in controls])
    index = np.arange(len(alive))[alive.numpy()][order.numpy()]
    return Chart(
        f"Centre frequency against rank, {axis} axis",
        Axis("filter, by centre frequency", (0.5, len(peaks) + 0.5), rank_ticks(len(peaks))),
        _hertz_axis("centre frequency", response.nyquist, axis),
        (
            _even(response, ranks, axis),
            *split_tuned(response, verdict, index, ranks, warped(peaks, axis)),
        ),
        Band(
            "untrained, all seeds",
            ranks,
            warped(drawn.min(0), axis),
            warped(drawn.max(0), axis),
        ),
    )


def _coverage(response: BankResponse, controls: Sequence[BankResponse], axis: str) -> Chart:
    """Draw what the whole bank passes, as a density over the axis; 1 where it is even."""
    across = _hertz_axis("frequency", response.nyquist, axis)
    low, high = across.limits
    places = np.linspace(low, high, 257)[:-1] + (high - low) / 512
    density = _density(response, places, across, axis)
    drawn = np.stack([_density(control, places, across, axis) for control in controls])
    top = 1.1 * max(float(density.max()), float(drawn.max()), 1.5)
    step = 10.0 ** np.floor(np.log10(top / 2))
    step *= 2.0 if top / step > 8 else 1.0
    ticks = tuple((float(v), f"{v:g}") for v in np.arange(0, top, step))
    return Chart(
        f"Cumulative response: share of the bank's energy, 1 is even on {axis}",
        across,
        Axis("share", (0.0, top), ticks),
        (
            Series(f"even on {axis}", "guide", places, np.ones_like(places), line=True),
            Series("filters", "tuned", places, density, line=True),
        ),
        Band("untrained, all seeds", places, drawn.min(0), drawn.max(0)),
    )


def _density(response: BankResponse, places: Array, across: Axis, axis: str) -> Array:
    """Return the mean density over the stretches around evenly spaced places of an axis."""
    frequencies = response.frequencies.numpy()
    density = cumulative_response(response).numpy()
    steps = np.diff(frequencies) * (density[1:] + density[:-1]) / 2
    total = np.concatenate([[0.0], np.cumsum(steps)])
    low, high = across.limits
    edges = np.linspace(low, high, len(places) + 1)
    at = np.interp(edges, warped(frequencies, axis), total)
    return np.asarray(np.diff(at) * len(places) / total[-1], dtype=np.float64)


def _even(response: BankResponse, ranks: Array, axis: str) -> Series:
    """Return the line of a bank that is spread evenly on an axis, from fs / L on."""
    low, high = warped(np.array([lowest_frequency(response), response.nyquist]), axis)
    places = low + (high - low) * (ranks - 0.5) / len(ranks)
    return Series(f"even on {axis}", "guide", ranks, places, line=True)


def _hertz_axis(title: str, top: float, axis: str) -> Axis:
    """Make an axis from 0 Hz to half the sample rate, with labels in Hz."""
    values = tuple(top * k / 4 for k in range(5)) if axis == "linear" else _HERTZ
    hertz = np.array([float(value) for value in values if value <= top])
    ticks = zip(warped(hertz, axis), hertz, strict=True)
    low, high = warped(np.array([0.0, top]), axis)
    return Axis(
        f"{title} ({axis})",
        (float(low), float(high)),
        tuple((float(place), hertz_label(float(value))) for place, value in ticks),
    )
