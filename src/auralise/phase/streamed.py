"""Griffin-Lim iterations on the CPU, in one stream over the frames.

An iteration goes through the frames once, in blocks that fit the cache: transform a block back, add
it to the signal; the frames of which the signal is complete by then are cut out, transformed, and
given their magnitudes at once. Only spectra, magnitudes and signal are as long as the sound. The
Fourier transforms are SciPy's, whose calls use one thread; several clips run on several threads
(`auralise.phase.batch`), because all that takes time here lets go of Python's lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from auralise.phase import passes
from auralise.phase.frames import LEAST_OVERLAP
from auralise.spectral.stft import StftSpec

Floats = NDArray[np.floating[Any]]

_BLOCK_SAMPLES = 2**17
"""Samples of all frames of a block: half a megabyte in single precision."""


class Stream:
    """The spectrum of one channel, frame by frame, and the signal that it stands for.

    Parameters
    ----------
    spec : StftSpec
        Frame length, hop and rate.
    n_samples : int
        Length of the signal, more than ``spec.n_fft // 2``.
    window : array, shape (n_fft,)
        Of the dtype of the magnitudes.
    magnitude : array, shape (frames, bins)
        The wanted magnitudes, the largest of which is 1.
    phase : array, shape (frames, bins)
        The start, in radians.
    """

    def __init__(
        self, spec: StftSpec, n_samples: int, window: Floats, magnitude: Floats, phase: Floats
    ) -> None:
        self._spec, self._n_samples, self._window = spec, n_samples, window
        self._frames = len(magnitude)
        self._block = max(4, _BLOCK_SAMPLES // spec.n_fft)
        # Softer ones would bring denormal numbers, which processors are slow to compute with.
        self._magnitude = np.where(magnitude < np.finfo(magnitude.dtype).tiny ** 0.25, 0, magnitude)
        self._spectrum = np.empty((self._frames, 2 * spec.bins), magnitude.dtype)
        for rows in self._blocks():
            angle = phase[rows]
            passes.with_phase(
                self._magnitude[rows], np.cos(angle), np.sin(angle), self._spectrum[rows]
            )
        self._samples = np.zeros(n_samples + spec.n_fft, magnitude.dtype)
        self._per_overlap = self._reciprocal_overlap()
        self._before = np.zeros_like(self._spectrum)

    def _blocks(self) -> list[slice]:
        size = self._block
        return [slice(a, min(a + size, self._frames)) for a in range(0, self._frames, size)]

    def _reciprocal_overlap(self) -> Floats:
        """Return 1 over the sum of all squared windows at each sample, padding included."""
        overlap = np.zeros_like(self._samples)
        for rows in self._blocks():
            framed = np.broadcast_to(self._window, (rows.stop - rows.start, self._window.size))
            passes.overlap_add(framed, self._window, self._spec.hop, rows.start, overlap)
        half = self._spec.n_fft // 2
        inner = overlap[half : half + self._n_samples]
        least = np.float64(LEAST_OVERLAP * inner.max()).astype(overlap.dtype)
        reciprocal: Floats = 1 / np.maximum(overlap, least)
        return reciprocal

    def _add(self, rows: slice) -> None:
        """Add the signal of a block of frames."""
        spectrum = self._spectrum[rows].view(np.result_type(self._spectrum, np.complex64))
        framed = fft.irfft(spectrum, n=self._spec.n_fft, overwrite_x=False, workers=1)
        passes.overlap_add(framed, self._window, self._spec.hop, rows.start, self._samples)

    def _renew(self, rows: slice, factors: Floats) -> None:
        """Transform frames of the signal and give them their magnitudes."""
        framed = np.empty((rows.stop - rows.start, self._spec.n_fft), self._samples.dtype)
        passes.cut(self._samples, self._window, self._spec.hop, rows.start, framed)
        found = fft.rfft(framed, overwrite_x=True, workers=1).view(framed.dtype)
        passes.impose(
            self._magnitude[rows], found, self._before[rows], factors, self._spectrum[rows]
        )

    def iterate(self, share: float, floor: float) -> None:
        """Do one iteration.

        Parameters
        ----------
        share : float
            Of the spectrum before, that is taken off the one found; 0 for no acceleration.
        floor : float
            Squared magnitude below which a bin has no phase.
        """
        n_fft, hop, half = self._spec.n_fft, self._spec.hop, self._spec.n_fft // 2
        factors = np.array([share, floor], self._samples.dtype)
        samples, end = self._samples, half + self._n_samples
        samples[:] = 0
        whole = renewed = 0  # samples and frames that are done with
        for rows in self._blocks():
            self._add(rows)
            last = rows.stop == self._frames
            reached = end if last else rows.stop * hop
            samples[whole:reached] *= self._per_overlap[whole:reached]
            if whole <= n_fft < reached:  # the start is complete: reflect it
                samples[:half] = samples[n_fft:half:-1]
            if last:
                samples[end:] = samples[end - 2 : end - 2 - half : -1]
            whole = reached
            ready = self._frames if last else (whole - n_fft) // hop + 1
            if ready > renewed and (last or whole > n_fft):
                for first in range(renewed, ready, self._block):
                    self._renew(slice(first, min(first + self._block, ready)), factors)
                renewed = ready

    def signal(self) -> Floats:
        """Return the least-squares signal of the spectrum, shape (n_samples,)."""
        self._samples[:] = 0
        for rows in self._blocks():
            self._add(rows)
        inner = slice(self._spec.n_fft // 2, self._spec.n_fft // 2 + self._n_samples)
        signal: Floats = self._samples[inner] * self._per_overlap[inner]
        return signal
