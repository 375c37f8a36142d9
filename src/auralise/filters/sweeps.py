"""Rows of sounds of one kind over frequency and level, with which units are characterised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.audio.stimuli import harmonic_tone, noise_band, tone
from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.registry import Registry

LOWEST_HZ = 27.5
"""Lowest frequency of the usual grid: the lowest A of the piano."""

NOISE_OCTAVES = 1 / 3
"""Width of a noise band around its frequency."""

HARMONICS = 10
"""Number of harmonics of a harmonic tone; they fall by 6 dB per octave."""

Stimulus = Callable[[float, float, float, int, int, int], Waveform]
"""From frequency in Hz, level in dBFS, seconds, rate, and variant ``i`` of ``n`` to a sound."""

STIMULI: Registry[Stimulus] = Registry("stimulus")


@STIMULI.register("tone")
def _tone(hertz: float, level_db: float, seconds: float, rate: int, i: int, n: int) -> Waveform:
    return tone(hertz, seconds, rate, level_db=level_db, phase=i / n, dtype=torch.float64)


@STIMULI.register("harmonic")
def _harmonic(hertz: float, level_db: float, seconds: float, rate: int, i: int, n: int) -> Waveform:
    return harmonic_tone(
        hertz,
        seconds,
        rate,
        harmonics=HARMONICS,
        level_db=level_db,
        phase=i / n,
        dtype=torch.float64,
    )


@STIMULI.register("noise")
def _noise(hertz: float, level_db: float, seconds: float, rate: int, i: int, n: int) -> Waveform:
    low, high = noise_edges(hertz, rate)
    return noise_band(low, high, seconds, rate, seed=i, level_db=level_db, dtype=torch.float64)


def noise_edges(frequency: float, sample_rate: int) -> tuple[float, float]:
    """Return the edges of a noise band in Hz: a third of an octave, cut at half the rate.

    Examples
    --------
    >>> [round(edge, 1) for edge in noise_edges(1000.0, 16000)]
    [890.9, 1122.5]
    """
    half = 2 ** (NOISE_OCTAVES / 2)
    return frequency / half, min(frequency * half, sample_rate / 2)


def frequency_grid(
    sample_rate: int, number: int = 200, low: float = LOWEST_HZ, high: float | None = None
) -> Tensor:
    """Return frequencies at even steps on the logarithmic axis.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    number : int
        How many, at least 3.
    low, high : float
        First and last in Hz; ``high`` None is 0.95 of half the sample rate.

    Raises
    ------
    InvalidValueError
        If there are too few, or they do not rise from above 0 to below half the sample rate.

    Examples
    --------
    >>> [round(hertz, 6) for hertz in frequency_grid(16000, 4, 100.0, 800.0).tolist()]
    [100.0, 200.0, 400.0, 800.0]
    """
    high = 0.95 * sample_rate / 2 if high is None else high
    if number < 3:
        raise InvalidValueError(f"a grid needs at least 3 frequencies, got {number}")
    if not 0 < low < high < sample_rate / 2:
        raise InvalidValueError(
            f"frequencies must rise from above 0 to below {sample_rate / 2:g} Hz, "
            f"got {low:g} to {high:g} Hz"
        )
    steps = torch.linspace(0, 1, number, dtype=torch.float64)
    return low * (high / low) ** steps


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """One sound for every frequency, level and variant.

    Attributes
    ----------
    stimulus : str
        A name in `STIMULI`: ``tone``, ``harmonic`` or ``noise``.
    frequencies : Tensor, shape (frequencies,), float64
        In Hz, at least 3, rising, below half the sample rate.
    levels_db : Tensor, shape (levels,), float64
        In dBFS, rising.
    variants : int
        Starting phases, or seeds of noise.
    sample_rate : int
        In Hz.
    """

    stimulus: str
    frequencies: Tensor
    levels_db: Tensor
    variants: int
    sample_rate: int

    def __post_init__(self) -> None:
        STIMULI[self.stimulus]
        grid, levels, half = self.frequencies, self.levels_db, self.sample_rate / 2
        if grid.ndim != 1 or len(grid) < 3 or not (grid.diff() > 0).all():
            raise InvalidValueError(
                f"frequencies must be at least 3 rising numbers, got {_shown(grid)}"
            )
        if not 0 < float(grid[0]) < float(grid[-1]) < half:
            raise InvalidValueError(
                f"frequencies must be above 0 and below half the sample rate, {half:g} Hz, "
                f"got {float(grid[0]):g} to {float(grid[-1]):g} Hz"
            )
        rising = levels.ndim == 1 and len(levels) > 0 and bool((levels.diff() > 0).all())
        if not rising or not torch.isfinite(levels).all():
            raise InvalidValueError(
                f"levels_db must be rising finite numbers, got {_shown(levels)}"
            )
        if self.variants < 1:
            raise InvalidValueError(f"variants must be at least 1, got {self.variants}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frequencies, levels and variants."""
        return len(self.frequencies), len(self.levels_db), self.variants

    @property
    def least_seconds(self) -> float:
        """How long a sound must last to be what its name says: two periods of what is slowest."""
        lowest = float(self.frequencies[0])
        if self.stimulus != "noise":
            return 2 / lowest
        low, high = noise_edges(lowest, self.sample_rate)
        return 2 / (high - low)

    def sounds(self, seconds: float) -> Iterator[Waveform]:
        """Yield the sounds, variants changing fastest, then levels."""
        make = STIMULI[self.stimulus]
        for hertz in self.frequencies.tolist():
            for level in self.levels_db.tolist():
                for i in range(self.variants):
                    yield make(hertz, level, seconds, self.sample_rate, i, self.variants)


def make_sweep(
    stimulus: str,
    sample_rate: int,
    frequencies: Tensor | Sequence[float] | None,
    levels_db: Tensor | Sequence[float],
    variants: int,
) -> Sweep:
    """Return a sweep over plain numbers; over `frequency_grid` if no frequencies are given.

    Raises
    ------
    UnknownNameError
        If there is no such stimulus.
    InvalidValueError
        If frequencies or levels do not rise or are out of range, or ``variants`` is below 1.
    """
    grid = frequency_grid(sample_rate) if frequencies is None else _tensor(frequencies)
    return Sweep(stimulus, grid, _tensor(levels_db), variants, sample_rate)


def _tensor(values: Tensor | Sequence[float]) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).detach().cpu()


def _shown(values: Tensor) -> str:
    text = str(values.flatten()[:6].tolist())
    return text if values.numel() <= 6 else f"{text[:-1]}, ...]"
