"""Which layer with weights a network on spectrograms calls first."""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch import nn

from auralise.audio.waveform import Waveform
from auralise.errors import NetworkError
from auralise.models.base import MusicNetwork


def first_called(network: MusicNetwork) -> tuple[str, nn.Module]:
    """Return the first layer with weights that a network calls, and its name.

    Raises
    ------
    NetworkError
        If it calls none.
    """
    calls, at = calls_of(network)
    return calls[at]


def calls_of(network: MusicNetwork) -> tuple[list[tuple[str, nn.Module]], int]:
    """Return the layers in the order they are called, and which is the first with weights."""
    frontend, module = network.card.frontend, network.module
    calls: list[tuple[str, nn.Module]] = []
    samples = round((network.card.seconds or 4.0) * frontend.sample_rate)
    features = frontend.analyse(Waveform(torch.zeros(1, samples), frontend.sample_rate))
    with ExitStack() as undo, torch.no_grad():
        for name, part in module.named_modules():
            if next(part.children(), None) is None:

                def note(part: nn.Module, *_: object, name: str = name) -> None:
                    calls.append((name, part))

                undo.callback(part.register_forward_hook(note).remove)
        module(features.values[None])
    weighted = [at for at, (_, part) in enumerate(calls) if any(True for _ in part.parameters())]
    if not weighted:
        raise NetworkError(f"network {network.card.name!r} has no layer with weights")
    return calls, weighted[0]
