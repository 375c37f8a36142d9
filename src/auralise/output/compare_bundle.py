"""A folder that holds which filters of two first layers are alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from auralise.errors import InvalidValueError
from auralise.filters.compare import (
    Drift,
    FirstLayer,
    Match,
    chance_matches,
    drift,
    first_layer,
    match_filters,
    require_comparable,
)
from auralise.filters.resampling import Interval
from auralise.filters.untrained import untrained_networks
from auralise.models.base import ModelCard, MusicNetwork
from auralise.output.charts import ChartFigure
from auralise.output.charts_interactive import charts_page
from auralise.output.charts_png import encode_charts_png
from auralise.output.compare_figures import compare_figure
from auralise.output.folders import MANIFEST, SCHEMA, whole_folder
from auralise.output.manifest import SCHEMA_VERSION, describe_model, to_json, versions
from auralise.output.parquet import LEFT_OUT, encode_parquet
from auralise.output.tables import encode_csv, encode_npz, plain_number

CHANCE_SEEDS = 5
"""Pairs of untrained networks that are matched to see what chance gives."""

_APART = 1_000_003  # the second untrained network of a pair has a seed so much higher


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two first layers side by side, ready to be written.

    Attributes
    ----------
    cards : pair of ModelCard
    pairs, filters : tuple of mapping
        Rows: one for each matched pair; one for each filter of either network.
    findings : mapping
        For the manifest; plain values.
    arrays : mapping of str to array
    figure : ChartFigure
    sentence : str
        The finding in words.
    """

    cards: tuple[ModelCard, ModelCard]
    pairs: tuple[Mapping[str, Any], ...]
    filters: tuple[Mapping[str, Any], ...]
    findings: Mapping[str, Any]
    arrays: Mapping[str, Any]
    figure: ChartFigure
    sentence: str


def compare_networks(
    first: MusicNetwork,
    second: MusicNetwork,
    seeds: tuple[int | None, int | None] = (None, None),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Comparison:
    """Match the filters of two first layers, beside untrained networks and their own beginning.

    Parameters
    ----------
    first, second : MusicNetwork
        Both on raw audio, or both on the same spectrogram; their architectures are in
        `auralise.models.MODELS`.
    seeds : pair of int or None
        That the networks' trainings began with; None where it is not known.
    progress : callable
        Called with the pairs of untrained networks that are done, and their number.

    Raises
    ------
    InvalidValueError
        If they cannot be compared: says why.
    NetworkError
        If a network's first layer cannot be read.
    """
    layers = first_layer(first), first_layer(second)
    require_comparable(*layers)
    match = match_filters(*layers)
    numbers = range(CHANCE_SEEDS)
    chance = chance_matches(
        untrained_networks(first.card, numbers),
        untrained_networks(second.card, [_APART + number for number in numbers]),
        progress,
    )
    starts = _beginning(first, seeds[0]), _beginning(second, seeds[1])
    drifts = tuple(
        None if start is None else drift(layer, start)
        for layer, start in zip(layers, starts, strict=True)
    )
    before = None
    if starts[0] is not None and starts[1] is not None:
        before = match_filters(starts[0], starts[1]).typical().value
    sentence = _sentence(layers, match, chance, drifts, before)
    return Comparison(
        (first.card, second.card),
        tuple(_pair_rows(layers, match)),
        tuple(
            row for at, layer in enumerate(layers) for row in _rows(at, layer, match, drifts[at])
        ),
        {
            "seeds": list(seeds),
            "similarity": asdict(match.typical()),
            "similarity_untrained": [asdict(other.typical()) for other in chance],
            "similarity_before_training": before,
            "drift": [_describe_drift(found) for found in drifts],
        },
        {
            "first": match.first.numpy(),
            "second": match.second.numpy(),
            "similarity": match.similarity.numpy(),
            "similarity_untrained": torch.stack([m.similarity for m in chance]).numpy(),
        },
        compare_figure(layers, match, chance, drifts, sentence),
        sentence,
    )


def write_comparison(
    folder: str | os.PathLike[str], comparison: Comparison, *, force: bool = False
) -> Path:
    """Write tables of pairs and filters (CSV, and Parquet if it can be), figures, manifest.

    Parameters
    ----------
    folder : str or path-like
        Appears when it is complete.
    comparison : Comparison
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
    files: dict[str, bytes | None] = {
        "figure.html": charts_page(comparison.figure).encode(),
        "figure.png": encode_charts_png(comparison.figure),
        "pairs.csv": encode_csv(comparison.pairs),
        "pairs.parquet": encode_parquet(comparison.pairs),
        "filters.csv": encode_csv(comparison.filters),
        "filters.parquet": encode_parquet(comparison.filters),
        "comparison.npz": encode_npz(comparison.arrays),
    }
    written = {name: content for name, content in files.items() if content is not None}
    manifest = {**comparison_manifest(comparison), "files": sorted(written)}
    if len(written) < len(files):
        manifest["notes"] = [LEFT_OUT]
    with whole_folder(folder, force=force) as aside:
        for name, content in written.items():
            (aside / name).write_bytes(content)
        (aside / MANIFEST).write_bytes(to_json(manifest).encode())
    return Path(folder)


def comparison_manifest(comparison: Comparison) -> dict[str, Any]:
    """Return what was found with what, without the numbers of each filter."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "kind": "comparison",
        "versions": versions(),
        "models": [describe_model(card) for card in comparison.cards],
        "sentence": comparison.sentence,
        "notes": [],
        **comparison.findings,
    }


