"""A folder that holds what the filters of a first layer are tuned to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from auralise.errors import NetworkError
from auralise.filters.bank import FilterBank, effective_bank
from auralise.filters.orientation import (
    ClassCount,
    count_classes,
    first_kernels,
    modulation_transfer,
    orientation_classes,
)
from auralise.filters.pairs import phase_pairs
from auralise.filters.response import BankResponse, respond
from auralise.filters.selectivity import GATE_QUANTILE
from auralise.filters.untrained import SEEDS, untrained_networks
from auralise.filters.verdict import Verdict, judge_scale
from auralise.models.base import ModelCard, MusicNetwork
from auralise.output.charts import ChartFigure
from auralise.output.charts_interactive import charts_page
from auralise.output.charts_png import encode_charts_png
from auralise.output.filter_figures import alive_filters, filter_figure, orientation_figure
from auralise.output.filter_page import filter_page
from auralise.output.folders import MANIFEST, SCHEMA, whole_folder
from auralise.output.manifest import SCHEMA_VERSION, describe_model, to_json, versions
from auralise.output.parquet import LEFT_OUT, encode_parquet
from auralise.output.tables import encode_csv, encode_npz, plain_number

BELOW_HZ = 2000.0
"""Below which frequency filters are counted in the summary."""

_NUMBERS = {
    "peak_hz": "peak",
    "centroid_hz": "centroid",
    "median_hz": "median",
    "bandwidth_hz": "bandwidth",
    "erb_hz": "erb",
    "rms_width_hz": "rms_width",
    "quality": "quality",
    "peak_fraction": "peak_fraction",
    "flatness": "flatness",
    "negative_fraction": "negative_fraction",
}


@dataclass(frozen=True, slots=True, eq=False)
class FilterStudy:
    """What was found of a network's first layer, ready to be written.

    Attributes
    ----------
    card : ModelCard
        Of the network.
    kind : str
        ``"filters"`` in time, or ``"orientations"`` over time and frequency.
    rows : tuple of mapping
        One for each filter, or each filter over time and frequency; plain values.
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


def study_filters(network: MusicNetwork, seeds: Sequence[int] = SEEDS) -> FilterStudy:
    """Analyse a network's first layer beside the same architecture untrained.

    Parameters
    ----------
    network : MusicNetwork
        On raw audio or on a spectrogram; its architecture is in `auralise.models.MODELS`.
    seeds : sequence of int
        Of the controls.

    Raises
    ------
    NetworkError
        If the network does not begin with a convolution that can be analysed, or all its filters
        are zero.
    """
    if network.card.frontend.axes == ("channel", "time"):
        return _study_in_time(network, seeds)
    return _study_over_time_and_frequency(network, seeds)


def write_filters(
    folder: str | os.PathLike[str], study: FilterStudy, *, force: bool = False
) -> Path:
    """Write tables, responses, figures, a page of filters to play, and ``manifest.json``.

    ``filters.csv`` and, where pyarrow is installed, ``filters.parquet`` have the same rows;
    ``report.html`` is there for filters in time.

    Parameters
    ----------
    folder : str or path-like
        Appears when it is complete.
    study : FilterStudy
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
        "figure.html": charts_page(study.figure).encode(),
        "figure.png": encode_charts_png(study.figure),
        "filters.csv": encode_csv(study.rows),
        "filters.parquet": encode_parquet(study.rows),
        "report.html": study.page.encode() or None,
        "responses.npz": encode_npz(study.arrays),
    }
    written = {name: content for name, content in files.items() if content is not None}
    manifest = {**filter_manifest(study), "files": sorted(written)}
    if "filters.parquet" not in written:
        manifest["notes"].append(LEFT_OUT)
    with whole_folder(folder, force=force) as aside:
        for name, content in written.items():
            (aside / name).write_bytes(content)
        (aside / MANIFEST).write_bytes(to_json(manifest).encode())
    return Path(folder)


def filter_manifest(study: FilterStudy) -> dict[str, Any]:
    """Return what was found with what, without the numbers of each filter."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "kind": study.kind,
        "versions": versions(),
        "model": describe_model(study.card),
        "summary": list(study.summary),
        "sentence": study.sentence,
        "notes": list(study.notes),
        **study.findings,
    }


