"""Small pictures of maps, as PNG inside a URI."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from auralise.output.palette import LIGHT

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
    index = (share[::-1] * (_STEPS - 1)).round().astype(np.uint8)
    rows, columns = index.shape
    raw = b"".join(b"\0" + index[row].tobytes() for row in range(rows))
    content = (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0))
        + _chunk(b"PLTE", _palette())
        + _chunk(b"IDAT", zlib.compress(raw, 6))
        + _chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(content).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def _palette() -> bytes:
    places = [place for place, _ in LIGHT.magnitude]
    colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for _, c in LIGHT.magnitude])
    wanted = np.linspace(0, 1, _STEPS)
    mixed = [np.interp(wanted, places, colours[:, channel]) for channel in range(3)]
    return np.stack(mixed, 1).round().astype(np.uint8).tobytes()
