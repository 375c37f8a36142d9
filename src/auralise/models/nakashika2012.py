"""Convolutions over co-occurrence matrices of a spectrogram, after Nakashika et al. (2012)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MODELS, Architecture
from auralise.models.layers_common import dense, require_option, scaled
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec
from auralise.spectral.texture import DIRECTIONS, cooccurrence

SPEC = StftSpec(22050, 1024, 512)
SECONDS = 3.0
LEVELS = 16
RANGE_DB = 60.0
FRONTEND = SpectrogramFrontend(SPEC, n_mels=64, compression=Compression("db", 1e-4))


class _Within(torch.autograd.Function):
    """Cuts off what leaves a range; an operator of its own, see `spectral.texture`."""

    @staticmethod
    def forward(ctx, values: Tensor, top: float) -> Tensor:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Return values in [0, top]."""
        ctx.save_for_backward((values >= 0) & (values <= top))
        ctx.support = lambda signal: signal
        return values.clamp(0, top)

    @staticmethod
    def backward(ctx, *signals: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Return the derivative."""
        (inside,) = ctx.saved_tensors
        return signals[0] * inside, None


class GreyLevels(nn.Module):
    """The highest 60 dB of each excerpt as grey levels 0 to 15, not rounded.

    (batch, 1, bins, frames) in dB to the same shape.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Return the levels."""
        loudest = values.detach().amax((1, 2, 3), keepdim=True)
        levels = (values - loudest) * ((LEVELS - 1) / RANGE_DB) + (LEVELS - 1)
        return _Within.apply(levels, LEVELS - 1.0)  # type: ignore[no-any-return, no-untyped-call]


class Cooccurrence(nn.Module):
    """Co-occurrence matrices of grey levels: (batch, 1, bins, frames) to (batch, 4, 16, 16).

    Scaled so that evenly spread levels give 1 everywhere.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Return the matrices."""
        return cooccurrence(values.squeeze(1), LEVELS) * LEVELS**2


def nakashika2012(
    n_labels: int, *, maps: str = "glcm", width: float = 1.0, dropout: float = 0.2
) -> nn.Sequential:
    """Build two convolutions over maps of 16 x 16 places and a dense layer.

    Input is (batch, 1, 64, frames) mel bins in dB; any length. ``levels`` makes 16 grey levels of
    them, ``cooccurrence`` one matrix for each of four directions. Both are differentiable, so a
    unit behind them has a map over the spectrogram; where something stands in the excerpt is lost
    in the matrices, and such a map says which transitions between levels count, not when.

    Parameters
    ----------
    n_labels : int
        Number of outputs (logits).
    maps : {"glcm", "spectrogram"}
        What the convolutions see: the matrices, or the levels averaged down to 16 x 16 places.
    width : float
        Times the numbers of maps and units, which are 32, 64 and 128.
    dropout : float
        Before the dense layer, in training.

    References
    ----------
    .. [1] T. Nakashika, C. Garcia, T. Takiguchi, "Local-feature-map integration using convolutional
       neural networks for music genre classification", Proc. Interspeech, 2012.
    """
    require_option("maps", maps, ("glcm", "spectrogram"))
    first, second, units = (scaled(number, width) for number in (32, 64, 128))
    layers: OrderedDict[str, nn.Module] = OrderedDict(levels=GreyLevels())
    if maps == "glcm":
        layers["cooccurrence"] = Cooccurrence()
    else:
        layers["places"] = nn.AdaptiveAvgPool2d(LEVELS)
    channels = len(DIRECTIONS) if maps == "glcm" else 1
    for number, above in ((1, first), (2, second)):
        layers[f"conv{number}"] = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(channels, above, 3, padding=1, bias=False),
                norm=nn.BatchNorm2d(above),
                relu=nn.ReLU(),
            )
        )
        layers[f"pool{number}"] = nn.MaxPool2d(2)
        channels = above
    layers["flatten"] = nn.Flatten()
    layers["dense"] = dense(second * 16, units, dropout)
    layers["output"] = nn.Linear(units, n_labels)
    return nn.Sequential(layers)


MODELS.register("nakashika2012")(
    Architecture(
        build=nakashika2012,
        frontend=lambda: FRONTEND,
        seconds=SECONDS,
        source="after Nakashika, Garcia, Takiguchi 2012, Interspeech",
        differs="only the 16 grey levels, the mel spectrogram and one map for each direction are "
        "known of the paper; sizes of the network, batch normalisation, the range of 60 dB and "
        "matrices of whole excerpts are assumptions; levels are not rounded, so that gradients "
        "reach the spectrogram",
    )
)
