"""Two first layers side by side, as charts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auralise.filters.compare import Drift, FirstLayer, Match
from auralise.filters.response import BankResponse
from auralise.output.charts import Axis, Band, Chart, ChartFigure, Series
from auralise.output.figures import Array, hertz_label

_HERTZ = (20, 50, 100, 200, 500, 1000, 2000, 4000, 8000, 16000)


def compare_figure(
    layers: tuple[FirstLayer, FirstLayer],
    match: Match,
    chance: Sequence[Match],
    drifts: Sequence[Drift | None],
    sentence: str,
) -> ChartFigure:
    """Show how alike matched filters are, and how far both layers are from their beginning.

    Parameters
    ----------
    layers : pair of FirstLayer
    match : Match
        Of them.
    chance : sequence of Match
        Of untrained networks.
    drifts : sequence of Drift or None
        One for each layer; None where it is not known where training began.
    sentence : str
        The finding.
    """
    first, second = layers
    charts = [_similarities(match, chance)]
    if first.response is not None and second.response is not None:
        charts.append(_peaks(first.response, second.response, match, (first.name, second.name)))
    for layer, found in zip(layers, drifts, strict=True):
        if found is not None:
            charts.append(_drift(layer, found))
    return ChartFigure(
        title=f"{first.name} and {second.name}",
        caption=(
            f"{len(match.first)} pairs of {len(first.names)} and {len(second.names)} filters, "
            f"matched one to one; untrained: {len(chance)} pairs of networks, matched likewise"
        ),
        charts=tuple(charts),
        words=sentence,
    )


def _similarities(match: Match, chance: Sequence[Match]) -> Chart:
    """Draw the similarity of each pair, beside what matching makes of untrained networks."""
    pairs = len(match.first)
    ranks = np.arange(1.0, pairs + 1)
    shares = (ranks - 0.5) / pairs
    drawn = np.stack([_at_shares(other.similarity.numpy(), shares) for other in chance])
    values = match.similarity.numpy()
    low = min(0.0, float(values.min()), float(drawn.min()))
    return Chart(
        "Similarity of matched filters, the most alike first",
        Axis("pair", (0.5, pairs + 0.5), _counts(pairs)),
        Axis(
            "cosine",
            (low - 0.02, 1.02),
            tuple((k / 5, f"{k / 5:g}") for k in range(-5, 6) if k / 5 >= low - 0.02),
        ),
        (Series("trained", "tuned", ranks, values),),
        Band("untrained, all pairs of networks", ranks, drawn.min(0), drawn.max(0)),
    )


def _peaks(one: BankResponse, two: BankResponse, match: Match, names: tuple[str, str]) -> Chart:
    """Draw the centre frequencies of matched filters against each other."""
    x, y = one.peak[match.first].numpy(), two.peak[match.second].numpy()
    low = max(1.0, min(one.resolution, two.resolution) / 2)
    ends = np.array([low, one.nyquist])
    texts = tuple(
        f"{one.names[i]} at {a:.0f} Hz, {two.names[j]} at {b:.0f} Hz: {s:.2f}"
        for i, j, a, b, s in zip(
            match.first, match.second, x, y, match.similarity.tolist(), strict=True
        )
    )
    return Chart(
        "Centre frequencies of matched filters",
        _log_axis(f"in {names[0]}", low, one.nyquist),
        _log_axis(f"in {names[1]}", low, one.nyquist),
        (
            Series("equal", "guide", ends, ends, line=True),
            Series("pairs", "tuned", x.clip(low), y.clip(low), texts),
        ),
    )


def _drift(layer: FirstLayer, found: Drift) -> Chart:
    """Draw how like its own beginning each filter is, over frequency or channel."""
    own = found.own.numpy()
    ticks = tuple((k / 2, f"{k / 2:g}") for k in range(-2, 3))
    y = Axis("cosine", (-1.05, 1.05), ticks)
    title = f"{layer.name}: each filter and itself before training"
    if layer.response is None:
        x = np.arange(1.0, len(own) + 1)
        axis, ends = Axis("channel", (0.5, len(own) + 0.5), _counts(len(own))), x[[0, -1]]
        chosen = np.ones(len(own), dtype=bool)
    else:
        peak = layer.response.peak.numpy()
        low = max(1.0, layer.response.resolution / 2)
        chosen = np.isfinite(peak)
        x = np.where(chosen, peak, low).clip(low)
        axis = _log_axis("centre frequency", low, layer.response.nyquist)
        ends = np.array([low, layer.response.nyquist])
    texts = tuple(
        f"{name}: {value:.2f}"
        for name, value, kept in zip(layer.names, own, chosen, strict=True)
        if kept
    )
    level = np.full(2, found.other)
    return Chart(
        title,
        axis,
        y,
        (
            Series("others' median, without sign", "guide", ends, level, line=True),
            Series("filters", "tuned", x[chosen], own[chosen], texts),
        ),
    )


def _at_shares(values: Array, shares: Array) -> Array:
    """Read sorted values at ranks given as shares."""
    own = (np.arange(len(values)) + 0.5) / len(values)
    return np.asarray(np.interp(shares, own, values), dtype=np.float64)


def _log_axis(title: str, low: float, top: float) -> Axis:
    ticks = tuple((float(v), hertz_label(v)) for v in _HERTZ if low <= v <= top)
    return Axis(title, (low, top), ticks, logarithmic=True)


def _counts(number: int) -> tuple[tuple[float, str], ...]:
    values = sorted({1, *(max(1, round(number * k / 4)) for k in range(1, 5))})
    return tuple((float(v), str(v)) for v in values)
