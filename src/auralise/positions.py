"""From a time and a frequency in a song to a place on a unit's map, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from auralise.activations.receptive_field import ReceptiveField, receptive_field
from auralise.errors import InvalidValueError
from auralise.frontends.base import Features, Frontend
from auralise.inversion.base import Position
from auralise.models.base import MusicNetwork

At = Literal["peak", "whole"] | float | tuple[float, float]
"""The strongest place, everywhere, a time in seconds, or a time and a frequency in Hz."""


def parse_at(text: str) -> At:
    """Read ``peak``, ``whole``, ``1.5`` (seconds) or ``1.5,440`` (seconds, Hz).

    Raises
    ------
    InvalidValueError
        If the text is none of these.

    Examples
    --------
    >>> parse_at("1.5,440")
    (1.5, 440.0)
    """
    if text == "peak" or text == "whole":
        return "peak" if text == "peak" else "whole"
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 2 or not all(math.isfinite(n) and n >= 0 for n in numbers):
        raise InvalidValueError(
            f"a position is peak, whole, SECONDS or SECONDS,HERTZ (as in 1.5,440); got {text!r}"
        )
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def position_of(network: MusicNetwork, features: Features, layer: str, at: At) -> Position:
    """Translate a place in the song into an index on a layer's map.

    Parameters
    ----------
    network : MusicNetwork
    features : Features
        Of the excerpt; times count from its start.
    layer : str
    at : "peak", "whole", float or (float, float)

    Returns
    -------
    "peak", "whole" or tuple
        The place whose receptive field's centre is nearest; None along the frequency axis if only
        a time is given.

    Raises
    ------
    InvalidValueError
        If the time is not in the excerpt, the frequency not below half the sample rate, or the
        layer has no time axis.
    """
    if at == "peak" or at == "whole":
        return at
    seconds, hertz = at if isinstance(at, tuple) else (at, None)
    frontend, source = network.card.frontend, features.source
    if not 0 <= seconds <= source.duration:
        raise InvalidValueError(
            f"position {seconds:g} s is outside the excerpt of {source.duration:.2f} s"
        )
    field = receptive_field(network.module, features.values, layer)
    index: list[int | None] = [None] * len(field.shape)
    _point(index, field, frontend, "time", frontend.frame_of(seconds))
    if hertz is not None:
        bin = frontend.bin_of(hertz)
        if bin is None:
            raise InvalidValueError("raw audio has no frequency axis; give a time only")
        if hertz > frontend.sample_rate / 2:
            raise InvalidValueError(
                f"{hertz:g} Hz is above half the sample rate, {frontend.sample_rate / 2:g} Hz"
            )
        _point(index, field, frontend, "frequency", bin)
    return tuple(index)


def _point(
    index: list[int | None], field: ReceptiveField, frontend: Frontend, name: str, place: float
) -> None:
    """Set the index on the map whose receptive field is centred nearest to ``place``."""
    along = frontend.axes[1:].index(name)
    axis = field.axes[along]
    if axis is None or not field.stride[along]:
        raise InvalidValueError(
            f"this layer has no {name} axis: each of its units sees the whole {name} axis; "
            "its position can only be peak or whole"
        )
    centre = field.start[along] + (field.size[along] - 1) / 2
    nearest = round((place - centre) / field.stride[along])
    index[axis] = min(max(nearest, 0), field.shape[axis] - 1)


@dataclass(frozen=True, slots=True)
class Place:
    """What a place on a unit's map sees of the song.

    Attributes
    ----------
    start, end : float
        In seconds of the excerpt.
    low, high : float or None
        In Hz; None for raw audio.
    """

    start: float
    end: float
    low: float | None
    high: float | None


def place_of(
    frontend: Frontend, field: ReceptiveField, position: tuple[int, ...], shape: tuple[int, ...]
) -> Place:
    """Translate an index on a layer's map into the stretch of the song that it sees.

    Parameters
    ----------
    frontend : Frontend
    field : ReceptiveField
        Of the layer.
    position : tuple of int
        Index behind the channel axis.
    shape : tuple of int
        Of the features behind the channel axis.
    """
    extent = field.extent(position, shape)
    time = extent[-1]
    low = high = None
    if len(extent) > 1:
        low, high = frontend.hertz_of(extent[0].start), frontend.hertz_of(extent[0].stop - 1)
    return Place(frontend.seconds_of(time.start), frontend.seconds_of(time.stop - 1), low, high)
