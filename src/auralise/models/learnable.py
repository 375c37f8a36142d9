"""Learnable filterbanks that stand where a network's spectrogram stands.

With ``filterbank="conv"``, ``"sinc"`` or ``"leaf"`` a spectrogram network takes samples, and its
first layer ``frames`` gives as many filters as the spectrogram has bins, and as many frames:

- conv: a strided convolution, batch normalisation, ReLU (Dieleman and Schrauwen 2014);
- sinc: band-passes with two learnt edges each, batch normalisation, ReLU (SincNet);
- leaf: complex Gabor filters, squared modulus, learnt Gaussian low-passes, log(1 + 10,000 x),
  batch normalisation (LEAF, with the logarithm in place of PCEN, and with the Gabor filters'
  outputs thinned out to 16 for each frame).

``start`` says where the filters begin: "mel" or "linear" centre frequencies, or "random" ones. The
parameters of ``frames.bank`` (``low``, ``band``; ``centre``, ``log_width``; or ``taps``) hardly
move at the learning rate of the rest, so that "learnt" may only mean "as it began": give
the parameters whose names begin with ``frames.bank.`` a larger one, and compare with the
beginning (`auralise.filters.untrained`).

Sources:

- M. Ravanelli, Y. Bengio, "Speaker recognition from raw waveform with SincNet", SLT, 2018.
- N. Zeghidour, O. Teboul, F. de Chaumont Quitry, M. Tagliasacchi, "LEAF: a learnable frontend
  for audio classification", ICLR, 2021.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from auralise.frontends.base import Frontend
from auralise.frontends.raw import RawFrontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.kernels import (
    ConvolutionBank,
    GaborBank,
    GaussianPooling,
    SincBank,
    Start,
)
from auralise.models.layers_common import ChannelsAsFrequencies, require_option

FILTERBANKS = ("none", "conv", "sinc", "leaf")
STARTS = ("mel", "linear", "random")
_PER_FRAME = 16
_LOUDNESS = 1e4


class Energy(nn.Module):
    """Squared modulus of real parts followed by imaginary parts: (batch, 2 n, time) to half."""

    def forward(self, values: Tensor) -> Tensor:
        """Return (batch, n, time)."""
        real, imaginary = torch.chunk(values, 2, 1)
        return real.square() + imaginary.square()


class LogCompression(nn.Module):
    """log(1 + 10,000 x)."""

    def forward(self, values: Tensor) -> Tensor:
        """Return compressed values; not negative."""
        return torch.log1p(_LOUDNESS * values)


def frontend_of(spectrogram: SpectrogramFrontend, filterbank: str) -> Frontend:
    """Return the spectrogram, or raw audio at its rate where a filterbank takes its place.

    Raises
    ------
    InvalidValueError
        If there is no such filterbank.
    """
    require_option("filterbank", filterbank, FILTERBANKS)
    return spectrogram if filterbank == "none" else RawFrontend(spectrogram.sample_rate)


def with_filterbank(
    network: nn.Sequential, spectrogram: SpectrogramFrontend, filterbank: str, start: str
) -> nn.Sequential:
    """Put a filterbank before a network, in place of its spectrogram.

    Parameters
    ----------
    network : nn.Sequential
        Takes (batch, 1, bins, frames).
    spectrogram : SpectrogramFrontend
        Whose bins, window length, hop and band the filterbank takes over.
    filterbank : {"none", "conv", "sinc", "leaf"}
        "none" leaves the network as it is.
    start : {"mel", "linear", "random"}
        Centre frequencies before training; of no effect without a filterbank.

    Returns
    -------
    nn.Sequential
        Takes (batch, 1, time); its first layer is ``frames``, the others keep their names.

    Raises
    ------
    InvalidValueError
        If there is no such filterbank or start.
    """
    require_option("filterbank", filterbank, FILTERBANKS)
    require_option("start", start, STARTS)
    if filterbank == "none":
        return network
    frames = make_frames(spectrogram, filterbank, start)
    layers: OrderedDict[str, nn.Module] = OrderedDict(frames=frames, image=ChannelsAsFrequencies())
    layers.update(network.named_children())
    return nn.Sequential(layers)


def make_frames(spectrogram: SpectrogramFrontend, filterbank: str, start: str) -> nn.Sequential:
    """Build the layer ``frames``: (batch, 1, time) to (batch, filters, frames).

    Parameters
    ----------
    spectrogram : SpectrogramFrontend
        Gives the number of filters, their length (its window), the hop and the band.
    filterbank : {"conv", "sinc", "leaf"}
    start : {"mel", "linear", "random"}

    Examples
    --------
    >>> from auralise.spectral.stft import StftSpec
    >>> like = SpectrogramFrontend(StftSpec(8000, 256, 64), n_mels=20)
    >>> make_frames(like, "sinc", "mel")(torch.zeros(1, 1, 800)).shape
    torch.Size([1, 20, 13])
    """
    spec, filters = spectrogram.spec, spectrogram.bins
    at = Start(start, spec.sample_rate, spectrogram.fmin, spectrogram.fmax or spec.sample_rate / 2)
    norm = nn.BatchNorm1d(filters)
    parts: OrderedDict[str, nn.Module]
    if filterbank == "leaf":
        thin = _divisor(spec.hop, max(1, spec.hop // _PER_FRAME))
        parts = OrderedDict(
            bank=GaborBank(filters, spec.n_fft, thin, at),
            energy=Energy(),
            smooth=GaussianPooling(filters, spec.hop // thin),
            log=LogCompression(),
            norm=norm,
        )
    else:
        kind = SincBank if filterbank == "sinc" else ConvolutionBank
        parts = OrderedDict(bank=kind(filters, spec.n_fft, spec.hop, at), norm=norm, relu=nn.ReLU())
    return nn.Sequential(parts)


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of ``number`` that is not above ``most``."""
    return next(d for d in range(most, 0, -1) if number % d == 0)
