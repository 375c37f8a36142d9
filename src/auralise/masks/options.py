"""How a mask is searched for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from auralise.errors import InvalidValueError

MASK = "mask"
"""The method's name, beside those of `INVERTERS`."""


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """How a mask is searched for.

    Attributes
    ----------
    steps : int
        Of Adam. By turns, a step hears the masked sounds as they are and disturbed.
    learning_rate : float
        On the mask's logits at the first step; it falls to 0 at the last one as half a cosine, so
        that what is found does not hang on the disturbances of the last few steps.
    sharpness : float
        Factor of the standardised answers inside the softmax over the layer's units.
    area : float
        Price of the mask's mean, against one nat of contrast.
    start : float
        Where the logits begin; -2 lets an eighth of every bin through.
    bands : int
        The mask's height: so many values at equal distances in mel, with lines between them.
    seconds : float
        Distance of the mask's values in time.
    references : int
        Random masks on which it is measured how much each unit's answer varies by itself.
    shift : float
        Each step hears the sound up to so many seconds later or earlier, so that what is found
        does not hang on the grid of the network's pooling.
    noise_db : float
        Every other step hears white noise at this level below the sound's root mean square; -inf
        for none.
    coder_db : float
        Every other step hears noise that follows the masked spectrum at this distance, as lossy
        coders leave it; -inf for none.
    cutoff : float
        Half of the disturbed steps lack what is above this share of half the sample rate, as
        coders leave it out; 1 for nothing.
    seed : int
        Of random masks, shifts and noise.
    batch_size : int
        Units searched for at the same time.
    bfloat16 : bool
        Whether the network runs in bfloat16 while searching: quicker where the processor has it.
        What is reported of the mask is measured in single precision all the same.
    """

    steps: int = 40
    learning_rate: float = 0.6
    sharpness: float = 1.0
    area: float = 0.3
    start: float = -2.0
    bands: int = 48
    seconds: float = 0.032
    references: int = 24
    shift: float = 0.012
    noise_db: float = -40.0
    coder_db: float = -15.0
    cutoff: float = 0.9
    seed: int = 0
    batch_size: int = 8
    bfloat16: bool = False

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("bands", 1), ("batch_size", 1), ("references", 2)):
            self._require(name, f"at least {least}", getattr(self, name) >= least)
        for name in ("learning_rate", "sharpness", "seconds"):
            self._require(name, "positive", getattr(self, name) > 0)
        for name in ("area", "shift"):
            self._require(name, "at least 0", getattr(self, name) >= 0)
        for name in ("noise_db", "coder_db"):
            self._require(name, "at most 0 dB", getattr(self, name) <= 0)
        self._require("start", "finite", abs(self.start) < float("inf"))
        self._require("cutoff", "in (0, 1]", 0 < self.cutoff <= 1)

    def _require(self, name: str, what: str, holds: bool) -> None:
        if not holds:  # NaN holds nowhere
            raise InvalidValueError(f"{name} must be {what}, got {getattr(self, name)}")


def native_bfloat16() -> bool:
    """Return whether this machine's processor computes in bfloat16, so that searches are quicker.

    Where PyTorch does not tell, it is taken for no.
    """
    asks = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(asks is not None and asks())