def _study_in_time(network: MusicNetwork, seeds: Sequence[int]) -> FilterStudy:
    bank = effective_bank(network)
    response = respond(bank)
    if not bool(alive_filters(response).any()):
        raise NetworkError(
            f"every filter of the first layer of network {network.card.name!r} is zero; "
            "there is nothing to analyse"
        )
    controls = [
        respond(effective_bank(control)) for control in untrained_networks(network.card, seeds)
    ]
    verdict = judge_scale(response, controls)
    figure = filter_figure(network.card.name, response, controls, verdict)
    return FilterStudy(
        network.card,
        "filters",
        tuple(_rows(response, verdict.gate)),
        (
            _summary("trained", [response], verdict.gate),
            _summary(f"untrained, {len(controls)} seeds", controls, verdict.gate),
        ),
        _findings(bank, response, verdict, seeds),
        {
            "frequencies": response.frequencies.numpy(),
            "power": response.power.numpy(),
            "impulse_responses": bank.impulse_responses.numpy(),
        },
        figure,
        verdict.sentence,
        bank.notes,
        filter_page(figure, bank, response, response.selective(verdict.gate)),
    )


def _findings(
    bank: FilterBank, response: BankResponse, verdict: Verdict, seeds: Sequence[int]
) -> dict[str, Any]:
    return {
        "options": {
            "seeds": list(seeds),
            "measure": "peak",
            "gate_quantile": GATE_QUANTILE,
            "band_hz": list(verdict.band),
        },
        "layer": bank.names[0].rpartition(":")[0],
        "filter_samples": bank.impulse_responses.shape[1],
        "stride": bank.stride,
        "resolution_hz": bank.resolution,
        "verdict": _describe_verdict(verdict),
        "pairs": _count_pairs(bank, response, verdict.gate),
    }


def _rows(response: BankResponse, gate: float) -> list[dict[str, Any]]:
    tuned = response.selective(gate)
    return [
        {
            "filter": name,
            **{key: plain_number(getattr(response, attr)[i]) for key, attr in _NUMBERS.items()},
            "relative_bandwidth": plain_number(response.relative_bandwidth[i]),
            "tuned": bool(tuned[i]),
            "unresolved": bool(response.unresolved[i]),
            "silent": bool(response.silent[i]),
            "duplicate": bool(response.duplicate[i]),
        }
        for i, name in enumerate(response.names)
    ]


def _summary(name: str, banks: Sequence[BankResponse], gate: float) -> dict[str, Any]:
    """Count filters over one or several banks; median and share are of those that are alive."""
    masks = [alive_filters(bank) for bank in banks]
    peaks = torch.cat([bank.peak[mask] for bank, mask in zip(banks, masks, strict=True)])
    return {
        "network": name,
        "filters": sum(len(mask) for mask in masks),
        "alive": len(peaks),
        "tuned": sum(int(bank.selective(gate).sum()) for bank in banks),
        "unresolved": sum(
            int((bank.unresolved & mask).sum()) for bank, mask in zip(banks, masks, strict=True)
        ),
        "median_hz": plain_number(torch.quantile(peaks, 0.5)),
        "below_2_khz": float((peaks < BELOW_HZ).double().mean()),
    }


def _describe_verdict(verdict: Verdict) -> dict[str, Any]:
    plain = asdict(verdict)
    plain["finding"] = verdict.finding.value
    plain["leading"] = list(verdict.leading)
    return plain


def _count_pairs(bank: FilterBank, response: BankResponse, gate: float) -> dict[str, Any] | None:
    """Count tuned filters that share a frequency, and those a quarter of a period apart."""
    if bank.impulse_responses.is_complex():
        return None
    pairs = phase_pairs(bank, response, among=response.selective(gate))
    return {"same_frequency": len(pairs.first), "quadrature": int(pairs.quadrature().sum())}


def _study_over_time_and_frequency(network: MusicNetwork, seeds: Sequence[int]) -> FilterStudy:
    layer, kernels = first_kernels(network)
    controls = [first_kernels(control)[1] for control in untrained_networks(network.card, seeds)]
    counts = count_classes(kernels, controls)
    return FilterStudy(
        network.card,
        "orientations",
        tuple(_kernel_rows(layer, kernels)),
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


def _kernel_rows(layer: str, kernels: Tensor) -> list[dict[str, Any]]:
    sounding = (kernels != 0).any(2).any(1)
    names = iter(orientation_classes(kernels[sounding]))
    return [
        {
            "filter": f"{layer}:{channel}",
            "class": next(names) if sounding[channel] else "",
            "norm": float(torch.linalg.vector_norm(kernels[channel])),
            "mean": float(kernels[channel].mean()),
            "silent": not bool(sounding[channel]),
        }
        for channel in range(len(kernels))
    ]


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
