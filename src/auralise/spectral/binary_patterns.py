"""Local binary patterns: which of eight neighbours are at least as bright as the place between."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern
from torch import Tensor

from auralise.errors import InvalidValueError, ShapeError

NEIGHBOURS = 8
RADIUS = 2
PATTERNS = NEIGHBOURS * (NEIGHBOURS - 1) + 3
"""Those with at most two changes around the circle, 58, and one for all others."""


def binary_patterns(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the uniform pattern around each place whose circle lies within the image.

    Eight neighbours on a circle of radius 2, between places interpolated linearly.

    Parameters
    ----------
    image : array of uint8, shape (bins, frames)
        Grey levels.

    Returns
    -------
    array of int, shape (bins - 4, frames - 4)
        From 0 to 58; 58 stands for all patterns that are not uniform.

    Raises
    ------
    ShapeError
        If no circle fits into the image.
    """
    if image.ndim != 2 or min(image.shape) <= 2 * RADIUS:
        raise ShapeError(
            f"an image needs more than {2 * RADIUS} bins and frames, got {image.shape}"
        )
    found = local_binary_pattern(image, NEIGHBOURS, RADIUS, "nri_uniform")  # type: ignore[no-untyped-call]
    return np.asarray(found[RADIUS:-RADIUS, RADIUS:-RADIUS], dtype=np.int64)


def grey_levels(values: Tensor) -> Tensor:
    """Bring each image's values from its lowest to its highest to 0 to 255; even images are 0.

    Parameters
    ----------
    values : Tensor, shape (batch, bins, frames)

    Returns
    -------
    Tensor of uint8, shape (batch, bins, frames)
        Unchanged, but for rounding, if all values are scaled or shifted.
    """
    low, high = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
    spread = torch.where(high > low, high - low, 1.0)
    return ((values - low) / spread * 255).round().to(torch.uint8)


def zone_histograms(values: Tensor, zones: int = 10) -> Tensor:
    """Return how often each pattern occurs in each zone of neighbouring bins.

    There is no derivative: patterns change in jumps.

    Parameters
    ----------
    values : Tensor, shape (batch, bins, frames)
        A spectrogram, best with compressed magnitudes.
    zones : int
        Bands of equally many bins, or nearly so, the lowest first.

    Returns
    -------
    Tensor, shape (batch, zones * 59), float64
        On the device of the values. Each zone's shares sum to 1.

    Raises
    ------
    InvalidValueError
        If there are no zones, or more than bins whose circle lies within the image.
    ShapeError
        If the values are not (batch, bins, frames), or smaller than a circle.

    References
    ----------
    .. [1] T. Ahonen, A. Hadid, M. Pietikainen, "Face description with local binary patterns:
       application to face recognition", IEEE Trans. PAMI 28(12), 2006.

    Examples
    --------
    >>> zone_histograms(torch.rand(2, 64, 16), zones=4).shape
    torch.Size([2, 236])
    """
    if values.ndim != 3:
        raise ShapeError(f"values must be (batch, bins, frames), got {tuple(values.shape)}")
    if not 1 <= zones <= max(1, values.shape[1] - 2 * RADIUS):
        raise InvalidValueError(
            f"zones must be from 1 to {values.shape[1] - 2 * RADIUS}, the bins that have a "
            f"circle, got {zones}"
        )
    images = grey_levels(values.detach()).cpu().numpy()
    rows = [_histograms(binary_patterns(image), zones) for image in images]
    found = np.stack(rows) if rows else np.zeros((0, zones * PATTERNS))
    return torch.from_numpy(found).to(values.device)


def _histograms(patterns: NDArray[np.int64], zones: int) -> NDArray[np.float64]:
    counts = [
        np.bincount(zone.ravel(), minlength=PATTERNS) / zone.size
        for zone in np.array_split(patterns, zones)
    ]
    return np.concatenate(counts)
