"""Which part of the input a layer's positions see, found by sending supports backwards."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from auralise.activations.probing import Probe, Windows
from auralise.activations.recorder import run_to
from auralise.errors import InvalidValueError

SHORTEST = 32
"""Length of input with which probing begins."""

GROWTH = (2, 4, 8)
"""How much longer the input is made, at most, to see a field whole that the given one cuts off."""


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What the positions of a layer see along each axis of the input behind the channel axis.

    Position ``p`` sees the ``size`` places from ``floor(start + p * stride)`` on, those in the
    padding included.

    Attributes
    ----------
    size : tuple of int
        Places seen by one position.
    stride : tuple of float
        Step from one position to the next, in places of the input; a whole number unless the
        network upsamples; 0 where all positions see the same places.
    start : tuple of int
        First place that position 0 sees; negative where it lies in the padding.
    shape : tuple of int
        Number of positions along each axis of the layer's output behind its channel axis.
    axes : tuple of int or None
        For each axis of the input, the layer's axis (behind its channel axis) along which the
        field moves; None where the layer has no such axis, as behind a dense layer.

    Examples
    --------
    >>> field = ReceptiveField((5,), stride=(2,), start=(-2,), shape=(5,), axes=(0,))
    >>> field.extent((0,), (9,)), field.extent((3,), (9,))
    ((slice(0, 3, None),), (slice(4, 9, None),))
    """

    size: tuple[int, ...]
    stride: tuple[float, ...]
    start: tuple[int, ...]
    shape: tuple[int, ...]
    axes: tuple[int | None, ...]

    def extent(self, position: Sequence[int], input_shape: Sequence[int]) -> tuple[slice, ...]:
        """Return the stretch of the input that a position sees, without the padding.

        Parameters
        ----------
        position : sequence of int
            Index behind the channel axis of the layer's output.
        input_shape : sequence of int
            Lengths of the input behind its channel axis: ``features.shape[1:]``.

        Returns
        -------
        tuple of slice
            One for each input axis, within it.

        Raises
        ------
        InvalidValueError
            If ``position`` or ``input_shape`` has too few entries.
        """
        wanted = max((axis + 1 for axis in self.axes if axis is not None), default=0)
        if len(position) < wanted or len(input_shape) != len(self.size):
            raise InvalidValueError(
                f"this field needs a position with {wanted} entries and an input with "
                f"{len(self.size)} axes behind the channels; got position {tuple(position)} "
                f"and shape {tuple(input_shape)}"
            )
        stretches = []
        for axis, length in enumerate(input_shape):
            driver = self.axes[axis]
            steps = 0 if driver is None else position[driver]
            first = math.floor(self.start[axis] + steps * self.stride[axis])
            stop = min(first + self.size[axis], length)
            stretches.append(slice(max(first, 0), max(stop, 0)))
        return tuple(stretches)


def receptive_field(
    network: nn.Module, features: Tensor, layer: str, *, shape: Sequence[int] | None = None
) -> ReceptiveField:
    """Measure what the positions of a layer see.

    The forward pass runs on positive random numbers with positive random weights in place of the
    network's own, so that nothing cancels and no filter is dead; on the way back activation
    functions let everything through, max-pooling answers to its whole window, and every
    operation's answer is reduced to where it is not zero. What comes out depends on the
    architecture alone. Short inputs are tried first, which do where fields are small and lie
    evenly; where padding takes part of every field, inputs longer than the given one (up to eight
    times, axis by axis). A field that fills twice the length too, or a layer that has no more
    positions there, stands for the whole input.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. Left as it was found.
    features : Tensor, shape (channels, ...)
        One example without a batch axis; only its shape and dtype matter.
    layer : str
        Name as in ``network.named_modules()``.
    shape : sequence of int, optional
        Of the layer's output without the batch axis, if it is known (`LayerInfo.shape`); it saves
        a forward pass.

    Returns
    -------
    ReceptiveField
        Exact where positions step by a whole number of places; where they do not (upsampling,
        adaptive pooling to several positions), wide enough for all positions that were probed.
        A layer that sees the whole input has its length as size, at stride 0 from place 0.

    Raises
    ------
    UnknownNameError
        If there is no such layer.
    NetworkError
        If the network is in training mode, or the layer's output is not a tensor made from the
        input by differentiable operations.

    References
    ----------
    .. [1] A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural
       networks", Distill, 2019 (the closed form for chains of layers).

    Examples
    --------
    >>> network = nn.Sequential(nn.Conv1d(1, 2, 5, stride=2, padding=2), nn.ReLU()).eval()
    >>> receptive_field(network, torch.zeros(1, 20), "1")
    ReceptiveField(size=(5,), stride=(2,), start=(-2,), shape=(10,), axes=(0,))
    """
    if shape is None:
        with torch.no_grad():
            shape = run_to(network, features[None], layer).shape[1:]
    fields = _fields(Probe(network, layer, features), tuple(features.shape[1:]), tuple(shape[1:]))
    size, stride, start, axes = zip(*fields, strict=True) if fields else ((), (), (), ())
    return ReceptiveField(size, stride, start, tuple(shape[1:]), axes)


