"""What small filters over time and frequency look for: onsets, held tones, chirps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from auralise.errors import InvalidValueError, NetworkError, ShapeError
from auralise.filters.first import calls_of
from auralise.filters.resampling import Interval
from auralise.models.base import MusicNetwork

CLASSES = ("level", "onset", "release", "transient", "sustained", "rising", "falling", "mixed")
"""What a filter may be called, in the order of `orientation_classes`.

level: mostly its mean. onset, release: changes over time only, upwards or downwards; transient:
both (a click). sustained: changes over frequency only. rising, falling: a ridge that moves up or
down. mixed: none of them has half of the modulation.
"""

_GRID = 64  # points of the modulation spectrum along either axis, if filters are no longer
_LARGEST = 1024
_MAJORITY = 0.5
_Z = 1.959964  # of the normal distribution, for 95 %


@dataclass(frozen=True, slots=True, eq=False)
class Modulation:
    """Modulation transfer functions of filters over time and frequency.

    Attributes
    ----------
    power : Tensor, shape (filters, spectral, temporal), float64
        Squared magnitude of the two-dimensional Fourier transform, without the filter's mean.
    spectral : Tensor, shape (spectral,)
        From 0 to 0.5 cycles per bin.
    temporal : Tensor, shape (temporal,)
        From -0.5 to 0.5 cycles per frame, times frames per second where that is given: Hz.
        Negative ones are ridges that rise in frequency over time.
    """

    power: Tensor
    spectral: Tensor
    temporal: Tensor


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many filters are of one class.

    Attributes
    ----------
    name : str
        In `CLASSES`.
    count : int
        Of the filters.
    share : Interval
        Of all filters, with Wilson's 95 % interval.
    untrained : float
        Share among the controls.
    """

    name: str
    count: int
    share: Interval
    untrained: float


def modulation_transfer(kernels: Tensor, frames_per_second: float = 1.0) -> Modulation:
    """Return which modulations filters over time and frequency pass.

    Parameters
    ----------
    kernels : Tensor, shape (filters, bins, frames)
        The patterns that the filters match, as `first_kernels` gives them; at most 1024 either
        way.
    frames_per_second : float
        Gives the temporal axis in Hz; cycles per frame with 1.

    Raises
    ------
    ShapeError
        If the kernels are of another shape.

    Examples
    --------
    >>> onset = torch.tensor([[[-1.0, 0.0, 1.0]] * 3])
    >>> modulation = modulation_transfer(onset)
    >>> spectral, temporal = divmod(int(modulation.power[0].argmax()), 64)
    >>> modulation.spectral[spectral].item(), abs(modulation.temporal[temporal].item())
    (0.0, 0.25)
    """
    _check(kernels)
    if not frames_per_second > 0:
        raise InvalidValueError(f"frames_per_second must be positive, got {frames_per_second}")
    pattern = kernels.detach().double().cpu()
    pattern = pattern - pattern.mean((1, 2), keepdim=True)
    # The last axis of rfft2 is the halved one: that of frequency here.
    bins, frames = (max(_GRID, 1 << (side - 1).bit_length()) for side in pattern.shape[1:])
    spectrum = torch.fft.rfft2(pattern.transpose(1, 2), s=(frames, bins))
    power = torch.fft.fftshift(spectrum.abs() ** 2, dim=1).transpose(1, 2)
    temporal = torch.fft.fftshift(torch.fft.fftfreq(frames, dtype=torch.float64))
    return Modulation(
        power.contiguous(),
        torch.fft.rfftfreq(bins, dtype=torch.float64),
        temporal * frames_per_second,
    )


