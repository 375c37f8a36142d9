"""Filterbanks whose kernels are made of a few learnt numbers, and where they begin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from auralise.units import hz_to_mel, mel_to_hz

_NARROWEST = 4.0 * math.sqrt(2.0 * math.log(2.0)) / math.pi  # Gabor width of LEAF, in samples
_FWHM = 2.0 * math.sqrt(2.0 * math.log(2.0))  # of a Gaussian, in standard deviations


@dataclass(frozen=True, slots=True)
class Start:
    """Where filters begin.

    Attributes
    ----------
    kind : {"mel", "linear", "random"}
        Centres spaced evenly on the Slaney mel scale or in Hz, or drawn uniformly.
    sample_rate : int
        In Hz.
    low, high : float
        Band, in Hz.
    """

    kind: str
    sample_rate: int
    low: float
    high: float

    def bands(self, filters: int) -> tuple[Tensor, Tensor]:
        """Return centres and widths in radians per sample, both (filters,) and float32.

        Those of triangles between neighbouring centres: a width is half the distance of the
        neighbours. Random widths are drawn, evenly in logarithm, between 1/128 and 1/4 of the band.
        """
        if self.kind == "random":
            centres = self.low + (self.high - self.low) * torch.rand(filters).sort().values
            widths = (self.high - self.low) / 128 * 32 ** torch.rand(filters)
        else:
            edges = self._edges(filters)
            centres, widths = edges[1:-1], (edges[2:] - edges[:-2]) / 2
        scale = 2 * math.pi / self.sample_rate
        return (centres * scale).float(), (widths * scale).float()

    def _edges(self, filters: int) -> Tensor:
        steps = torch.linspace(0, 1, filters + 2, dtype=torch.float64)
        if self.kind == "linear":
            return self.low + (self.high - self.low) * steps
        low, high = hz_to_mel(self.low), hz_to_mel(self.high)
        return mel_to_hz(low + (high - low) * steps)


class KernelBank(nn.Module):
    """A strided convolution from one channel whose kernels are computed from parameters.

    Parameters
    ----------
    filters, length, stride : int
        Number of filters, their length and the step between outputs, in samples. The input is
        padded by half a length on either side.
    start : Start
        Of the parameters.
    """

    in_channels = 1
    groups = 1
    dilation = (1,)

    def __init__(self, filters: int, length: int, stride: int, start: Start) -> None:
        super().__init__()
        self.out_channels = filters
        self.kernel_size = (length,)
        self.stride = (stride,)
        self.padding = (length // 2,)
        self.start = start

    def reset_parameters(self) -> None:
        """Put the parameters back to where they begin; random ones are drawn anew."""
        raise NotImplementedError

    def kernels(self) -> Tensor:
        """Return the impulse responses, (filters, length), real or complex; differentiable."""
        raise NotImplementedError

    @property
    def weight(self) -> Tensor:
        """What the input is correlated with, (filters, 1, length): the kernels, last tap first."""
        return self.kernels().flip(1)[:, None]

    def forward(self, samples: Tensor) -> Tensor:
        """Return (batch, filters, frames) of (batch, 1, time) samples.

        Complex kernels give twice as many channels: real parts first, then imaginary ones.
        """
        weight = self.weight
        if weight.is_complex():
            weight = torch.cat([weight.real, weight.imag])
        return nn.functional.conv1d(samples, weight, stride=self.stride, padding=self.padding)

    def answer(self, output: Tensor) -> Tensor:
        """Return what the filters gave, complex if the kernels are, (batch, filters, frames)."""
        if output.shape[1] == self.out_channels:
            return output
        real, imaginary = torch.split(output, self.out_channels, 1)
        return torch.complex(real, imaginary)

    def _time(self) -> Tensor:
        """Return the taps' times around the middle, in samples."""
        length = self.kernel_size[0]
        like = next(self.parameters())
        return torch.arange(length, device=like.device, dtype=like.dtype) - (length - 1) / 2


