"""A folder that holds what the filters of a first layer are tuned to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from auralise.errors import NetworkError
from auralise.filters.bands import band_kernels, respond_over_hertz, spans_all_bins
from auralise.filters.bank import FilterBank, effective_bank
from auralise.filters.known import untrained_bank
from auralise.filters.pairs import phase_pairs
from auralise.filters.response import BankResponse, respond
from auralise.filters.selectivity import GATE_QUANTILE
from auralise.filters.untrained import SEEDS, begins_tuned, untrained_networks
from auralise.filters.verdict import Verdict, judge_scale
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork
from auralise.output.charts_interactive import charts_page
from auralise.output.charts_png import encode_charts_png
from auralise.output.filter_figures import alive_filters, filter_figure
from auralise.output.filter_page import filter_page
from auralise.output.filter_study import FilterStudy
from auralise.output.folders import MANIFEST, SCHEMA, whole_folder
from auralise.output.manifest import SCHEMA_VERSION, describe_model, to_json, versions
from auralise.output.orientation_study import study_orientations
from auralise.output.parquet import LEFT_OUT, encode_parquet
from auralise.output.tables import encode_csv, encode_npz, plain_number

_BEGINS_TUNED = (
    "the filters are tuned before training, by how they are made: what counts as tuned is told by "
    "filters of random taps, and what was learnt by the difference from the untrained ones alone"
)
_MEL_BINS = (
    "a filter over mel bins: its response in Hz is that of the bins that it weights, over its "
    "frames and without sign; the bins are on mel already, so only what differs from the untrained "
    "filters was learnt"
)
_LINEAR_BINS = (
    "a filter over the lines of a spectrum: its response in Hz is its weights over its frames, "
    "without sign"
)

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
    if spans_all_bins(network):
        return _study_bands(network, seeds)
    return study_orientations(network, seeds)


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
    _require_sounding(network, response)
    controls = [
        respond(effective_bank(control)) for control in untrained_networks(network.card, seeds)
    ]
    gate_from, notes = None, bank.notes
    if begins_tuned(network):
        filters, length = bank.impulse_responses.shape
        gate_from = [
            respond(untrained_bank(filters, length=length, sample_rate=bank.sample_rate, seed=seed))
            for seed in seeds
        ]
        notes = (*notes, _BEGINS_TUNED)
    verdict = judge_scale(response, controls, gate_from=gate_from)
    figure = filter_figure(network.card.name, response, controls, verdict)
    tuned = response.selective(verdict.gate)
    return FilterStudy(
        network.card,
        "filters",
        tuple(_rows(response, verdict.gate)),
        _summaries(response, controls, verdict.gate),
        {
            **_findings(bank.names[0], response, verdict, seeds),
            "filter_samples": bank.impulse_responses.shape[1],
            "stride": bank.stride,
            "pairs": _count_pairs(bank, response, verdict.gate),
        },
        {**_arrays(response), "impulse_responses": bank.impulse_responses.numpy()},
        figure,
        verdict.sentence,
        notes,
        filter_page(figure, bank, response, tuned),
    )


def _study_bands(network: MusicNetwork, seeds: Sequence[int]) -> FilterStudy:
    """Analyse filters over all bins of a spectrogram, on the axis in Hz."""
    frontend = network.card.frontend
    if not isinstance(frontend, SpectrogramFrontend):
        raise NetworkError(f"network {network.card.name!r} does not take a spectrogram")
    layer, kernels = band_kernels(network)
    names = tuple(f"{layer}:{channel}" for channel in range(len(kernels)))
    response = respond_over_hertz(kernels, frontend, names)
    _require_sounding(network, response)
    controls = [
        respond_over_hertz(band_kernels(control)[1], frontend)
        for control in untrained_networks(network.card, seeds)
    ]
    ends = frontend.hertz_of(0), frontend.hertz_of(frontend.bins - 1)
    low, high = (float(end or 0.0) for end in ends)
    verdict = judge_scale(response, controls, band=(max(low, response.resolution), high))
    return FilterStudy(
        network.card,
        "bands",
        tuple(_rows(response, verdict.gate)),
        _summaries(response, controls, verdict.gate),
        {
            **_findings(names[0], response, verdict, seeds),
            "bins": kernels.shape[1],
            "frames": kernels.shape[2],
        },
        {**_arrays(response), "kernels": kernels.numpy()},
        filter_figure(network.card.name, response, controls, verdict),
        verdict.sentence,
        (_MEL_BINS if frontend.n_mels is not None else _LINEAR_BINS,),
    )


def _require_sounding(network: MusicNetwork, response: BankResponse) -> None:
    if not bool(alive_filters(response).any()):
        raise NetworkError(
            f"every filter of the first layer of network {network.card.name!r} is zero; "
            "there is nothing to analyse"
        )


def _summaries(
    response: BankResponse, controls: Sequence[BankResponse], gate: float
) -> tuple[dict[str, Any], ...]:
    return (
        _summary("trained", [response], gate),
        _summary(f"untrained, {len(controls)} seeds", controls, gate),
    )


def _arrays(response: BankResponse) -> dict[str, Any]:
    return {"frequencies": response.frequencies.numpy(), "power": response.power.numpy()}


def _findings(
    name: str, response: BankResponse, verdict: Verdict, seeds: Sequence[int]
) -> dict[str, Any]:
    return {
        "options": {
            "seeds": list(seeds),
            "measure": "peak",
            "gate_quantile": GATE_QUANTILE,
            "band_hz": list(verdict.band),
        },
        "layer": name.rpartition(":")[0],
        "resolution_hz": response.resolution,
        "verdict": _describe_verdict(verdict),
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
