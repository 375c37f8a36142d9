"""A folder that holds the tuning of a layer: table, arrays, figures, manifest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from auralise.filters.ascent import Ascent
from auralise.filters.tuning import Tuning
from auralise.filters.tuning_curves import TuningCurves
from auralise.models.base import ModelCard
from auralise.output.ascent_figures import ascent_figure
from auralise.output.charts_interactive import charts_page
from auralise.output.charts_png import encode_charts_png
from auralise.output.folders import MANIFEST, SCHEMA, whole_folder
from auralise.output.manifest import SCHEMA_VERSION, describe_model, to_json, versions
from auralise.output.tables import encode_csv, encode_npz, plain_number
from auralise.output.tuning_figures import tuning_figure
from auralise.output.tuning_interactive import tuning_page
from auralise.output.tuning_png import encode_tuning_png

_COLUMNS = {
    "best_hz": "best_frequency",
    "low_hz": "low",
    "high_hz": "high",
    "width_octaves": "width_octaves",
    "height": "height",
    "selectivity": "selectivity",
    "octave": "octave",
    "twelfth": "twelfth",
    "level_exponent": "level_exponent",
    "click": "click",
    "direction": "direction",
}


def tuning_rows(
    tuning: Tuning, curves: TuningCurves, ascent: Ascent | None = None
) -> list[dict[str, Any]]:
    """Return one plain row per unit, in the order of the channels.

    With ``ascent``, ``ascent_hz`` is where the spectrum of the sound that was found is densest,
    and ``ascent_answer`` the activation for it; None for units that were not searched for.

    Returns
    -------
    list of dict
        ``unit``, the numbers of `TuningCurves` with None for those that are missing, the
        activation in ``silence``, ``resolved`` and ``dead``.
    """
    rows = []
    peaks = {} if ascent is None else _ascent_columns(ascent, tuning)
    for channel in range(len(curves.dead)):
        numbers = {
            name: plain_number(getattr(curves, attribute)[channel])
            for name, attribute in _COLUMNS.items()
        }
        rows.append(
            {
                "unit": f"{tuning.layer}:{channel}",
                **numbers,
                "silence": float(tuning.silence[channel]),
                "resolved": bool(curves.resolved[channel]),
                "dead": bool(curves.dead[channel]),
                **({} if ascent is None else peaks.get(channel, _NOT_SEARCHED)),
            }
        )
    return rows


_NOT_SEARCHED = {"ascent_hz": None, "ascent_answer": None}


def _ascent_columns(ascent: Ascent, tuning: Tuning) -> dict[int, dict[str, float | None]]:
    """Return what was found for each unit that was searched for."""
    peaks = ascent.peaks(tuning.frequencies.numpy())
    return {
        unit: {"ascent_hz": plain_number(peak), "ascent_answer": plain_number(answer)}
        for unit, peak, answer in zip(ascent.units, peaks, ascent.after, strict=True)
    }


def write_tuning(
    folder: str | os.PathLike[str],
    tuning: Tuning,
    curves: TuningCurves,
    card: ModelCard,
    *,
    ascent: Ascent | None = None,
    force: bool = False,
) -> Path:
    """Write ``tuning.csv``, ``tuning.npz``, ``figure.png``, ``figure.html``, ``manifest.json``.

    With ``ascent`` also ``ascent.png`` and ``ascent.html``, if there is anything to compare.

    Parameters
    ----------
    folder : str or path-like
        Appears when it is complete.
    tuning : Tuning
    curves : TuningCurves
        Of it; the table and the figure are of their level.
    card : ModelCard
        Of the network.
    ascent : Ascent, optional
        Of units of the layer.
    force : bool
        Replace an older result of that name.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If something is there already, or cannot be written; nothing half-written is left then.
    """
    figure = tuning_figure(tuning, curves)
    files = {
        "figure.html": tuning_page(figure).encode(),
        "figure.png": encode_tuning_png(figure),
        "tuning.csv": encode_csv(tuning_rows(tuning, curves, ascent)),
        "tuning.npz": _arrays(tuning, ascent),
    }
    compared = None if ascent is None else ascent_figure(ascent, tuning, curves)
    if compared is not None:
        files["ascent.html"] = charts_page(compared).encode()
        files["ascent.png"] = encode_charts_png(compared)
    manifest = {**tuning_manifest(tuning, curves, card, ascent), "files": sorted(files)}
    with whole_folder(folder, force=force) as aside:
        for name, content in files.items():
            (aside / name).write_bytes(content)
        (aside / MANIFEST).write_bytes(to_json(manifest).encode())
    return Path(folder)


def tuning_manifest(
    tuning: Tuning, curves: TuningCurves, card: ModelCard, ascent: Ascent | None = None
) -> dict[str, Any]:
    """Return what was measured with what, without the numbers themselves."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "kind": "tuning",
        "versions": versions(),
        "model": describe_model(card),
        "tuning": {
            "layer": tuning.layer,
            "stimulus": tuning.stimulus,
            "frequencies": len(tuning.frequencies),
            "low_hz": float(tuning.frequencies[0]),
            "high_hz": float(tuning.frequencies[-1]),
            "levels_db": tuning.levels_db.tolist(),
            "level_db": curves.level_db,
            "reduction": tuning.reduction,
            "variants": tuning.variants,
            "seconds": tuning.seconds,
            "chirp_seconds": tuning.chirp_seconds,
        },
        "units": len(curves.dead),
        "dead": int(curves.dead.sum()),
        "untuned": int(np.isnan(curves.best_frequency).sum()),
        "ascent": None if ascent is None else _describe_ascent(ascent),
    }


def _describe_ascent(ascent: Ascent) -> dict[str, Any]:
    return {
        "units": list(ascent.units),
        "found": int(ascent.moved.sum()),
        "level_db": ascent.level_db,
        "seeds": ascent.seeds,
        "steps": ascent.steps,
        "seconds": ascent.seconds,
    }


def _arrays(tuning: Tuning, ascent: Ascent | None) -> bytes:
    names = ["frequencies", "levels_db", "responses", "silence", "click", "rising", "falling"]
    arrays = {name: getattr(tuning, name).numpy() for name in names}
    if ascent is not None:
        arrays["ascent_units"] = np.array(ascent.units)
        arrays["ascent_frequencies"] = ascent.frequencies.numpy()
        arrays["ascent_power"] = ascent.power.numpy()
    return encode_npz(arrays)
