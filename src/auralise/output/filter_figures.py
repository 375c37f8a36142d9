"""What the filters of a first layer are tuned to, as charts beside their untrained control."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from auralise.filters.orientation import ClassCount
from auralise.filters.response import BankResponse
from auralise.filters.scales import cumulative_response
from auralise.filters.verdict import Verdict
from auralise.output.charts import Axis, Band, Chart, ChartFigure, Image, Series
from auralise.output.figures import Array, hertz_label
from auralise.units import hz_to_mel, mel_to_hz

_FLOOR = -40.0  # dB; what is weaker than that of a filter's own peak looks the same
_ROWS = 256
_FINER = 8  # points that are read for a row of an image, the strongest of which is shown
_HERTZ = (20, 50, 100, 200, 500, 1000, 2000, 4000, 8000, 16000)


def filter_figure(
    name: str, response: BankResponse, controls: Sequence[BankResponse], verdict: Verdict
) -> ChartFigure:
    """Show the responses of a bank, and its centre frequencies, widths and coverage.

    Silent filters and copies are left out.

    Parameters
    ----------
    name : str
        Of the network.
    response : BankResponse
    controls : sequence of BankResponse
        The same architecture untrained, one for each seed.
    verdict : Verdict
        Of both.
    """
    alive = int(alive_filters(response).sum())
    return ChartFigure(
        title=f"First layer of {name}",
        caption=(
            f"{alive} filters that differ, of {len(response.peak)}; tuned: more than "
            f"{verdict.gate:.1%} of the energy within 2 fs / L ({2 * response.resolution:g} Hz) "
            f"of the peak; untrained: {len(controls)} seeds"
        ),
        charts=(
            _responses(response, "Hz", mel=False),
            _responses(response, "mel", mel=True),
            _ranks(response, controls, verdict),
            bandwidth_chart(response, controls, verdict),
            _cumulative(response, controls),
            _selectivity(response, controls, verdict),
        ),
        words=verdict.sentence,
    )


def orientation_figure(name: str, layer: str, counts: Sequence[ClassCount]) -> ChartFigure:
    """Show how many filters over time and frequency are of each class.

    Parameters
    ----------
    name, layer : str
        Of the network, and of its first layer.
    counts : sequence of ClassCount
        From `auralise.filters.count_classes`.
    """
    places = np.arange(float(len(counts)))
    shares = np.array([entry.share.value for entry in counts])
    reach = np.array([[entry.share.low, entry.share.high] for entry in counts]).T
    texts = tuple(f"{entry.name}: {entry.count}, {entry.share}" for entry in counts)
    untrained = np.array([entry.untrained for entry in counts])
    chart = Chart(
        "Share of filters of each class",
        Axis(
            "",
            (-0.5, len(counts) - 0.5),
            tuple((float(at), entry.name) for at, entry in enumerate(counts)),
        ),
        Axis("share", (-0.02, 1.0), tuple((k / 5, f"{k / 5:.0%}") for k in range(6))),
        (
            Series("untrained", "untrained", places + 0.15, untrained),
            Series("filters, with 95 % interval", "tuned", places, shares, texts, reach=reach),
        ),
    )
    return ChartFigure(
        title=f"First layer of {name}: {layer}",
        caption=f"{sum(entry.count for entry in counts)} filters over time and frequency",
        charts=(chart,),
        words="; ".join(texts),
    )


def alive_filters(response: BankResponse) -> torch.Tensor:
    """Which filters are neither silent nor copies: bool, (filters,)."""
    return ~response.silent & ~response.duplicate


def _responses(response: BankResponse, unit: str, *, mel: bool) -> Chart:
    """Draw the filters side by side, sorted by centre frequency, on one of two axes."""
    alive = alive_filters(response)
    order = torch.argsort(response.peak[alive])
    power = response.power[alive][order].numpy()
    frequencies = response.frequencies.numpy()
    axis = _hertz_axis("frequency", response.nyquist, mel=mel)
    step = axis.limits[1] / (_ROWS * _FINER)
    places = (np.arange(_ROWS * _FINER) + 0.5) * step
    hertz = _to_hertz(np.asarray(places, dtype=np.float64)) if mel else places
    rows = np.stack([np.interp(hertz, frequencies, row) for row in power])
    strongest = rows.reshape(len(rows), _ROWS, _FINER).max(2)
    ratio = strongest / power.max(1, keepdims=True)
    levels = 10 * np.log10(np.maximum(ratio, 10 ** (_FLOOR / 10)))
    ranks = np.arange(1.0, len(rows) + 1)
    curve = _mel_spaced(response, len(rows))
    return Chart(
        f"Responses in dB below each filter's peak, {unit} axis",
        Axis("filter, by centre frequency", (0.5, len(rows) + 0.5), rank_ticks(len(rows))),
        axis,
        (Series("even on mel", "guide", ranks, _to_mel(curve) if mel else curve, line=True),),
        image=Image(levels.T.clip(_FLOOR, 0.0), _FLOOR),
    )


def _ranks(response: BankResponse, controls: Sequence[BankResponse], verdict: Verdict) -> Chart:
    alive = alive_filters(response)
    order = torch.argsort(response.peak[alive])
    peaks = response.peak[alive][order].numpy()
    ranks = np.arange(1.0, len(peaks) + 1)
    shares = (ranks - 0.5) / len(peaks)
    drawn = np.stack([at_shares(sorted_peaks(control), shares) for control in controls])
    guide = _mel_spaced(response, len(peaks))
    band = Band("untrained, all seeds", ranks, _to_mel(drawn.min(0)), _to_mel(drawn.max(0)))
    series = split_tuned(
        response,
        verdict,
        np.arange(len(alive))[alive.numpy()][order.numpy()],
        ranks,
        _to_mel(peaks),
    )
    return Chart(
        "Centre frequency against rank, mel axis",
        Axis("filter, by centre frequency", (0.5, len(peaks) + 0.5), rank_ticks(len(peaks))),
        _hertz_axis("centre frequency", response.nyquist, mel=True),
        (Series("even on mel", "guide", ranks, _to_mel(guide), line=True), *series),
        band,
    )


def bandwidth_chart(
    response: BankResponse, controls: Sequence[BankResponse], verdict: Verdict
) -> Chart:
    """Draw the widths of resolved filters over their centre frequencies, both logarithmic."""
    shown = ~response.unresolved & ~response.duplicate
    index = torch.nonzero(shown)[:, 0].numpy()
    peaks, widths = response.peak[shown].numpy(), response.bandwidth[shown].numpy()
    x = np.geomspace(lowest_frequency(response), response.nyquist, 64)
    others = [~control.unresolved for control in controls]
    control_x = _joined([bank.peak[mask] for bank, mask in zip(controls, others, strict=True)])
    control_y = _joined([bank.bandwidth[mask] for bank, mask in zip(controls, others, strict=True)])
    tuned = response.selective(verdict.gate)[shown].numpy()
    chosen = tuned if tuned.any() else np.ones_like(tuned)
    guides = [
        Series("0.886 fs / L", "guide", x, np.full_like(x, 0.886 * response.resolution), line=True)
    ]
    if len(peaks):
        per_hertz = np.median(widths[chosen] / peaks[chosen])
        per_mel = np.median(widths[chosen] / (700.0 + peaks[chosen]))
        guides += [
            Series(f"constant Q {1 / per_hertz:.2g}", "guide", x, per_hertz * x, line=True),
            Series("as mel, 700 Hz + f", "guide", x, per_mel * (700.0 + x), line=True),
        ]
    low = min(0.5 * response.resolution, *widths, *control_y) if len(widths) else 1.0
    return Chart(
        "Bandwidth (-3 dB) against centre frequency, resolved filters",
        _log_axis("centre frequency", lowest_frequency(response), response.nyquist),
        _log_axis("bandwidth", max(low, 1e-3), response.nyquist),
        (
            Series("untrained", "untrained", control_x, control_y),
            *split_tuned(response, verdict, index, peaks, widths),
            *guides,
        ),
    )


def _cumulative(response: BankResponse, controls: Sequence[BankResponse]) -> Chart:
    """Draw what the whole bank passes, as a density over frequency."""
    top = response.nyquist
    hertz = np.geomspace(lowest_frequency(response) / 4, top, 256)
    density = _density(response, hertz)
    drawn = np.stack([_density(control, hertz) for control in controls])
    mel = 1.0 / ((700.0 + hertz) * np.log((700.0 + top) / 700.0))
    lines = (
        Series("even on mel", "guide", hertz, mel, line=True),
        Series("even in Hz", "guide", hertz, np.full_like(hertz, 1.0 / top), line=True),
    )
    everything = np.concatenate([density, drawn.ravel(), mel])
    low = max(float(everything.min()), 1e-4 * float(everything.max())) / 1.3
    high = float(everything.max()) * 1.3
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = tuple((10.0**k, f"{10.0**k:.0e}") for k in decades if low <= 10.0**k <= high)
    return Chart(
        "Cumulative response: share of the bank's energy per Hz",
        _log_axis("frequency", float(hertz[0]), top),
        Axis("share per Hz", (low, high), ticks, logarithmic=True),
        (*lines, Series("filters", "tuned", hertz, density.clip(low), line=True)),
        Band("untrained, all seeds", hertz, drawn.min(0).clip(low), drawn.max(0).clip(low)),
    )


def _selectivity(
    response: BankResponse, controls: Sequence[BankResponse], verdict: Verdict
) -> Chart:
    shown = ~response.unresolved & ~response.duplicate
    index = torch.nonzero(shown)[:, 0].numpy()
    masks = [~control.unresolved for control in controls]
    untrained = Series(
        "untrained",
        "untrained",
        _joined([bank.peak[mask] for bank, mask in zip(controls, masks, strict=True)]),
        _joined([bank.peak_fraction[mask] for bank, mask in zip(controls, masks, strict=True)]),
    )
    ends = np.array([lowest_frequency(response), response.nyquist])
    gate = Series("gate", "guide", ends, np.full(2, verdict.gate), line=True)
    peaks, fractions = response.peak[shown].numpy(), response.peak_fraction[shown].numpy()
    return Chart(
        "Share of the energy within 2 fs / L of the peak, resolved filters",
        _log_axis("centre frequency", lowest_frequency(response), response.nyquist),
        Axis("share", (-0.02, 1.0), tuple((k / 5, f"{k / 5:.0%}") for k in range(6))),
        (untrained, *split_tuned(response, verdict, index, peaks, fractions), gate),
    )


def split_tuned(
    response: BankResponse, verdict: Verdict, index: Array, x: Array, y: Array
) -> tuple[Series, ...]:
    """Make two series: filters that pass the gate, and others; ``index`` is into the bank."""
    tuned = response.selective(verdict.gate).numpy()[index]
    texts = [_describe(response, int(i)) for i in index]
    groups = (("not tuned", "filters", ~tuned), ("tuned", "tuned", tuned))
    return tuple(
        Series(
            name, role, x[mask], y[mask], tuple(t for t, m in zip(texts, mask, strict=True) if m)
        )
        for name, role, mask in groups
        if mask.any()
    )


def _describe(response: BankResponse, index: int) -> str:
    return (
        f"{response.names[index]}: {float(response.peak[index]):.0f} Hz, "
        f"{float(response.bandwidth[index]):.0f} Hz wide, "
        f"{float(response.peak_fraction[index]):.0%} near the peak"
    )


def lowest_frequency(response: BankResponse) -> float:
    """Return fs / L, or less where filters are so short that it is no frequency to begin at."""
    return min(response.resolution, response.nyquist / 4)


def sorted_peaks(response: BankResponse) -> Array:
    """Return the centre frequencies of all filters that are alive, in Hz, rising."""
    return np.sort(response.peak[alive_filters(response)].numpy())


def at_shares(values: Array, shares: Array) -> Array:
    """Read sorted values at ranks given as shares, where a bank has another number of filters."""
    own = (np.arange(len(values)) + 0.5) / len(values)
    return np.asarray(np.interp(shares, own, values), dtype=np.float64)


def _mel_spaced(response: BankResponse, filters: int) -> Array:
    """Return as many frequencies, evenly spread on mel between fs / L and half the sample rate."""
    low, high = _to_mel(np.array([lowest_frequency(response), response.nyquist]))
    return _to_hertz(low + (high - low) * (np.arange(filters) + 0.5) / filters)


def _density(response: BankResponse, hertz: Array) -> Array:
    density = cumulative_response(response).numpy()
    return np.asarray(np.interp(hertz, response.frequencies.numpy(), density), dtype=np.float64)


def _joined(parts: Sequence[torch.Tensor]) -> Array:
    return np.concatenate([part.numpy() for part in parts])


def _through(function: Callable[..., torch.Tensor], values: Array) -> Array:
    return np.asarray(function(torch.from_numpy(values), "htk").numpy(), dtype=np.float64)


def _to_mel(hertz: Array) -> Array:
    return _through(hz_to_mel, hertz)


def _to_hertz(mel: Array) -> Array:
    return _through(mel_to_hz, mel)


def _hertz_axis(title: str, top: float, *, mel: bool) -> Axis:
    """Make an axis from 0 Hz, with labels in Hz, that is even in Hz or on mel."""
    if not mel:
        values = tuple(top * k / 4 for k in range(5))
        return Axis(title, (0.0, top), tuple((v, hertz_label(v)) for v in values))
    values = tuple(float(v) for v in (0, 200, *_HERTZ[4:]) if v <= top)
    places = _to_mel(np.array([*values, top]))
    ticks = tuple((float(p), hertz_label(v)) for p, v in zip(places, values, strict=False))
    return Axis(f"{title} (mel)", (0.0, float(places[-1])), ticks)


def _log_axis(title: str, low: float, top: float) -> Axis:
    ticks = tuple((float(v), hertz_label(v)) for v in _HERTZ if low <= v <= top)
    return Axis(title, (low, top), ticks, logarithmic=True)


def rank_ticks(filters: int) -> tuple[tuple[float, str], ...]:
    """Return a few ranks from 1 to the last, with their labels."""
    values = sorted({1, *(max(1, round(filters * k / 4)) for k in range(1, 5))})
    return tuple((float(v), str(v)) for v in values)
