"""Convolutions over cepstral coefficients, after Li, Chan and Chun (2010)."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import FrequenciesAsChannels, scaled
from auralise.spectral.cepstrum import cosine_transform
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

SPEC = StftSpec(22050, 512, 256)
FRAMES = 190
SECONDS = (FRAMES - 1) * SPEC.hop / SPEC.sample_rate
N_MELS, COEFFICIENTS = 40, 13
FRONTEND = SpectrogramFrontend(SPEC, n_mels=N_MELS, compression=Compression("log", 10000.0))


class Cepstrum(nn.Module):
    """The cosine transform of log mel bins; fixed.

    (batch, 1, bins, frames) to (batch, coefficients, frames). Being linear, it sends what arrives
    on the way back through its transpose to the mel bins, so that a unit's map is one over mel bins
    again, smooth over frequency.

    Parameters
    ----------
    coefficients, bins : int
    """

    rows: Tensor

    def __init__(self, coefficients: int, bins: int) -> None:
        super().__init__()
        self.register_buffer("rows", cosine_transform(coefficients, bins), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """Return the coefficients."""
        return self.rows @ values.squeeze(1)


def li2010(
    n_labels: int, *, norm: bool = True, coefficients: int = COEFFICIENTS, width: float = 1.0
) -> nn.Sequential:
    """Build three convolutions over time that each move on by four frames, and one dense layer.

    Input is (batch, 1, 40, 190) log mel bins, of which ``cepstrum`` makes 13 coefficients. The
    filters of ``conv1`` span all of them and 10 frames: 190 frames become 46, then 10, then 1.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    norm : bool
        Batch normalisation behind each convolution.
    coefficients : int
        Of the cepstrum.
    width : float
        Times the numbers of maps, which are 3, 15 and 65.

    References
    ----------
    .. [1] T. LH. Li, A. B. Chan, A. HW. Chun, "Automatic musical pattern feature extraction using
       convolutional neural network", Proc. IMECS, 2010.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if coefficients == N_MELS:
        layers["bins"] = FrequenciesAsChannels()
    else:
        layers["cepstrum"] = Cepstrum(coefficients, N_MELS)
    below = coefficients
    for number, maps in enumerate((3, 15, 65), 1):
        above = scaled(maps, width)
        parts: OrderedDict[str, nn.Module] = OrderedDict(
            conv=nn.Conv1d(below, above, 10, stride=4, bias=not norm)
        )
        if norm:
            parts["norm"] = nn.BatchNorm1d(above)
        parts["relu"] = nn.ReLU()
        layers[f"conv{number}"] = nn.Sequential(parts)
        below = above
    layers["flatten"] = nn.Flatten()
    layers["output"] = nn.Linear(below, n_labels)
    return nn.Sequential(layers)


MODELS.register("li2010")(
    Architecture(
        build=li2010,
        frontend=lambda: FRONTEND,
        seconds=SECONDS,
        source="after Li, Chan, Chun 2010, IMECS",
        differs="numbers of maps, lengths and hops of the convolutions from memory of the paper, "
        "not read in it; sample rate and window (22,050 Hz, 512), ReLU and batch normalisation are "
        "assumptions",
    )
)