def orientation_classes(kernels: Tensor) -> list[str]:
    """Name what each filter looks for, one of `CLASSES`.

    The plane of modulations within half a cycle per bin and frame is cut into four equal sectors by
    angle: along time, along frequency, and the diagonals between. The sector that holds more than
    half of the energy names the filter. Of filters along time, an onset or release has more than
    half of the energy of its profile in the part that is odd in time.

    Parameters
    ----------
    kernels : Tensor, shape (filters, bins, frames)
        As in `modulation_transfer`. The sign counts: an onset turned over is a release.

    Raises
    ------
    InvalidValueError
        If a filter is zero, which is of no class; leave silent filters out first.

    Examples
    --------
    >>> rise = torch.tensor([[-1.0, 0.0, 1.0]] * 3)
    >>> orientation_classes(torch.stack([rise, -rise, rise.T, torch.ones(3, 3), torch.eye(3)]))
    ['onset', 'release', 'sustained', 'level', 'rising']
    """
    modulation = modulation_transfer(kernels)
    pattern = kernels.detach().double().cpu()
    energy = (pattern**2).sum((1, 2))
    if bool((energy == 0).any()):
        raise InvalidValueError(
            f"{int((energy == 0).sum())} of {len(energy)} filters are zero and look for nothing; "
            "leave them out first"
        )
    level = pattern.mean((1, 2)) ** 2 * pattern[0].numel() / energy
    shares = sector_shares(modulation)
    best = shares.max(1)
    profile = pattern.mean(1)
    names = []
    for index in range(len(pattern)):
        if level[index] > _MAJORITY:
            names.append("level")
        elif best.values[index] <= _MAJORITY:
            names.append("mixed")
        else:
            sector = ("time", "sustained", "rising", "falling")[int(best.indices[index])]
            names.append(_course(profile[index]) if sector == "time" else sector)
    return names


def count_classes(kernels: Tensor, controls: Sequence[Tensor]) -> tuple[ClassCount, ...]:
    """Count what filters look for, beside the same architecture untrained.

    Parameters
    ----------
    kernels : Tensor, shape (filters, bins, frames)
        Filters that are zero are left out.
    controls : sequence of Tensor
        Untrained kernels of the same shape; one tensor for each seed.

    Returns
    -------
    tuple of ClassCount
        One for each of `CLASSES`.

    Raises
    ------
    InvalidValueError
        If there is no control, or no filter that is not zero.
    ShapeError
        If filters and controls differ in size.

    Examples
    --------
    >>> rise = torch.tensor([[-1.0, 0.0, 1.0]] * 3)
    >>> counts = count_classes(torch.stack([rise] * 8), untrained_kernels((3, 3), 64, seeds=(0,)))
    >>> counts[1].name, counts[1].count, str(counts[1].share)
    ('onset', 8, '1 [0.676, 1]')
    """
    if not controls:
        raise InvalidValueError("a control is needed: untrained kernels of the same shape")
    sizes = {tuple(part.shape[1:]) for part in (kernels, *controls)}
    if len(sizes) > 1:
        raise ShapeError(f"filters and controls must have one size, got {sorted(sizes)}")
    _check(kernels)
    names = orientation_classes(_sounding(kernels))
    untrained = [name for part in controls for name in orientation_classes(_sounding(part))]
    return tuple(
        ClassCount(
            name,
            names.count(name),
            wilson(names.count(name), len(names)),
            untrained.count(name) / len(untrained),
        )
        for name in CLASSES
    )


def untrained_kernels(
    size: tuple[int, int], filters: int, seeds: Sequence[int] = (0, 1, 2, 3, 4)
) -> list[Tensor]:
    """Draw kernels as PyTorch does before training: uniform, (filters, bins, frames) each."""
    drawn = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        taps = torch.rand(filters, *size, generator=generator, dtype=torch.float64)
        drawn.append((2.0 * taps - 1.0) / math.sqrt(size[0] * size[1]))
    return drawn


