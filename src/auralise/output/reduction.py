"""Fewer points for a screen, keeping what the eye looks for: peaks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from auralise.errors import InvalidValueError
from auralise.output.figures import Array


def envelope(seconds: Array, values: Array, columns: int) -> tuple[Array, Array]:
    """Reduce a line to the lowest and highest value of each column, in the order they come.

    Parameters
    ----------
    seconds, values : array, shape (n,)
        The line.
    columns : int
        How many columns the screen has; lines of at most twice as many points stay as they are.

    Returns
    -------
    seconds, values : array, shape (at most 2 * columns,)
        Points of the line, so no peak is lost and none is invented.

    Examples
    --------
    >>> t, x = envelope(np.arange(8.0), np.array([0.0, 9, 1, 2, 5, -7, 0, 1]), 2)
    >>> t, x
    (array([0., 1., 4., 5.]), array([ 0.,  9.,  5., -7.]))
    """
    _check(columns)
    if len(values) <= 2 * columns:
        return seconds, values
    edges = np.linspace(0, len(values), columns + 1).astype(int)
    pairs = [
        sorted((start + int(part.argmin()), start + int(part.argmax())))
        for start, end in pairwise(edges)
        for part in [values[start:end]]
    ]
    keep = np.array(pairs).ravel()
    return seconds[keep], values[keep]


def strongest_columns(seconds: Array, values: Array, columns: int) -> tuple[Array, Array]:
    """Reduce an image to fewer columns, each row keeping its largest absolute value.

    For dB values (none above 0) pass them shifted to be non-negative, or the floor wins.

    Parameters
    ----------
    seconds : array, shape (n,)
        Evenly spaced.
    values : array, shape (rows, n)
        Signed values; the sign is kept.
    columns : int
        Upper bound on the columns of the result.

    Returns
    -------
    seconds : array, shape (m,)
        Middles of the joined columns, evenly spaced.
    values : array, shape (rows, m)
        m at most ``columns``.
    """
    _check(columns)
    block = -(-values.shape[1] // columns)
    if block <= 1:
        return seconds, values
    rows, length = values.shape
    padded = np.pad(values, ((0, 0), (0, -length % block)))
    parts = padded.reshape(rows, -1, block)
    index = np.abs(parts).argmax(axis=2, keepdims=True)
    step = (seconds[-1] - seconds[0]) / (length - 1)
    middles = seconds[0] + step * (np.arange(parts.shape[1]) * block + (block - 1) / 2)
    return middles, np.take_along_axis(parts, index, axis=2)[:, :, 0]


def _check(columns: int) -> None:
    if columns < 1:
        raise InvalidValueError(f"columns must be at least 1, got {columns}")
