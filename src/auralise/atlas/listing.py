"""Rows of clips for the units of a layer: the strongest, and some of each tenth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from auralise.atlas.layers import Layer
from auralise.atlas.places import Places
from auralise.atlas.values import Clips, LayerValues

TOP = 50
"""How many of a unit's strongest clips are kept in order."""

QUANTILES, EXAMPLES = 10, 5


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """Makes rows of clips for the units of a layer."""

    clips: Clips
    values: LayerValues
    places: Places
    layer: Layer
    number: int

    def top(self, order: NDArray[np.integer]) -> pa.Table:
        """Take the strongest; ``order`` has the clips of each unit, the strongest first."""
        kept = order[:TOP]
        channel = np.tile(np.arange(self.layer.channels), (len(kept), 1))
        rank = np.tile(np.arange(len(kept))[:, None], (1, self.layer.channels))
        return self._rows(kept.T, channel.T, rank=rank.T)

    def quantiles(self, order: NDArray[np.integer]) -> pa.Table:
        """Take from each tenth of the clips, by their peak, those whose checksums come first."""
        n = len(order)
        rising = order[::-1]
        lots, bins, ranks = [], [], []
        for number in range(QUANTILES):
            inside = rising[n * number // QUANTILES : n * (number + 1) // QUANTILES]
            chosen = np.sort(inside, axis=0)[:EXAMPLES]
            lots.append(chosen)
            bins.append(np.full(chosen.shape, number))
            ranks.append(np.tile(np.arange(len(chosen))[:, None], (1, self.layer.channels)))
        clips = np.concatenate(lots).T
        channel = np.tile(np.arange(self.layer.channels)[:, None], (1, clips.shape[1]))
        bin_rows, rank_rows = np.concatenate(bins).T, np.concatenate(ranks).T
        return self._rows(clips, channel, bin=bin_rows, rank=rank_rows)

    def _rows(
        self, clips: NDArray[np.integer], channel: NDArray[np.integer], **more: NDArray[Any]
    ) -> pa.Table:
        at, unit = clips.reshape(-1), channel.reshape(-1)
        window, position = self.values.window[at, unit], self.values.position[at, unit]
        start, end = self.places.seconds(window, position)
        low, high = self.places.hertz(position)
        return pa.table(
            {
                "layer": pa.array([self.layer.name] * len(at)),
                "layer_number": pa.array(np.full(len(at), self.number, np.int32)),
                "channel": pa.array(unit.astype(np.int32)),
                **{key: pa.array(v.reshape(-1).astype(np.int32)) for key, v in more.items()},
                "clip": pa.array([self.clips.names[number] for number in at]),
                "value": pa.array(self.values.peak[at, unit]),
                "start": pa.array(start),
                "end": pa.array(end),
                "low": pa.array(low, from_pandas=True),
                "high": pa.array(high, from_pandas=True),
                "window": pa.array(window.astype(np.float64) / self.places.sample_rate),
            }
        )
