"""The same architecture before training, built anew: the control of every statement on filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from auralise.errors import InvalidValueError, NetworkError
from auralise.models.base import MODELS, ModelCard, MusicNetwork
from auralise.models.kernels import ConvolutionBank, KernelBank

SEEDS = (0, 1, 2, 3, 4)
"""Of the controls, unless others are asked for."""


def begins_tuned(network: MusicNetwork) -> bool:
    """Whether a first layer's filters are tuned before training, by how they are made.

    So are those of SincNet and LEAF, and free filters that begin on mel or evenly in Hz: then the
    untrained filters cannot tell what tuned is.

    Examples
    --------
    >>> from auralise.models import load_model
    >>> begins_tuned(load_model("dieleman2014-raw-instruments"))
    False
    """
    banks = (part for part in network.module.modules() if isinstance(part, KernelBank))
    bank = next(banks, None)
    if bank is None:
        return False
    return not isinstance(bank, ConvolutionBank) or bank.start.kind != "random"


def untrained_networks(card: ModelCard, seeds: Sequence[int] = SEEDS) -> list[MusicNetwork]:
    """Build a network's architecture as it is before training, once for each seed.

    The state of PyTorch's random numbers is kept.

    Parameters
    ----------
    card : ModelCard
        Of a network whose architecture is in `MODELS`.
    seeds : sequence of int
        One network each.

    Raises
    ------
    InvalidValueError
        If there are no seeds.
    NetworkError
        If the card names no architecture.

    Examples
    --------
    >>> from auralise.models import load_model
    >>> card = load_model("dieleman2014-raw-instruments").card
    >>> [network.card.name for network in untrained_networks(card, seeds=(0,))]
    ['dieleman2014-raw-instruments, untrained, seed 0']
    """
    if not seeds:
        raise InvalidValueError("seeds must not be empty; give one for each control")
    if not card.architecture:
        raise NetworkError(
            f"network {card.name!r} names no architecture that could be built anew; make its "
            "controls with auralise.filters.untrained_banks"
        )
    architecture = MODELS[card.architecture].configure(**card.options)
    networks = []
    with torch.random.fork_rng(devices=[]):
        for seed in seeds:
            torch.manual_seed(seed)
            module = architecture.build(max(1, len(card.labels))).eval()
            name = f"{card.name}, untrained, seed {seed}"
            networks.append(MusicNetwork(module, replace(card, name=name, weights="", sha256="")))
    return networks
