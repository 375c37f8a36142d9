"""Compression of magnitudes before a network, and its inverse.

Every kind maps silence to 0 and rises from there, so that 0 means silence in every input domain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from auralise.errors import InvalidValueError

Kind = Literal["linear", "power", "log", "db"]
KINDS: tuple[Kind, ...] = ("linear", "power", "log", "db")


@dataclass(frozen=True, slots=True)
class Compression:
    r"""How magnitudes are compressed.

    ====== =========================================== ==========================
    kind   compressed value of a magnitude :math:`x`   lost
    ====== =========================================== ==========================
    linear :math:`x`                                   nothing
    power  :math:`x^a`                                 nothing
    log    :math:`\log(1 + a x)`                       nothing
    db     :math:`20 \log_{10}(\max(x, a) / a)`        all magnitudes below a
    ====== =========================================== ==========================

    Attributes
    ----------
    kind : {"linear", "power", "log", "db"}
    amount : float
        :math:`a` in the table, positive; has to be 1 for "linear".
    """

    kind: Kind = "linear"
    amount: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidValueError(
                f"compression must be one of {', '.join(KINDS)}, got {self.kind!r}"
            )
        if not self.amount > 0 or math.isinf(self.amount):
            raise InvalidValueError(f"compression amount must be positive, got {self.amount}")
        if self.kind == "linear" and self.amount != 1:
            raise InvalidValueError(f"linear compression takes no amount, got {self.amount}")

    @property
    def loses(self) -> str:
        """What cannot be had back, in words; empty if nothing."""
        return f"magnitudes below {self.amount:g}" if self.kind == "db" else ""

    def compress(self, magnitude: Tensor) -> Tensor:
        """Compress magnitudes (>= 0, any shape); differentiable."""
        if self.kind == "power":
            return magnitude**self.amount
        if self.kind == "log":
            return torch.log1p(self.amount * magnitude)
        if self.kind == "db":
            return 20 * torch.log10(magnitude.clamp(min=self.amount) / self.amount)
        return magnitude

    def expand(self, values: Tensor) -> Tensor:
        """Return the magnitudes of compressed values; below 0 there is silence."""
        values = values.clamp(min=0)
        if self.kind == "power":
            return values ** (1 / self.amount)
        if self.kind == "log":
            return torch.expm1(values) / self.amount
        if self.kind == "db":
            magnitude = self.amount * 10 ** (values / 20)
            return torch.where(values > 0, magnitude, torch.zeros_like(magnitude))
        return values
