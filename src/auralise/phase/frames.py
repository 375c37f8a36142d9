"""Spectra stored frame by frame, and their nearest consistent neighbours.

Iterative phase methods spend their time between a spectrum and the transform of its signal.
Here both directions work on spectra of shape (channels, frames, bins), whose frames lie together
in memory, and reuse the window, its overlap and the large buffers from one iteration to the next.
The numbers are those of `auralise.spectral.stft`, but for an end that hardly any window covers; see
`FrameTransform.synthesise`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from auralise.spectral.stft import StftSpec

# Squared windows add up to at least half their largest sum, except past the centre of the last
# frame, where for wide hops (over 0.29 n_fft) the sum may come near 0. Dividing by that would turn
# a slight inconsistency into a click hundreds of times full scale.
LEAST_OVERLAP = 0.1


class FrameTransform:
    """The short-time Fourier transform of one signal length, there and back, on one device.

    Parameters
    ----------
    spec : StftSpec
        Frame length, hop and rate.
    n_samples : int
        Length of the signal, more than ``spec.n_fft // 2``.
    like : Tensor, shape (channels, frames, bins), real
        Gives dtype, device, channels and frames.
    """

    def __init__(self, spec: StftSpec, n_samples: int, like: Tensor) -> None:
        channels, frames, _ = like.shape
        self._spec = spec
        self._n_samples = n_samples
        self._window = spec.window(like)
        # A frame is cut into pieces one hop long, so that overlap-add is a few sums of whole rows.
        self._pieces = -(-spec.n_fft // spec.hop)
        self._surplus = self._pieces * spec.hop - spec.n_fft
        self._cut_window = functional.pad(self._window, (0, self._surplus)).view(-1, spec.hop)
        self._rows = like.new_zeros(channels, frames + self._pieces - 1, spec.hop)
        self._framed = like.new_empty(channels, frames, spec.n_fft)
        squared = self._window.expand(1, frames, spec.n_fft)
        overlap = self._trimmed(self._overlap_added(squared, like.new_zeros(self._rows[:1].shape)))
        self._per_overlap = overlap.clamp_min_(LEAST_OVERLAP * overlap.max()).reciprocal_()

    def _overlap_added(self, framed: Tensor, rows: Tensor) -> Tensor:
        """Window ``framed`` and add it up where it overlaps, into ``rows``."""
        if self._surplus:
            framed = functional.pad(framed, (0, self._surplus))
        frames = framed.shape[1]
        pieces = framed.reshape(-1, frames, self._pieces, self._spec.hop)
        rows.zero_()
        for piece in range(self._pieces):
            rows[:, piece : piece + frames].addcmul_(pieces[:, :, piece], self._cut_window[piece])
        return rows

    def _trimmed(self, rows: Tensor) -> Tensor:
        """Return the samples without the padding, shape (channels, n_samples)."""
        start = self._spec.n_fft // 2
        return rows.flatten(1)[:, start : start + self._n_samples]

    def synthesise(self, spectrum: Tensor) -> Tensor:
        """Return the least-squares signal of a spectrum.

        Up to a fifth of ``n_fft`` samples at the very end are faded out instead, where the hop is
        over 0.29 ``n_fft`` and the signal ends so far from the last frame's centre that its window
        leaves less than a tenth of the usual weight.

        Parameters
        ----------
        spectrum : Tensor, complex, shape (channels, frames, bins)

        Returns
        -------
        Tensor, shape (channels, n_samples)
        """
        framed: Tensor = torch.fft.irfft(spectrum, n=self._spec.n_fft, out=self._framed)
        return self._trimmed(self._overlap_added(framed, self._rows)) * self._per_overlap

    def analyse(self, samples: Tensor, out: Tensor) -> Tensor:
        """Transform a signal.

        Parameters
        ----------
        samples : Tensor, shape (channels, n_samples)
        out : Tensor, complex, shape (channels, frames, bins)
            Overwritten with the result, and returned.
        """
        half = self._spec.n_fft // 2
        padded = functional.pad(samples, (half, half), mode="reflect")
        overlapping = padded.unfold(-1, self._spec.n_fft, self._spec.hop)
        torch.mul(overlapping, self._window, out=self._framed)
        torch.fft.rfft(self._framed, out=out)
        return out
