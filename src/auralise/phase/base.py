"""What a phase method is, and the table of them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError
from auralise.registry import Registry
from auralise.spectral.spectrogram import Spectrogram


class PhaseMethod(Protocol):
    """Turns magnitudes into a waveform.

    Parameters
    ----------
    target : Spectrogram
        Magnitudes to be met; a phase in it is ignored.
    source : Spectrogram or None
        The sound the target was made from, with its phase; same shape as the target.

    Returns
    -------
    Waveform
        ``target.n_samples`` long, same channels, at ``target.spec.sample_rate``.

    Raises
    ------
    InvalidValueError
        If the method needs a source with a phase and there is none, or the magnitudes are not
        finite, or negative.
    ShapeError
        If the target is not longer than ``n_fft // 2`` samples, so that no sound has it.
    """

    def __call__(self, target: Spectrogram, source: Spectrogram | None = None) -> Waveform:
        """Give ``target`` a phase."""
        ...


PHASE_METHODS: Registry[PhaseMethod] = Registry("phase method")


def phase_method(name: str, *, n_iter: int | None = None, seed: int | None = None) -> PhaseMethod:
    """Return a registered phase method, with options of the caller's own.

    Parameters
    ----------
    name : str
        A name in `PHASE_METHODS`.
    n_iter : int, optional
        Number of iterations, at least 0; the registered methods that iterate take 32.
    seed : int, optional
        Of the random phases, in [0, 2**63); the registered methods that draw some take 0.

    Returns
    -------
    PhaseMethod

    Raises
    ------
    UnknownNameError
        If there is no method of that name.
    InvalidValueError
        If an option was given that the method does not have, or that is out of range.

    Examples
    --------
    >>> import auralise.phase
    >>> phase_method("griffin-lim", n_iter=100)
    GriffinLim(n_iter=100, seed=0)
    """
    method = PHASE_METHODS[name]
    values = {"n_iter": n_iter, "seed": seed}
    given = {option: value for option, value in values.items() if value is not None}
    if not given:
        return method
    if not is_dataclass(method) or isinstance(method, type):
        known: set[str] = set()
    else:
        known = {field.name for field in fields(method)}
        if known >= given.keys():
            return replace(method, **given)
    unknown = sorted(given.keys() - known)
    raise InvalidValueError(
        f"phase method {name!r} takes no {' and no '.join(unknown)}, "
        f"got {', '.join(f'{option}={given[option]}' for option in unknown)}; leave it out"
    )


def check_options(n_iter: int, seed: int) -> None:
    """Refuse a negative number of iterations or a seed that no generator takes."""
    if n_iter < 0:
        raise InvalidValueError(f"n_iter must be at least 0, got {n_iter}")
    if not 0 <= seed < 2**63:
        raise InvalidValueError(f"seed must be in [0, 2**63), got {seed}")


def checked_magnitude(target: Spectrogram) -> Tensor:
    """Return the magnitudes of ``target``, off the graph, once they are known to be usable.

    Raises
    ------
    ShapeError
        If the target is too short for any sound to have such a transform.
    InvalidValueError
        If they are neither float32 nor float64, or hold NaN, infinite or negative values; or if
        the frames overlap too little for any sound to be made of them.
    """
    target.spec.require_inverse()
    shortest = target.spec.n_fft // 2 + 1
    if target.n_samples < shortest:
        raise ShapeError(
            f"target is {target.n_samples} samples long; with n_fft {target.spec.n_fft} a phase "
            f"needs at least {shortest}, because the ends are reflected; pad the sound first"
        )
    magnitude = target.magnitude.detach()
    if magnitude.dtype not in (torch.float32, torch.float64):
        raise InvalidValueError(
            f"magnitude must be float32 or float64, got {magnitude.dtype}; convert it first"
        )
    least, most = (value.item() for value in magnitude.aminmax())
    if not (least >= 0 and most < float("inf")):
        raise InvalidValueError(
            f"magnitude must be finite and not negative, found values from {least} to {most}"
        )
    return magnitude


def random_phase(bins: int, frames: int, seed: int, like: Tensor) -> Tensor:
    """Draw one phase for every bin and frame, the same on every device.

    All channels share them, so that equal channels stay equal and no stereo image is blurred.

    Returns
    -------
    Tensor, shape (frames, bins)
        Uniform in [0, 2 pi), in the dtype and on the device of ``like``.
    """
    generator = torch.Generator().manual_seed(seed)
    turns = torch.rand(frames, bins, generator=generator, dtype=like.dtype)
    return turns.mul_(2 * torch.pi).to(like.device)
