"""Mel filterbank, its non-negative inverse, and the spreading of mel maps over linear bins."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.errors import InvalidValueError
from auralise.spectral.stft import StftSpec


@dataclass(frozen=True, slots=True, eq=False)
class MelBank:
    """A bank of triangular filters on the mel scale (Slaney's, each of unit area).

    Attributes
    ----------
    weights : Tensor, shape (n_mels, bins), float64
        Not negative.
    inverse : Tensor, shape (bins, n_mels), float64
        Moore-Penrose pseudo-inverse of ``weights``.
    centres : Tensor, shape (n_mels,), float64
        Where each filter peaks, in Hz.
    """

    weights: Tensor
    inverse: Tensor
    centres: Tensor

    def apply(self, magnitude: Tensor) -> Tensor:
        """Sum linear bins into mel bins: (..., bins, frames) to (..., n_mels, frames)."""
        return self.weights.to(magnitude) @ magnitude

    def invert(self, mel: Tensor) -> Tensor:
        """Return non-negative linear magnitudes that give nearly ``mel``.

        The pseudo-inverse with negative values set to 0: within 0.1 dB of non-negative least
        squares on music, at the cost of one matrix product.

        Parameters
        ----------
        mel : Tensor, shape (..., n_mels, frames)

        Returns
        -------
        Tensor, shape (..., bins, frames)
        """
        return (self.inverse.to(mel) @ mel).clamp(min=0)

    def spread(self, mel: Tensor) -> Tensor:
        """Give each linear bin the weighted mean of the mel bins that it contributes to.

        For maps rather than magnitudes: a constant map stays constant on the bins that the bank
        covers, and is 0 on those that it does not.

        Parameters
        ----------
        mel : Tensor, shape (..., n_mels, frames)

        Returns
        -------
        Tensor, shape (..., bins, frames)
        """
        weights = self.weights.T
        total = weights.sum(1, keepdim=True)
        share = torch.where(total > 0, weights / total.clamp(min=1e-30), torch.zeros_like(weights))
        return share.to(mel) @ mel


def mel_bank(spec: StftSpec, n_mels: int, fmin: float = 0.0, fmax: float | None = None) -> MelBank:
    """Make a mel filterbank for a transform.

    Parameters
    ----------
    spec : StftSpec
        Of the magnitudes that the bank is for.
    n_mels : int
        Number of filters.
    fmin, fmax : float
        Band that is covered, in Hz; ``fmax`` is half the sample rate if not given.

    Raises
    ------
    InvalidValueError
        If the band is empty or reaches beyond half the sample rate, or if a filter is so narrow
        that no bin falls into it.

    References
    ----------
    .. [1] M. Slaney, "Auditory Toolbox", Interval Research Technical Report 1998-010, 1998.
    """
    import librosa  # slow to import, and only banks need it

    fmax = spec.sample_rate / 2 if fmax is None else fmax
    if not 0 <= fmin < fmax <= spec.sample_rate / 2:
        raise InvalidValueError(
            f"the mel band must lie in 0 <= fmin < fmax <= {spec.sample_rate / 2} Hz, "
            f"got fmin={fmin}, fmax={fmax}"
        )
    if not 1 <= n_mels <= spec.bins:
        raise InvalidValueError(f"n_mels must be in [1, {spec.bins}], got {n_mels}")
    edges = librosa.mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax)
    bins = spec.frequencies().numpy()
    ramps = edges[:, None] - bins[None, :]
    rising = -ramps[:-2] / (edges[1:-1] - edges[:-2])[:, None]
    falling = ramps[2:] / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.from_numpy(rising).minimum(torch.from_numpy(falling)).clamp(min=0)
    area = torch.from_numpy(2.0 / (edges[2:] - edges[:-2]))
    weights = triangles * area[:, None]
    empty = int((weights.sum(1) == 0).sum())
    if empty:
        raise InvalidValueError(
            f"{empty} of {n_mels} mel filters fall between the bins of n_fft={spec.n_fft}; "
            "use fewer filters or a longer n_fft"
        )
    return MelBank(weights, torch.linalg.pinv(weights), torch.from_numpy(edges[1:-1].copy()))
