r"""Phase-gradient heap integration: phase straight from the shape of the magnitudes.

For a Gaussian window :math:`g(\tau) = e^{-\pi \tau^2 / \gamma}` the transform of any signal, with
the phase counted from the middle of the window, is :math:`V(\omega, t) = e^{s + i\varphi}` with

.. math::
    \frac{\partial\varphi}{\partial t}
    = \omega + \frac{2\pi}{\gamma}\frac{\partial s}{\partial\omega},
    \qquad
    \frac{\partial\varphi}{\partial\omega} = -\frac{\gamma}{2\pi}\frac{\partial s}{\partial t} ,

so magnitudes alone give the phase up to a constant. A Hann window of length :math:`N` is nearly
the Gaussian with :math:`\gamma = 0.25645\,N^2`. From one frame to the next, :math:`h` samples on,
and from one bin to the next, :math:`2\pi / N` on, the phase therefore grows by

.. math::
    \Delta_m = \frac{2\pi h k}{N} + \frac{h N}{\gamma}\frac{\partial s}{\partial k},
    \qquad
    \Delta_k = \pi - \frac{\gamma}{h N}\frac{\partial s}{\partial m} ,

where :math:`\pi` is there because `auralise.spectral.stft` counts the phase from the window's first
sample, half a window before its middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.phase.base import PHASE_METHODS, check_options, checked_magnitude, random_phase
from auralise.phase.griffin_lim import check_alpha, iterate
from auralise.spectral.spectrogram import Spectrogram
from auralise.spectral.stft import StftSpec

DEFAULT_PHASE = "pghi-fast-griffin-lim"

# Time-frequency ratio of the Gaussian nearest to a Hann window, over the squared window length.
_HANN_GAMMA = 0.25645

Floats = NDArray[np.floating[Any]]

_TURN = 2.0**32
"""What one turn is in integers; see `auralise.phase.spreading`."""

_BLOCK_BINS = 2**15
"""Bins that are integrated at a time: with all that is kept of them, most of a megabyte."""


def integrated_phase(target: Spectrogram, *, seed: int = 0, tolerance: float = 1e-6) -> Tensor:
    """Integrate the phase gradient over time and frequency, the loudest bins first [1]_.

    The result is a phase that belongs to the magnitudes, up to one constant for each set of bins
    that are connected; a set starts with phase 0 at its loudest bin. The order is that of the
    paper but for two things that cost no quality and save most of the time: bins within 1.5 dB of
    each other are taken as equally loud, and the phase goes on from block to block of frames
    (`auralise.phase.spreading`).

    Parameters
    ----------
    target : Spectrogram
        Its phase is ignored.
    seed : int
        Of the random phases that bins get where there is nothing to integrate.
    tolerance : float
        Bins below this part of their channel's largest magnitude get a random phase; in (0, 1).

    Returns
    -------
    Tensor, shape (channels, frames, bins)
        In radians, less than one turn from 0; frames before bins.

    Raises
    ------
    InvalidValueError
        If the magnitudes are not finite and positive or zero, or the tolerance is out of range.

    References
    ----------
    .. [1] Z. Prusa, P. Balazs, P. L. Soendergaard, "A noniterative method for reconstruction of
       phase from STFT magnitude", IEEE/ACM Trans. Audio, Speech, Lang. Process. 25(5), 2017.
    """
    check_tolerance(tolerance)
    magnitude = checked_magnitude(target)
    found = [_integrated(values, target.spec, tolerance) for values in magnitude.cpu()]
    known = torch.stack([where for _, where in found])
    phase = torch.stack([angle for angle, _ in found])
    if not bool(known.all()):
        _, bins, frames = magnitude.shape
        phase = torch.where(known, phase, random_phase(bins, frames, seed, phase))
    return phase.to(magnitude)


def phase_gradient(level: Tensor, floor: float, spec: StftSpec) -> tuple[Tensor, Tensor]:
    """Estimate how fast the phase grows, from the logarithm of the magnitudes.

    Central differences, and one-sided ones where only one neighbour is known: at the last frame and
    beside the gaps that a mask has cut. None across bin 0, the highest bin and frame 0, about which
    a transform with reflected ends is symmetric.

    Parameters
    ----------
    level : Tensor, shape (frames, bins)
        Natural logarithm of the magnitudes.
    floor : float
        Level below which nothing is known of the phase.
    spec : StftSpec
        How the transform was taken.

    Returns
    -------
    per_frame, per_bin : Tensor, shape (frames, bins)
        Radians from one frame to the next, and from one bin to the next, in [-2 pi, 2 pi) and
        but for a multiple of 4 pi: half of a step, which is what is added up, is then exact but
        for a turn.
    """
    from auralise.phase import spreading

    frames, bins = level.shape
    records = np.empty((frames + 1, bins, 4), np.int32)
    values = level.contiguous().numpy()
    spreading.steps(values, 0, frames, *_constants(values.dtype, floor, spec), records)
    half_steps = torch.from_numpy(records[1:]).double() * (2 * 2 * torch.pi / _TURN)
    return half_steps[..., spreading.FORWARD], half_steps[..., spreading.UPWARD]


def _constants(dtype: np.dtype[Any], floor: float, spec: StftSpec) -> tuple[Floats, Floats]:
    """Return turns per frame on each bin, and the factors that `spreading.steps` takes."""
    from auralise.phase import spreading

    ratio = _HANN_GAMMA * spec.n_fft / spec.hop  # gamma / (h N)
    turn, per_level = 2 * math.pi, spreading.PER_OCTAVE / math.log(2)
    factors = np.array([1 / ratio / turn, ratio / turn, floor, per_level, 1, 0.5, _TURN], dtype)
    advance = (np.arange(spec.bins) * spec.hop % spec.n_fft / spec.n_fft).astype(dtype)
    return advance, factors


def _integrated(magnitude: Tensor, spec: StftSpec, tolerance: float) -> tuple[Tensor, Tensor]:
    """Integrate one channel, (bins, frames); return radians, and where they are known.

    Both have shape (frames, bins).
    """
    from auralise.phase import spreading  # brings numba, which is slow to import

    values = np.ascontiguousarray(magnitude.numpy().T)
    loudest = values.max()
    if loudest == 0:
        return torch.from_numpy(values), torch.zeros(values.shape, dtype=torch.bool)
    level = np.divide(values, loudest)
    np.maximum(level, level.dtype.type(tolerance / 2), out=level)
    np.log(level, out=level)
    advance, factors = _constants(level.dtype, math.log(tolerance), spec)
    floor, per_level = factors[2], factors[3]
    buckets = int(-floor * per_level) + 2
    phase = np.empty(level.shape, np.int32)
    block = max(4, _BLOCK_BINS // spec.bins)
    spreading.integrate(level, advance, factors, buckets, block, block // 8, phase)
    angle = phase.astype(level.dtype)
    angle *= level.dtype.type(2 * math.pi / _TURN)
    return torch.from_numpy(angle), torch.from_numpy(level >= floor)


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance that leaves no bin, or is no number."""
    if not 0 < tolerance < 1:
        raise InvalidValueError(f"tolerance must be in (0, 1), got {tolerance}")


