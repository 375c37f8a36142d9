"""Raw-audio network with a strided first convolution (Dieleman and Schrauwen 2014)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from auralise.frontends.raw import RawFrontend
from auralise.models.base import MODELS, Architecture

SECONDS = 3.0
SAMPLE_RATE = 16000


def dieleman2014_raw(
    n_labels: int, *, length: int = 256, stride: int = 256, filters: int = 128, maps: int = 32
) -> nn.Sequential:
    """Build the network: a strided convolution over the samples, then two convolutions over time.

    Input is (batch, 1, 48000): 3 s at 16 kHz. ``frames`` is the strided convolution that stands
    where the mel spectrogram stands in the paper's other network; ``conv1`` and ``conv2`` have
    filters of length 8 and are each followed by max-pooling over 4 (``pool1``, ``pool2``); a dense
    layer of 100 units follows.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    length, stride : int
        Of the first convolution, in samples; the paper has 256 to 1024.
    filters : int
        Of the first convolution; as many as the paper's mel bins.
    maps : int
        Feature maps of the other convolutions.

    References
    ----------
    .. [1] S. Dieleman, B. Schrauwen, "End-to-end learning for music audio", Proc. ICASSP, 2014.
    """
    features = nn.Sequential(
        OrderedDict(
            frames=_rectified(nn.Conv1d(1, filters, length, stride)),
            conv1=_rectified(nn.Conv1d(filters, maps, 8)),
            pool1=nn.MaxPool1d(4),
            conv2=_rectified(nn.Conv1d(maps, maps, 8)),
            pool2=nn.MaxPool1d(4),
            flatten=nn.Flatten(),
        )
    )
    features.add_module("dense", _rectified(nn.Linear(_width(length, stride, maps), 100)))
    features.add_module("output", nn.Linear(100, n_labels))
    return features


def _rectified(layer: nn.Module) -> nn.Sequential:
    name = "linear" if isinstance(layer, nn.Linear) else "conv"
    return nn.Sequential(OrderedDict([(name, layer), ("relu", nn.ReLU())]))


def _width(length: int, stride: int, maps: int) -> int:
    """Return the number of values behind the second pooling."""
    frames = (round(SECONDS * SAMPLE_RATE) - length) // stride + 1
    return maps * (((frames - 7) // 4 - 7) // 4)


MODELS.register("dieleman2014-raw")(
    Architecture(
        build=dieleman2014_raw,
        frontend=lambda: RawFrontend(SAMPLE_RATE),
        seconds=SECONDS,
        source="Dieleman, Schrauwen 2014, ICASSP",
    )
)
