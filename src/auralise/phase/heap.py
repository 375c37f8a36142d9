"""The loop of phase-gradient heap integration, compiled by numba.

Kept apart from `auralise.phase.gradient_integration`, so that numba is imported on first use only.

A heap entry is one 64-bit integer: the bits of the magnitude as float32, which for positive numbers
sort like the numbers, above the place of the bin. Comparing two entries therefore compares
magnitudes first, and equal magnitudes have one answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., object])
Floats = NDArray[np.floating[Any]]


def _compiled(function: Function) -> Function:
    """Compile a function, and keep the result on disk where numba finds a folder to write to."""
    try:
        compiled = njit(cache=True, nogil=True)(function)
    except RuntimeError:  # all that numba raises when no such folder exists
        compiled = njit(nogil=True)(function)
    return cast(Function, compiled)


@_compiled
def push(heap: NDArray[np.int64], size: int, entry: int | np.int64) -> None:
    """Add an entry to a max-heap of ``size`` entries."""
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        if heap[parent] >= entry:
            break
        heap[hole] = heap[parent]
        hole = parent
    heap[hole] = entry


@_compiled
def pop(heap: NDArray[np.int64], size: int) -> int:
    """Remove the largest of ``size`` entries and return it."""
    top: int = heap[0]
    last = heap[size - 1]
    size -= 1
    hole = 0
    child = 1
    # The hole sinks to a leaf first: the last entry is small and nearly always belongs there.
    while child < size:
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        heap[hole] = heap[child]
        hole = child
        child = 2 * hole + 1
    while hole > 0:
        parent = (hole - 1) >> 1
        if heap[parent] >= last:
            break
        heap[hole] = heap[parent]
        hole = parent
    heap[hole] = last
    return top


@_compiled
def visit(
    here: int,
    there: int,
    half_way: float,
    gradient: Floats,
    order: NDArray[np.int32],
    done: NDArray[np.bool_],
    phase: NDArray[np.float64],
    heap: NDArray[np.int64],
    size: int,
) -> int:
    """Carry the phase from one bin to its neighbour by the trapezoidal rule.

    ``half_way`` is 0.5 along the gradient and -0.5 against it. Returns the new size of the heap.
    """
    if done[there]:
        return size
    done[there] = True
    phase[there] = phase[here] + half_way * (gradient[here] + gradient[there])
    push(heap, size, (np.int64(order[there]) << 32) | there)
    return size + 1


@_compiled
def integrate(
    seed: int,
    bins: int,
    per_frame: Floats,
    per_bin: Floats,
    order: NDArray[np.int32],
    done: NDArray[np.bool_],
    phase: NDArray[np.float64],
    heap: NDArray[np.int64],
) -> None:
    """Spread the phase from one bin to all that are connected to it, the loudest first.

    Parameters
    ----------
    seed : int
        Place of the bin that gets phase 0.
    bins : int
        Length of a row.
    per_frame, per_bin : array, shape (frames * bins,)
        How far the phase grows from one frame, and from one bin, to the next, in radians.
    order : array of int32, shape (frames * bins,)
        Bits of the magnitudes as float32.
    done : array of bool, shape (frames * bins,)
        Bins that are not to be visited; filled in place.
    phase : array of float64, shape (frames * bins,)
        Filled in place where ``done`` was not set.
    heap : array of int64, shape (frames * bins,)
        Room for the heap.
    """
    done[seed] = True
    phase[seed] = 0.0
    push(heap, 0, (np.int64(order[seed]) << 32) | seed)
    size = 1
    while size > 0:
        here = pop(heap, size) & 0xFFFFFFFF
        size -= 1
        k = here % bins
        if here >= bins:
            size = visit(here, here - bins, -0.5, per_frame, order, done, phase, heap, size)
        if here + bins < order.size:
            size = visit(here, here + bins, 0.5, per_frame, order, done, phase, heap, size)
        if k > 0:
            size = visit(here, here - 1, -0.5, per_bin, order, done, phase, heap, size)
        if k + 1 < bins:
            size = visit(here, here + 1, 0.5, per_bin, order, done, phase, heap, size)


@_compiled
def integrate_all(
    seeds: NDArray[np.int64],
    bins: int,
    per_frame: Floats,
    per_bin: Floats,
    order: NDArray[np.int32],
    done: NDArray[np.bool_],
    phase: NDArray[np.float64],
    heap: NDArray[np.int64],
) -> None:
    """Call `integrate` for every seed that no earlier one has reached."""
    for seed in seeds:
        if not done[seed]:
            integrate(seed, bins, per_frame, per_bin, order, done, phase, heap)
