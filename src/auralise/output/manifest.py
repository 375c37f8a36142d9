"""What a bundle says of itself: enough to make it again, to the sample.

Strict JSON with sorted keys. Numbers that JSON cannot hold, such as the level of silence in dB,
are null.
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from auralise import __version__
from auralise.activations.layers import Unit
from auralise.audio.levels import Levelled
from auralise.audit import Audit, verdict
from auralise.auralisation import Auralisation
from auralise.errors import AudioFileError, InvalidValueError
from auralise.inversion import InversionOptions
from auralise.masks import MaskOptions
from auralise.models.base import ModelCard
from auralise.models.weights import sha256_of
from auralise.output.folders import MANIFEST, SCHEMA
from auralise.output.sounds import Sounds
from auralise.positions import Place
from auralise.settings import Settings

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Song:
    """Where an excerpt comes from.

    Attributes
    ----------
    path : str
        As the user gave it.
    sha256 : str
        Of the file.
    start : float
        Where the excerpt begins, in seconds.
    seconds : float or None
        How long it was asked to be; None for all there is.
    attribution, licence : str
        To be kept wherever the sound goes; empty where not known.
    notes : tuple of str
        What a listener should know of the excerpt.
    title : str
        Of the piece; empty to show the file's name.
    """

    path: str
    sha256: str
    start: float = 0.0
    seconds: float | None = None
    attribution: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()
    title: str = ""

    @property
    def name(self) -> str:
        """The title if there is one, else the file's name without its folders."""
        return self.title or Path(self.path).name


def song_from_file(
    path: str | os.PathLike[str],
    start: float = 0.0,
    seconds: float | None = None,
    *,
    attribution: str = "",
    licence: str = "",
    notes: Sequence[str] = (),
) -> Song:
    """Describe a stretch of a sound file.

    Raises
    ------
    AudioFileError
        If the file cannot be read.
    """
    try:
        digest = sha256_of(Path(path))
    except OSError as error:
        raise AudioFileError(f"{os.fspath(path)!r} cannot be read: {error.strerror}") from error
    return Song(os.fspath(path), digest, start, seconds, attribution, licence, tuple(notes))


def common_manifest(card: ModelCard, song: Song, settings: Settings, level: str) -> dict[str, Any]:
    """Return what all units of one run share; see `unit_manifest`.

    Parameters
    ----------
    card : ModelCard
    song : Song
    settings : Settings
        As resolved for the network's frontend.
    level : str
        Level policy of the units' sounds.
    """
    chosen = asdict(settings)
    chosen.update(chosen.pop("options"))
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "model": describe_model(card),
        "song": asdict(song),
        "settings": {**chosen, "level": level},
    }


def describe_model(card: ModelCard) -> dict[str, Any]:
    """Return what a manifest says of a network: its names, checksum, origin and frontend."""
    names = ("name", "architecture", "weights", "sha256", "licence", "source", "trained_on")
    model = {name: getattr(card, name) for name in names}
    return {**model, "frontend": card.frontend.describe()}


def unit_manifest(
    common: Mapping[str, Any],
    auralisation: Auralisation,
    sounds: Sounds,
    place: Place | None,
    audit: Audit | None = None,
) -> dict[str, Any]:
    """Return the manifest of one unit's bundle.

    Parameters
    ----------
    common : mapping
        From `common_manifest`.
    auralisation : Auralisation
    sounds : Sounds
        As written.
    place : Place or None
        What the followed place sees.
    audit : Audit, optional
        What can be believed of it.
    """
    inversion = auralisation.inversion
    return {
        **common,
        "kind": "unit",
        "unit": str(inversion.unit),
        "result": {
            "activation": inversion.activation,
            "position": inversion.position,
            "flags": inversion.flags,
            "place": None if place is None else asdict(place),
        },
        "levels": {
            name: _level(getattr(sounds, name)) for name in ("auralised", "source", "round_trip")
        },
        "scores": dict(auralisation.scores),
        "audit": None if audit is None else {**_audited(audit), "verdict": verdict(audit)},
        "sound": {
            "sample_rate": auralisation.waveform.sample_rate,
            "n_samples": auralisation.waveform.n_samples,
        },
    }


def _audited(audit: Audit) -> dict[str, Any]:
    """Return an audit as plain values, without what the manifest says anyway."""
    known = {"unit", "method", "model"}
    return {name: value for name, value in asdict(audit).items() if name not in known}


def versions() -> dict[str, str]:
    """Return the versions of what takes part in making a sound."""
    libraries = ("torch", "numpy", "librosa", "soundfile", "soxr")
    return {
        "auralise": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def _level(sound: Levelled) -> dict[str, Any]:
    return {name: getattr(sound, name) for name in ("policy", "gain_db", "peak_db", "rms_db")}


def to_json(manifest: Mapping[str, Any]) -> str:
    """Write a manifest.

    Raises
    ------
    InvalidValueError
        If it holds something that JSON cannot.

    Examples
    --------
    >>> print(to_json({"b": float("-inf"), "a": (1, 2)}).replace(" ", "").replace(chr(10), ""))
    {"a":[1,2],"b":null}
    """
    plain = _plain(manifest, "manifest")
    return json.dumps(plain, allow_nan=False, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _plain(value: object, name: str) -> object:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, name) for item in value]
    raise InvalidValueError(
        f"{name} is a {type(value).__name__}, which JSON cannot hold; "
        "describe it with numbers, texts, lists and dicts"
    )


