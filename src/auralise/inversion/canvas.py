"""What an input is searched in: the range of the features, and Fourier coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from auralise.errors import InvalidValueError


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """The range of the source's features, and what in it is silence."""

    low: Tensor
    high: Tensor
    silence: Tensor
    like: Tensor

    @staticmethod
    def around(features: Tensor) -> Box:
        """Return the range of features.

        Raises
        ------
        InvalidValueError
            If it is none, because they are all equal.
        """
        if features.ndim == 2:  # raw audio swings about 0
            high = features.abs().max()
            low, silence = -high, torch.zeros_like(high)
        else:
            low, high = features.aminmax()
            silence = low
        if not high > low:
            raise InvalidValueError(
                "all features are equal, so there is no range to look for an input in; "
                "choose a part of the song in which something sounds"
            )
        return Box(low, high, silence, features)

    @property
    def range(self) -> Tensor:
        """The highest value minus the lowest."""
        return self.high - self.low

    def height(self, found: Tensor) -> Tensor:
        """Return how far values are from silence, over the range."""
        return (found - self.silence).abs() / (self.high - self.silence)

    def clamp(self, found: Tensor) -> Tensor:
        """Return values brought into the range."""
        return found.clamp(self.low, self.high)

    def inside(self, found: Tensor) -> Tensor:
        """Return where values lie in the range, as logits, the ends pulled in a little."""
        return ((found - self.low) / self.range).clamp(0.01, 0.99).logit()

    def noise(self, seed: int) -> Tensor:
        """Return noise with the mean and half the spread of the features."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(self.like.shape, generator=generator, dtype=torch.float64)
        spread = self.like.std() / 2
        return self.clamp(self.like.mean() + spread * drawn.to(self.like))


class Fourier:
    """Pictures of Fourier coefficients whose scale falls with frequency."""

    def __init__(self, shape: torch.Size, like: Tensor) -> None:
        self._axes = tuple(range(1, len(shape)))
        self._lengths = tuple(shape[1:])
        self._channels, self._like = shape[0], like
        grids = [torch.fft.fftfreq(n, dtype=torch.float64) for n in self._lengths[:-1]]
        grids.append(torch.fft.rfftfreq(self._lengths[-1], dtype=torch.float64))
        square = torch.zeros(())
        for axis, grid in enumerate(grids):
            wide = grid.reshape(*(-1 if a == axis else 1 for a in range(len(grids))))
            square = square + wide.square()
        lowest = 1 / max(self._lengths)
        scale = 1 / square.sqrt().clamp(min=lowest)
        self._scale = (scale / scale.square().mean().sqrt()).to(like)

    def __call__(self, coefficients: Tensor) -> Tensor:
        """Return the picture, (channels, ...), of coefficients (channels, ..., 2)."""
        spectrum = torch.view_as_complex(coefficients) * self._scale
        picture: Tensor = torch.fft.irfftn(spectrum, self._lengths, self._axes, norm="ortho")
        return picture

    def of(self, picture: Tensor) -> Tensor:
        """Return the coefficients of a picture."""
        spectrum = torch.fft.rfftn(picture, dim=self._axes, norm="ortho") / self._scale
        return torch.view_as_real(spectrum).contiguous()

    def noise(self, seed: int) -> Tensor:
        """Return coefficients of noise."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(
            self._channels, *self._scale.shape, 2, generator=generator, dtype=torch.float64
        )
        return 0.3 * drawn.to(self._like)
