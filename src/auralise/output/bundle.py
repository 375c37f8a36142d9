"""A folder that holds an auralisation: sounds, arrays, figures, report, manifest."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auralise.activations.layers import Unit
from auralise.activations.receptive_field import ReceptiveField, receptive_field
from auralise.audio.files import encode_wav
from auralise.audit import Audit
from auralise.auralisation import Auralisation
from auralise.errors import InvalidValueError
from auralise.models.base import MusicNetwork
from auralise.output.figures import display_spec, unit_figure
from auralise.output.folders import MANIFEST, whole_folder
from auralise.output.manifest import Song, common_manifest, to_json, unit_manifest
from auralise.output.page import figure_page
from auralise.output.png import encode_png
from auralise.output.report import ReportEntry, report
from auralise.output.sounds import level_sounds
from auralise.positions import Place, place_of
from auralise.settings import Settings
from auralise.spectral.spectrogram import analyse

REPORT = "report.html"


def write_bundle(
    folder: str | os.PathLike[str],
    auralisation: Auralisation,
    network: MusicNetwork,
    song: Song,
    *,
    settings: Settings,
    level: str = "source-rms",
    force: bool = False,
    audit: Audit | None = None,
) -> Path:
    """Write one unit's bundle.

    ``auralisation.wav``, ``source.wav``, ``round_trip.wav`` (24 bit), ``arrays.npz`` (see
    `arrays_of`), ``figure.png``, ``figure.html``, ``report.html``, ``manifest.json``.

    Parameters
    ----------
    folder : str or path-like
        Appears when it is complete.
    auralisation : Auralisation
    network : MusicNetwork
        That it was made with.
    song : Song
        Where the excerpt comes from.
    settings : Settings
        That it was made with.
    level : str
        Level policy of the unit's sound, from `auralise.audio.levels.LEVELS`.
    force : bool
        Replace an older bundle of that name.
    audit : Audit, optional
        Shown in the report and kept in the manifest.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If something is there already, or cannot be written; nothing half-written is left then.
    UnknownNameError
        If there is no such level policy.
    """
    common = common_manifest(network.card, song, settings.resolved(network.card.frontend), level)
    with whole_folder(folder, force=force) as aside:
        place = places_of(network, [auralisation])[0]
        entry, manifest = write_unit(aside, auralisation, common, place, audit)
        write_text(aside / "figure.html", figure_page(entry.figure))
        title = f"What {entry.name} responds to in {song.name}"
        write_text(aside / REPORT, _report([entry], common, song, title))
        finish(aside, manifest)
    return Path(folder)


def write_collection(
    folder: str | os.PathLike[str],
    auralisations: Iterable[Auralisation],
    network: MusicNetwork,
    song: Song,
    *,
    settings: Settings,
    level: str = "source-rms",
    force: bool = False,
    audits: Mapping[Unit, Audit] = MappingProxyType({}),
) -> Path:
    """Write several units of one run: a folder for each, one report and one manifest over all.

    The units' folders hold what `write_bundle` writes but for the HTML pages, whose content is in
    the common report.

    Parameters
    ----------
    folder, network, song, settings, level, force
        As for `write_bundle`.
    auralisations : iterable of Auralisation
        At least one; all of one song and network, each unit once.
    audits : mapping of Unit to Audit
        Of those units that have one.

    Raises
    ------
    OutputError
        As for `write_bundle`.
    InvalidValueError
        If there is no auralisation, or a unit comes twice.
    """
    common = common_manifest(network.card, song, settings.resolved(network.card.frontend), level)
    with whole_folder(folder, force=force) as aside:
        results = list(auralisations)
        names = [folder_of(result.inversion.unit) for result in results]
        if not results or len(set(names)) != len(names):
            raise InvalidValueError(f"a collection needs units, each once; got {names}")
        entries = []
        places = places_of(network, results)
        for name, result, place in zip(names, results, places, strict=True):
            (aside / name).mkdir()
            audit = audits.get(result.inversion.unit)
            entry, manifest = write_unit(aside / name, result, common, place, audit)
            finish(aside / name, manifest)
            entries.append(entry)
        title = f"What {len(entries)} units of {network.card.name} respond to in {song.name}"
        write_text(aside / REPORT, _report(entries, common, song, title))
        units = [_index_entry(entry, name) for entry, name in zip(entries, names, strict=True)]
        finish(aside, {**common, "kind": "collection", "units": units})
    return Path(folder)


def folder_of(unit: Unit) -> str:
    """Return the name of a unit's folder in a collection.

    Examples
    --------
    >>> folder_of(Unit("features.0", 5))
    'features.0-5'
    """
    return f"{re.sub(r'[^A-Za-z0-9_.@-]', '_', unit.layer)}-{unit.channel}"


def arrays_of(auralisation: Auralisation) -> dict[str, NDArray[Any]]:
    """Return what a bundle's ``arrays.npz`` holds.

    Returns
    -------
    dict of str to array
        ``relevance`` and ``features`` on ``seconds`` and, for spectrograms, ``hertz``;
        ``source_magnitude`` and ``auralised_magnitude``, both (bins, frames), linear, of the
        sounds before any level policy, on ``magnitude_seconds`` and ``magnitude_hertz``.
    """
    features, frontend = auralisation.features, auralisation.frontend
    values = features.values
    arrays = {
        "relevance": auralisation.inversion.relevance.detach().cpu().numpy(),
        "features": values.detach().cpu().numpy(),
        "seconds": np.array([frontend.seconds_of(i) for i in range(values.shape[-1])]),
    }
    if "frequency" in frontend.axes:
        hertz = [frontend.hertz_of(i) for i in range(values.shape[1])]
        arrays["hertz"] = np.array(hertz, dtype=np.float64)
    known = features.spectrogram
    spec = display_spec(features.source) if known is None else known.spec
    if spec is None:
        return arrays
    for name, sound in (("source", features.source), ("auralised", auralisation.waveform)):
        magnitude = analyse(sound.mono(), spec).magnitude[0].detach().cpu().numpy()
        arrays[f"{name}_magnitude"] = magnitude
    frames = np.arange(magnitude.shape[1])
    arrays["magnitude_seconds"] = frames * spec.hop / spec.sample_rate
    arrays["magnitude_hertz"] = spec.frequencies().numpy()
    return arrays


def write_unit(
    folder: Path,
    auralisation: Auralisation,
    common: Mapping[str, Any],
    place: Place | None,
    audit: Audit | None = None,
) -> tuple[ReportEntry, dict[str, Any]]:
    """Write sounds, arrays and the still figure; return what the pages and the manifest need."""
    sounds = level_sounds(auralisation, common["settings"]["level"])
    entry = ReportEntry(auralisation, unit_figure(auralisation, place=place), sounds, audit)
    for name, sound in (
        ("auralisation", sounds.auralised),
        ("source", sounds.source),
        ("round_trip", sounds.round_trip),
    ):
        (folder / f"{name}.wav").write_bytes(encode_wav(sound.waveform, "PCM_24"))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays_of(auralisation))
    (folder / "arrays.npz").write_bytes(buffer.getvalue())
    (folder / "figure.png").write_bytes(encode_png(entry.figure))
    return entry, unit_manifest(common, auralisation, sounds, place, audit)


def finish(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest, which lists all other files below the folder."""
    files = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    write_text(folder / MANIFEST, to_json({**manifest, "files": files}))


