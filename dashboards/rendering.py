"""What a unit's sound looks like to a page, and the same as bytes for the cache."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auralise.audio.levels import CEILING_DB, measure
from auralise.audio.waveform import Waveform
from auralise.output.figures import Figure, Panel
from auralise.positions import Place


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound that the browser can fetch.

    Attributes
    ----------
    media : str
        Its id with the ending.
    seconds : float
    sample_rate : int
        In Hz.
    gain_db : float or None
        What was added to its level for listening, in dB; None for silence.
    """

    media: str
    seconds: float
    sample_rate: int
    gain_db: float | None

    @property
    def url(self) -> str:
        """Where the browser gets it."""
        return f"/media/{self.media}"


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """One unit's sound in one excerpt, ready for a page.

    Attributes
    ----------
    unit : str
        E.g. ``conv3:17``.
    source, round_trip, auralised : Sound
        Of equal root mean square, none clipping, so that one can switch between them.
    figure : Figure
        As in the report: source, relevance, auralised sound.
    activation : float
        The unit's value where it was followed.
    place : Place or None
        What that place sees of the excerpt, in seconds and Hz; None for the whole map.
    flags : tuple of str
        What has to be known before believing the map; `auralise.output.words.explain` has words.
    scores : mapping of str to float or None
        As in `auralise.auralisation.Auralisation`.
    sonification, phase : str
        What was chosen where the view left it open.
    notes : tuple of str
        What was found and done when the excerpt was read.
    """

    unit: str
    source: Sound
    round_trip: Sound
    auralised: Sound
    figure: Figure
    activation: float
    place: Place | None
    flags: tuple[str, ...]
    scores: Mapping[str, float | None]
    sonification: str
    phase: str
    notes: tuple[str, ...]

    @property
    def sounds(self) -> tuple[Sound, Sound, Sound]:
        """All three sounds: source, round trip, auralised."""
        return self.source, self.round_trip, self.auralised


def match_levels(waveforms: Sequence[Waveform]) -> list[tuple[Waveform, float | None]]:
    """Bring sounds to the same root mean square, as loud as the first unless one would clip.

    Parameters
    ----------
    waveforms : sequence of Waveform
        The first is the one whose level the others are brought to.

    Returns
    -------
    list of (Waveform, float or None)
        With the gain in dB; silence stays as it is and has none.

    Examples
    --------
    >>> import torch
    >>> tone = torch.sin(torch.arange(800.0))[None]
    >>> pair = match_levels([Waveform(0.5 * tone, 8000), Waveform(0.25 * tone, 8000)])
    >>> [round(gain, 2) for _, gain in pair]
    [0.0, 6.02]
    """
    levels = [measure(waveform) for waveform in waveforms]
    heard = [level for level in levels if level.rms > 0]
    if not heard:
        return [(waveform, None) for waveform in waveforms]
    ceiling = 10 ** (CEILING_DB / 20)
    wanted = levels[0].rms if levels[0].rms > 0 else heard[0].rms
    target = min([wanted, *(ceiling * level.rms / level.peak for level in heard)])
    matched: list[tuple[Waveform, float | None]] = []
    for waveform, level in zip(waveforms, levels, strict=True):
        if level.rms == 0:
            matched.append((waveform, None))
            continue
        gain = target / level.rms
        louder = Waveform(waveform.samples * gain, waveform.sample_rate)
        matched.append((louder, 20 * math.log10(gain)))
    return matched


def pack(rendered: Rendered) -> bytes:
    """Return a rendering as the bytes of an npz file; values are kept in single precision."""
    arrays: dict[str, Any] = {}
    panels = []
    for number, panel in enumerate(rendered.figure.panels):
        arrays[f"values{number}"] = panel.values.astype(np.float32)
        arrays[f"seconds{number}"] = panel.seconds
        if panel.hertz is not None:
            arrays[f"hertz{number}"] = panel.hertz
        panels.append(
            {name: getattr(panel, name) for name in ("kind", "title", "scale", "unit", "limits")}
        )
    head = {
        "unit": rendered.unit,
        "sounds": [asdict(sound) for sound in rendered.sounds],
        "title": rendered.figure.title,
        "duration": rendered.figure.duration,
        "panels": panels,
        "activation": rendered.activation,
        "place": None if rendered.place is None else asdict(rendered.place),
        "flags": rendered.flags,
        "scores": dict(rendered.scores),
        "sonification": rendered.sonification,
        "phase": rendered.phase,
        "notes": rendered.notes,
    }
    return pack_arrays(head, arrays)


def unpack(content: bytes) -> Rendered | None:
    """Return what `pack` was given; None if the bytes are damaged."""
    found = unpack_arrays(content)
    if found is None:
        return None
    head, arrays = found
    place = None if head["place"] is None else Place(**head["place"])
    panels = tuple(_panel(entry, number, arrays) for number, entry in enumerate(head["panels"]))
    source, round_trip, auralised = (Sound(**entry) for entry in head["sounds"])
    return Rendered(
        unit=head["unit"],
        source=source,
        round_trip=round_trip,
        auralised=auralised,
        figure=Figure(head["title"], panels, head["duration"], place),
        activation=head["activation"],
        place=place,
        flags=tuple(head["flags"]),
        scores=head["scores"],
        sonification=head["sonification"],
        phase=head["phase"],
        notes=tuple(head["notes"]),
    )


def _panel(entry: Mapping[str, Any], number: int, arrays: Mapping[str, Any]) -> Panel:
    return Panel(
        entry["kind"],
        entry["title"],
        arrays[f"seconds{number}"],
        arrays[f"values{number}"].astype(np.float64),
        arrays.get(f"hertz{number}"),
        entry["scale"],
        entry["unit"],
        (entry["limits"][0], entry["limits"][1]),
    )


def pack_arrays(head: Mapping[str, Any], arrays: Mapping[str, Any]) -> bytes:
    """Return plain values and arrays as the bytes of one npz file."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    np.savez(buffer, allow_pickle=False, head=text, **arrays)
    return buffer.getvalue()


def unpack_arrays(content: bytes) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return what `pack_arrays` was given; None if the bytes are damaged. Nothing is unpickled."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        head = json.loads(arrays.pop("head").tobytes())
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):
        return None
    return head, arrays


def zipped(folder: Path) -> bytes:
    """Return a folder, under its own name, as the bytes of a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
    return buffer.getvalue()
