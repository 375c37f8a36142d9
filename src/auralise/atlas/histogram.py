"""How often a unit takes which value: counts in octaves, which add up without loss.

The edges are the same for every unit, clip and collection, so that histograms of parts can be
added in any order and give the histogram of the whole.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.phase.compiling import compiled

LOWEST, HIGHEST = -10, 10
"""Exponents of 2 between which values are told apart."""

_SIDE = HIGHEST - LOWEST + 2  # below the lowest power, the octaves, from the highest power on
BINS = 2 * _SIDE + 1
ZERO = _SIDE
"""Which bin counts exact zeros; those below it are negative values, those above positive ones."""

_CODES = 512  # sign and exponent of a float32


def edges() -> NDArray[np.float64]:
    """Return the edges between the bins, shape (BINS + 1,), from -inf to inf.

    Bin ``i`` above `ZERO` counts ``edges[i] <= x < edges[i + 1]``, one below it
    ``edges[i] < x <= edges[i + 1]``. The bin of zeros has both its edges at 0. Values nearer to 0
    than 2**-126 count as zeros.

    Examples
    --------
    >>> edges()[ZERO + 1 : ZERO + 4].tolist() == [0, 2**-10, 2**-9]
    True
    """
    powers = 2.0 ** np.arange(LOWEST, HIGHEST + 1)
    side = np.concatenate([[0.0], powers, [np.inf]])
    return np.concatenate([-side[::-1], side])


def _fold() -> NDArray[np.intp]:
    """Return the bin of each combination of sign and exponent."""
    exponent = np.arange(_CODES) % 256 - 127
    magnitude = np.clip(exponent - LOWEST + 1, 0, _SIDE - 1)
    code = np.where(np.arange(_CODES) < 256, ZERO + 1 + magnitude, ZERO - 1 - magnitude)
    code[exponent == -127] = ZERO
    return code


_BIN_OF_CODE = _fold()


@compiled
def _count(bits: NDArray[np.uint32], bins: NDArray[np.intp], out: NDArray[np.int64]) -> None:
    for row in range(bits.shape[0]):
        for place in range(bits.shape[1]):
            out[row, bins[bits[row, place] >> 23]] += 1


@compiled
def _sweep(
    values: NDArray[np.float32],
    bits: NDArray[np.uint32],
    bins: NDArray[np.intp],
    counts: NDArray[np.int64],
    at: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    for row in range(values.shape[0]):
        best = values[row, 0]
        place = 0
        total = 0.0
        for column in range(values.shape[1]):
            value = values[row, column]
            counts[row, bins[bits[row, column] >> 23]] += 1
            total += value
            if value > best:
                best = value
                place = column
        at[row] = place
        sums[row] = total


def sweep(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return counts, place of the first highest value, and mean of each row, in one pass.

    Parameters
    ----------
    values : Tensor, float32, shape (..., places)

    Returns
    -------
    counts : Tensor, int64, shape (..., BINS)
    at : Tensor, int64, shape (...)
    mean : Tensor, float64, shape (...)
        Not finite where a value is not. All three are on the CPU.

    Examples
    --------
    >>> counts, at, mean = sweep(torch.tensor([[0.0, 3.0, 3.0, -2.0]]))
    >>> at.tolist(), mean.tolist()
    ([1], [1.0])
    """
    shape = values.shape[:-1]
    if values.device.type != "cpu":
        mean = values.double().mean(-1)
        return count(values), values.argmax(-1).cpu(), mean.cpu()
    rows = values.detach().float().reshape(-1, values.shape[-1]).contiguous().numpy()
    counts = np.zeros((len(rows), BINS), np.int64)
    at, sums = np.zeros(len(rows), np.int64), np.zeros(len(rows))
    _sweep(rows, rows.view(np.uint32), _BIN_OF_CODE, counts, at, sums)
    found = (counts.reshape(*shape, BINS), at.reshape(shape), sums.reshape(shape) / rows.shape[1])
    return torch.from_numpy(found[0]), torch.from_numpy(found[1]), torch.from_numpy(found[2])


def count(values: Tensor) -> Tensor:
    """Count the values of each row in octaves.

    Parameters
    ----------
    values : Tensor, float32, shape (..., places)
        Finite.

    Returns
    -------
    Tensor, int64, shape (..., BINS)
        On the CPU.

    Examples
    --------
    >>> count(torch.tensor([[0.0, 1.0, 1.5, -1.0]]))[0, [ZERO, ZERO + 12, ZERO - 12]].tolist()
    [1, 2, 1]
    """
    rows = values.detach().float().reshape(-1, values.shape[-1])
    out = np.zeros((len(rows), BINS), np.int64)
    if rows.device.type == "cpu":
        _count(rows.contiguous().numpy().view(np.uint32), _BIN_OF_CODE, out)
    else:
        out = _count_on_device(rows)
    return torch.from_numpy(out).reshape(*values.shape[:-1], BINS)


def _count_on_device(rows: Tensor) -> NDArray[np.int64]:
    """Do the same by operations that every device has."""
    codes = (rows.contiguous().view(torch.int32) >> 23) & (_CODES - 1)
    places = torch.arange(len(rows), device=rows.device)[:, None] * _CODES + codes
    counts = torch.bincount(places.reshape(-1), minlength=len(rows) * _CODES)
    found = counts.reshape(len(rows), _CODES).cpu().numpy()
    out = np.zeros((BINS, len(rows)), np.int64)
    np.add.at(out, _BIN_OF_CODE, found.T)
    return out.T.copy()
