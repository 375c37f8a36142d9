"""Rows for tables of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

RESULT_HEAD = (
    "unit",
    "on the song",
    "round trip",
    "on its own sound",
    "convergence",
    "floor",
    "peak",
    "RMS",
    "flags",
)


def result_row(
    unit: str, flags: Sequence[str], scores: Mapping[str, Any], level: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return one unit's row under `RESULT_HEAD`.

    Parameters
    ----------
    unit : str
    flags : sequence of str
    scores : mapping
        Of an `Auralisation`.
    level : mapping
        With ``peak_db`` and ``rms_db``.
    """
    return (
        unit,
        f"{scores['activation_source']:.3g}",
        f"{scores['activation_round_trip']:.3g}",
        f"{scores['activation_auralised']:.3g}",
        decibels(scores["spectral_convergence_db"]),
        decibels(scores["round_trip_convergence_db"]),
        decibels(level["peak_db"], " dBFS"),
        decibels(level["rms_db"], " dBFS"),
        "; ".join(flags) or "-",
    )


def decibels(value: float | None, unit: str = " dB") -> str:
    """Write a level, or a dash where there is none."""
    return "-" if value is None else f"{value:.1f}{unit}"
