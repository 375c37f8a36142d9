"""Parts that several networks are made of."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from auralise.errors import InvalidValueError


def scaled(number: int, width: float) -> int:
    """Return a number of maps or units times ``width``, rounded, at least 1.

    Raises
    ------
    InvalidValueError
        If the width is not positive.

    Examples
    --------
    >>> scaled(64, 0.25), scaled(3, 0.01)
    (16, 1)
    """
    if not width > 0:
        raise InvalidValueError(f"width must be positive, got {width}; 1 is the paper's size")
    return max(1, round(number * width))


def require_option(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that an option does not have."""
    if value not in known:
        raise InvalidValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


def require_places(places: int, what: str) -> int:
    """Return ``places``; refuse an excerpt so short that nothing is left behind the layers."""
    if places < 1:
        raise InvalidValueError(
            f"the excerpt is too short: {what} leave {places} places; use more seconds"
        )
    return places


def dense(inputs: int, units: int, dropout: float) -> nn.Sequential:
    """Return dropout, a dense layer and ReLU."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        dropout=nn.Dropout(dropout), linear=nn.Linear(inputs, units), relu=nn.ReLU()
    )
    return nn.Sequential(parts)


class FrequenciesAsChannels(nn.Module):
    """Makes channels of the frequency axis: (batch, 1, bins, frames) to (batch, bins, frames)."""

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values`` without their channel axis."""
        return values.squeeze(1)


class ChannelsAsFrequencies(nn.Module):
    """Makes a frequency axis of channels: (batch, bins, frames) to (batch, 1, bins, frames)."""

    def forward(self, values: Tensor) -> Tensor:
        """Return ``values`` with a channel axis."""
        return values[:, None]


class TimePooling(nn.Module):
    """Takes the maximum, the mean or both over all that is left of the axes behind the channels.

    Parameters
    ----------
    pooling : {"both", "max", "average"}
        "both" puts the means behind the maxima, along the channels.
    """

    def __init__(self, pooling: str) -> None:
        super().__init__()
        require_option("pooling", pooling, ("both", "max", "average"))
        self.pooling = pooling

    def forward(self, values: Tensor) -> Tensor:
        """Return (batch, maps) or, for both, (batch, 2 maps) of (batch, maps, bins, frames)."""
        parts = []
        if self.pooling != "average":
            parts.append(nn.functional.adaptive_max_pool2d(values, 1))
        if self.pooling != "max":
            parts.append(values.mean((2, 3), keepdim=True))
        return torch.cat(parts, 1).flatten(1)
