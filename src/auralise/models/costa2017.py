"""A network on small patches of a spectrogram, alone and fused with a support vector machine.

After Costa, Oliveira and Silla (2017).
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from auralise.errors import NetworkError
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import dense, require_option, require_places, scaled
from auralise.models.support_vectors import SupportVectorMachine
from auralise.spectral.binary_patterns import PATTERNS, zone_histograms
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
FUSION_DIFFERS = (
    f"{DIFFERS}; patterns of eight neighbours at radius 2 in ten zones of equally many bins from "
    "memory; one machine against the rest for each label, probabilities of patches rather than of "
    "songs are fused; the machine's branch has no gradient, so that inversions explain the "
    "network's branch alone"
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


def costa2017_fusion(
    n_labels: int,
    *,
    rule: str = "sum",
    support: int = 0,
    zones: int = 10,
    seconds: float = SECONDS,
    width: float = 1.0,
    dropout: float = 0.2,
) -> Fusion:
    """Build the network beside a support vector machine on local binary patterns.

    The parts are fitted one after the other: `auralise.training.fusion.fit_fusion` fills the
    machine and sets ``support``.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    rule : {"sum", "product"}
        By which the probabilities of the two are fused.
    support : int
        Number of support vectors; without any the machine finds all labels equally probable.
    zones : int
        Bands of the spectrogram whose patterns are counted apart.
    seconds, width, dropout
        As in `costa2017`.

    Raises
    ------
    InvalidValueError
        If the patch is too short for the layers, or there is no such rule.

    References
    ----------
    .. [1] Y. M. G. Costa, L. S. Oliveira, C. N. Silla, "An evaluation of convolutional neural
       networks for music classification using spectrograms", Applied Soft Computing 52, 2017.
    """
    network = costa2017(n_labels, seconds=seconds, width=width, dropout=dropout)
    machine = SupportVectorMachine(n_labels, support, zones * PATTERNS)
    return Fusion(network, machine, rule=rule, zones=zones)


class Fusion(nn.Module):
    """A network and a machine on the patterns of its input, fused late.

    Its logits are the logarithms of the fused probabilities. Gradients flow through the network
    only: patterns change in jumps.

    Parameters
    ----------
    cnn : nn.Module
        Takes (batch, 1, bins, frames).
    machine : SupportVectorMachine
        Takes the histograms of ``zones``.
    rule : {"sum", "product"}
        Mean of both probabilities, or their product divided by its sum over the labels.
    zones : int
    """

    def __init__(
        self, cnn: nn.Module, machine: SupportVectorMachine, *, rule: str, zones: int
    ) -> None:
        super().__init__()
        require_option("rule", rule, ("sum", "product"))
        self.cnn = cnn
        self.machine = machine
        self.rule = rule
        self.zones = zones

    def forward(self, values: Tensor) -> Tensor:
        """Return (batch, labels) logits of (batch, 1, bins, frames) values.

        Raises
        ------
        NetworkError
            In training mode: the parts are fitted one after the other.
        """
        if self.training:
            raise NetworkError(
                "a fusion cannot be trained as a whole; train costa2017 and then add the machine "
                "with auralise.training.fusion.fit_fusion, or call eval() to use it"
            )
        seen: Tensor = self.cnn(values).log_softmax(1)
        texture = self.machine.log_probabilities(zone_histograms(values[:, 0], self.zones))
        texture = texture.to(seen.dtype)
        if self.rule == "product":
            return (seen + texture).log_softmax(1)
        return torch.logaddexp(seen, texture) - math.log(2)


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
MODELS.register("costa2017-fusion")(
    Architecture(
        build=costa2017_fusion,
        frontend=lambda: FRONTEND,
        seconds=SECONDS,
        source=SOURCE,
        differs=FUSION_DIFFERS,
    )
)
