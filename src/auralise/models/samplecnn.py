"""Raw-audio network of very short filters, after Lee et al. (2017)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from auralise.frontends.raw import RawFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import scaled

SAMPLE_RATE = 22050
SAMPLES = 3**10
MAPS = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512)


def samplecnn(n_labels: int, *, width: float = 1.0, dropout: float = 0.5) -> nn.Sequential:
    """Build ten convolutions of length 3 that shorten 59,049 samples to one place.

    Input is (batch, 1, 59049): 2.68 s at 22,050 Hz. ``conv1`` has stride 3; ``conv2`` to
    ``conv10`` keep the length and are each followed by max-pooling over 3; ``conv11`` has filters
    of length 1. Each ends with batch normalisation and ReLU.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    width : float
        Times all numbers of maps.
    dropout : float
        Before the output, in training.

    References
    ----------
    .. [1] J. Lee, J. Park, K. L. Kim, J. Nam, "Sample-level deep convolutional neural networks for
       music auto-tagging using raw waveforms", Proc. SMC, 2017, arXiv:1703.01789.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 1
    for depth, published in enumerate(MAPS, 1):
        maps = scaled(published, width)
        stride, padding = (3, 0) if depth == 1 else (1, 1)
        layers[f"conv{depth}"] = _convolution(channels, maps, 3, stride, padding)
        if depth > 1:
            layers[f"pool{depth}"] = nn.MaxPool1d(3)
        channels = maps
    last = scaled(512, width)
    layers["conv11"] = _convolution(channels, last, 1, 1, 0)
    layers["flatten"] = nn.Flatten()
    layers["dropout"] = nn.Dropout(dropout)
    layers["output"] = nn.Linear(last, n_labels)
    return nn.Sequential(layers)


def _convolution(channels: int, maps: int, length: int, stride: int, padding: int) -> nn.Sequential:
    conv = nn.Conv1d(channels, maps, length, stride, padding)
    nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=conv, norm=nn.BatchNorm1d(maps), relu=nn.ReLU()
    )
    return nn.Sequential(parts)


MODELS.register("samplecnn")(
    Architecture(
        build=samplecnn,
        frontend=lambda: RawFrontend(SAMPLE_RATE),
        seconds=SAMPLES / SAMPLE_RATE,
        source="after Lee, Park, Kim, Nam 2017, SMC, arXiv:1703.01789",
        differs="nothing known: layers as in the re-implementation tae-jun/sample-cnn",
    )
)
