"""Results on disk: one folder for each claim, whole or not there."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from auralise.audio.files import read_audio
from auralise.audio.waveform import Waveform
from auralise.audio.writing import encode_wav
from auralise.claims.base import Curve, Evidence, Panel, Part, Sound
from auralise.errors import InvalidValueError
from auralise.filters.resampling import Interval

RESULT = "result.json"


def evidence_to_plain(evidence: Evidence) -> dict[str, Any]:
    """Return evidence as values that JSON can hold; sounds by name, not finite numbers as None."""
    return {
        "parts": [_plain(dataclasses.asdict(part)) for part in evidence.parts],
        "panels": [_plain(dataclasses.asdict(panel)) for panel in evidence.panels],
        "sounds": [{"name": s.name, "caption": s.caption} for s in evidence.sounds],
        "notes": list(evidence.notes),
        "needed": evidence.needed,
    }


def evidence_from_plain(plain: Mapping[str, Any], folder: Path) -> Evidence:
    """Return what `evidence_to_plain` was given, with its sounds from a folder.

    Raises
    ------
    AudioFileError
        If a sound is missing.
    """
    return Evidence(
        tuple(_part(part) for part in plain["parts"]),
        tuple(_panel(panel) for panel in plain["panels"]),
        tuple(
            Sound(s["name"], s["caption"], read_audio(folder / f"{s['name']}.wav").waveform)
            for s in plain["sounds"]
        ),
        tuple(plain["notes"]),
        plain.get("needed"),
    )


def save(folder: Path, key: Mapping[str, Any], evidence: Evidence | None, why: str = "") -> None:
    """Write the result of one claim; an older one of the same name is replaced.

    Parameters
    ----------
    folder : Path
        Of this claim.
    key : mapping
        What the result depends on.
    evidence : Evidence or None
        None where the claim could not be tried.
    why : str
        Why it could not.
    """
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    plain: dict[str, Any] = {"key": dict(key), "why": why, "evidence": None}
    if evidence is not None:
        plain["evidence"] = evidence_to_plain(evidence)
        for sound in evidence.sounds:
            path = aside / f"{sound.name}.wav"
            path.write_bytes(encode_wav(audible(sound), "PCM_16"))
    text = json.dumps(plain, indent=2, sort_keys=True, allow_nan=False)
    (aside / RESULT).write_text(text + "\n", encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    aside.replace(folder)


def load(folder: Path, key: Mapping[str, Any]) -> tuple[Evidence | None, str] | None:
    """Return a stored result, or None if there is none that depends on the same things."""
    try:
        plain = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if plain.get("key") != json.loads(json.dumps(dict(key))):
        return None
    found = plain["evidence"]
    return (None if found is None else evidence_from_plain(found, folder)), plain["why"]


def audible(sound: Sound) -> Waveform:
    """Return a sound as it is, or lowered where it would come near to full scale."""
    peak = float(sound.waveform.samples.abs().max())
    if peak <= 0.9:
        return sound.waveform
    return dataclasses.replace(sound.waveform, samples=sound.waveform.samples * (0.9 / peak))


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise InvalidValueError(f"a result holds a {type(value).__name__}, which JSON cannot")


def _part(plain: Mapping[str, Any]) -> Part:
    made = {**plain, "value": Interval(**plain["value"]), "controls": tuple(plain["controls"])}
    return Part(**made)


def _panel(plain: Mapping[str, Any]) -> Panel:
    curves = tuple(
        Curve(
            curve["name"],
            _numbers(curve["y"]),
            _numbers(curve["low"]),
            _numbers(curve["high"]),
            control=curve["control"],
        )
        for curve in plain["curves"]
    )
    return Panel(**{**plain, "x": tuple(plain["x"]), "curves": curves})


def _numbers(row: list[float | None]) -> tuple[float, ...]:
    return tuple(math.nan if value is None else value for value in row)
