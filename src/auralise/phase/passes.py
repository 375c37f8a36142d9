"""What a Griffin-Lim iteration does beside its Fourier transforms, compiled by numba.

Complex rows are given as real ones of twice the length, real and imaginary parts in turns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auralise.phase.compiling import compiled

Floats = NDArray[np.floating[Any]]


@compiled
def overlap_add(framed: Floats, window: Floats, hop: int, first: int, samples: Floats) -> None:
    """Window frames, of which the first is number ``first``, and add them to ``samples``."""
    for row in range(len(framed)):
        start = (first + row) * hop
        frame, target = framed[row], samples[start : start + window.size]
        for n in range(window.size):
            target[n] += frame[n] * window[n]


@compiled
def cut(samples: Floats, window: Floats, hop: int, first: int, framed: Floats) -> None:
    """Cut windowed frames out of ``samples``, from number ``first`` on."""
    for row in range(len(framed)):
        start = (first + row) * hop
        frame, source = framed[row], samples[start : start + window.size]
        for n in range(window.size):
            frame[n] = source[n] * window[n]


@compiled
def impose(
    magnitude: Floats, found: Floats, before: Floats, factors: Floats, spectrum: Floats
) -> None:
    """Prolong a step, and give the result the wanted magnitudes.

    Parameters
    ----------
    magnitude : array, shape (frames, bins)
        The wanted ones.
    found, before : array, shape (frames, 2 * bins)
        Spectra of this iteration and the one before, which is overwritten with ``found``.
    factors : array, shape (2,)
        Share of ``before`` that is taken off; squared magnitude below which a bin has no phase.
    spectrum : array, shape (frames, 2 * bins)
        Overwritten with the result.
    """
    share, floor = factors[0], factors[1]
    for row in range(len(magnitude)):
        wanted, now, old, out = magnitude[row], found[row], before[row], spectrum[row]
        for k in range(wanted.size):
            real, imaginary = now[2 * k], now[2 * k + 1]
            along = real - share * old[2 * k]
            across = imaginary - share * old[2 * k + 1]
            gain = wanted[k] / np.sqrt(along * along + across * across + floor)
            old[2 * k], old[2 * k + 1] = real, imaginary
            out[2 * k], out[2 * k + 1] = gain * along, gain * across


@compiled
def with_phase(magnitude: Floats, cosine: Floats, sine: Floats, spectrum: Floats) -> None:
    """Write magnitudes with cosines and sines of their phases, (frames, bins), as a spectrum."""
    for row in range(len(magnitude)):
        for k in range(magnitude.shape[1]):
            spectrum[row, 2 * k] = magnitude[row, k] * cosine[row, k]
            spectrum[row, 2 * k + 1] = magnitude[row, k] * sine[row, k]
