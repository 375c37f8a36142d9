"""What an operation that was written down consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Overlap = Literal["sum", "mean", "largest"]
"""What a place gets that won several windows: the sum of their signals, which is the transpose of
the pooling; their mean; or the largest of them."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One operation.

    Attributes
    ----------
    kind : str
        Key of `REPLAYS`.
    shape : tuple of int
        Of what it made, without the batch axis.
    below : tuple of int
        Numbers of the steps it sends to; -1 is the input.
    below_shapes : tuple of tuple of int
        Their shapes.
    values : dict
        Plain numbers, lists and texts.
    arrays : dict of str to Tensor
        Filters, factors, switches.
    """

    kind: str
    shape: Shape
    below: tuple[int, ...]
    below_shapes: tuple[Shape, ...]
    values: dict[str, Any]
    arrays: dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Policies:
    """What the way back leaves open; see `Switches.invert`."""

    method: str
    overlap: Overlap
    dead_windows: Literal["first", "block"]
