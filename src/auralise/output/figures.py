"""What a figure shows, said once; `interactive` and `png` draw the same description.

All panels of a figure share one time axis in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.auralisation import Auralisation
from auralise.errors import InvalidValueError, ShapeError
from auralise.frontends.base import Frontend
from auralise.positions import Place
from auralise.spectral.spectrogram import Spectrogram, analyse
from auralise.spectral.stft import StftSpec

Array = NDArray[np.float64]

FLOOR_DB = -80.0
"""Lowest level that spectrograms show, in dB below their strongest bin."""

SATURATION = 99.8
"""Percentile of the non-zero absolute relevance at which the colours are full."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One drawing over time.

    Attributes
    ----------
    kind : {"waveform", "image"}
        A line, or colours over time and frequency.
    title : str
        What is shown.
    seconds : array, shape (columns,)
        Time of each column, evenly spaced, in seconds.
    values : array, shape (columns,) or (rows, columns)
        Heights of the line, or what the colours mean.
    hertz : array, shape (rows,), or None
        Centre frequency of each row in Hz, rising; None for waveforms.
    scale : {"magnitude", "signed"}
        Colours from low to high, or from minus over zero to plus.
    unit : str
        Of the values, for labels.
    limits : tuple of float
        Lowest and highest value drawn; beyond them colours are full.
    """

    kind: Literal["waveform", "image"]
    title: str
    seconds: Array
    values: Array
    hertz: Array | None
    scale: Literal["magnitude", "signed"]
    unit: str
    limits: tuple[float, float]

    def __post_init__(self) -> None:
        rows = () if self.hertz is None else (len(self.hertz),)
        if self.values.shape != (*rows, len(self.seconds)):
            raise ShapeError(
                f"values of panel {self.title!r} must have shape {(*rows, len(self.seconds))}, "
                f"got {self.values.shape}"
            )
        if (self.kind == "image") != (self.hertz is not None):
            raise InvalidValueError(
                f"panel {self.title!r}: an image needs hertz and a waveform has none"
            )
        if not self.limits[0] < self.limits[1]:
            raise InvalidValueError(f"limits must rise, got {self.limits}")

    @property
    def even(self) -> bool:
        """Whether the rows are evenly spaced in Hz; mel bins are not."""
        if self.hertz is None or len(self.hertz) < 3:
            return True
        steps = np.diff(self.hertz)
        return bool(np.ptp(steps) <= 1e-6 * steps.mean())


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """Panels under each other on one time axis.

    Attributes
    ----------
    title : str
        What the whole figure shows.
    panels : tuple of Panel
        From top to bottom; at least one.
    duration : float
        Where the time axis ends, in seconds; it begins at 0.
    place : Place or None
        What the followed place of the unit's map sees; its ends are drawn over all panels.
    """

    title: str
    panels: tuple[Panel, ...]
    duration: float
    place: Place | None = None

    def __post_init__(self) -> None:
        if not self.panels:
            raise InvalidValueError("a figure needs at least one panel")

    def describe(self) -> str:
        """Return the figure in words, for those who cannot see it."""
        names = "; ".join(panel.title for panel in self.panels)
        return f"{self.title}. Over {self.duration:.2f} seconds, from top to bottom: {names}."


def unit_figure(auralisation: Auralisation, *, place: Place | None = None) -> Figure:
    """Show what a unit did with a sound.

    From top to bottom: the source (waveform, spectrogram), the relevance on the axes of the
    network's own input, the auralised sound (spectrogram, waveform). For raw audio the relevance
    is itself the sound: its waveform and spectrogram are shown once.

    Parameters
    ----------
    auralisation : Auralisation
        What is shown.
    place : Place, optional
        What the followed place sees, from `auralise.positions.place_of`.
    """
    source = auralisation.features.source
    inversion = auralisation.inversion
    spec = display_spec(source)
    panels = [
        waveform_panel(source, "Source"),
        *spectrogram_panels(source, "Source, spectrogram", spec),
        *relevance_panels(inversion.relevance, auralisation.frontend),
    ]
    if auralisation.sonification != "waveform":
        panels += spectrogram_panels(auralisation.waveform, "Auralised sound, spectrogram", spec)
        panels.append(waveform_panel(auralisation.waveform, "Auralised sound"))
    title = f"{inversion.unit} of {auralisation.model}, {inversion.method}"
    return Figure(title, tuple(panels), source.duration, place)


def display_spec(waveform: Waveform) -> StftSpec | None:
    """Return a transform of about 50 ms for showing a sound; None if it is too short for any."""
    wanted = 2 ** round(np.log2(waveform.sample_rate * 0.05))
    longest = 2 ** int(np.log2(max(waveform.n_samples, 1)))
    n_fft = int(min(wanted, longest))
    return StftSpec(waveform.sample_rate, n_fft, n_fft // 4) if n_fft >= 4 else None


def waveform_panel(waveform: Waveform, title: str, unit: str = "amplitude") -> Panel:
    """Show a waveform's samples, channels mixed."""
    values = _numpy(waveform.mono().samples[0])
    seconds = np.arange(len(values)) / waveform.sample_rate
    return Panel("waveform", title, seconds, values, None, "signed", unit, _around_zero(values))


