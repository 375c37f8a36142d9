"""Convolutions and pooling in turns over features in time, after Dieleman et al. (2011)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from auralise.frontends.given import GivenFrontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import dense, require_option, scaled
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

SPEC = StftSpec(16000, 1024, 512)
N_MELS = 64
TIMBRE_AND_CHROMA = 24
SECONDS = 4.0
BEATS = 120.0  # a place is a beat, and is called a second
INPUTS = {"mel": N_MELS, "msd": TIMBRE_AND_CHROMA}


class _AsChannels(nn.Module):
    """(batch, 1, bins, frames) to (batch, bins, frames); what has no channel axis stays."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the values with their features as channels."""
        return values.flatten(1, -2)


def dieleman2011(
    n_labels: int, *, features: str = "mel", width: float = 1.0, dropout: float = 0.0
) -> nn.Sequential:
    """Build two convolutions over time, each followed by max-pooling, and a classifier on top.

    ``conv1`` and ``conv2`` have 100 maps and filters of length 8, ``pool1`` and ``pool2`` take the
    maximum over 4; ``peak`` the maximum over the time that is left; ``dense`` has 50 units and
    ``output`` is the logistic regression. The convolutions can be pretrained without labels as
    restricted Boltzmann machines (`auralise.training.pretraining`).

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    features : {"mel", "msd"}
        Log mel bins of sound at 16 kHz; or 12 timbre and 12 chroma values for each beat, as the
        Million Song Dataset has them.
    width : float
        Times the numbers of maps and units.
    dropout : float
        Before the dense layer, in training.

    References
    ----------
    .. [1] S. Dieleman, P. Brakel, B. Schrauwen, "Audio-based music classification with a pretrained
       convolutional network", Proc. ISMIR, 2011.
    """
    require_option("features", features, tuple(INPUTS))
    maps, units = scaled(100, width), scaled(50, width)
    layers: OrderedDict[str, nn.Module] = OrderedDict(features=_AsChannels())
    if features == "msd":  # timbre and chroma are on scales of their own
        layers["norm"] = nn.BatchNorm1d(INPUTS[features], affine=False)
    layers.update(
        conv1=_convolution(INPUTS[features], maps),
        pool1=nn.MaxPool1d(4),
        conv2=_convolution(maps, maps),
        pool2=nn.MaxPool1d(4),
        peak=nn.AdaptiveMaxPool1d(1),
        flatten=nn.Flatten(),
        dense=dense(maps, units, dropout),
        output=nn.Linear(units, n_labels),
    )
    return nn.Sequential(layers)


def dieleman2011_msd(n_labels: int, *, width: float = 1.0, dropout: float = 0.0) -> nn.Sequential:
    """Build `dieleman2011` for timbre and chroma of beats; any number of beats from 78 on.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    width, dropout : float
        As there.
    """
    return dieleman2011(n_labels, features="msd", width=width, dropout=dropout)


def _convolution(channels: int, maps: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=nn.Conv1d(channels, maps, 8), relu=nn.ReLU()))


_DIFFERS = (
    "numbers of maps and lengths of filters from memory of the paper, not read in it; ReLU, the "
    "maximum over the remaining time and 50 dense units are assumptions"
)
SOURCE = "after Dieleman, Brakel, Schrauwen 2011, ISMIR"
FRONTEND = SpectrogramFrontend(SPEC, n_mels=N_MELS, compression=Compression("log", 10000.0))

MODELS.register("dieleman2011")(
    Architecture(
        build=dieleman2011,
        frontend=lambda: FRONTEND,
        seconds=SECONDS,
        source=SOURCE,
        differs=f"{_DIFFERS}; log mel bins in place of timbre and chroma",
    )
)
MODELS.register("dieleman2011-msd")(
    Architecture(
        build=dieleman2011_msd,
        frontend=lambda: GivenFrontend(TIMBRE_AND_CHROMA),
        seconds=BEATS,
        source=SOURCE,
        differs=_DIFFERS,
    )
)
