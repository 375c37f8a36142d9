"""The five-layer spectrogram network that was auralised first (Choi et al. 2015, 2016)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from auralise.frontends.base import Frontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import dense, require_places, scaled
from auralise.models.learnable import frontend_of, with_filterbank
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

SECONDS = 4.0
FRONTEND = SpectrogramFrontend(StftSpec(11025, 512, 256), compression=Compression("log", 10.0))


def choi2016(
    n_labels: int,
    *,
    maps: int = 64,
    widths: tuple[int, int] = (256, 128),
    seconds: float = SECONDS,
    width: float = 1.0,
    dropout: float = 0.5,
    filterbank: str = "none",
    start: str = "mel",
) -> nn.Sequential:
    """Build five times 3x3 convolution, ReLU, 2x2 max-pooling, then three dense layers.

    Input is (batch, 1, 257, 173): 4 s at 11,025 Hz, n_fft 512, hop 256. The layers ``conv1`` to
    ``conv5`` end behind the ReLU, ``pool1`` to ``pool5`` behind the pooling. Where the first
    version of the network had local response normalisation, this one has batch normalisation; the
    dense layers have 256 and 128 units where the first version had 512 and 256.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    maps : int
        Feature maps per convolution.
    widths : tuple of int
        Units of the two hidden dense layers.
    seconds : float
        Length of the excerpts; the dense layers depend on it.
    width : float
        Times all numbers of maps and units.
    dropout : float
        Before each dense layer, in training.
    filterbank, start : str
        In place of the spectrogram; see `auralise.models.learnable`.

    Raises
    ------
    InvalidValueError
        If the excerpt is too short to be halved five times.

    References
    ----------
    .. [1] K. Choi, G. Fazekas, M. Sandler, "Explaining deep convolutional neural networks on music
       classification", arXiv:1607.02444, 2016.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    maps, channels = scaled(maps, width), 1
    for depth in range(1, 6):
        layers[f"conv{depth}"] = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(channels, maps, 3, padding=1, bias=False),
                norm=nn.BatchNorm2d(maps),
                relu=nn.ReLU(),
            )
        )
        layers[f"pool{depth}"] = nn.MaxPool2d(2)
        channels = maps
    layers["flatten"] = nn.Flatten()
    frames = FRONTEND.spec.frames(round(seconds * FRONTEND.sample_rate))
    places = require_places(frames // 32, "five poolings")
    inputs = maps * (FRONTEND.bins // 32) * places  # 257 x 173 become 8 x 5
    for number, published in enumerate(widths, 1):
        units = scaled(published, width)
        layers[f"dense{number}"] = dense(inputs, units, dropout)
        inputs = units
    layers["output"] = nn.Linear(inputs, n_labels)
    return with_filterbank(nn.Sequential(layers), FRONTEND, filterbank, start)


def _frontend(filterbank: str = "none") -> Frontend:
    return frontend_of(FRONTEND, filterbank)


MODELS.register("choi2016")(
    Architecture(
        build=choi2016,
        frontend=_frontend,
        seconds=SECONDS,
        source="Choi, Fazekas, Sandler 2016, arXiv:1607.02444",
        differs="batch normalisation for local response normalisation; dense layers of 256 and 128 "
        "units for 512 and 256; log(1 + 10 x) of the magnitudes",
    )
)