_Field = tuple[int, float, int, int | None]


def _fields(probe: Probe, lengths: tuple[int, ...], positions: tuple[int, ...]) -> list[_Field]:
    """Return the field along every input axis, from the shortest input that shows it."""
    growth = GROWTH if positions else ()
    for shorter in _shorter(lengths):
        try:
            windows = probe.windows(shorter)
        except RuntimeError:  # torch's answer where a layer takes one length only
            continue
        fits = [_fit(windows, axis) for axis in range(len(lengths))]
        fields = [field for field in fits if field is not None]
        if len(fields) == len(lengths) and _foretell(windows, fields, lengths, positions):
            return fields
        if windows.positions == positions:  # adaptive: more input gives no more positions
            growth = ()
            break
    first = probe.windows(lengths)
    return [_axis(probe, first, axis, growth) for axis in range(len(lengths))]


def _shorter(lengths: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield inputs of at most half the size: short along all axes, then along the last only."""
    for kept in dict.fromkeys((0, len(lengths) - 1)):
        limit = SHORTEST
        while limit < max(lengths[kept:], default=0):
            shorter = (*lengths[:kept], *(min(limit, length) for length in lengths[kept:]))
            if 2 * math.prod(shorter) > math.prod(lengths):
                break
            yield shorter
            limit *= 2


def _foretell(
    windows: Windows, fields: list[_Field], lengths: tuple[int, ...], positions: tuple[int, ...]
) -> bool:
    """Return whether fields found on a shorter input give the right number of positions."""
    if len(windows.positions) != len(positions):
        return False
    for axis, (_, stride, _, driver) in enumerate(fields):
        if driver is not None:
            more = (lengths[axis] - windows.lengths[axis]) / stride
            if abs(windows.positions[driver] + more - positions[driver]) > 1:
                return False
    return True


def _axis(probe: Probe, first: Windows, axis: int, growth: Sequence[int]) -> _Field:
    """Return size, stride, start and driver for one input axis, from longer inputs if needed."""
    field = _fit(first, axis)
    length = first.lengths[axis]
    for factor in growth:
        if field is not None:
            return field
        lengths = (*first.lengths[:axis], factor * length, *first.lengths[axis + 1 :])
        try:
            grown = probe.windows(lengths)
        except RuntimeError:  # one length only
            break
        field = _fit(grown, axis)
        if grown.positions == first.positions or grown.drivers[axis] is None:
            break
    return field or _fit_ends(first, axis) or _fixed(first, axis) or (length, 0, 0, None)


def _fixed(windows: Windows, axis: int) -> _Field | None:
    """Return the field where one window serves all positions and ends inside the input."""
    (low, high), *others = {seen[axis] for seen in windows.diagonal.values()}
    if others or low == 0 or high == windows.lengths[axis] - 1:
        return None
    return high - low + 1, 0, low, None


def _fit(windows: Windows, axis: int) -> _Field | None:
    """Fit evenly stepping windows to those that no padding on the way has cut off."""
    driver = windows.drivers[axis]
    if driver is None:
        return None
    last = windows.lengths[axis] - 1
    place = axis - len(windows.lengths)
    whole = {
        position[driver]: at[axis]
        for position, at in windows.diagonal.items()
        if place not in windows.cut[position]
    }
    inner = {p: window for p, window in whole.items() if window[0] > 0 and window[1] < last}
    kept = inner if len(inner) > 1 else whole
    if len(kept) < 2:
        return None
    lows, highs = ({p: window[end] for p, window in kept.items()} for end in (0, 1))
    return _through(lows, highs, driver)


def _fit_ends(windows: Windows, axis: int) -> _Field | None:
    """Fit evenly stepping windows to their visible ends, where each is cut off at one.

    First places are cut off at the left end only, so the rightmost positions tell them best; last
    places likewise at the leftmost positions.
    """
    driver = windows.drivers[axis]
    if driver is None:
        return None
    last = windows.lengths[axis] - 1
    seen = {position[driver]: at[axis] for position, at in windows.diagonal.items()}
    lows = {p: low for p, (low, _) in seen.items() if low > 0}
    highs = {p: high for p, (_, high) in seen.items() if high < last}
    if not lows or not highs or max(len(lows), len(highs)) < 2:
        return None
    return _through(lows, highs, driver)


def _through(lows: Mapping[int, int], highs: Mapping[int, int], driver: int) -> _Field:
    """Return the smallest field of even steps with these first and last places in it."""
    stride = _stride(lows, highs)
    start = math.floor(min(low - p * stride for p, low in lows.items()))
    end = math.ceil(max(high - p * stride for p, high in highs.items()))
    return end - start + 1, _plain(stride), start, driver


def _stride(lows: Mapping[int, int], highs: Mapping[int, int]) -> Fraction:
    """Return the step of the longer row of ends, as the simplest fraction that is near enough."""
    ends = max(lows, highs, key=lambda places: max(places) - min(places))
    p, q = min(ends), max(ends)
    return Fraction(ends[q] - ends[p], q - p).limit_denominator(8)


def _plain(stride: Fraction) -> float:
    return stride.numerator if stride.denominator == 1 else float(stride)