def spectrogram_panels(waveform: Waveform, title: str, spec: StftSpec | None) -> Iterator[Panel]:
    """Show a sound's spectrogram in dB below its strongest bin; nothing if ``spec`` is None."""
    if spec is not None:
        yield spectrogram_panel(analyse(waveform.mono(), spec), title)


def spectrogram_panel(spectrogram: Spectrogram, title: str) -> Panel:
    """Show the first channel of a spectrogram in dB below its strongest bin."""
    magnitude = _numpy(spectrogram.magnitude[0])
    spec = spectrogram.spec
    seconds = np.arange(magnitude.shape[1]) * spec.hop / spec.sample_rate
    return Panel(
        "image",
        title,
        seconds,
        decibels(magnitude),
        spec.frequencies().numpy(),
        "magnitude",
        "dB re max",
        (FLOOR_DB, 0.0),
    )


def decibels(magnitude: Array) -> Array:
    """Return levels below the strongest value, in [`FLOOR_DB`, 0]; silence is all floor.

    Examples
    --------
    >>> decibels(np.array([2.0, 1.0, 0.0])).round(2)
    array([  0.  ,  -6.02, -80.  ])
    """
    peak = magnitude.max(initial=0.0)
    if peak == 0:
        return np.full_like(magnitude, FLOOR_DB)
    floor = 10 ** (FLOOR_DB / 20)
    return np.asarray(20 * np.log10(np.maximum(magnitude / peak, floor)), dtype=np.float64)


def relevance_panels(relevance: Tensor, frontend: Frontend) -> Iterator[Panel]:
    """Show a map of the network's input, divided by its strongest absolute value.

    Parameters
    ----------
    relevance : Tensor, shape (channels, bins, frames) or (channels, time)
        Signed.
    frontend : Frontend
        Names the axes, and gives their seconds and Hz.
    """
    values = _numpy(relevance)
    peak = float(np.abs(values).max(initial=0.0))
    values = values / peak if peak > 0 else values
    for channel, rows in enumerate(values):
        title = "Relevance" if len(values) == 1 else f"Relevance, input channel {channel}"
        if frontend.axes[1:] == ("time",):
            samples = Waveform(torch.from_numpy(rows[None]), frontend.sample_rate)
            yield waveform_panel(samples, title, "share of the strongest")
            yield from spectrogram_panels(samples, f"{title}, spectrogram", display_spec(samples))
        else:
            yield _relevance_image(rows, frontend, title)


def _relevance_image(values: Array, frontend: Frontend, title: str) -> Panel:
    rows, columns = values.shape
    seconds = np.array([frontend.seconds_of(frame) for frame in range(columns)])
    hertz = [frontend.hertz_of(row) for row in range(rows)]
    if any(value is None for value in hertz):
        raise InvalidValueError(
            f"the frontend names the axes {frontend.axes} but gives no Hz for the second"
        )
    heights = np.array(hertz, dtype=np.float64)
    limits = _around_zero(values, SATURATION)
    return Panel(
        "image", title, seconds, values, heights, "signed", "share of the strongest", limits
    )


def hertz_ticks(panel: Panel, wanted: int = 5) -> list[tuple[float, str]]:
    """Return places on a frequency axis worth a label, with the label.

    Places are in Hz where the rows are evenly spaced, else row indices (mel bins).
    """
    if panel.hertz is None:
        return []
    low, high = float(panel.hertz[0]), float(panel.hertz[-1])
    if panel.even:
        steps = (s * 10**e for e in range(5) for s in (1, 2, 5))
        step = next((s for s in steps if (high - low) / s <= wanted), high)
        values = np.arange(np.ceil(low / step) * step, high + step * 1e-9, step)
        return [(float(value), hertz_label(float(value))) for value in values]
    octaves = [v for v in (62.5 * 2.0**k for k in range(10)) if low <= v <= high]
    return [
        (float(np.interp(v, panel.hertz, np.arange(len(panel.hertz)))), hertz_label(v))
        for v in octaves[-wanted:]
    ]


def place_in_words(place: Place) -> str:
    """Return what a place sees, in words.

    Examples
    --------
    >>> place_in_words(Place(1.95, 2.2, 400.0, 2000.0))
    '1.95 to 2.20 s, 400 Hz to 2 kHz'
    """
    words = f"{place.start:.2f} to {place.end:.2f} s"
    if place.low is None or place.high is None:
        return words
    low, high = (hertz_label(float(f"{hertz:.3g}")) for hertz in (place.low, place.high))
    return f"{words}, {low} to {high}"


def hertz_label(hertz: float) -> str:
    """Write a frequency the short way.

    Examples
    --------
    >>> hertz_label(500), hertz_label(2000), hertz_label(62.5)
    ('500 Hz', '2 kHz', '62.5 Hz')
    """
    return f"{hertz / 1000:g} kHz" if hertz >= 1000 else f"{hertz:g} Hz"


def _numpy(values: Tensor) -> Array:
    return values.detach().cpu().to(torch.float64).numpy()


def _around_zero(values: Array, percentile: float = 100.0) -> tuple[float, float]:
    """Return limits with zero in the middle that hold ``percentile`` of the non-zero values."""
    magnitudes = np.abs(values[values != 0])
    limit = float(np.percentile(magnitudes, percentile)) if magnitudes.size else 1.0
    return -limit, limit