def write_text(path: Path, text: str) -> None:
    """Write a text with plain line ends on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def places_of(network: MusicNetwork, auralisations: Sequence[Auralisation]) -> list[Place | None]:
    """Return what each followed place sees; the layer's receptive field is measured once."""
    fields: dict[str, ReceptiveField] = {}
    places: list[Place | None] = []
    for auralisation in auralisations:
        inversion, values = auralisation.inversion, auralisation.features.values
        layer = inversion.unit.layer
        if inversion.position is None:
            places.append(None)
            continue
        if layer not in fields:
            fields[layer] = receptive_field(network.module, values, layer)
        shape = tuple(values.shape[1:])
        places.append(place_of(auralisation.frontend, fields[layer], inversion.position, shape))
    return places


def _index_entry(entry: ReportEntry, folder: str) -> dict[str, Any]:
    inversion = entry.auralisation.inversion
    return {
        "unit": entry.name,
        "folder": folder,
        "activation": inversion.activation,
        "flags": inversion.flags,
        "scores": dict(entry.auralisation.scores),
    }


def _report(
    entries: Sequence[ReportEntry], common: Mapping[str, Any], song: Song, title: str
) -> str:
    settings = common["settings"]
    source = entries[0].auralisation.source
    facts = {
        "Song": song.name,
        "Excerpt": f"{song.start:.2f} s to {song.start + source.duration:.2f} s",
        "Model": common["model"]["name"],
        "Method": settings["method"],
        "Followed at": _at(settings["at"]),
        "Sonification": _join(settings["sonification"], settings["part"]),
        "Phase": _or_none(settings["phase"]),
        "Level": settings["level"],
    }
    if song.attribution:
        facts["Music by"] = _join(song.attribution, song.licence)
    provenance = dict(_flat(common))
    return report(entries, title=title, facts=facts, notes=song.notes, provenance=provenance)


def _at(at: str | float | tuple[float, float]) -> str:
    if isinstance(at, str):
        return at
    return f"{at[0]:g} s, {at[1]:g} Hz" if isinstance(at, tuple) else f"{at:g} s"


def _join(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part) or "none"


def _or_none(value: object) -> str:
    return "none" if value is None or value == "" else str(value)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name nested values by their way through the mappings."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _or_none(value)
