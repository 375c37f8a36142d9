"""Which directions the filters of a first layer over time and frequency have, counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from auralise.filters.orientation import (
    ClassCount,
    count_classes,
    first_kernels,
    modulation_transfer,
    orientation_classes,
)
from auralise.filters.untrained import untrained_networks
from auralise.frontends.base import Frontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork
from auralise.output.filter_figures import orientation_figure
from auralise.output.filter_study import FilterStudy


def study_orientations(network: MusicNetwork, seeds: Sequence[int]) -> FilterStudy:
    """Count what small filters over time and frequency look for, beside untrained ones.

    Parameters
    ----------
    network : MusicNetwork
        On a spectrogram; its architecture is in `auralise.models.MODELS`.
    seeds : sequence of int
        Of the controls.

    Raises
    ------
    NetworkError
        If it does not begin with a two-dimensional convolution of one channel.
    """
    layer, kernels = first_kernels(network)
    controls = [first_kernels(control)[1] for control in untrained_networks(network.card, seeds)]
    counts = count_classes(kernels, controls)
    return FilterStudy(
        network.card,
        "orientations",
        tuple(_kernel_rows(layer, kernels, network.card.frontend)),
        tuple(_count_row(entry) for entry in counts),
        {
            "options": {"seeds": list(seeds)},
            "layer": layer,
            "bins": kernels.shape[1],
            "frames": kernels.shape[2],
            "untrained_filters": sum(len(control) for control in controls),
        },
        {"kernels": kernels.numpy(), "modulation": modulation_transfer(kernels).power.numpy()},
        orientation_figure(network.card.name, layer, counts),
        _count_words(counts, sum(len(control) for control in controls)),
    )


def _kernel_rows(layer: str, kernels: Tensor, frontend: Frontend) -> list[dict[str, Any]]:
    sounding = (kernels != 0).any(2).any(1)
    names = iter(orientation_classes(kernels[sounding]))
    per_second, per_octave = _rates(frontend)
    modulation = modulation_transfer(kernels)
    rows = []
    for channel in range(len(kernels)):
        heard = bool(sounding[channel])
        at = divmod(int(modulation.power[channel].argmax()), len(modulation.temporal))
        temporal = abs(float(modulation.temporal[at[1]]))
        spectral = float(modulation.spectral[at[0]])
        rows.append(
            {
                "filter": f"{layer}:{channel}",
                "class": next(names) if heard else "",
                "norm": float(torch.linalg.vector_norm(kernels[channel])),
                "mean": float(kernels[channel].mean()),
                "temporal_hz": temporal * per_second if heard and per_second else None,
                "cycles_per_bin": spectral if heard else None,
                "cycles_per_octave_at_1_khz": spectral * per_octave
                if heard and per_octave
                else None,
                "silent": not heard,
            }
        )
    return rows


def _rates(frontend: Frontend) -> tuple[float | None, float | None]:
    """Return frames per second, and bins per octave about 1 kHz; None where there are none."""
    if not isinstance(frontend, SpectrogramFrontend):
        return None, None
    low, high = (frontend.bin_of(1000.0 * 2.0**half) for half in (-0.5, 0.5))
    octave = None if low is None or high is None else high - low
    return frontend.sample_rate / frontend.spec.hop, octave


def _count_row(entry: ClassCount) -> dict[str, Any]:
    return {
        "class": entry.name,
        "filters": entry.count,
        "share": entry.share.value,
        "low": entry.share.low,
        "high": entry.share.high,
        "untrained": entry.untrained,
    }


def _count_words(counts: Sequence[ClassCount], untrained: int) -> str:
    """Say how many filters look for onsets, and how many move in frequency."""
    filters = sum(entry.count for entry in counts)
    named = {entry.name: entry for entry in counts}
    moving = [named[name] for name in ("rising", "falling")]
    onset = named["onset"]
    return (
        f"{onset.count} of {filters} filters look for onsets ({onset.share}); "
        f"{onset.untrained:.1%} of {untrained} untrained filters do. "
        f"{sum(entry.count for entry in moving)} of {filters} follow a rise or fall in frequency; "
        f"{sum(entry.untrained for entry in moving):.1%} of untrained filters do."
    )