def first_kernels(network: MusicNetwork) -> tuple[str, Tensor]:
    """Return the filters of a spectrogram network's first convolution.

    The sign of a batch normalisation that directly follows is taken along, as it turns an onset
    into a release.

    Returns
    -------
    layer : str
        Its name.
    kernels : Tensor, shape (filters, bins, frames), float64
        Rows are frequencies from low to high, columns time.

    Raises
    ------
    NetworkError
        If the first layer with weights is not a two-dimensional convolution of one channel.

    Examples
    --------
    >>> from auralise.models.tiny import tiny_network
    >>> layer, kernels = first_kernels(tiny_network())
    >>> layer, orientation_classes(kernels)
    ('conv1.conv', ['onset', 'sustained', 'release'])
    """
    frontend = network.card.frontend
    if frontend.axes != ("channel", "frequency", "time"):
        raise NetworkError(
            f"network {network.card.name!r} takes {' x '.join(frontend.axes)}; filters over time "
            "and frequency need a spectrogram (filters in time: effective_bank)"
        )
    calls, at = calls_of(network)
    name, first = calls[at]
    if not isinstance(first, nn.Conv2d) or first.in_channels != 1 or first.weight.is_complex():
        raise NetworkError(
            f"network {network.card.name!r} begins with {type(first).__name__} {name!r}, not with "
            "a convolution over time and frequency of one real channel"
        )
    kernels = first.weight.detach().double().cpu()[:, 0]
    behind = calls[at + 1][1] if at + 1 < len(calls) else None
    if isinstance(behind, nn.BatchNorm2d) and behind.weight is not None:
        kernels = kernels * behind.weight.detach().double().cpu().sign()[:, None, None]
    return name, kernels


def wilson(count: int, total: int) -> Interval:
    """Return a share with Wilson's 95 % interval, which stays within [0, 1].

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
       J. Am. Stat. Assoc. 22, 1927.

    Examples
    --------
    >>> str(wilson(0, 10))
    '0 [0, 0.278]'
    """
    if not 0 <= count <= total or total == 0:
        raise InvalidValueError(f"a share needs 0 <= count <= total > 0, got {count} of {total}")
    share, z2 = count / total, _Z**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    reach = _Z * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return Interval(share, max(0.0, middle - reach), min(1.0, middle + reach))


def sector_shares(modulation: Modulation) -> Tensor:
    """Return the share of energy along time, along frequency, rising, falling; (filters, 4)."""
    spectral, temporal = modulation.spectral[:, None], modulation.temporal[None, :]
    inside = torch.hypot(spectral, temporal) <= 0.5
    angle = torch.atan2(spectral, temporal.abs())
    along_time, along_frequency = angle < math.pi / 8, angle > 3 * math.pi / 8
    diagonal = ~along_time & ~along_frequency
    # Rows of the half plane that stand for their mirror image as well count twice.
    twice = torch.full_like(spectral, 2.0)
    twice[0] = twice[-1] = 1.0
    masks = [along_time, along_frequency, diagonal & (temporal < 0), diagonal & (temporal > 0)]
    weights = torch.stack([(mask & inside) * twice for mask in masks])
    energy = torch.einsum("fst,cst->fc", modulation.power, weights)
    return energy / energy.sum(1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)


def _course(profile: Tensor) -> str:
    """Name a filter along time by its profile, shape (frames,)."""
    varying = profile - profile.mean()
    odd = 0.5 * (varying - varying.flip(0))
    if float((odd**2).sum()) <= _MAJORITY * float((varying**2).sum()):
        return "transient"
    time = torch.arange(len(profile), dtype=torch.float64)
    return "onset" if float((odd * time).sum()) > 0 else "release"


def _sounding(kernels: Tensor) -> Tensor:
    kept = kernels[(kernels != 0).any(2).any(1)]
    if not len(kept):
        raise InvalidValueError("every filter is zero; there is nothing to count")
    return kept


def _check(kernels: Tensor) -> None:
    if kernels.ndim != 3 or 0 in kernels.shape or max(kernels.shape[1:]) > _LARGEST:
        raise ShapeError(
            f"kernels must have shape (filters, bins, frames), at most {_LARGEST} either way, "
            f"got {tuple(kernels.shape)}"
        )
    if min(kernels.shape[1:]) < 2:
        raise ShapeError(
            f"kernels of {kernels.shape[1]} x {kernels.shape[2]} have no orientation; both sides "
            "must be at least 2"
        )
    if not bool(torch.isfinite(kernels).all()):
        raise InvalidValueError("kernels must be finite")
