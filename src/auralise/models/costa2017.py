"""Two convolutions over small patches of a spectrogram, after Costa, Oliveira and Silla (2017)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import dense, require_places, scaled
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

SPEC = StftSpec(16000, 512, 256)
FRAMES = 16
SECONDS = (FRAMES - 1) * SPEC.hop / SPEC.sample_rate
FRONTEND = SpectrogramFrontend(SPEC, compression=Compression("log", 1e4))
SOURCE = "after Costa, Oliveira, Silla 2017, Applied Soft Computing 52"
DIFFERS = (
    "layer sizes from memory of the paper; 257 bins for 256; one dense layer of 64 units where the "
    "paper has locally connected ones; sample rate and hop (16,000 Hz, 256), log(1 + 10,000 x) and "
    "dropout are assumptions"
)


def costa2017(
    n_labels: int, *, seconds: float = SECONDS, width: float = 1.0, dropout: float = 0.2
) -> nn.Sequential:
    """Build two convolutions, each followed by overlapping max-pooling, and a dense layer.

    Input is (batch, 1, 257, 16): a patch of 0.24 s; what a clip is follows from the votes of its
    patches. ``conv1`` and ``conv2`` have filters of 5 x 5 and padding 2; ``pool1`` (3 x 3,
    stride 2) leaves 128 x 7 places and ``pool2`` 63 x 3. ``dense`` has 64 units.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    seconds : float
        Length of the patches; the dense layer depends on it.
    width : float
        Times all numbers of maps and units.
    dropout : float
        Before the dense layer, in training.

    Raises
    ------
    InvalidValueError
        If the patch is too short for the layers.

    References
    ----------
    .. [1] Y. M. G. Costa, L. S. Oliveira, C. N. Silla, "An evaluation of convolutional neural
       networks for music classification using spectrograms", Applied Soft Computing 52, 2017.
    """
    maps, units = scaled(64, width), scaled(64, width)
    frames = require_places(_places(SPEC.frames(round(seconds * SPEC.sample_rate))), "two poolings")
    return nn.Sequential(
        OrderedDict(
            conv1=_convolution(1, maps),
            pool1=nn.MaxPool2d(3, 2),
            conv2=_convolution(maps, maps),
            pool2=nn.MaxPool2d(3, 2),
            flatten=nn.Flatten(),
            dense=dense(maps * _places(SPEC.bins) * frames, units, dropout),
            output=nn.Linear(units, n_labels),
        )
    )


def _places(length: int) -> int:
    """Return how many places the two poolings leave along one axis."""
    return ((length - 1) // 2 - 1) // 2


def _convolution(channels: int, maps: int) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(channels, maps, 5, padding=2), relu=nn.ReLU()
    )
    return nn.Sequential(parts)


MODELS.register("costa2017")(
    Architecture(
        build=costa2017,
        frontend=lambda: FRONTEND,
        seconds=SECONDS,
        source=SOURCE,
        differs=DIFFERS,
    )
)
