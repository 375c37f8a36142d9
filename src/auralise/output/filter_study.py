"""What was found of a network's first layer, ready to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auralise.models.base import ModelCard
from auralise.output.charts import ChartFigure


@dataclass(frozen=True, slots=True, eq=False)
class FilterStudy:
    """What was found of a network's first layer, ready to be written.

    Attributes
    ----------
    card : ModelCard
        Of the network.
    kind : str
        ``"filters"`` in time, ``"bands"`` over all bins of a spectrogram, or ``"orientations"``
        over time and frequency.
    rows : tuple of mapping
        One for each filter; plain values.
    summary : tuple of mapping
        What the terminal shows, as rows.
    findings : mapping
        For the manifest: verdict or counts, options, notes; plain values.
    arrays : mapping of str to array
    figure : ChartFigure
    sentence : str
        The finding in words.
    notes : tuple of str
        What has to be known when reading it.
    page : str
        HTML on which every filter is played; empty for filters that have no sound of their own.
    """

    card: ModelCard
    kind: str
    rows: tuple[Mapping[str, Any], ...]
    summary: tuple[Mapping[str, Any], ...]
    findings: Mapping[str, Any]
    arrays: Mapping[str, Any]
    figure: ChartFigure
    sentence: str
    notes: tuple[str, ...] = ()
    page: str = ""
