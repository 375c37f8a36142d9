"""Two networks on plain magnitudes with max- and average-pooling, after Zhang et al. (2016)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from auralise.frontends.base import Frontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import TimePooling, dense, scaled
from auralise.models.learnable import frontend_of, with_filterbank
from auralise.spectral.stft import StftSpec

SPEC = StftSpec(22050, 1024, 512)
FRAMES = 128
SECONDS = (FRAMES - 1) * SPEC.hop / SPEC.sample_rate
FRONTEND = SpectrogramFrontend(SPEC)
SOURCE = "after Zhang, Lei, Xu, Xing 2016, Interspeech, doi 10.21437/Interspeech.2016-1236"
_DIFFERS = (
    "layer sizes as independent re-implementations agree on them, not read in the paper; sample "
    "rate and hop (22,050 Hz, 512) and the dropout before the dense layers are assumptions"
)


def zhang2016_nnet1(
    n_labels: int,
    *,
    pooling: str = "both",
    width: float = 1.0,
    dropout: float = 0.2,
    filterbank: str = "none",
    start: str = "mel",
) -> nn.Sequential:
    """Build three convolutions over time, pooled by maximum and mean, and two dense layers.

    Input is (batch, 1, 513, 128). The filters of ``conv1`` span all bins and 4 frames, so that 125
    frames are left; ``pool1`` leaves 62, ``conv2`` 59, ``pool2`` 29, ``conv3`` 26, over which
    ``pool3`` takes maximum and mean. ``dense1`` and ``dense2`` have 300 and 150 units.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    pooling : {"both", "max", "average"}
        Over the frames that are left at the end.
    width : float
        Times all numbers of maps and units.
    dropout : float
        Before each hidden dense layer, in training.
    filterbank, start : str
        In place of the spectrogram; see `auralise.models.learnable`.

    References
    ----------
    .. [1] W. Zhang, W. Lei, X. Xu, X. Xing, "Improved music genre classification with convolutional
       neural networks", Proc. Interspeech, 2016.
    """
    few, many = scaled(128, width), scaled(256, width)
    network = nn.Sequential(
        OrderedDict(
            conv1=_convolution(1, few, (SPEC.bins, 4)),
            pool1=nn.MaxPool2d((1, 2)),
            conv2=_convolution(few, few, (1, 4)),
            pool2=nn.MaxPool2d((1, 2)),
            conv3=_convolution(few, many, (1, 4)),
            pool3=TimePooling(pooling),
            **_answer(many * (2 if pooling == "both" else 1), n_labels, width, dropout),
        )
    )
    return with_filterbank(network, FRONTEND, filterbank, start)


def zhang2016_nnet2(
    n_labels: int,
    *,
    pooling: str = "both",
    shortcut: bool = True,
    width: float = 1.0,
    dropout: float = 0.2,
    filterbank: str = "none",
    start: str = "mel",
) -> nn.Sequential:
    """Build a convolution, a block of two with a shortcut around it, and two dense layers.

    Input is (batch, 1, 513, 128). ``conv1`` leaves 125 frames. In ``block`` the first convolution
    leaves 122; the second pads by 3 on either side, so that its 125 frames match the shortcut's.
    ``pool`` takes maximum and mean over them.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    pooling : {"both", "max", "average"}
        Over the frames.
    shortcut : bool
        Whether the block's input is added to its output; the size is the same without.
    width : float
        Times all numbers of maps and units.
    dropout : float
        Before each hidden dense layer, in training.
    filterbank, start : str
        In place of the spectrogram; see `auralise.models.learnable`.

    References
    ----------
    .. [1] W. Zhang, W. Lei, X. Xu, X. Xing, "Improved music genre classification with convolutional
       neural networks", Proc. Interspeech, 2016.
    """
    maps = scaled(256, width)
    conv1 = OrderedDict(
        conv=nn.Conv2d(1, maps, (SPEC.bins, 4), bias=False),
        norm=nn.BatchNorm2d(maps),
        relu=nn.ReLU(),
    )
    network = nn.Sequential(
        OrderedDict(
            conv1=nn.Sequential(conv1),
            block=Block(maps, shortcut),
            pool=TimePooling(pooling),
            **_answer(maps * (2 if pooling == "both" else 1), n_labels, width, dropout),
        )
    )
    return with_filterbank(network, FRONTEND, filterbank, start)


class Block(nn.Module):
    """Two convolutions over 4 frames with batch normalisation, and a shortcut around them.

    Parameters
    ----------
    maps : int
        That go in and come out.
    shortcut : bool
        Whether what goes in is added to what comes out, before the last ReLU.
    """

    def __init__(self, maps: int, shortcut: bool) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.conv1 = nn.Conv2d(maps, maps, (1, 4), bias=False)
        self.norm1 = nn.BatchNorm2d(maps)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(maps, maps, (1, 4), padding=(0, 3), bias=False)
        self.norm2 = nn.BatchNorm2d(maps)
        self.relu2 = nn.ReLU()

    def forward(self, values: Tensor) -> Tensor:
        """Return values of the shape that went in."""
        inner: Tensor = self.relu1(self.norm1(self.conv1(values)))
        inner = self.norm2(self.conv2(inner))
        output: Tensor = self.relu2(inner + values if self.shortcut else inner)
        return output


def _convolution(channels: int, maps: int, kernel: tuple[int, int]) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(channels, maps, kernel), relu=nn.ReLU()
    )
    return nn.Sequential(parts)


def _answer(inputs: int, n_labels: int, width: float, dropout: float) -> dict[str, nn.Module]:
    first, second = scaled(300, width), scaled(150, width)
    return {
        "dense1": dense(inputs, first, dropout),
        "dense2": dense(first, second, dropout),
        "output": nn.Linear(second, n_labels),
    }


def _frontend(filterbank: str = "none") -> Frontend:
    return frontend_of(FRONTEND, filterbank)


MODELS.register("zhang2016-nnet1")(
    Architecture(zhang2016_nnet1, _frontend, SECONDS, SOURCE, _DIFFERS)
)
MODELS.register("zhang2016-nnet2")(
    Architecture(zhang2016_nnet2, _frontend, SECONDS, SOURCE, _DIFFERS)
)
