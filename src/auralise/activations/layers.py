"""Naming the parts of a network: layers and units."""

from __future__ import annotations

import re
from dataclasses import dataclass

from auralise.errors import InvalidValueError

_UNIT = re.compile(r"(?P<layer>[^:\s]+):(?P<channel>\d+)")


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One channel of one layer, written ``conv3:17``.

    Attributes
    ----------
    layer : str
        Name of a module, as in ``network.named_modules()``. A module that is called several times
        in one pass is named with the call: ``relu@2`` is its second call, ``relu`` its first.
    channel : int
        Index along the first axis of the layer's output (after the batch axis), from 0.

    Examples
    --------
    >>> Unit.parse("conv3:17")
    Unit(layer='conv3', channel=17)
    >>> str(Unit("features.0", 5))
    'features.0:5'
    """

    layer: str
    channel: int

    def __post_init__(self) -> None:
        if self.channel < 0:
            raise InvalidValueError(f"channel must not be negative, got {self.channel}")

    @classmethod
    def parse(cls, text: str) -> Unit:
        """Read ``layer:channel``.

        Raises
        ------
        InvalidValueError
            If the text is not of that form.
        """
        match = _UNIT.fullmatch(text)
        if match is None:
            raise InvalidValueError(
                f"a unit is written layer:channel, as in conv3:17; got {text!r}"
            )
        return cls(match["layer"], int(match["channel"]))

    def __str__(self) -> str:
        return f"{self.layer}:{self.channel}"
