"""How units' peaks go with what the stretches that they come from sound like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auralise.atlas.descriptor_loops import stretch_means
from auralise.atlas.descriptors import FRAMES_PER_SECOND, NAMES
from auralise.atlas.places import Places
from auralise.atlas.statistics import spearman
from auralise.atlas.values import Clips, LayerValues

_BLOCK = 128  # units whose descriptors are in memory at once


def correlate(
    clips: Clips, values: LayerValues, places: Places, membership: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Correlate peaks with the descriptors of the stretches that they come from.

    Parameters
    ----------
    clips : Clips
    values : LayerValues
    places : Places
        Of the layer.
    membership : ndarray, shape (clips,)
        Which group each clip is in.

    Returns
    -------
    rho, p : ndarray, shape (channels, descriptors)
        See `spearman`.
    """
    sample, channels = len(clips.grids), values.peak.shape[1]
    independent = len(np.unique(membership[:sample]))
    rho, p = np.full((channels, len(NAMES)), np.nan), np.full((channels, len(NAMES)), np.nan)
    for first in range(0, channels, _BLOCK):
        block = slice(first, min(first + _BLOCK, channels))
        start, end = places.seconds(values.window[:sample, block], values.position[:sample, block])
        described = np.full((*start.shape, len(NAMES)), np.nan, np.float32)
        for clip in range(sample):
            described[clip, :, :-1] = averages(clips.grids[clip], start[clip], end[clip])
        described[:, :, -1] = clips.tempo[:sample, None]
        for unit in range(start.shape[1]):
            peaks = values.peak[:sample, first + unit].astype(np.float64)
            rho[first + unit], p[first + unit] = spearman(
                peaks, described[:, unit].astype(np.float64), independent
            )
    return rho, p


def averages(
    grid: NDArray[np.float16], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the mean descriptors of stretches of a clip, without frames that have no answer.

    Parameters
    ----------
    grid : ndarray, shape (frames, descriptors)
    start, end : ndarray, shape (stretches,)
        In seconds; at least one frame is taken, the nearest.

    Returns
    -------
    ndarray, shape (stretches, descriptors)
        NaN where no frame has an answer.
    """
    frames = len(grid)
    first = np.clip(np.floor(start * FRAMES_PER_SECOND), 0, frames - 1).astype(np.int64)
    stop = np.clip(np.ceil(end * FRAMES_PER_SECOND), first + 1, frames).astype(np.int64)
    return stretch_means(grid.astype(np.float32), first, stop)
