"""Spectra of sounds found by gradient ascent, beside what tones of every frequency say."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from auralise.filters.ascent import Ascent
from auralise.filters.tuning import Tuning
from auralise.filters.tuning_curves import TuningCurves
from auralise.output.charts import Axis, Chart, ChartFigure, Image, Series
from auralise.output.figures import Array, hertz_label
from auralise.units import hz_to_mel, mel_to_hz

_FLOOR = -30.0  # dB
_ROWS = 192
_HERTZ = (20, 50, 100, 200, 500, 1000, 2000, 4000, 8000, 16000)


def ascent_figure(ascent: Ascent, tuning: Tuning, curves: TuningCurves) -> ChartFigure | None:
    """Show the spectra sorted by best frequency, and both answers against each other.

    Parameters
    ----------
    ascent : Ascent
        Of units of the layer.
    tuning : Tuning
    curves : TuningCurves
        Of it.

    Returns
    -------
    ChartFigure or None
        None if for no unit both a best frequency and a sound were found.
    """
    best = curves.best_frequency[list(ascent.units)]
    found = ascent.peaks(tuning.frequencies.numpy())
    both = ~np.isnan(best) & ~np.isnan(found)
    if not both.any():
        return None
    order = np.nonzero(both)[0][np.argsort(best[both], kind="stable")].astype(np.int64)
    octaves = np.abs(np.log2(found[order] / best[order]))
    words = (
        f"Of {len(ascent.units)} units of {ascent.layer}, {len(order)} have a best frequency and a "
        f"sound that was found; in {int((octaves <= 1 / 3).sum())} of them the two agree within a "
        "third of an octave."
    )
    return ChartFigure(
        title=f"Sounds found by gradient ascent: {ascent.layer} of {tuning.model}",
        caption=(
            f"{ascent.seeds} seeds, {ascent.steps} steps, {ascent.level_db:g} dBFS, "
            f"{ascent.seconds:.3g} s; best frequency by {tuning.stimulus}"
        ),
        charts=(
            _spectra(ascent, order, best[order]),
            _agreement(ascent, tuning, order, best, found),
        ),
        words=words,
    )


def _spectra(ascent: Ascent, order: NDArray[np.int64], best: Array) -> Chart:
    """Draw a column for each unit, on a mel axis, with the best frequencies over it."""
    top = float(ascent.frequencies[-1])
    high = float(_mel(np.array([top]))[0])
    edges = np.linspace(0.0, high, _ROWS + 1)
    middles = _hertz((edges[1:] + edges[:-1]) / 2)
    density = ascent.density(middles)[order]
    ratio = density / density.max(1, keepdims=True).clip(min=1e-300)
    levels = 10 * np.log10(np.maximum(ratio, 10 ** (_FLOOR / 10)))
    units = len(order)
    ranks = np.arange(1.0, units + 1)
    marks = [float(hz) for hz in (0, 200, *_HERTZ[4:]) if hz <= top]
    ticks = tuple(
        (float(place), hertz_label(hz))
        for place, hz in zip(_mel(np.array(marks)), marks, strict=True)
    )
    return Chart(
        "Spectra in dB below each unit's densest, mel axis",
        Axis(
            "unit, by best frequency", (0.5, units + 0.5), ((1.0, "1"), (float(units), str(units)))
        )
        if units > 1
        else Axis("unit", (0.5, 1.5), ((1.0, "1"),)),
        Axis("frequency (mel)", (0.0, high), ticks),
        (Series("best frequency by tones", "guide", ranks, _mel(best), line=units > 1),),
        image=Image(levels.T.clip(_FLOOR, 0.0), _FLOOR),
    )


def _agreement(
    ascent: Ascent, tuning: Tuning, order: NDArray[np.int64], best: Array, found: Array
) -> Chart:
    """Draw where each spectrum is densest against the best frequency."""
    low, high = float(tuning.frequencies[0]) / 1.1, float(tuning.frequencies[-1]) * 1.1
    ends = np.array([low, high])
    texts = tuple(
        f"{ascent.layer}:{ascent.units[i]}: {best[i]:.0f} Hz by tones, {found[i]:.0f} Hz by ascent"
        for i in order.tolist()
    )
    ticks = tuple((float(v), hertz_label(v)) for v in _HERTZ if low <= v <= high)
    return Chart(
        "Densest frequency of what was found against best frequency",
        Axis("best frequency by tones", (low, high), ticks, logarithmic=True),
        Axis("densest frequency by ascent", (low, high), ticks, logarithmic=True),
        (
            Series("equal", "guide", ends, ends, line=True),
            Series("units", "tuned", best[order], found[order], texts),
        ),
    )


def _mel(hertz: Array) -> Array:
    return np.asarray(hz_to_mel(torch.from_numpy(hertz.astype(float)), "htk").numpy())


def _hertz(mel: Array) -> Array:
    return np.asarray(mel_to_hz(torch.from_numpy(mel), "htk").numpy())
