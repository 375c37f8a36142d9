"""Which part of the input a layer's positions see, found by sending supports backwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from auralise.activations.graph import nodes_behind
from auralise.activations.recorder import stop_at
from auralise.activations.supports import supporting
from auralise.errors import InvalidValueError, NetworkError

GROWTH = (2, 4, 8)
"""How much longer the input is made, at most, to see a field whole that the given one cuts off."""

Window = tuple[int, int]
"""First and last place of an axis that a position sees."""


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


def receptive_field(network: nn.Module, features: Tensor, layer: str) -> ReceptiveField:
    """Measure what the positions of a layer see.

    The forward pass runs on positive random numbers with positive random weights in place of the
    network's own, so that nothing cancels and no filter is dead; on the way back activation
    functions let everything through, max-pooling answers to its whole window, and every
    operation's answer is reduced to where it is not zero. What comes out depends on the
    architecture alone. Where padding takes part of every field, longer inputs are tried (up to
    eight times, axis by axis). A field that fills these too, or a layer with no more positions on
    twice the length, stands for the whole input.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. Left as it was found.
    features : Tensor, shape (channels, ...)
        One example without a batch axis; only its shape and dtype matter.
    layer : str
        Name as in ``network.named_modules()``.

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
    probe = _Probe(network, layer, features)
    first = probe.windows(tuple(features.shape[1:]))
    fields = [_axis(probe, first, axis) for axis in range(features.ndim - 1)]
    size, stride, start, axes = zip(*fields, strict=True) if fields else ((), (), (), ())
    return ReceptiveField(size, stride, start, first.positions, axes)


_Field = tuple[int, float, int, int | None]


@dataclass(frozen=True, slots=True)
class _Windows:
    """What was seen on one input.

    ``diagonal`` holds positions that move along all axes at once, each with a window on every
    input axis; ``cut`` the axes, counted from the last (-1), on which padding took part of it;
    ``drivers`` the one layer axis that moves the window on each input axis.
    """

    lengths: tuple[int, ...]
    positions: tuple[int, ...]
    diagonal: Mapping[tuple[int, ...], tuple[Window, ...]]
    cut: Mapping[tuple[int, ...], frozenset[int]]
    drivers: tuple[int | None, ...]


def _axis(probe: _Probe, first: _Windows, axis: int) -> _Field:
    """Return size, stride, start and driver for one input axis, from longer inputs if needed."""
    field = _fit(first, axis)
    length = first.lengths[axis]
    for factor in GROWTH if first.positions else ():
        if field is not None:
            return field
        lengths = (*first.lengths[:axis], factor * length, *first.lengths[axis + 1 :])
        try:
            grown = probe.windows(lengths)
        except RuntimeError:  # torch's answer where a layer takes one length only
            break
        field = _fit(grown, axis)
        if grown.positions == first.positions:  # adaptive: more input gives no more positions
            break
    return field or _fit_ends(first, axis) or _fixed(first, axis) or (length, 0, 0, None)


def _fixed(windows: _Windows, axis: int) -> _Field | None:
    """Return the field where one window serves all positions and ends inside the input."""
    (low, high), *others = {seen[axis] for seen in windows.diagonal.values()}
    if others or low == 0 or high == windows.lengths[axis] - 1:
        return None
    return high - low + 1, 0, low, None


def _fit(windows: _Windows, axis: int) -> _Field | None:
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


def _fit_ends(windows: _Windows, axis: int) -> _Field | None:
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


class _Probe:
    """Runs a network up to a layer on inputs of any length and sends supports back."""

    def __init__(self, network: nn.Module, layer: str, features: Tensor) -> None:
        self.network = network
        self.layer = layer
        self.features = features
        self.cut: set[int] = set()
        self.noise: dict[torch.Size, Tensor] = {}
        self.random = torch.Generator().manual_seed(0)
        self.weights = {
            name: self.positive(p) / (p[0].numel() if p.ndim > 1 else 1)
            for name, p in network.named_parameters()
            if p.is_floating_point()
        }

    def positive(self, like: Tensor) -> Tensor:
        """Return numbers in [0.5, 1.5) like ``like``; the same ones for the same shape."""
        if like.shape not in self.noise:
            self.noise[like.shape] = torch.rand(like.shape, generator=self.random) + 0.5
        return self.noise[like.shape].to(like.device, like.dtype)

    def windows(self, lengths: tuple[int, ...]) -> _Windows:
        """Return what positions at both ends and in the middle of the layer see."""
        with torch.inference_mode(False), torch.enable_grad():
            leaf = self.positive(self.features.new_empty(1, self.features.shape[0], *lengths))
            leaf = leaf.clone().requires_grad_()
            output = stop_at(self.network, self.layer, lambda: self._forward(leaf.clone()))
            if output.grad_fn is None or output.ndim < 2:
                raise NetworkError(
                    f"layer {self.layer!r} has no channel axis, or its output of shape "
                    f"{tuple(output.shape)} is not made from the input by differentiable operations"
                )
            for node in nodes_behind(output):
                node.register_hook(supporting(node, self.positive, self.cut))
            positions = tuple(output.shape[2:])
            diagonal, cut = {}, {}
            for position in _probed(positions):
                self.cut.clear()
                diagonal[position] = self._seen(leaf, output, position)
                cut[position] = frozenset(self.cut)
            origin = (0,) * len(positions)
            moved = []
            for axis, length in enumerate(positions):
                corner = (*origin[:axis], length - 1, *origin[axis + 1 :])
                moved.append(diagonal.get(corner) or self._seen(leaf, output, corner))
        return _Windows(lengths, positions, diagonal, cut, _drivers(diagonal[origin], moved))

    def _forward(self, batch: Tensor) -> object:
        return torch.func.functional_call(self.network, self.weights, (batch,))

    def _seen(self, leaf: Tensor, output: Tensor, position: tuple[int, ...]) -> tuple[Window, ...]:
        """Return the window on each input axis that one position of the layer sees."""
        seed = torch.zeros_like(output)
        at: tuple[int | slice, ...] = (slice(None), slice(None), *position)
        seed[at] = 1
        (support,) = torch.autograd.grad(output, leaf, seed, retain_graph=True, allow_unused=True)
        if support is None or not support.any():
            raise NetworkError(f"layer {self.layer!r} does not depend on the input")
        places = support[0].nonzero()[:, 1:]
        low, high = places.amin(0).tolist(), places.amax(0).tolist()
        return tuple(zip(low, high, strict=True))


def _probed(lengths: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return positions along the diagonal: two at each end and three in the middle."""
    axes = []
    for length in lengths:
        middle, last = length // 2, length - 1
        wanted = (0, 1, middle - 1, middle, middle + 1, last - 1, last)
        axes.append([min(max(p, 0), last) for p in wanted])
    return list(dict.fromkeys(zip(*axes, strict=True))) if axes else [()]


def _drivers(
    origin: tuple[Window, ...], moved: Sequence[tuple[Window, ...]]
) -> tuple[int | None, ...]:
    """Return, for each input axis, the one layer axis that moves its window; None if not one."""
    found: list[int | None] = []
    for axis, window in enumerate(origin):
        movers = [driver for driver, at in enumerate(moved) if at[axis] != window]
        found.append(movers[0] if len(movers) == 1 else None)
    return tuple(found)
