"""Short-time Fourier transform and its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from auralise.audio.waveform import Waveform
from auralise.errors import InvalidValueError, ShapeError

_LEAST_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class StftSpec:
    """How a short-time Fourier transform is taken: periodic Hann window, centred frames.

    Attributes
    ----------
    sample_rate : int
        Of the signal, in Hz.
    n_fft : int
        Window and transform length in samples; even.
    hop : int
        Samples between frames; at most ``n_fft``. Above ``n_fft // 2`` some samples are in no frame
        to speak of: there is no inverse, and `istft` refuses.
    """

    sample_rate: int
    n_fft: int = 1024
    hop: int = 256

    def __post_init__(self) -> None:
        if self.sample_rate <= 0:
            raise InvalidValueError(f"sample_rate must be positive, got {self.sample_rate} Hz")
        if self.n_fft < 4 or self.n_fft % 2:
            raise InvalidValueError(f"n_fft must be even and at least 4, got {self.n_fft}")
        if not 1 <= self.hop <= self.n_fft:
            raise InvalidValueError(
                f"hop must be in [1, n_fft] = [1, {self.n_fft}], got {self.hop}; "
                "a wider hop leaves samples that are in no frame"
            )

    def require_inverse(self) -> None:
        """Refuse frames that overlap by less than half.

        Raises
        ------
        InvalidValueError
            If ``hop`` is above ``n_fft // 2``: no signal can be made of the frames.
        """
        if self.hop > self.n_fft // 2:
            raise InvalidValueError(
                f"frames of {self.n_fft} samples every {self.hop} samples can be analysed but not "
                f"made sound again, which needs a hop of at most {self.n_fft // 2}; to listen, "
                "take a network with a smaller stride"
            )

    @property
    def bins(self) -> int:
        """Number of frequency bins, ``n_fft // 2 + 1``."""
        return self.n_fft // 2 + 1

    def frames(self, n_samples: int) -> int:
        """Return the number of frames that ``n_samples`` samples give."""
        return 1 + n_samples // self.hop

    def sound_end(self, n_samples: int) -> int:
        """Return how many of ``n_samples`` samples can be restored from their frames.

        All of them, unless the hop is wide and the signal ends so far behind the centre of the
        last frame that only the foot of its window, less than a tenth of its weight, covers the
        end: dividing by that would turn rounding errors into clicks. Lengths that are a multiple of
        the hop are always restored whole.
        """
        behind = n_samples % self.hop
        return n_samples - behind + _restorable(self.n_fft, self.hop, behind)

    def window(self, like: Tensor) -> Tensor:
        """Return the periodic Hann window, shape (n_fft,), of the dtype and device of ``like``."""
        dtype = like.real.dtype if like.is_complex() else like.dtype
        return torch.hann_window(self.n_fft, periodic=True, dtype=dtype, device=like.device)

    def frequencies(self) -> Tensor:
        """Return the centre of each bin in Hz, shape (bins,), float64."""
        return torch.arange(self.bins, dtype=torch.float64) * self.sample_rate / self.n_fft


