"""Numbers as files: tables of rows, archives of arrays."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def encode_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    r"""Write rows of one set of names as CSV; None becomes an empty cell.

    Examples
    --------
    >>> encode_csv([{"filter": "conv:0", "peak_hz": None}])
    b'filter,peak_hz\nconv:0,\n'
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def encode_npz(arrays: Mapping[str, Any]) -> bytes:
    """Write arrays as a compressed archive of NumPy; nothing is pickled."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def plain_number(value: Any) -> float | None:  # noqa: ANN401 (a number of any library)
    """Return a number as Python has it; None where it is not finite."""
    number = float(value)
    return number if math.isfinite(number) else None
