"""Windows: the part of each map that one position of a layer can answer to.

A window moves with the position and has one size for all of them, so the windows of many positions
lie in one batch. It may reach over the edge of the map, where signals are always zero: that is the
padding, and nothing is ever padded at an edge that is not one of the map's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

Place = Sequence[int]
"""A position: an index along each axis of the layer's output behind its channel axis."""


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of one axis that belongs to a position.

    Attributes
    ----------
    axis : int
        Of the position, counted as in `Place`: the entry that moves the window.
    step : int
        Places by which the window moves with each position; 0 for one that stays.
    start : int
        First place for position 0; may be negative.
    size : int
        Number of places.
    """

    axis: int
    step: int
    start: int
    size: int

    def first(self, place: Place) -> int:
        """Return the first place for a position."""
        return self.start + (self.step * place[self.axis] if self.step else 0)


Box = tuple[Window | None, ...]
"""A window for each axis of a map behind its batch axis; None is the whole axis."""


def still(start: int, size: int) -> Window:
    """Return a window that is the same for all positions."""
    return Window(0, 0, start, size)


def settle(box: Box, lengths: Sequence[int]) -> Box:
    """Take an axis as a whole where the window stays or is no shorter."""
    return tuple(
        None if window is None or window.step == 0 or window.size >= length else window
        for window, length in zip(box, lengths, strict=True)
    )


def union(one: Box, other: Box) -> Box:
    """Return the smallest box with both in it; the whole axis where windows move differently."""
    return tuple(_union(a, b) for a, b in zip(one, other, strict=True))


def _union(a: Window | None, b: Window | None) -> Window | None:
    if a is None or b is None or (a.axis, a.step) != (b.axis, b.step):
        return None
    start = min(a.start, b.start)
    return Window(a.axis, a.step, start, max(a.start + a.size, b.start + b.size) - start)


def sizes(box: Box, lengths: Sequence[int]) -> list[int]:
    """Return the shape of what is in a box."""
    return [n if w is None else w.size for w, n in zip(box, lengths, strict=True)]


def firsts(window: Window | None, places: Sequence[Place]) -> list[int]:
    """Return the first place of each position's window."""
    return [0 if window is None else window.first(place) for place in places]


def cut_out(values: Tensor, box: Box, places: Sequence[Place]) -> Tensor:
    """Cut every position's box out of one map.

    Parameters
    ----------
    values : Tensor, shape (1, ...)
        The map; an axis of length 1 that the box does not take as a whole counts as constant.
    box : Box
        As long as ``values`` has axes behind the first.
    places : sequence of Place
        The positions.

    Returns
    -------
    Tensor, shape (positions, ...), or (1, ...) if they all have the same
        0 beyond the edges of the map.
    """
    lengths = values.shape[1:]
    kept = tuple(None if n == 1 else w for w, n in zip(box, lengths, strict=True))
    if not any(kept):
        return values
    cut = values.new_empty(len(places), *sizes(kept, lengths))
    for i, place in enumerate(places):
        inner, outer = _overlap(kept, lengths, place)
        cut[i][inner] = values[0][outer]
    clear_outside(cut, kept, lengths, places)
    return cut


def _overlap(
    box: Box, lengths: Sequence[int], place: Place
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return what box and map have in common, as indices into the box and into the map."""
    inner, outer = [], []
    for window, length in zip(box, lengths, strict=True):
        first, size = (0, length) if window is None else (window.first(place), window.size)
        low, high = max(first, 0), max(min(first + size, length), 0)
        inner.append(slice(low - first, max(high, low) - first))
        outer.append(slice(low, max(high, low)))
    return tuple(inner), tuple(outer)


def clear_outside(
    signal: Tensor, box: Box, lengths: Sequence[int], places: Sequence[Place]
) -> None:
    """Set to zero, in place, what lies beyond the edges of the map."""
    for axis, (window, length) in enumerate(zip(box, lengths, strict=True)):
        if window is None:
            continue
        for i, first in enumerate(firsts(window, places)):
            before, after = -first, first + window.size - length
            if before > 0:
                signal[i].narrow(axis, 0, min(before, window.size)).zero_()
            if after > 0:
                kept = max(window.size - after, 0)
                signal[i].narrow(axis, kept, window.size - kept).zero_()


def lay(
    part: Tensor, box: Box, target: Box, lengths: Sequence[int], places: Sequence[Place]
) -> Tensor:
    """Lay what is in one box into another one, with zeros around it.

    Parameters
    ----------
    part : Tensor, shape (positions, ...)
        In ``box``.
    box, target : Box
        Every window of ``target`` moves as that of ``box`` does.
    lengths : sequence of int
        Of the map's axes behind its batch axis.
    places : sequence of Place
        The positions.

    Returns
    -------
    Tensor, shape (positions, ...)
        In ``target``; ``part`` itself if nothing changes.
    """
    if list(part.shape[1:]) == sizes(target, lengths) and all(
        a == b or (b is None and a is not None and a.step == 0 and a.start == 0)
        for a, b in zip(box, target, strict=True)
    ):
        return part
    wide = part.new_zeros(len(part), *sizes(target, lengths))
    shifts = [_shifts(a, b, places) for a, b in zip(box, target, strict=True)]
    if all(len(set(shift)) == 1 for shift in shifts):
        _place(wide, part, [0, *(shift[0] for shift in shifts)])
        return wide
    for piece, source, *shift in zip(wide, part, *shifts, strict=True):
        _place(piece, source, shift)
    return wide


def _shifts(box: Window | None, target: Window | None, places: Sequence[Place]) -> list[int]:
    """Return where a box begins in its target, for each position."""
    return [a - b for a, b in zip(firsts(box, places), firsts(target, places), strict=True)]


def _place(wide: Tensor, part: Tensor, shifts: Sequence[int]) -> None:
    """Write a part into a wider tensor, beginning at ``shifts``; what falls outside is lost."""
    into, out_of = [], []
    for shift, size, length in zip(shifts, part.shape, wide.shape, strict=True):
        low, high = max(shift, 0), max(min(shift + size, length), 0)
        into.append(slice(low, max(low, high)))
        out_of.append(slice(low - shift, max(low, high) - shift))
    wide[tuple(into)] = part[tuple(out_of)]


def spans(box: Box, change: Callable[[int, Window | None], Window | None]) -> Box:
    """Return a box with each axis behind the channel axis changed, the channels as a whole."""
    return (None, *(change(axis, window) for axis, window in enumerate(box[1:])))


def local_indices(indices: Tensor, plane: Sequence[int], box: Box) -> Tensor:
    """Turn places of a plane into places of a box that lies anywhere on it.

    Parameters
    ----------
    indices : Tensor of int
        Flat indices into a plane.
    plane : sequence of int
        Height and width of the plane.
    box : Box
        Of the plane's two axes.

    Returns
    -------
    Tensor of int
        What remains is to subtract `offsets`.
    """
    width, inside = plane[1], sizes(box, plane)[1]
    if inside == width:
        return indices
    return indices - indices.div(width, rounding_mode="floor") * (width - inside)


def offsets(plane: Sequence[int], box: Box, places: Sequence[Place]) -> list[int]:
    """Return the number that `local_indices` gives to the first place of each position's box."""
    inside = sizes(box, plane)[1]
    rows, columns = (firsts(window, places) for window in box)
    return [row * inside + column for row, column in zip(rows, columns, strict=True)]
