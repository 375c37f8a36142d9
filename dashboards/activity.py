"""How strongly every unit of every layer answers an excerpt, from one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.activations import list_layers, record
from auralise.models import MusicNetwork

from .rendering import pack_arrays, unpack_arrays

Array = NDArray[np.float32]

THUMBNAIL = (16, 32)
"""Most rows and columns of a unit's picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """What the units of a layer answered.

    Attributes
    ----------
    layer : str
    peak : array, shape (units,)
        Strongest value of each unit's map.
    mean : array, shape (units,)
    active : array, shape (units,)
        Share of the map above zero.
    pictures : array, shape (units, rows, columns), or None
        The maps made small, the strongest value kept, frequency rising from row to row; None for
        layers without a time axis. Raw-audio networks have one row.
    """

    layer: str
    peak: Array
    mean: Array
    active: Array
    pictures: Array | None

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(self.peak)

    @property
    def dead(self) -> int:
        """How many units are nowhere above zero."""
        return int((self.active == 0).sum())

    def strongest(self) -> NDArray[np.int64]:
        """Return the channels, the unit with the strongest value first; of equals, the lower."""
        return np.argsort(-self.peak, kind="stable")


def measure_activity(network: MusicNetwork, features: Tensor) -> bytes:
    """Run one pass and return the activity of all layers as bytes for `read_activity`.

    Parameters
    ----------
    network : MusicNetwork
    features : Tensor, shape (channels, ...)
    """
    names = [info.name for info in list_layers(network.module, features) if "." not in info.name]
    arrays: dict[str, Any] = {}
    with torch.no_grad(), record(network.module, names) as outputs:
        network.module(features[None])
        for number, name in enumerate(names):
            values = outputs[name][0].float()
            flat = values.flatten(1) if values.ndim > 1 else values[:, None]
            arrays[f"peak{number}"] = flat.amax(1).numpy()
            arrays[f"mean{number}"] = flat.mean(1).numpy()
            arrays[f"active{number}"] = (flat > 0).float().mean(1).numpy()
            if values.ndim in (2, 3) and values.shape[-1] > 1:
                arrays[f"pictures{number}"] = shrink(values).half().numpy()
    return pack_arrays({"layers": names}, arrays)


def read_activity(content: bytes) -> Mapping[str, Activity] | None:
    """Return the activity of each layer by name; None if the bytes are damaged."""
    found = unpack_arrays(content)
    if found is None:
        return None
    head, arrays = found
    return {
        name: Activity(
            name,
            arrays[f"peak{number}"],
            arrays[f"mean{number}"],
            arrays[f"active{number}"],
            arrays[f"pictures{number}"].astype(np.float32)
            if f"pictures{number}" in arrays
            else None,
        )
        for number, name in enumerate(head["layers"])
    }


def shrink(maps: Tensor) -> Tensor:
    """Return maps of at most `THUMBNAIL` rows and columns, each the strongest value there.

    Parameters
    ----------
    maps : Tensor, shape (units, time) or (units, frequency, time)

    Returns
    -------
    Tensor, shape (units, rows, columns)
    """
    maps = maps[:, None] if maps.ndim == 2 else maps
    size = [min(have, most) for have, most in zip(maps.shape[1:], THUMBNAIL, strict=True)]
    small: Tensor = torch.nn.functional.adaptive_max_pool2d(maps, size)
    return small
