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

from dataclasses import dataclass

import numpy as np
import torch
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


def integrated_phase(target: Spectrogram, *, seed: int = 0, tolerance: float = 1e-6) -> Tensor:
    """Integrate the phase gradient over time and frequency, the loudest bins first [1]_.

    Each set of connected bins starts with phase 0 at its loudest one. The result is a phase that
    belongs to the magnitudes, up to one constant per set.

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
        In radians, not wrapped to one turn; frames before bins.

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
    _, bins, frames = magnitude.shape
    random = random_phase(bins, frames, seed, magnitude.cpu())
    phase = torch.empty(magnitude.shape[0], frames, bins, dtype=torch.float64)
    for channel, values in enumerate(magnitude):
        own = values.T.contiguous().cpu()
        phase[channel] = _integrated(own, target.spec, random, tolerance)
    turn = 2 * torch.pi
    # Wrapped while in float64: after minutes of sound float32 would have lost the fraction.
    return phase.sub_(phase.div(turn).floor_().mul_(turn)).to(magnitude)


def phase_gradient(magnitude: Tensor, known: Tensor, spec: StftSpec) -> tuple[Tensor, Tensor]:
    """Estimate how fast the phase grows, from the logarithm of the magnitudes.

    Central differences, and one-sided ones where only one neighbour is known: at the last frame and
    beside the gaps that a mask has cut. None across bin 0, the highest bin and frame 0, about which
    a transform with reflected ends is symmetric.

    Parameters
    ----------
    magnitude : Tensor, shape (frames, bins)
        Positive.
    known : Tensor of bool, shape (frames, bins)
        Where the magnitude is loud enough to be used.
    spec : StftSpec
        How the transform was taken.

    Returns
    -------
    per_frame, per_bin : Tensor, shape (frames, bins)
        Radians from one frame to the next, and from one bin to the next.
    """
    level = magnitude.log()
    gamma = _HANN_GAMMA * spec.n_fft**2
    bins = torch.arange(spec.bins, dtype=magnitude.dtype)
    per_frame = _slope(level.T, known.T).T
    per_frame[:, 0] = 0
    per_frame[:, -1] = 0
    per_frame.mul_(spec.hop * spec.n_fft / gamma)
    per_frame.add_(bins * spec.hop % spec.n_fft * (2 * torch.pi / spec.n_fft))
    per_bin = _slope(level, known)
    per_bin[0] = 0
    per_bin.mul_(-gamma / (spec.hop * spec.n_fft)).add_(torch.pi)
    return per_frame, per_bin


def _slope(level: Tensor, known: Tensor) -> Tensor:
    """Return the mean of the differences to the known neighbours along the first axis, or 0."""
    both = (known[1:] & known[:-1]).to(level.dtype)
    step = torch.sub(level[1:], level[:-1]).mul_(both)
    total, count = torch.zeros_like(level), torch.zeros_like(level)
    for summed, part in ((total, step), (count, both)):
        summed[:-1] += part
        summed[1:] += part
    return total.div_(count.clamp_min_(1))


def _integrated(magnitude: Tensor, spec: StftSpec, random: Tensor, tolerance: float) -> Tensor:
    """Integrate one channel, shape (frames, bins); returns float64 of that shape."""
    from auralise.phase import heap  # brings numba, which is slow to import

    phase = random.to(torch.float64, copy=True)
    loudest = magnitude.max().item()
    if loudest == 0:
        return phase
    relative = magnitude / loudest
    known = relative >= tolerance
    gradients = phase_gradient(relative.clamp_min(tolerance), known, spec)
    per_frame, per_bin = (gradient.view(-1).numpy() for gradient in gradients)
    order = relative.to(torch.float32).view(torch.int32).view(-1).numpy()
    done = known.logical_not().view(-1).numpy()
    state = (per_frame, per_bin, order, done, phase.view(-1).numpy(), np.empty(done.size, np.int64))
    heap.integrate(int(order.argmax()), spec.bins, *state)
    left = np.flatnonzero(~done)
    loudest_first = left[np.argsort(-order[left], kind="stable")]
    heap.integrate_all(loudest_first, spec.bins, *state)
    return phase


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
