"""Two tall convolutions on magnitudes, after Kereliuk, Sturm and Larsen (2015)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from auralise.frontends.base import Frontend
from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import require_places, scaled
from auralise.models.learnable import frontend_of, with_filterbank
from auralise.spectral.stft import StftSpec

SPEC = StftSpec(22050, 1024, 512)
SECONDS = 99 * SPEC.hop / SPEC.sample_rate
FRONTEND = SpectrogramFrontend(SPEC)


def kereliuk2015(
    n_labels: int,
    *,
    seconds: float = SECONDS,
    width: float = 1.0,
    filterbank: str = "none",
    start: str = "mel",
) -> nn.Sequential:
    """Build two convolutions with overlapping max-pooling and a dense layer.

    Input is (batch, 1, 513, 100). ``conv1`` has filters of 400 bins and 4 frames and leaves
    114 x 97 places; ``pool1`` (4 x 4, stride 2) leaves 56 x 47, ``conv2`` (8 x 8) 49 x 40 and
    ``pool2`` 23 x 19. ``dense`` has 50 units.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    seconds : float
        Length of the excerpts; the dense layer depends on it.
    width : float
        Times all numbers of maps and units.
    filterbank, start : str
        In place of the spectrogram; see `auralise.models.learnable`.

    Raises
    ------
    InvalidValueError
        If the excerpt is too short for the layers.

    References
    ----------
    .. [1] C. Kereliuk, B. L. Sturm, J. Larsen, "Deep learning and music adversaries", IEEE Trans.
       Multimedia 17(11), 2015, doi 10.1109/TMM.2015.2478068.
    """
    maps, units = scaled(32, width), scaled(50, width)
    frames = SPEC.frames(round(seconds * SPEC.sample_rate))
    places = _places(SPEC.bins, 400) * require_places(_places(frames, 4), "two convolutions")
    network = nn.Sequential(
        OrderedDict(
            conv1=_convolution(1, maps, (400, 4)),
            pool1=nn.MaxPool2d(4, 2),
            conv2=_convolution(maps, maps, (8, 8)),
            pool2=nn.MaxPool2d(4, 2),
            flatten=nn.Flatten(),
            dense=nn.Sequential(
                OrderedDict(linear=nn.Linear(maps * places, units), relu=nn.ReLU())
            ),
            output=nn.Linear(units, n_labels),
        )
    )
    return with_filterbank(network, FRONTEND, filterbank, start)


def _places(length: int, first: int) -> int:
    """Return how many places the two convolutions and poolings leave along one axis."""
    pooled = (length - first + 1 - 4) // 2 + 1
    return (pooled - 7 - 4) // 2 + 1


def _convolution(channels: int, maps: int, kernel: tuple[int, int]) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv=nn.Conv2d(channels, maps, kernel), relu=nn.ReLU()
    )
    return nn.Sequential(parts)


def _frontend(filterbank: str = "none") -> Frontend:
    return frontend_of(FRONTEND, filterbank)


MODELS.register("kereliuk2015")(
    Architecture(
        build=kereliuk2015,
        frontend=_frontend,
        seconds=SECONDS,
        source="after Kereliuk, Sturm, Larsen 2015, IEEE TMM, doi 10.1109/TMM.2015.2478068",
        differs="layers as in the authors' coreyker/dnn-mgr; sample rate and hop (22,050 Hz, 512), "
        "plain magnitudes and ReLU are assumptions",
    )
)
