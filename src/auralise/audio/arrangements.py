"""Music with known answers: notes of a given attack and decay, chords, drums, and both together.

All have one channel and double precision inside. Partials from half the rate on are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import torch
from torch import Tensor

from auralise.audio.stimuli import LEVEL_DB
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, UnknownNameError
from auralise.units import db_to_amplitude

CHORDS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "major": (0, 4, 7),
        "minor": (0, 3, 7),
        "dominant-seventh": (0, 4, 7, 10),
        "diminished": (0, 3, 6),
        "suspended": (0, 5, 7),
    }
)
"""Chord types, as semitones above the root."""

ROOTS: Mapping[str, float] = MappingProxyType(
    {
        name: 110.0 * 2 ** (i / 12)
        for i, name in enumerate(("A", "Bb", "B", "C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab"))
    }
)
"""Roots in Hz, all within the octave from A2: a change of key is no change of register."""


@dataclass(frozen=True, slots=True)
class Timbre:
    """How a note of an instrument made of numbers sounds.

    Attributes
    ----------
    harmonics : int
        How many partials.
    slope_db : float
        Level of a partial an octave higher, in dB.
    odd : bool
        Whether even partials are left out.
    attack : float
        Seconds from silence to full level, half a raised cosine.
    decay : float
        Seconds in which the level falls by 60 dB, from the end of the attack; infinity holds it.
    stretch : float
        Partial ``n`` lies at ``n ** stretch`` times the fundamental; 1 is harmonic.
    """

    harmonics: int = 10
    slope_db: float = -6.0
    odd: bool = False
    attack: float = 0.01
    decay: float = math.inf
    stretch: float = 1.0

    def __post_init__(self) -> None:
        if self.harmonics < 1:
            raise InvalidValueError(f"harmonics must be at least 1, got {self.harmonics}")
        if not (self.attack >= 0 and self.decay > 0 and self.stretch > 0):
            raise InvalidValueError(
                "attack must not be negative, decay and stretch must be positive, got "
                f"{self.attack:g} s, {self.decay:g} s and {self.stretch:g}"
            )

    def partials(self, fundamental: float, sample_rate: int) -> tuple[Tensor, Tensor]:
        """Return frequencies in Hz, below half the rate, and amplitudes of unit energy together."""
        numbers = torch.arange(1, self.harmonics + 1, dtype=torch.float64)
        if self.odd:
            numbers = numbers[numbers % 2 == 1]
        frequencies = fundamental * numbers**self.stretch
        kept = frequencies < sample_rate / 2
        amplitudes = db_to_amplitude(self.slope_db * torch.log2(numbers[kept]))
        return frequencies[kept], amplitudes / torch.linalg.vector_norm(amplitudes)


TIMBRES: Mapping[str, Timbre] = MappingProxyType(
    {
        "flute": Timbre(harmonics=3, slope_db=-18.0, attack=0.06),
        "clarinet": Timbre(harmonics=13, slope_db=-6.0, odd=True, attack=0.03),
        "strings": Timbre(harmonics=20, slope_db=-6.0, attack=0.12),
        "plucked": Timbre(harmonics=14, slope_db=-5.0, attack=0.003, decay=1.2),
    }
)
"""Instruments made of numbers, named after what they remind of."""

DRUMS: Mapping[str, Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "none": {},
        "four-beat": {"kick": (0.0, 2.0), "snare": (1.0, 3.0)},
        "eight-beat": {
            "kick": (0.0, 2.0, 2.5),
            "snare": (1.0, 3.0),
            "hat": (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5),
        },
        "sixteen-beat": {
            "kick": (0.0, 0.75, 2.0, 2.75),
            "snare": (1.0, 3.0),
            "hat": tuple(i / 4 for i in range(16)),
        },
    }
)
"""Drum patterns of one bar of four beats: for each drum, the beats on which it is struck."""


def note(
    fundamental: float,
    seconds: float,
    sample_rate: int,
    *,
    timbre: Timbre = Timbre(),
    level_db: float = LEVEL_DB,
    release: float = 0.02,
    dtype: torch.dtype = torch.float32,
) -> Waveform:
    """Return one note whose attack, decay and partials are known.

    Parameters
    ----------
    fundamental : float
        In Hz, above 0 and below half the sample rate.
    seconds, sample_rate, dtype
        As in `auralise.audio.stimuli.silence`.
    timbre : Timbre
        What is made.
    level_db : float
        Of the held note in dBFS, before attack and decay.
    release : float
        Seconds at the end in which the note falls to silence.

    Raises
    ------
    InvalidValueError
        If the fundamental would be aliased, or attack and release do not fit in.

    Examples
    --------
    >>> note(220.0, 1.0, 8000, timbre=TIMBRES["plucked"]).samples.shape
    torch.Size([1, 8000])
    """
    samples = _note([fundamental], seconds, sample_rate, timbre, release)
    return Waveform((_scale(level_db) * samples)[None].to(dtype), sample_rate)


@dataclass(frozen=True, slots=True)
class Bar:
    """A chord that is struck on each second beat, with drums: the stimulus of factorial designs.

    Attributes
    ----------
    root : str
        In `ROOTS`.
    chord : str
        In `CHORDS`.
    timbre : str
        In `TIMBRES`.
    drums : str
        In `DRUMS`.
    tempo : float
        Beats per minute.
    """

    root: str = "A"
    chord: str = "major"
    timbre: str = "strings"
    drums: str = "four-beat"
    tempo: float = 120.0

    def __post_init__(self) -> None:
        for kind, name, table in (
            ("root", self.root, ROOTS),
            ("chord", self.chord, CHORDS),
            ("timbre", self.timbre, TIMBRES),
            ("drum pattern", self.drums, DRUMS),
        ):
            if name not in table:
                raise UnknownNameError(kind, name, table)
        if not 0 < self.tempo < math.inf:
            raise InvalidValueError(f"tempo must be positive, got {self.tempo:g} beats per minute")

    @property
    def pitches(self) -> tuple[float, ...]:
        """The fundamentals of the chord, in Hz."""
        return tuple(ROOTS[self.root] * 2 ** (step / 12) for step in CHORDS[self.chord])

    def onsets(self, seconds: float) -> dict[str, tuple[float, ...]]:
        """Return when each drum and the chord begin within a length of sound, in seconds.

        Examples
        --------
        >>> Bar(drums="four-beat", tempo=120).onsets(2.0)
        {'kick': (0.0, 1.0), 'snare': (0.5, 1.5), 'chord': (0.0, 1.0)}
        """
        beat = 60.0 / self.tempo
        parts = {**DRUMS[self.drums], "chord": (0.0, 2.0)}
        bars = math.ceil(seconds / (4 * beat))
        return {
            name: tuple(
                time
                for bar, at in product(range(bars), beats)
                if (time := (4 * bar + at) * beat) < seconds - 1e-9
            )
            for name, beats in parts.items()
        }

    def render(
        self,
        seconds: float,
        sample_rate: int,
        *,
        level_db: float = LEVEL_DB,
        drums_db: float = -3.0,
        dtype: torch.dtype = torch.float32,
    ) -> Waveform:
        """Return the sound.

        Parameters
        ----------
        seconds, sample_rate, dtype
            As in `auralise.audio.stimuli.silence`.
        level_db : float
            Root mean square of chord and drums together, in dBFS.
        drums_db : float
            Root mean square of the drums relative to that of the chord, in dB.
        """
        length = _length(seconds, sample_rate)
        chord, drums = torch.zeros(2, length, dtype=torch.float64)
        starts = self.onsets(seconds)
        held = max(2 * 60.0 / self.tempo, 2 * TIMBRES[self.timbre].attack)
        one = _note(self.pitches, held, sample_rate, TIMBRES[self.timbre], release=0.02)
        for time in starts.pop("chord"):
            _add(chord, one, time, sample_rate)
        for name, times in starts.items():
            struck = drum(name, sample_rate)
            for time in times:
                _add(drums, struck, time, sample_rate)
        chord = chord / _rms(chord)
        if self.drums != "none":
            chord = chord + db_to_amplitude(drums_db) * drums / _rms(drums)
        sound = db_to_amplitude(level_db) * math.sqrt(0.5) * chord / _rms(chord)
        return Waveform(sound[None].to(dtype), sample_rate)


def drum(name: str, sample_rate: int) -> Tensor:
    """Return one stroke, shape (time,), float64, peak at most 1: kick, snare or hat.

    A kick is a tone that falls from 150 to 50 Hz, a snare noise between 0.5 kHz and a third of the
    rate over a short tone, a hat noise above a fifth of the rate.

    Raises
    ------
    UnknownNameError
        If there is no such drum.
    """
    lengths = {"kick": 0.2, "snare": 0.15, "hat": 0.05}
    if name not in lengths:
        raise UnknownNameError("drum", name, lengths)
    time = torch.arange(round(lengths[name] * sample_rate), dtype=torch.float64) / sample_rate
    fall = torch.exp(-time * 6.9 / lengths[name])
    if name == "kick":
        periods = 50.0 * time + 100.0 * 0.03 * (1 - torch.exp(-time / 0.03))
        stroke = torch.sin(2 * math.pi * periods)
    elif name == "snare":
        body = torch.sin(2 * math.pi * 180.0 * time)
        stroke = _noise(len(time), 500.0, sample_rate / 3, sample_rate, 1) + 0.3 * body
    else:
        stroke = _noise(len(time), sample_rate / 5, sample_rate / 2, sample_rate, 2)
    stroke = stroke * fall
    return stroke / stroke.abs().max()


def _noise(length: int, low: float, high: float, sample_rate: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft(torch.randn(length, generator=generator, dtype=torch.float64))
    frequencies = torch.fft.rfftfreq(length, 1 / sample_rate, dtype=torch.float64)
    inside = (frequencies >= low) & (frequencies < high)
    noise: Tensor = torch.fft.irfft(spectrum * inside, n=length)
    return noise / noise.abs().max()


def _note(
    fundamentals: tuple[float, ...] | list[float],
    seconds: float,
    sample_rate: int,
    timbre: Timbre,
    release: float,
) -> Tensor:
    """Return notes that begin together, each of unit energy before the envelope, added up."""
    length = _length(seconds, sample_rate)
    rise, fall = round(timbre.attack * sample_rate), round(release * sample_rate)
    if rise + fall > length:
        raise InvalidValueError(
            f"attack and release take {timbre.attack + release:g} s of a note of {seconds:g} s"
        )
    time = torch.arange(length, dtype=torch.float64) / sample_rate
    sound = torch.zeros_like(time)
    for number, fundamental in enumerate(fundamentals):
        if not 0 < fundamental < sample_rate / 2:
            raise InvalidValueError(
                f"a note must lie above 0 and below half the sample rate, {sample_rate / 2:g} Hz, "
                f"got {fundamental:g} Hz"
            )
        for index, (hertz, amplitude) in enumerate(
            zip(*timbre.partials(fundamental, sample_rate), strict=True)
        ):
            # Phases that grow with the square of the number keep the crest factor low.
            phase = 0.5 * index * index / timbre.harmonics + 0.17 * number
            sound += amplitude * torch.sin(2 * math.pi * (hertz * time + phase))
    envelope = torch.exp(-math.log(1000.0) * (time - timbre.attack).clamp_min(0) / timbre.decay)
    if rise:
        envelope[:rise] = torch.sin(math.pi / 2 * torch.arange(rise) / rise).double() ** 2
    if fall:
        envelope[-fall:] *= torch.cos(math.pi / 2 * torch.arange(1, fall + 1) / fall).double() ** 2
    return sound * envelope


def _length(seconds: float, sample_rate: int) -> int:
    if sample_rate <= 0:
        raise InvalidValueError(f"sample_rate must be positive, got {sample_rate} Hz")
    length = round(seconds * sample_rate) if math.isfinite(seconds) else 0
    if length < 1:
        raise InvalidValueError(
            f"seconds must give at least one sample at {sample_rate} Hz, got {seconds:g} s"
        )
    return length


def _add(into: Tensor, part: Tensor, time: float, sample_rate: int) -> None:
    start = round(time * sample_rate)
    end = min(len(into), start + len(part))
    into[start:end] += part[: end - start]


def _rms(samples: Tensor) -> Tensor:
    return samples.square().mean().sqrt()


def _scale(level_db: float) -> float:
    return float(db_to_amplitude(level_db))
