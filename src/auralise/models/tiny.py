"""A network small enough to know by heart: weights set by hand, for lessons and tests."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from auralise.frontends.spectrogram import SpectrogramFrontend
from auralise.models.base import MusicNetwork, wrap
from auralise.spectral.compression import Compression
from auralise.spectral.stft import StftSpec

ONSET, SUSTAIN, RELEASE = 0, 1, 2


def tiny_network() -> MusicNetwork:
    """Build a network that tells beginnings, held tones and endings apart.

    ``conv1`` has three 3x3 filters over log magnitudes (rows are frequencies, columns time):
    channel 0 answers where energy rises over time, channel 1 where a bin stays louder than its
    neighbours in frequency, channel 2 where energy falls. ``pool1`` takes the strongest of 2x2,
    ``conv2`` averages each channel over 3x3, and ``output`` gives each channel's mean.

    Returns
    -------
    MusicNetwork
        At 8 kHz, n_fft 256, hop 64; any length of 3 frames or more; labels "onset", "sustain",
        "release".

    Examples
    --------
    >>> from auralise.audio import Waveform
    >>> network = tiny_network()
    >>> click = torch.zeros(1, 8000)
    >>> click[0, 4000] = 1.0
    >>> features = network.card.frontend.analyse(Waveform(click, 8000))
    >>> network.module(features.values[None]).shape
    torch.Size([1, 3])
    """
    rise = torch.tensor([[-1.0, 0.0, 1.0]] * 3) / 3
    held = torch.tensor([[-1.0] * 3, [2.0] * 3, [-1.0] * 3]) / 6
    conv1 = nn.Conv2d(1, 3, 3, padding=1, bias=False)
    conv2 = nn.Conv2d(3, 3, 3, padding=1, bias=False)
    with torch.no_grad():
        conv1.weight.copy_(torch.stack([rise, held, -rise])[:, None])
        conv2.weight.copy_(torch.eye(3)[:, :, None, None].expand(3, 3, 3, 3) / 9)
    module = nn.Sequential(
        OrderedDict(
            conv1=nn.Sequential(OrderedDict(conv=conv1, relu=nn.ReLU())),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Sequential(OrderedDict(conv=conv2, relu=nn.ReLU())),
            pool2=nn.AdaptiveAvgPool2d(1),
            output=nn.Flatten(),
        )
    )
    frontend = SpectrogramFrontend(StftSpec(8000, 256, 64), compression=Compression("log", 10.0))
    return wrap(module.eval(), frontend, ("onset", "sustain", "release"), name="tiny")
