"""Tables as Parquet, where the package for it is installed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

LEFT_OUT = "no Parquet was written: pip install 'auralise[parquet]'"
"""What to say where `encode_parquet` gives None."""


def encode_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes | None:
    """Write rows as a Parquet file.

    Parameters
    ----------
    rows : sequence of mapping
        Of one set of names, to plain values or None; the types are those of the values.

    Returns
    -------
    bytes or None
        None if pyarrow, which is an extra, is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        return None
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), buffer)
    return buffer.getvalue()
