"""How far the magnitudes of a sound are from the wanted ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.spectral.spectrogram import Spectrogram
from auralise.spectral.stft import stft


def spectral_convergence(target: Tensor, estimate: Tensor) -> float:
    r"""Return the error of magnitudes relative to the size of the target.

    .. math:: \frac{\lVert T - E \rVert_F}{\lVert T \rVert_F}

    Parameters
    ----------
    target, estimate : Tensor, any shape, both the same
        Linear magnitudes.

    Returns
    -------
    float
        0 for a perfect match, 1 for silence in place of a sound. For a silent target 0 if the
        estimate is silent too, infinite if it is not.

    Raises
    ------
    ShapeError
        If the shapes differ.
    InvalidValueError
        If either holds NaN or infinite values.

    References
    ----------
    .. [1] N. Sturmel, L. Daudet, "Signal reconstruction from STFT magnitude: a state of the art",
       Proc. DAFx, 2011.

    Examples
    --------
    >>> spectral_convergence(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 3.5]))
    0.1
    """
    if target.shape != estimate.shape:
        raise ShapeError(
            f"target and estimate must have the same shape, got {tuple(target.shape)} and "
            f"{tuple(estimate.shape)}"
        )
    wanted = target.detach().to(torch.float64)
    error = float(torch.linalg.vector_norm(wanted - estimate.detach().to(wanted)))
    size = float(torch.linalg.vector_norm(wanted))
    if not (math.isfinite(error) and math.isfinite(size)):
        raise InvalidValueError(
            "spectral convergence needs finite magnitudes, found NaN or infinite values"
        )
    if size == 0:
        return math.inf if error else 0.0
    return error / size


def spectral_convergence_db(target: Tensor, estimate: Tensor) -> float:
    """Return `spectral_convergence` in dB: 20 log10 of it, lower is better.

    A perfect match is minus infinity, any sound in place of silence plus infinity.

    Examples
    --------
    >>> spectral_convergence_db(torch.tensor([3.0, 4.0]), torch.tensor([3.0, 3.5]))
    -20.0
    """
    ratio = spectral_convergence(target, estimate)
    return 20 * math.log10(ratio) if ratio else -math.inf


def convergence_of(waveform: Waveform, target: Spectrogram) -> float:
    """Return how far a sound's own magnitudes are from the wanted ones, in dB.

    Parameters
    ----------
    waveform : Waveform
        Of the target's rate, length and channels.
    target : Spectrogram
        The wanted magnitudes.

    Returns
    -------
    float
        See `spectral_convergence_db`.

    Raises
    ------
    ShapeError
        If length or channels differ, or the sound is too short to be analysed.
    InvalidValueError
        If the rates differ, or values are not finite.
    """
    wanted = (target.magnitude.shape[0], target.n_samples)
    if tuple(waveform.samples.shape) != wanted:
        raise ShapeError(
            f"waveform must have the target's shape (channels, time) = {wanted}, "
            f"got {tuple(waveform.samples.shape)}"
        )
    return spectral_convergence_db(target.magnitude, stft(waveform, target.spec).abs())