@dataclass(frozen=True, slots=True)
class GradientIntegration:
    """Phase-gradient heap integration alone: one pass, no iterations [1]_.

    Attributes
    ----------
    seed : int
        Of the random phases below ``tolerance``.
    tolerance : float
        Relative to each channel's largest magnitude, in (0, 1).

    References
    ----------
    .. [1] Z. Prusa, P. Balazs, P. L. Soendergaard, "A noniterative method for reconstruction of
       phase from STFT magnitude", IEEE/ACM Trans. Audio, Speech, Lang. Process. 25(5), 2017.
    """

    seed: int = 0
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        check_options(0, self.seed)
        check_tolerance(self.tolerance)

    def __call__(self, target: Spectrogram, source: Spectrogram | None = None) -> Waveform:
        """Give ``target`` a phase; ``source`` is not used. See `PhaseMethod`."""
        phase = integrated_phase(target, seed=self.seed, tolerance=self.tolerance)
        return iterate(target, phase, n_iter=0, alpha=0.0)


@dataclass(frozen=True, slots=True)
class IteratedGradientIntegration:
    """Fast Griffin-Lim that starts from phase-gradient heap integration.

    Attributes
    ----------
    n_iter : int
        Number of fast Griffin-Lim iterations, at least 0.
    seed : int
        Of the random phases below ``tolerance``.
    alpha : float
        Acceleration, at least 0. From such a start 0.95 comes nearer than the 0.99 that is usual
        from random phases; chosen on clips that no table here is made of.
    tolerance : float
        Relative to each channel's largest magnitude, in (0, 1).
    """

    n_iter: int = 32
    seed: int = 0
    alpha: float = 0.95
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        check_options(self.n_iter, self.seed)
        check_alpha(self.alpha)
        check_tolerance(self.tolerance)

    def __call__(self, target: Spectrogram, source: Spectrogram | None = None) -> Waveform:
        """Give ``target`` a phase; ``source`` is not used. See `PhaseMethod`."""
        phase = integrated_phase(target, seed=self.seed, tolerance=self.tolerance)
        return iterate(target, phase, n_iter=self.n_iter, alpha=self.alpha)


PHASE_METHODS.register("pghi")(GradientIntegration())
PHASE_METHODS.register(DEFAULT_PHASE)(IteratedGradientIntegration())
