"""One network on mel spectrograms and on raw audio, after Dieleman and Schrauwen (2014)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from auralise.frontends.base import Frontend
from auralise.frontends.raw import RawFrontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import FrequenciesAsChannels, dense, require_places, scaled
from auralise.models.learnable import frontend_of, with_filterbank
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

SECONDS = 3.0
SAMPLE_RATE = 16000


def dieleman2014_raw(
    n_labels: int,
    *,
    length: int = 256,
    stride: int = 64,
    filters: int = 128,
    maps: int = 64,
    norm: bool = True,
    peak: bool = True,
    seconds: float = SECONDS,
    width: float = 1.0,
    dropout: float = 0.3,
) -> nn.Sequential:
    """Build the network: a strided convolution over the samples, then two convolutions over time.

    Input is (batch, 1, time) at 16 kHz; the paper has 3 s. ``frames`` is the strided convolution
    that stands where the mel spectrogram stands in the paper's other network; `back_end` says what
    follows. Four things differ from the paper: batch normalisation behind each convolution, 64 maps
    where it has 32, a stride of 64, and ``peak``, the maximum over the remaining time, which frees
    the dense layer from where in the excerpt something happens. The paper's own form is
    ``maps=32, norm=False, peak=False, stride=256``.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    length, stride : int
        Of the first convolution, in samples; the paper has 256 to 1024 for either.
    filters : int
        Of the first convolution; as many as the paper's mel bins.
    maps : int
        Feature maps of the other convolutions.
    norm : bool
        Whether batch normalisation follows each convolution.
    peak : bool
        Whether the maximum over time stands before the dense layer.
    seconds : float
        Length of the excerpts; without ``peak`` the dense layer depends on it.
    width : float
        Times all numbers of filters, maps and units.
    dropout : float
        Before the dense layers, in training.

    Raises
    ------
    InvalidValueError
        If the excerpt is too short for the layers.

    References
    ----------
    .. [1] S. Dieleman, B. Schrauwen, "End-to-end learning for music audio", Proc. ICASSP, 2014.
    """
    filters = scaled(filters, width)
    frames = (round(seconds * SAMPLE_RATE) - length) // stride + 1
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        frames=_convolution(1, filters, length, stride, norm=norm)
    )
    layers.update(
        back_end(
            filters, n_labels, frames, maps=maps, norm=norm, peak=peak, width=width, dropout=dropout
        )
    )
    return nn.Sequential(layers)


def dieleman2014_mel(
    n_labels: int,
    *,
    length: int = 1024,
    stride: int = 512,
    filters: int = 128,
    maps: int = 32,
    norm: bool = False,
    peak: bool = False,
    seconds: float = SECONDS,
    width: float = 1.0,
    dropout: float = 0.3,
    filterbank: str = "none",
    start: str = "mel",
) -> nn.Sequential:
    """Build two convolutions over the time of a mel spectrogram, whose bins are channels.

    Input is (batch, 1, filters, frames), in the paper 128 mel bins of 3 s; `back_end` says what
    follows.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    length, stride : int
        Window and hop of the spectrogram in samples. With a hop above half the window, as in the
        paper's grids with a stride equal to the length, the network can be trained and asked, but
        not auralised: such a spectrogram has no inverse.
    filters : int
        Mel bins; ``width`` leaves them as they are.
    maps, norm, peak, seconds, width, dropout
        As in `dieleman2014_raw`; the defaults are the paper's form.
    filterbank, start : str
        In place of the spectrogram; see `auralise.models.learnable`.

    Raises
    ------
    InvalidValueError
        If the excerpt is too short for the layers, or no such spectrogram can be made.

    References
    ----------
    .. [1] S. Dieleman, B. Schrauwen, "End-to-end learning for music audio", Proc. ICASSP, 2014.
    """
    spectrogram = _spectrogram(length, stride, filters)
    frames = spectrogram.spec.frames(round(seconds * SAMPLE_RATE))
    layers: OrderedDict[str, nn.Module] = OrderedDict(bins=FrequenciesAsChannels())
    layers.update(
        back_end(
            filters, n_labels, frames, maps=maps, norm=norm, peak=peak, width=width, dropout=dropout
        )
    )
    return with_filterbank(nn.Sequential(layers), spectrogram, filterbank, start)


def back_end(
    channels: int,
    n_labels: int,
    frames: int,
    *,
    maps: int,
    norm: bool,
    peak: bool,
    width: float,
    dropout: float,
) -> OrderedDict[str, nn.Module]:
    """Return the layers that both networks share, so that only what stands before them differs.

    ``conv1`` and ``conv2`` have filters of length 8 and are each followed by max-pooling over 4
    (``pool1``, ``pool2``); ``peak``, if wanted, takes the maximum over the time that is left;
    ``dense`` has 100 units.

    Parameters
    ----------
    channels, frames : int
        Of what comes in: (batch, channels, frames).
    n_labels, maps, norm, peak, width, dropout
        As in `dieleman2014_raw`.
    """
    maps, units = scaled(maps, width), scaled(100, width)
    places = require_places(((frames - 7) // 4 - 7) // 4, "two convolutions and poolings")
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=_convolution(channels, maps, 8, norm=norm),
        pool1=nn.MaxPool1d(4),
        conv2=_convolution(maps, maps, 8, norm=norm),
        pool2=nn.MaxPool1d(4),
    )
    if peak:
        layers["peak"] = nn.AdaptiveMaxPool1d(1)
        places = 1
    layers["flatten"] = nn.Flatten()
    layers["dense"] = dense(maps * places, units, dropout)
    layers["dropout"] = nn.Dropout(dropout)
    layers["output"] = nn.Linear(units, n_labels)
    return layers


def _convolution(
    channels: int, maps: int, length: int, stride: int = 1, *, norm: bool
) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv1d(channels, maps, length, stride, bias=not norm)
    )
    if norm:
        parts["norm"] = nn.BatchNorm1d(maps)
    parts["relu"] = nn.ReLU()
    return nn.Sequential(parts)


def _spectrogram(length: int, stride: int, filters: int) -> SpectrogramFrontend:
    return SpectrogramFrontend(
        StftSpec(SAMPLE_RATE, length, stride), n_mels=filters, compression=Compression("log", 1e4)
    )


def _mel_frontend(
    length: int = 1024, stride: int = 512, filters: int = 128, filterbank: str = "none"
) -> Frontend:
    return frontend_of(_spectrogram(length, stride, filters), filterbank)


MODELS.register("dieleman2014-raw")(
    Architecture(
        build=dieleman2014_raw,
        frontend=lambda: RawFrontend(SAMPLE_RATE),
        seconds=SECONDS,
        source="after Dieleman, Schrauwen 2014, ICASSP",
        differs="batch normalisation behind each convolution; 64 maps for 32; a stride of 64; the "
        "maximum over the remaining time before the dense layer",
    )
)
MODELS.register("dieleman2014-mel")(
    Architecture(
        build=dieleman2014_mel,
        frontend=_mel_frontend,
        seconds=SECONDS,
        source="after Dieleman, Schrauwen 2014, ICASSP",
        differs="layer sizes and log(1 + 10,000 x) from memory of the paper; a hop of half the "
        "window; dropout before the dense layers",
    )
)
