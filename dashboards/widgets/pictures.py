"""Small pictures of maps, as PNG inside a URI."""

from __future__ import annotations

import base64
import itertools
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auralise.output.palette import LIGHT, Colours

_STEPS = 64


def picture_uri(values: NDArray[np.float32], top: float) -> str:
    """Draw a map of activations from zero to ``top`` in the colours of spectrograms.

    Parameters
    ----------
    values : array, shape (rows, columns)
        Rows rise in frequency; the lowest is drawn at the bottom.
    top : float
        Value of the brightest colour; nothing is bright where it is not above zero.
    """
    share = np.clip(values / top, 0, 1) if top > 0 else np.zeros_like(values)
    return _uri(share[::-1], LIGHT.magnitude)


def signed_uri(values: NDArray[np.float64]) -> str:
    """Draw a patch of weights, its largest magnitude in the strongest colour, either sign its own.

    Parameters
    ----------
    values : array, shape (rows, columns)
        Rows rise in frequency; the lowest is drawn at the bottom.
    """
    top = float(np.abs(values).max())
    share = 0.5 + 0.5 * (values / top if top > 0 else np.zeros_like(values))
    return _uri(share[::-1], LIGHT.signed)


def waveform_uri(values: NDArray[np.float64], rows: int = 40, columns: int = 48) -> str:
    """Draw a waveform between its extremes, which reach from edge to edge.

    Parameters
    ----------
    values : array, shape (samples,)
    rows, columns : int
        Of the picture.
    """
    top = float(np.abs(values).max()) or 1.0
    ends = np.linspace(0, len(values), columns + 1).round().astype(int)
    picture = np.zeros((rows, columns))
    for column, (start, end) in enumerate(itertools.pairwise(ends)):
        piece = values[start : max(end, start + 1)] / top
        low, high = ((1 - v) / 2 * (rows - 1) for v in (piece.max(), piece.min()))
        picture[round(low) : round(high) + 1, column] = 0.86
    return _uri(picture, LIGHT.magnitude)


def _uri(share: NDArray[Any], colours: Colours) -> str:
    """Write shares from 0 to 1, the top row first, as a PNG of a few colours."""
    index = (share * (_STEPS - 1)).round().astype(np.uint8)
    rows, columns = index.shape
    raw = b"".join(b"\0" + index[row].tobytes() for row in range(rows))
    content = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0))
        + _chunk(b"PLTE", _palette(colours))
        + _chunk(b"IDAT", zlib.compress(raw, 6))
        + _chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


@cache
def _palette(scale: Colours) -> bytes:
    places = [place for place, _ in scale]
    colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for _, c in scale])
    wanted = np.linspace(0, 1, _STEPS)
    mixed = [np.interp(wanted, places, colours[:, channel]) for channel in range(3)]
    return np.stack(mixed, 1).round().astype(np.uint8).tobytes()
