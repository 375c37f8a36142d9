"""From windows and places on a layer's map to seconds of a clip and Hz, for many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auralise.activations.receptive_field import ReceptiveField
from auralise.frontends.base import Frontend


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What the places on a layer's map see.

    Attributes
    ----------
    frontend : Frontend
    field : ReceptiveField
        Of the layer, for the features of one window.
    shape : tuple of int
        Of the layer's map behind the channel axis.
    window_seconds : float
        Length of a window.
    """

    frontend: Frontend
    field: ReceptiveField
    shape: tuple[int, ...]
    window_seconds: float

    @property
    def sample_rate(self) -> int:
        """Of the network, in Hz."""
        return self.frontend.sample_rate

    def seconds(
        self, window: NDArray[np.uint32], position: NDArray[np.uint32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return where the stretches that were seen begin and end, in seconds of the clip.

        Parameters
        ----------
        window : ndarray of int, any shape
            First sample of the windows.
        position : ndarray of int, same shape
            Flat index on the map.

        Returns
        -------
        start, end : ndarray, same shape
            From the first place seen to the last one, within the window.
        """
        first, last = self._along(len(self.field.size) - 1, position)
        frames = np.array([self.frontend.seconds_of(float(n)) for n in (0, 1)])
        step = frames[1] - frames[0]
        begin = window.astype(np.float64) / self.sample_rate
        start, end = frames[0] + first * step, frames[0] + last * step
        top = self.window_seconds
        return begin + np.clip(start, 0, top), begin + np.clip(end, 0, top)

    def hertz(
        self, position: NDArray[np.uint32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lowest and the highest frequency seen, in Hz; NaN for raw audio."""
        nothing = np.full(position.shape, np.nan)
        if len(self.field.size) < 2 or self.frontend.hertz_of(0.0) is None:
            return nothing, nothing
        low, high = self._along(0, position)
        places = np.unique(np.concatenate([low.reshape(-1), high.reshape(-1)]))
        hertz = np.array([self.frontend.hertz_of(float(place)) or 0.0 for place in places])
        highest = self.sample_rate / 2
        low, high = (np.interp(at, places, hertz).clip(max=highest) for at in (low, high))
        return low, high

    def _along(
        self, axis: int, position: NDArray[np.uint32]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the first and last place seen along an axis of the input; padding left out."""
        driver = self.field.axes[axis]
        steps: NDArray[np.float64] = np.zeros(position.shape)
        if driver is not None and self.shape:
            steps = np.unravel_index(position, self.shape)[driver].astype(np.float64)
        first = np.floor(self.field.start[axis] + steps * self.field.stride[axis])
        last = first + self.field.size[axis] - 1
        return np.maximum(first, 0), np.maximum(last, 0)
