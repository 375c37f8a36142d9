"""A folder with a unit's examples out of an atlas: excerpts, auralisations, one report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from auralise.atlas.excerpts import auralise_example, excerpt, span
from auralise.atlas.query import Atlas
from auralise.atlas.unit import Example
from auralise.audio.files import encode_wav
from auralise.audio.levels import apply_level
from auralise.errors import InvalidValueError
from auralise.models.base import MusicNetwork
from auralise.output.bundle import REPORT, finish, places_of, write_text, write_unit
from auralise.output.folders import whole_folder
from auralise.output.manifest import Song, common_manifest
from auralise.output.report import ReportEntry, report
from auralise.settings import Settings


def write_examples(
    folder: str | Path,
    atlas: Atlas,
    network: MusicNetwork,
    examples: Sequence[Example],
    *,
    settings: Settings,
    level: str = "source-rms",
    force: bool = False,
) -> Path:
    """Cut examples out of the original files, let the unit be heard in them, and write a report.

    Each example has a folder with ``excerpt.wav``, which is what the unit saw with what is around
    it, and what `write_bundle` writes for the window that the network heard.

    Parameters
    ----------
    folder : str or Path
        Appears when it is complete.
    atlas : Atlas
    network : MusicNetwork
        The one that the atlas is of.
    examples : sequence of Example
        Of one unit.
    settings : Settings
    level : str
        Level policy of the unit's sounds.
    force : bool
        Replace an older result.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If something is there already, or cannot be written.
    AudioFileError
        If an original is gone, or is another file now.
    InvalidValueError
        If there are no examples.
    """
    if not examples:
        raise InvalidValueError("there are no examples to be written")
    resolved = settings.resolved(network.card.frontend)
    entries: list[ReportEntry] = []
    rows: list[dict[str, Any]] = []
    with whole_folder(folder, force=force) as aside:
        for number, example in enumerate(examples):
            entry, row = _write_example(aside, number, atlas, network, example, resolved, level)
            entries.append(entry)
            rows.append(row)
        title = f"What {examples[0].unit} of {network.card.name} responds to"
        page = report(entries, title=title, facts=_facts(atlas, examples[0], settings, level))
        write_text(aside / REPORT, page)
        song = Song("", "")
        common = common_manifest(network.card, song, resolved, level)
        common.pop("song")
        finish(aside, {**common, "kind": "examples", "unit": examples[0].unit, "examples": rows})
    return Path(folder)


def _write_example(
    aside: Path,
    number: int,
    atlas: Atlas,
    network: MusicNetwork,
    example: Example,
    settings: Settings,
    level: str,
) -> tuple[ReportEntry, dict[str, Any]]:
    name = f"{number:02}-{re.sub(r'[^A-Za-z0-9_.-]', '_', Path(example.path).stem)[:60]}"
    place = aside / name
    place.mkdir()
    result = auralise_example(atlas, network, example, settings)
    song = Song(example.path, example.clip, example.window, atlas.manifest.seconds)
    common = common_manifest(network.card, song, settings, level)
    entry, manifest = write_unit(place, result, common, places_of(network, [result])[0])
    cut = excerpt(atlas, example)
    (place / "excerpt.wav").write_bytes(
        encode_wav(apply_level(cut, cut, "none").waveform, "PCM_24")
    )
    start, seconds = span(example)
    finish(place, {**manifest, "excerpt": {"start": start, "seconds": seconds}})
    row = {
        "folder": name,
        "collection": example.collection,
        "path": example.path,
        "sha256": example.clip,
        "labels": list(example.labels),
        "value": example.value,
        "start": example.start,
        "end": example.end,
        "low": example.low,
        "high": example.high,
        "quantile": example.quantile,
    }
    label = f" ({', '.join(example.labels)})" if example.labels else ""
    text = f"{example.path}{label} at {example.start:.2f} s"
    return replace(entry, title=text), row


def _facts(atlas: Atlas, example: Example, settings: Settings, level: str) -> dict[str, str]:
    about = atlas.unit(example.unit).summary()
    return {
        "Unit": example.unit,
        "Suggested name": about["name"] or "none",
        "Clips": str(atlas.manifest.counts["clips"]),
        "Model": atlas.manifest.model["name"],
        "Method": settings.method,
        "Level": level,
    }