def _beginning(network: MusicNetwork, seed: int | None) -> FirstLayer | None:
    """Return the first layer that a training with a seed began with."""
    if seed is None:
        return None
    if seed < 0:
        raise InvalidValueError(f"a training's seed is 0 or more, got {seed}")
    (untrained,) = untrained_networks(network.card, (seed,))
    return first_layer(untrained)


def _pair_rows(layers: tuple[FirstLayer, FirstLayer], match: Match) -> list[dict[str, Any]]:
    first, second = layers
    rows = []
    for one, two, value in zip(
        match.first.tolist(), match.second.tolist(), match.similarity.tolist(), strict=True
    ):
        row: dict[str, Any] = {
            "first": first.names[one],
            "second": second.names[two],
            "similarity": value,
        }
        if first.response is not None and second.response is not None:
            row["first_peak_hz"] = plain_number(first.response.peak[one])
            row["second_peak_hz"] = plain_number(second.response.peak[two])
        rows.append(row)
    return rows


def _rows(at: int, layer: FirstLayer, match: Match, found: Drift | None) -> list[dict[str, Any]]:
    """Return a row for each filter of a network; all rows have the same names."""
    partner: dict[int, float] = dict(
        zip((match.first, match.second)[at].tolist(), match.similarity.tolist(), strict=True)
    )
    sounding = layer.sounding
    rows = []
    for index, name in enumerate(layer.names):
        shift = None if found is None else found.shift
        response = None if found is None else found.response
        rows.append(
            {
                "network": ("first", "second")[at],
                "filter": name,
                "silent": not bool(sounding[index]),
                "similarity": partner.get(index),
                "to_beginning": None if found is None else plain_number(found.own[index]),
                "response_to_beginning": None
                if response is None
                else plain_number(response[index]),
                "peak_shift_hz": None if shift is None else plain_number(shift[index]),
            }
        )
    return rows


def _describe_drift(found: Drift | None) -> dict[str, Any] | None:
    if found is None:
        return None
    shift = None if found.shift is None else found.shift[torch.isfinite(found.shift)].abs()
    return {
        "median_cosine": float(torch.quantile(found.own, 0.5)),
        "others_median_cosine_without_sign": found.other,
        "related": found.related,
        "median_peak_shift_hz": None if shift is None else plain_number(torch.quantile(shift, 0.5)),
    }


def _sentence(
    layers: tuple[FirstLayer, FirstLayer],
    match: Match,
    chance: Sequence[Match],
    drifts: Sequence[Drift | None],
    before: float | None,
) -> str:
    """Say how alike matched filters are, against chance, and how far they are from their start."""
    found = match.typical()
    drawn = sorted(other.typical().value for other in chance)
    words = [
        f"Matched filters have a median similarity of {found}; those of untrained networks, "
        f"matched likewise, {drawn[0]:.3g} to {drawn[-1]:.3g}: {_against(found, drawn)}."
    ]
    if before is not None and before > drawn[-1]:
        words.append(
            f"But before training the two had {before:.3g} already, as they began from the same "
            "or like numbers: this is no evidence that they learnt the same."
        )
    for layer, one in zip(layers, drifts, strict=True):
        words.append(_drift_words(layer.name, one))
    return " ".join(words)


def _against(found: Interval, drawn: Sequence[float]) -> str:
    if found.low > drawn[-1]:
        return "the two are more alike than untrained ones"
    if found.high < drawn[0]:
        return "the two are less alike than untrained ones"
    return "the two cannot be told from untrained ones by it"


def _drift_words(name: str, found: Drift | None) -> str:
    if found is None:
        return f"The seed that {name} began with is not known: no drift."
    own = float(torch.quantile(found.own, 0.5))
    if not found.related:
        return (
            f"The filters of {name} are no more like their own beginning (median cosine "
            f"{own:.2f}) than like that of others ({found.other:.2f} without sign): nothing of it "
            "is left, or training began from other random numbers."
        )
    words = f"The filters of {name} have a median cosine of {own:.2f} with their beginning"
    if found.shift is None:
        return f"{words}."
    shift = found.shift[torch.isfinite(found.shift)].abs()
    return f"{words}; their peaks moved by {float(torch.quantile(shift, 0.5)):.0f} Hz (median)."
