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
_SMALL_BIN_OF_CODE = _BIN_OF_CODE.astype(np.uint8)
_LANES = 4
_WIDTH = 64  # of the tables that are counted in, BINS and some room


@compiled
def _count(bits: NDArray[np.uint32], bins: NDArray[np.uint8], out: NDArray[np.int64]) -> None:
    """Count rows, by turns into four tables: neighbours are often alike, and then one waits."""
    shift, one = np.uint32(23), np.uint32(1)
    tables = np.zeros((_LANES, _WIDTH), np.uint32)
    whole = bits.shape[1] - bits.shape[1] % _LANES
    for row in range(bits.shape[0]):
        tables[:] = 0
        line = bits[row]
        for at in range(0, whole, _LANES):
            tables[0, np.uint64(bins[np.uint64(line[at] >> shift)])] += one
            tables[1, np.uint64(bins[np.uint64(line[at + 1] >> shift)])] += one
            tables[2, np.uint64(bins[np.uint64(line[at + 2] >> shift)])] += one
            tables[3, np.uint64(bins[np.uint64(line[at + 3] >> shift)])] += one
        for at in range(whole, bits.shape[1]):
            tables[0, np.uint64(bins[np.uint64(line[at] >> shift)])] += one
        for number in range(BINS):
            for lane in range(_LANES):
                out[row, number] += tables[lane, number]


@compiled
def _sweep_last(  # noqa: C901 (what is called in a loop is not vectorised)
    values: NDArray[np.float32],
    bits: NDArray[np.uint32],
    bins: NDArray[np.uint8],
    counts: NDArray[np.int64],
    at: NDArray[np.int64],
    sums: NDArray[np.float64],
) -> None:
    """Sweep (batch, places, channels), all channels of a place together."""
    shift, one = np.uint32(23), np.uint32(1)
    batch, places, channels = values.shape
    tables = np.zeros((channels, _WIDTH), np.uint32)
    part = np.zeros(channels, np.float32)
    where = np.zeros(channels, np.int32)
    for example in range(batch):
        tables[:] = 0
        where[:] = 0
        best = values[example, 0].copy()
        for first in range(0, places, _BLOCK):
            part[:] = 0
            for place in range(first, min(places, first + _BLOCK)):
                line, code, here = values[example, place], bits[example, place], np.int32(place)
                for c in range(channels):
                    tables[np.uint64(c), np.uint64(bins[np.uint64(code[c] >> shift)])] += one
                for c in range(channels):
                    part[c] += line[c]
                for c in range(channels):
                    value = line[c]
                    where[c] = here if value > best[c] else where[c]
                    best[c] = value if value > best[c] else best[c]
            for c in range(channels):
                sums[example, c] += part[c]
        for c in range(channels):
            at[example, c] = where[c]
        counts[example] = tables[:, :BINS]


_BLOCK = 64  # places whose sum is taken in single precision


def sweep(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return counts, place of the first highest value, and mean over places of every channel.

    Parameters
    ----------
    values : Tensor, float32, shape (batch, channels, ...)
        Channels may lie last in memory.

    Returns
    -------
    counts : Tensor, int64, shape (batch, channels, BINS)
    at : Tensor, int64, shape (batch, channels)
        Flat index of the place; anything where a value is NaN.
    mean : Tensor, float64, shape (batch, channels)
        Not finite where a value is not. All three are on the CPU.

    Examples
    --------
    >>> counts, at, mean = sweep(torch.tensor([[[0.0, 3.0, 3.0, -2.0]]]))
    >>> at.tolist(), mean.tolist()
    ([[1]], [[1.0]])
    """
    values = values.detach().float()
    batch, channels = values.shape[:2]
    if values.device.type != "cpu":
        flat = values.reshape(batch, channels, -1)
        return count(flat), flat.argmax(-1).cpu(), flat.double().mean(-1).cpu()
    if values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last):
        rows = values.permute(0, 2, 3, 1).numpy().reshape(batch, -1, channels)
        counts = np.zeros((batch, channels, BINS), np.int64)
        at, sums = np.zeros((batch, channels), np.int64), np.zeros((batch, channels))
        _sweep_last(rows, rows.view(np.uint32), _SMALL_BIN_OF_CODE, counts, at, sums)
        mean = sums / rows.shape[1]
        return torch.from_numpy(counts), torch.from_numpy(at), torch.from_numpy(mean)
    flat = values.reshape(batch, channels, -1).contiguous()
    lines = flat.numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        sums = lines.sum(-1).astype(np.float64)
        if not np.isfinite(
            sums
        ).all():  # what is too much for single precision need not be infinite
            sums = lines.sum(-1, dtype=np.float64)
    at = lines.argmax(-1)
    return count(flat), torch.from_numpy(at), torch.from_numpy(sums / lines.shape[-1])


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
        _count(rows.contiguous().numpy().view(np.uint32), _SMALL_BIN_OF_CODE, out)
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
