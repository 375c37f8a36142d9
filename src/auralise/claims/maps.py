"""How alike the maps of a unit are when one thing about a sound changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from auralise.activations.layers import Unit
from auralise.audio.waveform import Waveform
from auralise.claims.base import Curve, Panel
from auralise.claims.context import Context
from auralise.claims.factors import Cell, Pairs
from auralise.errors import UnsupportedActivationError
from auralise.inversion.backprop import guided

UNITS = 2
"""How many units of a stage have their maps compared: those with the largest mean answer."""

CELLS = 8
"""How many sounds of a design have maps made of them."""


def map_correlations(
    context: Context,
    cells: Sequence[Cell],
    sounds: Sequence[Waveform],
    pairs: Mapping[str, Pairs],
) -> tuple[Panel, ...]:
    """Return the mean correlation of guided maps over pairs that differ in one thing alone.

    A map is that of one unit's whole answer, added up over time, so that only its spectrum is
    compared and a shift in time does not count.

    Returns
    -------
    tuple of Panel
        One, or none where the network has an activation that the method has no rule for.
    """
    chosen = _chosen(len(cells), pairs)
    stages = [i for i, stage in enumerate(context.stages) if stage.mapped]
    if not stages or not chosen:
        return ()
    picked = sorted({stages[0], stages[len(stages) // 2], stages[-1]})
    wanted = sorted({i for rows in chosen.values() for pair in rows for i in pair})
    try:
        maps = {stage: _maps(context, stage, sounds, wanted) for stage in picked}
    except UnsupportedActivationError:
        return ()
    names = tuple(context.stages[stage].name for stage in picked)
    curves = []
    for factor, rows in chosen.items():
        y = []
        for stage in picked:
            found = [
                _alike(one, other)
                for i, j in rows
                for one, other in zip(maps[stage][i], maps[stage][j], strict=True)
            ]
            finite = [value for value in found if value == value]
            y.append(sum(finite) / len(finite) if finite else float("nan"))
        curves.append(Curve(f"only {factor} changes", tuple(y)))
    return (
        Panel(
            "Inverted maps before and after one change",
            "layer",
            "correlation of spectra",
            names,
            tuple(curves),
        ),
    )


def _chosen(count: int, pairs: Mapping[str, Pairs]) -> dict[str, list[tuple[int, int]]]:
    """Return two pairs for each factor, those that begin with the first sounds."""
    return {
        factor: [(int(i), int(j)) for i, j in rows[:: max(1, len(rows) // 2)][:2]]
        for factor, rows in pairs.items()
        if count
    }


def _maps(
    context: Context, stage: int, sounds: Sequence[Waveform], wanted: Sequence[int]
) -> dict[int, list[Tensor]]:
    """Return the spectra of the maps of the loudest units, for each sound that is wanted."""
    layer = context.stages[stage].layer
    features = {i: context.frontend.analyse(sounds[i]).values for i in wanted}
    with context.recorded(context.network, [layer]) as play:
        first = play(sounds[wanted[0]].samples)[layer][0].flatten(1).mean(1)
    units = first.topk(min(UNITS, len(first))).indices.tolist()
    found: dict[int, list[Tensor]] = {}
    for i in wanted:
        context.progress("maps", wanted.index(i) + 1, len(wanted))
        found[i] = [
            _spectrum(
                guided(
                    context.network.module, features[i], Unit(layer, unit), position="whole"
                ).relevance
            )
            for unit in units
        ]
    return found


def _spectrum(relevance: Tensor) -> Tensor:
    """Return a map's absolute values against frequency, summed over time.

    Of a map over samples, the magnitudes of its Fourier transform.
    """
    if relevance.ndim == 2:
        spectrum: Tensor = torch.fft.rfft(relevance.double()[0]).abs()
        return spectrum
    return relevance.double().abs().sum((0, 2))


def _alike(one: Tensor, other: Tensor) -> float:
    both = torch.stack([one, other])
    if bool((both.std(1) == 0).any()):
        return float("nan")
    return float(torch.corrcoef(both)[0, 1])