@lru_cache(maxsize=256)
def _restorable(n_fft: int, hop: int, behind: int) -> int:
    """Return how many of the ``behind`` samples behind the last frame's centre can be restored."""
    window = torch.hann_window(n_fft, periodic=True, dtype=torch.float64).square()
    usual = float(window.sum()) / hop
    for distance in range(behind):
        if float(window[n_fft // 2 + distance :: hop].sum()) < _LEAST_WEIGHT * usual:
            return distance
    return behind


def stft_samples(samples: Tensor, spec: StftSpec) -> Tensor:
    """Transform bare samples; see `stft`.

    Parameters
    ----------
    samples : Tensor, shape (..., time)
        Longer than ``spec.n_fft // 2`` samples; any leading axes, a batch among them.
    spec : StftSpec
        Frame length, hop and rate.

    Returns
    -------
    Tensor, complex, shape (..., bins, frames)
        Differentiable with respect to ``samples``.

    Raises
    ------
    ShapeError
        If the signal is too short to be padded by reflection.
    """
    length = samples.shape[-1]
    if length <= spec.n_fft // 2:
        raise ShapeError(
            f"waveform has {length} samples; reflection at the ends needs more than "
            f"n_fft // 2 = {spec.n_fft // 2}"
        )
    spectrum = torch.stft(
        samples.reshape(-1, length),
        spec.n_fft,
        spec.hop,
        window=spec.window(samples),
        center=True,
        return_complex=True,
    )
    return spectrum.reshape(*samples.shape[:-1], *spectrum.shape[-2:])


def istft_samples(spectrum: Tensor, spec: StftSpec, n_samples: int) -> Tensor:
    """Transform a complex spectrum back to bare samples; see `istft`.

    Parameters
    ----------
    spectrum : Tensor, complex, shape (..., bins, frames)
        Need not be the transform of any signal; the result is the least-squares one [1]_.
    spec : StftSpec
        Frame length, hop and rate.
    n_samples : int
        Length of the signal that was transformed.

    Returns
    -------
    Tensor, shape (..., n_samples)
        Exact up to ``spec.sound_end(n_samples)``; what lies behind is faded out.

    Raises
    ------
    ShapeError
        If the number of bins is not that of ``spec``.
    InvalidValueError
        If the frames overlap too little to have an inverse.

    References
    ----------
    .. [1] D. Griffin, J. Lim, "Signal estimation from modified short-time Fourier transform",
       IEEE Trans. ASSP 32(2), 1984.
    """
    if spectrum.shape[-2] != spec.bins:
        raise ShapeError(
            f"spectrum must have {spec.bins} bins for n_fft {spec.n_fft}, got {spectrum.shape[-2]}"
        )
    spec.require_inverse()
    bare = spectrum.reshape(-1, *spectrum.shape[-2:])
    sound_end = spec.sound_end(n_samples)
    samples = _overlap_add(bare, spec, sound_end)
    if sound_end < n_samples:
        faded = _overlap_add(torch.nn.functional.pad(bare, (0, 1)), spec, n_samples)
        samples = torch.cat([samples, faded[:, sound_end:]], 1)
    return samples.reshape(*spectrum.shape[:-2], n_samples)


def _overlap_add(spectrum: Tensor, spec: StftSpec, n_samples: int) -> Tensor:
    return torch.istft(
        spectrum,
        spec.n_fft,
        spec.hop,
        window=spec.window(spectrum),
        center=True,
        length=n_samples,
    )


def stft(waveform: Waveform, spec: StftSpec) -> Tensor:
    r"""Analyse a waveform into overlapping windowed spectra.

    .. math:: X[k, m] = \sum_{n} x[n + m\,h]\, w[n]\, e^{-2\pi i k n / N}

    Here :math:`x` is padded by ``n_fft // 2`` reflected samples at both ends, so frame ``m`` is
    centred on sample ``m * hop`` of the waveform.

    Parameters
    ----------
    waveform : Waveform
        Sampled at ``spec.sample_rate``, longer than ``spec.n_fft // 2`` samples.
    spec : StftSpec
        Frame length, hop and rate.

    Returns
    -------
    Tensor, complex, shape (channels, bins, frames)
        Unnormalised: a full-scale cosine on a bin has magnitude ``n_fft / 4`` there.

    Raises
    ------
    ShapeError
        If the waveform is too short to be padded by reflection.
    InvalidValueError
        If the sample rates disagree.

    References
    ----------
    .. [1] J. B. Allen, L. R. Rabiner, "A unified approach to short-time Fourier analysis and
       synthesis", Proc. IEEE 65(11), 1977.

    Examples
    --------
    >>> spec = StftSpec(sample_rate=8000, n_fft=512, hop=128)
    >>> stft(Waveform(torch.zeros(2, 8000), 8000), spec).shape
    torch.Size([2, 257, 63])
    """
    if waveform.sample_rate != spec.sample_rate:
        raise InvalidValueError(
            f"waveform is at {waveform.sample_rate} Hz but the transform expects "
            f"{spec.sample_rate} Hz; resample it first"
        )
    return stft_samples(waveform.samples, spec)


def istft(spectrum: Tensor, spec: StftSpec, n_samples: int) -> Waveform:
    """Synthesise the waveform whose transform is nearest to ``spectrum``.

    Inverse of `stft`: ``istft(stft(w, spec), spec, w.n_samples)`` is ``w`` to rounding.

    Parameters
    ----------
    spectrum : Tensor, complex, shape (channels, bins, frames)
    spec : StftSpec
        Frame length, hop and rate.
    n_samples : int
        Length of the signal, in samples.

    Returns
    -------
    Waveform
        At ``spec.sample_rate``, ``n_samples`` long.

    Raises
    ------
    ShapeError
        If the number of bins is not that of ``spec``.
    InvalidValueError
        If the frames overlap too little to have an inverse.
    """
    return Waveform(istft_samples(spectrum, spec, n_samples), spec.sample_rate)
