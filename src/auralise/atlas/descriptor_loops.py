"""What is counted frame by frame for the descriptors: pitch, running medians, averages."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auralise.phase.compiling import compiled

Floats = NDArray[np.float32]

_HALF = 3  # of the seven frames, or bands, of a running median, without the middle
_ENOUGH = 0.5
_NEARLY = 0.9


@compiled
def pitch_lags(correlation: Floats, own: Floats, shortest: int, longest: int) -> Floats:
    """Return the lag of each frame's pitch, NaN where nothing repeats itself.

    Of peaks nearly as high as the highest the one of the shortest lag is taken, else pitches would
    come out octaves too low; a parabola through its neighbours says where it is.

    Parameters
    ----------
    correlation : ndarray, float32, shape (frames, lags)
    own : ndarray, float32, shape (lags,)
        The window's, 1 at lag 0.
    shortest, longest : int
        Lags between which peaks are looked for.
    """
    lags = np.full(len(correlation), np.nan, np.float32)
    line = np.zeros(longest, np.float32)
    for frame in range(len(correlation)):
        power = correlation[frame, 0]
        for lag in range(longest):
            line[lag] = correlation[frame, lag] / (own[lag] * power + np.float32(1e-20))
        highest = np.float32(0)
        for lag in range(max(shortest, 1), longest - 1):
            if line[lag] > line[lag - 1] and line[lag] >= line[lag + 1]:
                highest = max(highest, line[lag])
        if highest < _ENOUGH:
            continue
        for lag in range(max(shortest, 1), longest - 1):
            before, at, after = line[lag - 1], line[lag], line[lag + 1]
            if at > before and at >= after and at >= np.float32(_NEARLY) * highest:
                bend = before - 2 * at + after
                lags[frame] = lag + ((before - after) / (2 * bend) if bend < 0 else 0)
                break
    return lags


@compiled
def _median(a: float, b: float, c: float, d: float, e: float, f: float, g: float) -> float:
    """Return the middle one of seven numbers, by comparisons that do not hang on one another."""
    a, f = min(a, f), max(a, f)
    a, d = min(a, d), max(a, d)
    b, g = min(b, g), max(b, g)
    c, e = min(c, e), max(c, e)
    b = max(a, b)
    d, f = min(d, f), max(d, f)
    c, g = min(c, g), max(c, g)
    c, d = min(c, d), max(c, d)
    d = min(d, g)
    e = min(e, f)
    b, e = min(b, e), max(b, e)
    d = max(b, d)
    return min(d, e)


@compiled
def harmonic_shares(magnitude: Floats) -> Floats:
    """Return each frame's energy after a median over time, of that and one over frequency.

    Time goes on as it begins and ends, frequency ends in silence.

    Parameters
    ----------
    magnitude : ndarray, float32, shape (frames, bands)

    Returns
    -------
    ndarray, float32, shape (frames,)
        NaN where both are 0.
    """
    frames, bands = magnitude.shape
    wide = np.zeros(bands + 2 * _HALF, np.float32)
    shares = np.zeros(frames, np.float32)
    for frame in range(frames):
        last = frames - 1
        a, b = magnitude[max(frame - 3, 0)], magnitude[max(frame - 2, 0)]
        c, d, e = magnitude[max(frame - 1, 0)], magnitude[frame], magnitude[min(frame + 1, last)]
        f, g = magnitude[min(frame + 2, last)], magnitude[min(frame + 3, last)]
        wide[_HALF:-_HALF] = d
        harmonic = percussive = np.float32(0)
        for n in range(bands):
            held = _median(a[n], b[n], c[n], d[n], e[n], f[n], g[n])
            struck = _median(
                wide[n], wide[n + 1], wide[n + 2], wide[n + 3], wide[n + 4], wide[n + 5],
                wide[n + 6],
            )  # fmt: skip
            harmonic += held * held
            percussive += struck * struck
        shares[frame] = harmonic / (harmonic + percussive)
    return shares


@compiled
def averaged(columns: Floats, place: NDArray[np.int64], frames: int) -> Floats:
    """Average rows that have the same place, without what is no number.

    Parameters
    ----------
    columns : ndarray, float32, shape (rows, descriptors)
    place : ndarray of int, shape (rows,)
        Below ``frames``.

    Returns
    -------
    ndarray, float32, shape (frames, descriptors)
        NaN where there is nothing to average.
    """
    sums = np.zeros((frames, columns.shape[1]), np.float32)
    counts = np.zeros(sums.shape, np.float32)
    for row in range(len(columns)):
        for column in range(columns.shape[1]):
            value = columns[row, column]
            if np.isfinite(value):
                sums[place[row], column] += value
                counts[place[row], column] += 1
    return sums / counts


@compiled
def stretch_means(grid: Floats, first: NDArray[np.int64], stop: NDArray[np.int64]) -> Floats:
    """Average the rows ``first`` to ``stop`` of a grid, for many stretches, without NaN.

    Parameters
    ----------
    grid : ndarray, float32, shape (frames, descriptors)
    first, stop : ndarray of int, shape (stretches,)

    Returns
    -------
    ndarray, float32, shape (stretches, descriptors)
        NaN where no frame has an answer.
    """
    frames, columns = grid.shape
    sums = np.zeros((frames + 1, columns))
    counts = np.zeros((frames + 1, columns))
    for frame in range(frames):
        for column in range(columns):
            value = grid[frame, column]
            there = np.isfinite(value)
            sums[frame + 1, column] = sums[frame, column] + (value if there else 0)
            counts[frame + 1, column] = counts[frame, column] + there
    found = np.zeros((len(first), columns), np.float32)
    for number in range(len(first)):
        for column in range(columns):
            total = sums[stop[number], column] - sums[first[number], column]
            there_are = counts[stop[number], column] - counts[first[number], column]
            found[number, column] = total / there_are
    return found
