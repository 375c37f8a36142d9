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
import torch

from auralise.audio.levels import CEILING_DB, measure
from auralise.audio.resampling import resample
from auralise.audio.waveform import Waveform
from auralise.output.figures import Figure, Panel
from auralise.positions import Place

PLAYED_RATE = 44_100
"""Sample rate in Hz that sounds of lower rates are brought to."""

_BLOCK = 0.1  # seconds
_GATE = 0.1  # of the mean power
_SOUNDING = 1e-6  # of the loudest block's power


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound that the browser can fetch.

    Attributes
    ----------
    media : str
        Its id with the ending.
    seconds : float
    sample_rate : int
        Of the file, in Hz.
    gain_db : float or None
        What was added to its level for listening, in dB; None for silence.
    peaks : tuple of int
        Its outline, see `outline`, so that a browser can draw it before it has read the file.
    """

    media: str
    seconds: float
    sample_rate: int
    gain_db: float | None
    peaks: tuple[int, ...] = ()

    @property
    def url(self) -> str:
        """Where the browser gets it."""
        return f"/media/{self.media}"

    @property
    def played(self) -> dict[str, Any]:
        """What the players need to know of it."""
        return {"url": self.url, "seconds": self.seconds, "peaks": list(self.peaks)}


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """One unit's sound in one excerpt, ready for a page.

    Attributes
    ----------
    unit : str
        E.g. ``conv3:17``.
    source, round_trip, auralised : Sound
        Equally loud, none clipping, so that one can switch between them; see `match_levels`.
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
    """Make sounds equally loud while they sound, as loud as the first unless one would clip.

    They are brought to `PLAYED_RATE` first: browsers dampen what lies above 0.8 of half a file's
    sample rate when they resample it (by 6 dB at 0.9), and peaks between samples count that way.
    How loud a sound is, is said by its blocks of 100 ms: the mean power of those that are no more
    than 10 dB below the mean of all that sound, as in [1]_, without its weighting of frequencies.
    So a short sound is as loud as a long one, not louder.

    Parameters
    ----------
    waveforms : sequence of Waveform
        The first is the one whose level the others are brought to.

    Returns
    -------
    list of (Waveform, float or None)
        With the gain in dB; silence stays as it is and has none.

    References
    ----------
    .. [1] ITU-R BS.1770-4, "Algorithms to measure audio programme loudness and true-peak audio
       level", 2015.

    Examples
    --------
    >>> import torch
    >>> tone = torch.sin(torch.arange(8000.0))[None]
    >>> pair = match_levels([Waveform(0.5 * tone, 8000), Waveform(0.25 * tone, 8000)])
    >>> [round(gain, 2) for _, gain in pair]
    [0.0, 6.02]
    """
    played = [_at_played_rate(waveform) for waveform in waveforms]
    levels = [measure(waveform) for waveform in played]
    powers = [gated_power(waveform) for waveform in played]
    heard = [(level, power) for level, power in zip(levels, powers, strict=True) if power > 0]
    if not heard:
        return [(waveform, None) for waveform in played]
    ceiling = 10 ** (CEILING_DB / 20)
    wanted = powers[0] if powers[0] > 0 else heard[0][1]
    target = min([wanted, *((ceiling / level.peak) ** 2 * power for level, power in heard)])
    matched: list[tuple[Waveform, float | None]] = []
    for waveform, power in zip(played, powers, strict=True):
        if power == 0:
            matched.append((waveform, None))
            continue
        gain = math.sqrt(target / power)
        louder = Waveform(waveform.samples * gain, waveform.sample_rate)
        matched.append((louder, 20 * math.log10(gain)))
    return matched


def sound_of(media: str, waveform: Waveform, gain_db: float | None) -> Sound:
    """Return what is known of a sound that is in the cache as ``media``."""
    return Sound(media, waveform.duration, waveform.sample_rate, gain_db, outline(waveform))


def outline(waveform: Waveform, pieces: int = 480) -> tuple[int, ...]:
    """Return the highest magnitude in each of ``pieces`` equal stretches of a sound.

    Parameters
    ----------
    waveform : Waveform
        Of all its channels the highest counts.
    pieces : int
        Fewer where the sound has fewer samples.

    Returns
    -------
    tuple of int
        10,000 stands for full scale.

    Examples
    --------
    >>> import torch
    >>> outline(Waveform(torch.tensor([[0.0, -0.5, 0.25, 0.1]]), 8000), 2)
    (5000, 2500)
    """
    highest = waveform.samples.abs().amax(0)
    count = min(pieces, len(highest))
    peaks = torch.nn.functional.adaptive_max_pool1d(highest[None].float(), count)[0]
    return tuple((peaks * 10_000).round().int().tolist())


def gated_power(waveform: Waveform) -> float:
    """Return the mean power of a sound while it sounds; see `match_levels`. 0 for silence.

    Examples
    --------
    >>> import torch
    >>> tone = torch.sin(torch.arange(8000.0))[None]
    >>> padded = torch.nn.functional.pad(tone, (0, 24000))
    >>> ratio = gated_power(Waveform(padded, 8000)) / gated_power(Waveform(tone, 8000))
    >>> 0.9 < ratio < 1.0
    True
    """
    samples = waveform.samples.double().square().mean(0)
    size = min(len(samples), max(1, round(_BLOCK * waveform.sample_rate)))
    blocks = samples.unfold(0, size, max(1, size // 4)).mean(1)
    heard = blocks[blocks > _SOUNDING * blocks.max()]
    if not len(heard):
        return 0.0
    return float(heard[heard >= _GATE * heard.mean()].mean())


def _at_played_rate(waveform: Waveform) -> Waveform:
    if waveform.sample_rate >= PLAYED_RATE:
        return waveform
    return resample(waveform, PLAYED_RATE)


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
    source, round_trip, auralised = (_sound(entry) for entry in head["sounds"])
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


def _sound(entry: Mapping[str, Any]) -> Sound:
    return Sound(**{**entry, "peaks": tuple(entry.get("peaks", ()))})


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
