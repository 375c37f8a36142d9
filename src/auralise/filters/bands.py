"""First layers that look at all bins of a spectrogram at once: their response over frequency."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from auralise.errors import NetworkError, ShapeError
from auralise.filters.first import first_called
from auralise.filters.response import BankResponse, respond_to_magnitudes
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork
from auralise.spectral.mel import mel_bank


def spans_all_bins(network: MusicNetwork) -> bool:
    """Whether a network begins with a convolution over time alone, on a spectrogram."""
    frontend = network.card.frontend
    if not isinstance(frontend, SpectrogramFrontend):
        return False
    _, first = first_called(network)
    if isinstance(first, nn.Conv1d):
        return first.in_channels == frontend.bins and first.groups == 1
    return (
        isinstance(first, nn.Conv2d)
        and first.in_channels == 1
        and first.kernel_size[0] == frontend.bins
    )


def band_kernels(network: MusicNetwork) -> tuple[str, Tensor]:
    """Return the filters of a first layer that looks at all bins of a spectrogram.

    Returns
    -------
    layer : str
    kernels : Tensor, shape (filters, bins, frames), float64

    Raises
    ------
    NetworkError
        If the network does not begin with such a layer, or its weights are complex.
    """
    name, first = first_called(network)
    if isinstance(first, nn.Conv1d | nn.Conv2d) and spans_all_bins(network):
        weight = first.weight.detach()
        if not weight.is_complex():
            weight = weight.double().cpu()
            return name, weight if weight.ndim == 3 else weight[:, 0]
    raise NetworkError(
        f"network {network.card.name!r} begins with {type(first).__name__} {name!r}, not with "
        "a real convolution over time of all bins of a spectrogram"
    )


def respond_over_hertz(
    kernels: Tensor, frontend: SpectrogramFrontend, names: tuple[str, ...] = ()
) -> BankResponse:
    r"""Say which frequencies reach filters over the bins of a spectrogram.

    .. math:: |H(f)| = \sum_b \sqrt{\sum_t w_{b t}^2} \; B_b(f)

    A filter's weight for bin b is taken over its frames and without sign; :math:`B_b` is the
    bin's own response: a mel filter, or one line of the spectrum. So the frontend is part of the
    answer: what passes half of a mel filter is wide at high frequencies whatever was learnt.

    Parameters
    ----------
    kernels : Tensor, shape (filters, bins, frames), float64
    frontend : SpectrogramFrontend
        Whose bins they are.
    names : tuple of str, optional
        One for each filter.

    Returns
    -------
    BankResponse
        Its resolution is the distance of the spectrum's lines.

    Raises
    ------
    ShapeError
        If there are not as many bins as the frontend has.

    Examples
    --------
    >>> from auralise.spectral.stft import StftSpec
    >>> frontend = SpectrogramFrontend(StftSpec(16000, 1024, 512), n_mels=40)
    >>> one = torch.zeros(1, 40, 8, dtype=torch.float64)
    >>> one[0, 20] = -1.0
    >>> response = respond_over_hertz(one, frontend)
    >>> abs(response.peak.item() - frontend.hertz_of(20)) < response.resolution
    True
    """
    if kernels.ndim != 3 or kernels.shape[1] != frontend.bins:
        raise ShapeError(
            f"kernels must have shape (filters, {frontend.bins} bins, frames), got "
            f"{tuple(kernels.shape)}"
        )
    profile = torch.linalg.vector_norm(kernels.double(), dim=2)
    if frontend.n_mels is not None:
        bank = mel_bank(frontend.spec, frontend.n_mels, frontend.fmin, frontend.fmax)
        profile = profile @ bank.weights
    return respond_to_magnitudes(profile, frontend.sample_rate, names)