_NUMBER = (int, float)
_REQUIRED: Mapping[str, tuple[type, ...]] = {
    "schema": (str,),
    "schema_version": (int,),
    "kind": (str,),
    "versions": (dict,),
    "model": (dict,),
    "model.name": (str,),
    "model.sha256": (str,),
    "song": (dict,),
    "song.path": (str,),
    "song.sha256": (str,),
    "song.start": _NUMBER,
    "song.seconds": (*_NUMBER, type(None)),
    "song.attribution": (str,),
    "song.licence": (str,),
    "song.notes": (list,),
    "song.title": (str,),
    "settings": (dict,),
    "settings.method": (str,),
    "settings.at": (str, *_NUMBER, list),
    "settings.sonification": (str, type(None)),
    "settings.part": (str, type(None)),
    "settings.phase": (str, type(None)),
    "settings.iterations": (int, type(None)),
    "settings.seed": (int, type(None)),
    "settings.activations": (str,),
    "settings.dead_windows": (str,),
    "settings.level": (str,),
}
_REQUIRED_OF_UNIT: Mapping[str, tuple[type, ...]] = {"unit": (str,), "result": (dict,)}
_WORDS = {str: "text", int: "a whole number", float: "a number", dict: "an object",
          list: "a list", type(None): "null"}  # fmt: skip


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and check a manifest.

    Parameters
    ----------
    path : str or path-like
        The file, or the folder of a bundle.

    Raises
    ------
    InvalidValueError
        If there is no such file, or it is no JSON, of another version, or not as it was written.
    """
    place = Path(path)
    place = place / MANIFEST if place.is_dir() else place
    name = os.fspath(place)
    try:
        manifest = json.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidValueError(f"no manifest at {name!r}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidValueError(f"{name!r} is not a manifest: not JSON ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise InvalidValueError(f"{name!r} is not a manifest of auralise: no schema {SCHEMA!r}")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise InvalidValueError(
            f"{name!r} has schema version {manifest.get('schema_version')!r} and this auralise "
            f"reads version {SCHEMA_VERSION}; use the auralise that wrote it"
        )
    of_unit = _REQUIRED_OF_UNIT if manifest.get("kind") == "unit" else {}
    for key, types in {**_REQUIRED, **of_unit}.items():
        _check(manifest, key, types, name)
    return manifest


def _check(manifest: dict[str, Any], key: str, types: tuple[type, ...], name: str) -> None:
    value: Any = manifest
    for part in key.split("."):
        if part not in value:
            raise InvalidValueError(f"{name!r} lacks {key!r}; it was cut or altered")
        value = value[part]
    if type(value) not in types:
        wanted = " or ".join(dict.fromkeys(_WORDS[kind] for kind in types))
        raise InvalidValueError(f"{key!r} in {name!r} must be {wanted}, got {value!r}")


def song_of(manifest: Mapping[str, Any]) -> Song:
    """Return the song of a manifest that `read_manifest` gave."""
    song = manifest["song"]
    return Song(
        song["path"],
        song["sha256"],
        song["start"],
        song["seconds"],
        song["attribution"],
        song["licence"],
        tuple(song["notes"]),
        song["title"],
    )


def settings_of(manifest: Mapping[str, Any]) -> Settings:
    """Return the settings of a manifest that `read_manifest` gave."""
    chosen = manifest["settings"]
    at = chosen["at"]
    names = ("method", "sonification", "part", "phase", "iterations", "seed")
    return Settings(
        **{name: chosen[name] for name in names},
        at=tuple(at) if isinstance(at, list) else at,
        options=InversionOptions(chosen["activations"], chosen["dead_windows"]),
        mask=_mask_of(chosen.get("mask")),
    )


def _mask_of(chosen: object) -> MaskOptions:
    """Return the options of a search; those of today where an older manifest names none."""
    if chosen is None:
        return MaskOptions()
    try:
        return MaskOptions(**chosen)  # type: ignore[arg-type]
    except TypeError as error:
        raise InvalidValueError(
            f"the manifest's 'settings.mask' is not as written: {error}"
        ) from error


def unit_of(manifest: Mapping[str, Any]) -> Unit:
    """Return the unit of a manifest that `read_manifest` gave.

    Raises
    ------
    InvalidValueError
        If it is the manifest of a collection.
    """
    if "unit" not in manifest:
        raise InvalidValueError(
            "this manifest is of a collection of units; take that of one unit's folder in it"
        )
    return Unit.parse(manifest["unit"])
