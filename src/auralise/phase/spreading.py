"""The loops of phase-gradient integration, compiled by numba.

Phases are 32-bit integers of which 2**32 make one turn: a sum that runs over is wrapped as a phase
has to be, nothing is lost over minutes of sound, and the answer is the same on every machine. A bin
is a record of four: half the step to the next frame, half the step to the next bin, its phase, and
its bucket. Buckets take the place of the heap: `PER_OCTAVE` of them to each factor of two in
magnitude, the loudest that is not empty first, the last bin that came in first. That costs the same
for each bin however many wait, and a bin's neighbours are met while they are in the cache.

The frames are taken in blocks that fit the cache. A block goes on from the last frame of the one
before, and looks a few frames ahead, whose phases are found again in the next block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auralise.phase.compiling import compiled

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.int32]
Index = int | np.signedinteger[Any]

PER_OCTAVE = 4
"""Buckets to a factor of two. Coarser than that, quality falls; finer, nothing is gained."""

FORWARD, UPWARD, PHASE, BUCKET = 0, 1, 2, 3
UNKNOWN = -(2**30)
"""In place of a bucket: too soft to have a phase. A bin with a phase has -1 - its bucket."""


@compiled
def steps(
    level: Floats,
    first: int,
    last: int,
    advance: Floats,
    factors: Floats,
    records: Integers,
) -> None:
    """Write half steps and buckets of frames into ``records``, from row 1 on.

    Parameters
    ----------
    level : array, shape (frames, bins)
        Natural logarithm of the magnitudes, relative to the loudest.
    first, last : int
        The frames, without ``last``.
    advance : array, shape (bins,)
        Turns from one frame to the next of a tone on the bin.
    factors : array, shape (7,), of the dtype of ``level``
        Of the slopes along frequency and along time, in turns; the level below which a bin is
        unknown; buckets per unit of level; 1, 1/2 and 2**32.
    records : array of int32, shape (rows, bins, 4)
    """
    along_bins, along_frames, floor, buckets = factors[0], factors[1], factors[2], factors[3]
    one, half, turn = factors[4], factors[5], factors[6]
    zero = one - one
    frames, bins = level.shape
    for m in range(first, last):
        row, record = level[m], records[m - first + 1]
        before, after = level[max(m - 1, 0)], level[min(m + 1, frames - 1)]
        has_before = one if m > 0 else zero
        has_after = one if 0 < m < frames - 1 else zero
        for k in range(bins):
            here = row[k]
            known = one if here >= floor else zero
            a = has_before if before[k] >= floor else zero
            b = has_after if after[k] >= floor else zero
            slope = known * (a * (here - before[k]) + b * (after[k] - here))
            slope = slope * half if a + b > one else slope
            turns = half * (half - slope * along_frames)
            record[k, UPWARD] = np.int32((turns - np.floor(turns + half)) * turn)
            bucket = np.int32((here - floor) * buckets)
            record[k, BUCKET] = bucket if here >= floor else UNKNOWN
        for k in range(bins):
            lower, upper = max(k - 1, 0), min(k + 1, bins - 1)
            here = row[k]
            inside = one if (0 < k < bins - 1 and here >= floor) else zero
            a = inside if row[lower] >= floor else zero
            b = inside if row[upper] >= floor else zero
            slope = a * (here - row[lower]) + b * (row[upper] - here)
            slope = slope * half if a + b > one else slope
            turns = half * (advance[k] + slope * along_bins)
            record[k, FORWARD] = np.int32((turns - np.floor(turns + half)) * turn)


@compiled
def reach(
    bins: Integers,
    there: Index,
    phase: Index,
    loudest: int,
    heads: Integers,
    following: Integers,
) -> int:
    """Give a bin its phase and let it wait in its bucket; return the loudest bucket in use."""
    bucket: int = bins[there, BUCKET]
    bins[there, PHASE] = np.int32(phase)
    bins[there, BUCKET] = -1 - bucket
    following[there] = heads[bucket]
    heads[bucket] = there
    return bucket if bucket > loudest else loudest


@compiled
def spread(
    loudest: int, width: int, count: int, bins: Integers, heads: Integers, following: Integers
) -> None:
    """Spread the phase from the bins that wait to all that are connected to them.

    Parameters
    ----------
    loudest : int
        The loudest bucket in which a bin waits.
    width : int
        Bins in a frame.
    count : int
        Bins in all.
    bins : array of int32, shape (at least count, 4)
        Records, frame by frame.
    heads : array of int32, shape (buckets,)
        The first bin of each bucket, -1 for none; all -1 afterwards.
    following : array of int32, shape (at least count,)
        The next bin in the bucket.
    """
    while loudest >= 0:
        here = np.int64(heads[loudest])
        if here < 0:
            loudest -= 1
            continue
        heads[loudest] = following[here]
        k, phase = here % width, bins[here, PHASE]
        forward, upward = bins[here, FORWARD], bins[here, UPWARD]
        there = here - width
        if there >= 0 and bins[there, BUCKET] >= 0:
            reached = phase - forward - bins[there, FORWARD]
            loudest = reach(bins, there, reached, loudest, heads, following)
        there = here + width
        if there < count and bins[there, BUCKET] >= 0:
            reached = phase + forward + bins[there, FORWARD]
            loudest = reach(bins, there, reached, loudest, heads, following)
        there = here - 1
        if k > 0 and bins[there, BUCKET] >= 0:
            reached = phase - upward - bins[there, UPWARD]
            loudest = reach(bins, there, reached, loudest, heads, following)
        there = here + 1
        if k < width - 1 and bins[there, BUCKET] >= 0:
            reached = phase + upward + bins[there, UPWARD]
            loudest = reach(bins, there, reached, loudest, heads, following)


@compiled
def go_on(width: int, bins: Integers, heads: Integers, following: Integers) -> int:
    """Let all bins of the first row that have a phase wait; return the loudest bucket in use."""
    loudest = -1
    for k in range(width):
        bucket = -1 - bins[k, BUCKET]
        if 0 <= bucket < heads.size:
            following[k] = heads[bucket]
            heads[bucket] = k
            loudest = max(loudest, bucket)
    return loudest


@compiled
def islands(width: int, count: int, bins: Integers, heads: Integers, following: Integers) -> None:
    """Spread from the loudest bin of each set that nothing has reached; its phase is 0."""
    places = np.zeros(heads.size + 1, np.int64)
    for i in range(width, count):
        if bins[i, BUCKET] >= 0:
            places[bins[i, BUCKET]] += 1
    left = 0
    for bucket in range(heads.size - 1, -1, -1):
        here = places[bucket]
        places[bucket] = left
        left += here
    order = np.empty(left, np.int64)
    for i in range(width, count):
        own = bins[i, BUCKET]
        if own >= 0:
            order[places[own]] = i
            places[own] += 1
    for place in order:
        if bins[place, BUCKET] >= 0:
            loudest = reach(bins, place, 0, -1, heads, following)
            spread(loudest, width, count, bins, heads, following)


@compiled
def integrate(
    level: Floats,
    advance: Floats,
    factors: Floats,
    buckets: int,
    block: int,
    ahead: int,
    phase: Integers,
) -> None:
    """Find the phase of one channel.

    Parameters
    ----------
    level, advance, factors : array
        As in `steps`.
    buckets : int
        How many there are.
    block : int
        Frames that are taken at a time, at least 1.
    ahead : int
        Frames that are looked at behind them.
    phase : array of int32, shape (frames, bins)
        Filled where the level is above the floor; anything elsewhere.
    """
    frames, width = level.shape
    records = np.empty((min(block + ahead, frames) + 1, width, 4), np.int32)
    records[0, :, BUCKET] = UNKNOWN
    bins = records.reshape(-1, 4)
    heads = np.full(buckets, -1, np.int32)
    following = np.empty(len(bins), np.int32)
    first = 0
    while first < frames:
        kept = min(first + block, frames)
        last = min(kept + ahead, frames)
        steps(level, first, last, advance, factors, records)
        count = (last - first + 1) * width
        loudest = go_on(width, bins, heads, following)
        spread(loudest, width, count, bins, heads, following)
        islands(width, count, bins, heads, following)
        for m in range(first, kept):
            phase[m] = records[m - first + 1, :, PHASE]
        records[0] = records[kept - first]
        first = kept
