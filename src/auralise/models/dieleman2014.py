"""Raw-audio network with a strided first convolution, after Dieleman and Schrauwen (2014)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from auralise.frontends.raw import RawFrontend
from auralise.models.base import MODELS, Architecture

SECONDS = 3.0
SAMPLE_RATE = 16000


def dieleman2014_raw(
    n_labels: int,
    *,
    length: int = 256,
    stride: int = 64,
    filters: int = 128,
    maps: int = 64,
    dropout: float = 0.3,
) -> nn.Sequential:
    """Build the network: a strided convolution over the samples, then two convolutions over time.

    Input is (batch, 1, time) at 16 kHz; the paper has 3 s. ``frames`` is the strided convolution
    that stands where the mel spectrogram stands in the paper's other network; ``conv1`` and
    ``conv2`` have filters of length 8 and are each followed by max-pooling over 4 (``pool1``,
    ``pool2``); ``dense`` has 100 units. Four things differ from the paper: batch normalisation
    behind each convolution, 64 maps where it has 32, a stride of 64, and ``peak``, the
    maximum over the remaining time, which frees the dense layer from where in the excerpt something
    happens.

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
    dropout : float
        Before the dense layers, in training.

    References
    ----------
    .. [1] S. Dieleman, B. Schrauwen, "End-to-end learning for music audio", Proc. ICASSP, 2014.
    """
    return nn.Sequential(
        OrderedDict(
            frames=_convolution(1, filters, length, stride),
            conv1=_convolution(filters, maps, 8),
            pool1=nn.MaxPool1d(4),
            conv2=_convolution(maps, maps, 8),
            pool2=nn.MaxPool1d(4),
            peak=nn.AdaptiveMaxPool1d(1),
            flatten=nn.Flatten(),
            dense=nn.Sequential(
                OrderedDict(
                    dropout=nn.Dropout(dropout), linear=nn.Linear(maps, 100), relu=nn.ReLU()
                )
            ),
            dropout=nn.Dropout(dropout),
            output=nn.Linear(100, n_labels),
        )
    )


def _convolution(channels: int, maps: int, length: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv1d(channels, maps, length, stride, bias=False),
            norm=nn.BatchNorm1d(maps),
            relu=nn.ReLU(),
        )
    )


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
