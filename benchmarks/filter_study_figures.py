"""The figures of the filter study: three first-layer lengths beside each other."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from auralise.filters import cumulative_response
from auralise.units import hz_to_mel, mel_to_hz

if TYPE_CHECKING:
    from filter_study_conditions import Condition

COLOURS = {
    "trained": "#1f5f7a",
    "untrained": "#8a939b",
    "shuffled": "#c2410c",
    "whitened": "#7c3aed",
    "patches": "#2f855a",
}
LABELS = {
    "trained": "trained",
    "untrained": "untrained",
    "shuffled": "shuffled labels",
    "whitened": "whitened audio",
    "patches": "patches",
}
TICKS = (20, 50, 100, 200, 500, 1000, 2000, 4000, 8000)
FLOOR = -30.0


def draw_figures(conditions: Sequence[Condition]) -> dict[str, bytes]:
    """Return PNG files by name."""
    lengths = sorted({c.length for c in conditions if c.kind == "trained"})

    def made(draw: Callable[[Axes, dict[str, Condition]], None], height: float) -> bytes:
        canvas = Figure(figsize=(11.0, height), dpi=100, facecolor="white", layout="constrained")
        FigureCanvasAgg(canvas)
        for number, length in enumerate(lengths):
            axes = canvas.add_subplot(1, len(lengths), number + 1)
            own = {c.kind: c for c in conditions if c.length == length}
            draw(axes, own)
            axes.set_title(f"{length} samples", loc="left", size=9)
            axes.tick_params(labelsize=7)
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    return {
        "mel": made(lambda axes, own: image(axes, own, mel=True), 3.6),
        "linear": made(lambda axes, own: image(axes, own, mel=False), 3.6),
        "ranks": made(ranks, 4.0),
        "widths": made(widths, 4.0),
        "cumulative": made(cumulative, 3.6),
    }


def image(axes: Axes, own: dict[str, Condition], *, mel: bool) -> None:
    """Draw all trained filters of all seeds, sorted, with the even spacing on mel over them."""
    banks = own["trained"].banks
    power = torch.cat([bank.power[~bank.silent] for bank in banks]).numpy()
    peaks = torch.cat([bank.peak[~bank.silent] for bank in banks]).numpy()
    power = power[np.argsort(peaks)]
    frequencies = banks[0].frequencies.numpy()
    top = frequencies[-1]
    places = np.linspace(0, _mel(top) if mel else top, 513)
    edges = np.searchsorted(frequencies, _hertz(places) if mel else places).clip(
        max=len(frequencies) - 1
    )
    rows = np.maximum.reduceat(power, edges[:-1], axis=1)
    levels = 10 * np.log10(np.maximum(rows / power.max(1, keepdims=True), 10 ** (FLOOR / 10)))
    axes.imshow(
        levels.T, origin="lower", aspect="auto", cmap="magma", vmin=FLOOR, vmax=0,
        extent=(0.5, len(power) + 0.5, 0, places[-1]), interpolation="nearest",
    )  # fmt: skip
    rank = np.arange(1, len(power) + 1)
    even = _even(own["trained"].verdict.band, len(power))
    axes.plot(rank, _mel(even) if mel else even, "w-", linewidth=1.2, label="even on mel")
    ticks = [t for t in (0, 200, 500, 1000, 2000, 4000, 8000) if mel or t in (0, 2000, 4000, 8000)]
    axes.set_yticks([_mel(t) if mel else t for t in ticks], [_label(t) for t in ticks])
    axes.set_xlabel("filter, by centre frequency", size=8)
    axes.legend(fontsize=7, loc="upper left", labelcolor="white", facecolor="black")


def ranks(axes: Axes, own: dict[str, Condition]) -> None:
    """Draw centre frequency of tuned filters against rank: the range over seeds of each kind."""
    shares = np.linspace(0.02, 0.98, 97)
    for kind, colour in COLOURS.items():
        if kind not in own:
            continue
        parts = own[kind].tuned if kind != "untrained" else _resolved(own[kind])
        parts = [np.sort(part.numpy()) for part in parts if len(part) >= 4]
        if not parts:
            continue
        drawn = np.stack([np.quantile(part, shares) for part in parts])
        axes.fill_between(
            100 * shares, drawn.min(0), drawn.max(0), color=colour, alpha=0.25, linewidth=0
        )
        label = LABELS[kind] + (" (all resolved)" if kind == "untrained" else "")
        axes.plot(100 * shares, np.median(drawn, 0), color=colour, linewidth=1.2, label=label)
    band = own["trained"].verdict.band
    axes.plot(100 * shares, np.quantile(_even(band, 999), shares), "k:", label="even on mel")
    _log(axes.set_yscale, axes.set_yticks, axes.yaxis, band)
    axes.set_ylim(*band)
    axes.set_xlabel("rank (%)", size=8)
    axes.set_ylabel("centre frequency (Hz)", size=8)
    axes.legend(fontsize=6)


def widths(axes: Axes, own: dict[str, Condition]) -> None:
    """Draw bandwidth against centre frequency, with the lines of constant Q and of mel."""
    band = own["trained"].verdict.band
    for kind in ("patches", "whitened", "shuffled", "mel", "trained"):
        if kind not in own:
            continue
        c = own[kind]
        masks = [bank.selective(c.verdict.gate) for bank in c.banks]
        x, y = (
            torch.cat([getattr(b, name)[m] for b, m in zip(c.banks, masks, strict=True)]).numpy()
            for name in ("peak", "bandwidth")
        )
        colour = COLOURS.get(kind, "#d4a017")
        label = LABELS.get(kind, "mel Gabors (made)")
        size = 3.0 if kind == "trained" else 1.5
        axes.plot(x, y, ".", color=colour, markersize=size, alpha=0.7, label=label)
        if kind == "trained" and len(x):
            line = np.geomspace(*band, 50)
            per_hertz, per_mel = np.median(y / x), np.median(y / (700 + x))
            axes.plot(line, per_hertz * line, "k--", linewidth=0.8, label="constant Q")
            axes.plot(line, per_mel * (700 + line), "k:", linewidth=0.8, label="as mel")
    narrowest = 0.886 * own["trained"].banks[0].resolution
    axes.axhline(narrowest, color="k", linewidth=0.6)
    _log(axes.set_xscale, axes.set_xticks, axes.xaxis, band)
    axes.set_xlim(*band)
    _log(axes.set_yscale, axes.set_yticks, axes.yaxis, (narrowest / 2, 8000))
    axes.set_ylim(narrowest / 2, 4000)
    axes.set_xlabel("centre frequency (Hz)", size=8)
    axes.set_ylabel("bandwidth, -3 dB (Hz)", size=8)
    axes.legend(fontsize=6, loc="upper left")


def cumulative(axes: Axes, own: dict[str, Condition]) -> None:
    """Draw what all filters of a kind pass together, each with the same energy, over seeds."""
    band = own["trained"].verdict.band
    hertz = np.geomspace(max(band[0] / 2, 10), band[1], 200)
    for kind, colour in COLOURS.items():
        if kind not in own:
            continue
        drawn = np.stack(
            [
                np.interp(hertz, bank.frequencies.numpy(), cumulative_response(bank).numpy())
                for bank in own[kind].banks
            ]
        )
        axes.fill_between(hertz, drawn.min(0), drawn.max(0), color=colour, alpha=0.25, linewidth=0)
        axes.plot(hertz, np.median(drawn, 0), color=colour, linewidth=1.2, label=LABELS[kind])
    mel = 1 / ((700 + hertz) * np.log((700 + band[1]) / 700))
    axes.plot(hertz, mel, "k:", label="even on mel")
    _log(axes.set_xscale, axes.set_xticks, axes.xaxis, band)
    axes.set_yscale("log")
    axes.set_xlabel("frequency (Hz)", size=8)
    axes.set_ylabel("share of energy per Hz", size=8)
    axes.legend(fontsize=6)


def _resolved(condition: Condition) -> list[torch.Tensor]:
    return [bank.peak[~bank.unresolved] for bank in condition.banks]


def _even(band: tuple[float, float], count: int) -> np.ndarray:
    low, high = _mel(band[0]), _mel(band[1])
    return _hertz(low + (high - low) * (np.arange(count) + 0.5) / count)


def _mel(hertz: float | np.ndarray) -> np.ndarray:
    return hz_to_mel(torch.as_tensor(hertz, dtype=torch.float64), "htk").numpy()


def _hertz(mel: float | np.ndarray) -> np.ndarray:
    return mel_to_hz(torch.as_tensor(mel, dtype=torch.float64), "htk").numpy()


def _log(scale: Callable, ticks: Callable, axis: object, band: tuple[float, float]) -> None:
    scale("log")
    shown = [t for t in TICKS if band[0] <= t <= band[1]]
    ticks(shown, [_label(t) for t in shown])
    axis.set_minor_locator(NullLocator())


def _label(hertz: float) -> str:
    return f"{hertz / 1000:g}k" if hertz >= 1000 else f"{hertz:g}"