class ConvolutionBank(KernelBank):
    """Free kernels, as in an ordinary convolution without offset; ``taps`` is their parameter.

    A mel or linear start makes them windowed cosines of random phase, scaled to the norm that a
    random start has on average.
    """

    def __init__(self, filters: int, length: int, stride: int, start: Start) -> None:
        super().__init__(filters, length, stride, start)
        self.taps = nn.Parameter(torch.empty(filters, length))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Put the taps back to where they begin; phases, or all taps, are drawn anew."""
        filters, length = self.taps.shape
        bound = 1 / math.sqrt(length)  # as nn.Conv1d draws them
        with torch.no_grad():
            if self.start.kind == "random":
                self.taps.uniform_(-bound, bound)
                return
            centres, widths = self.start.bands(filters)
            sigma = _gabor_width(widths, length)
            phase = 2 * math.pi * torch.rand(filters, 1)
            time = torch.arange(length) - (length - 1) / 2
            wave = torch.cos(centres[:, None] * time + phase)
            shape = torch.exp(-0.5 * (time / sigma[:, None]) ** 2) * wave
            self.taps.copy_(nn.functional.normalize(shape, dim=1) * bound * math.sqrt(length / 3))

    def kernels(self) -> Tensor:
        """Return the taps."""
        return self.taps


class SincBank(KernelBank):
    """Ideal band-passes under a Hamming window, after SincNet; unit gain in the band.

    ``low`` is the lower edge and ``band`` the distance to the upper one, both in radians per sample
    and taken without their sign.
    """

    def __init__(self, filters: int, length: int, stride: int, start: Start) -> None:
        super().__init__(filters, length, stride, start)
        self.low = nn.Parameter(torch.empty(filters))
        self.band = nn.Parameter(torch.empty(filters))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Put the edges back to where they begin; random ones are drawn anew."""
        centres, widths = self.start.bands(self.out_channels)
        low = (centres - widths / 2).clamp(min=0)
        with torch.no_grad():
            self.low.copy_(low)
            self.band.copy_((centres + widths / 2).clamp(max=math.pi) - low)

    def edges(self) -> tuple[Tensor, Tensor]:
        """Return both edges in radians per sample, within 0 and pi."""
        low = self.low.abs().clamp(max=math.pi)
        return low, (low + self.band.abs()).clamp(max=math.pi)

    def centres(self) -> Tensor:
        """Return the middles of the bands in Hz, (filters,)."""
        low, high = self.edges()
        return (low + high) / 2 * self.start.sample_rate / (2 * math.pi)

    def kernels(self) -> Tensor:
        """Return the impulse responses, (filters, length)."""
        low, high = (edge[:, None] / math.pi for edge in self.edges())
        time = self._time()
        window = torch.hamming_window(len(time), periodic=False).to(time)
        return (high * torch.sinc(high * time) - low * torch.sinc(low * time)) * window


class GaborBank(KernelBank):
    """Complex exponentials under Gaussians of unit area, after LEAF.

    ``centre`` is in radians per sample, ``log_width`` the logarithm of the Gaussian's standard
    deviation in samples. The amplitude response falls to half at sqrt(2 ln 2) fs / (2 pi width) Hz
    on either side of the centre.
    """

    def __init__(self, filters: int, length: int, stride: int, start: Start) -> None:
        super().__init__(filters, length, stride, start)
        self.centre = nn.Parameter(torch.empty(filters))
        self.log_width = nn.Parameter(torch.empty(filters))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Put centres and widths back to where they begin; random ones are drawn anew."""
        centres, widths = self.start.bands(self.out_channels)
        with torch.no_grad():
            self.centre.copy_(centres)
            self.log_width.copy_(_gabor_width(widths, self.kernel_size[0]).log())

    def centres(self) -> Tensor:
        """Return the centre frequencies in Hz, (filters,)."""
        return self.centre.clamp(0, math.pi) * self.start.sample_rate / (2 * math.pi)

    def widths(self) -> Tensor:
        """Return the standard deviations in samples, (filters,)."""
        most = self.kernel_size[0] * _FWHM / (2 * math.pi)
        return self.log_width.exp().clamp(_NARROWEST, max(_NARROWEST, most))

    def kernels(self) -> Tensor:
        """Return the impulse responses, (filters, length), complex."""
        time, sigma = self._time(), self.widths()[:, None]
        bell = torch.exp(-0.5 * (time / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
        turn = self.centre.clamp(0, math.pi)[:, None] * time
        return torch.complex(bell * turn.cos(), bell * turn.sin())


class GaussianPooling(nn.Module):
    """A learnt Gaussian low-pass for each channel, thinned out, after LEAF.

    ``width`` is the standard deviation in units of the stride; 0.4 before training. The window
    reaches one stride to either side.

    Parameters
    ----------
    channels, stride : int
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.width = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Put the widths back to where they begin."""
        nn.init.constant_(self.width, 0.4)

    def forward(self, values: Tensor) -> Tensor:
        """Return (batch, channels, frames) of (batch, channels, time)."""
        time = torch.arange(-self.stride, self.stride + 1).to(self.width) / self.stride
        sigma = self.width.clamp(1 / (2 * self.stride + 1), 0.5)[:, None]
        bell = torch.exp(-0.5 * (time / sigma) ** 2)
        weight = (bell / bell.sum(1, keepdim=True))[:, None]
        return nn.functional.conv1d(
            values, weight, stride=self.stride, padding=self.stride, groups=len(weight)
        )


def _gabor_width(widths: Tensor, length: int) -> Tensor:
    """Return the standard deviation in samples for amplitude widths in radians per sample."""
    sigma = _FWHM / widths
    return sigma.clamp(_NARROWEST, max(_NARROWEST, length * _FWHM / (2 * math.pi)))
