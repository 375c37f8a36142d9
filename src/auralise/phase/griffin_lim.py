"""Griffin-Lim and fast Griffin-Lim: phase by alternating projections."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError
from auralise.phase.base import PHASE_METHODS, check_options, checked_magnitude, random_phase
from auralise.phase.frames import FrameTransform
from auralise.spectral.spectrogram import Spectrogram

# Squared magnitudes, relative to the loudest one, below which a bin is taken to have no phase.
# Far under rounding, and far above the denormal numbers, which are slow to compute with.
_FLOOR = 1e-30


def iterate(target: Spectrogram, phase: Tensor, *, n_iter: int, alpha: float) -> Waveform:
    r"""Refine a phase by (fast) Griffin-Lim iterations.

    .. math:: c_n = P_1(P_2(t_{n-1})), \qquad t_n = c_n + \alpha\,(c_n - c_{n-1})

    :math:`P_2` imposes the target's magnitudes and :math:`P_1` goes to the nearest spectrum that
    some signal has; the first iteration has no :math:`c_{n-1}` and moves to :math:`t_1 = c_1`.

    Parameters
    ----------
    target : Spectrogram
        The wanted magnitudes.
    phase : Tensor, shape (frames, bins) or (channels, frames, bins)
        The start, in radians.
    n_iter : int
        Number of iterations; 0 leaves the phase as it is.
    alpha : float
        Acceleration [2]_; 0 is the original algorithm [1]_.

    Returns
    -------
    Waveform
        The least-squares signal of the target's magnitudes and the last phase.

    Raises
    ------
    ShapeError
        If the target is too short to be padded by reflection.

    References
    ----------
    .. [1] D. Griffin, J. Lim, "Signal estimation from modified short-time Fourier transform",
       IEEE Trans. ASSP 32(2), 1984.
    .. [2] N. Perraudin, P. Balazs, P. L. Soendergaard, "A fast Griffin-Lim algorithm",
       IEEE WASPAA, 2013.
    """
    magnitude = checked_magnitude(target).transpose(1, 2).contiguous()
    loudest = magnitude.amax((1, 2), keepdim=True)
    loudest = torch.where(loudest > 0, loudest, torch.ones_like(loudest))
    phase = phase.to(magnitude).expand_as(magnitude)
    on_device = _iterate_on_cpu if magnitude.device.type == "cpu" else iterate_with_torch
    samples = on_device(target, magnitude / loudest, phase, n_iter, alpha)
    return Waveform(samples * loudest[:, 0], target.spec.sample_rate)


def _iterate_on_cpu(
    target: Spectrogram, magnitude: Tensor, phase: Tensor, n_iter: int, alpha: float
) -> Tensor:
    """Iterate channel by channel in a stream over the frames."""
    from auralise.phase.streamed import Stream  # brings numba, which is slow to import

    window = target.spec.window(magnitude).numpy()
    found = []
    for values, start in zip(magnitude.numpy(), phase.numpy(), strict=True):
        stream = Stream(target.spec, target.n_samples, window, values, start)
        for iteration in range(n_iter):
            stream.iterate(_share(alpha, iteration), _FLOOR)
        found.append(torch.from_numpy(stream.signal()))
    return torch.stack(found)


def _share(alpha: float, iteration: int) -> float:
    """Return what is taken off of the spectrum before.

    Only the phase of t_n counts, so it may be computed up to the factor 1 + alpha.
    """
    return alpha / (1 + alpha) if iteration else 0.0


def iterate_with_torch(
    target: Spectrogram, magnitude: Tensor, phase: Tensor, n_iter: int, alpha: float
) -> Tensor:
    """Iterate all channels at once, on any device.

    Parameters
    ----------
    target : Spectrogram
        Gives transform and length.
    magnitude, phase : Tensor, shape (channels, frames, bins)
        The largest magnitude is 1.
    n_iter, alpha
        As in `iterate`.

    Returns
    -------
    Tensor, shape (channels, n_samples)
    """
    transform = FrameTransform(target.spec, target.n_samples, magnitude)
    spectrum = torch.polar(magnitude, phase.contiguous())
    consistent, previous = torch.empty_like(spectrum), torch.zeros_like(spectrum)
    gain = torch.empty_like(magnitude)
    for iteration in range(n_iter):
        transform.analyse(transform.synthesise(spectrum), out=consistent)
        torch.sub(consistent, previous, alpha=_share(alpha, iteration), out=spectrum)
        _impose(magnitude, spectrum, gain)
        consistent, previous = previous, consistent
    return transform.synthesise(spectrum)


def _impose(magnitude: Tensor, spectrum: Tensor, gain: Tensor) -> None:
    """Give ``spectrum`` the wanted magnitudes, in place; ``gain`` is a buffer."""
    torch.mul(spectrum.real, spectrum.real, out=gain)
    gain.addcmul_(spectrum.imag, spectrum.imag)
    gain.add_(_FLOOR).rsqrt_().mul_(magnitude)
    torch.mul(spectrum, gain, out=spectrum)


@dataclass(frozen=True, slots=True)
class GriffinLim:
    """Griffin and Lim's alternating projections from a random phase [1]_.

    Attributes
    ----------
    n_iter : int
        Number of iterations, at least 0.
    seed : int
        Of the random phase; the same seed gives the same samples on the CPU.

    References
    ----------
    .. [1] D. Griffin, J. Lim, "Signal estimation from modified short-time Fourier transform",
       IEEE Trans. ASSP 32(2), 1984.
    """

    n_iter: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        check_options(self.n_iter, self.seed)

    def __call__(self, target: Spectrogram, source: Spectrogram | None = None) -> Waveform:
        """Give ``target`` a phase; ``source`` is not used. See `PhaseMethod`."""
        return _from_random_phase(target, n_iter=self.n_iter, seed=self.seed, alpha=0.0)


@dataclass(frozen=True, slots=True)
class FastGriffinLim:
    """Griffin-Lim with acceleration, from a random phase [1]_.

    Attributes
    ----------
    n_iter : int
        Number of iterations, at least 0.
    seed : int
        Of the random phase; the same seed gives the same samples on the CPU.
    alpha : float
        How far each step is prolonged, at least 0; 0 is `GriffinLim`.

    References
    ----------
    .. [1] N. Perraudin, P. Balazs, P. L. Soendergaard, "A fast Griffin-Lim algorithm",
       IEEE WASPAA, 2013.
    """

    n_iter: int = 32
    seed: int = 0
    alpha: float = 0.99

    def __post_init__(self) -> None:
        check_options(self.n_iter, self.seed)
        check_alpha(self.alpha)

    def __call__(self, target: Spectrogram, source: Spectrogram | None = None) -> Waveform:
        """Give ``target`` a phase; ``source`` is not used. See `PhaseMethod`."""
        return _from_random_phase(target, n_iter=self.n_iter, seed=self.seed, alpha=self.alpha)


def check_alpha(alpha: float) -> None:
    """Refuse an acceleration that is negative, infinite or NaN."""
    if not 0 <= alpha < float("inf"):
        raise InvalidValueError(f"alpha must be at least 0 and finite, got {alpha}")


def _from_random_phase(target: Spectrogram, *, n_iter: int, seed: int, alpha: float) -> Waveform:
    _, bins, frames = target.magnitude.shape
    start = random_phase(bins, frames, seed, checked_magnitude(target))
    return iterate(target, start, n_iter=n_iter, alpha=alpha)


PHASE_METHODS.register("griffin-lim")(GriffinLim())
PHASE_METHODS.register("fast-griffin-lim")(FastGriffinLim())
