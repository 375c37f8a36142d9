"""A network with what one has to know of it, and the table of architectures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from typing import Any

from torch import nn

from auralise.errors import InvalidValueError, NetworkError
from auralise.frontends.base import Frontend
from auralise.registry import Registry


@dataclass(frozen=True, slots=True, eq=False)
class ModelCard:
    """What is known of a network.

    Attributes
    ----------
    name : str
        Under which users ask for it.
    frontend : Frontend
        Makes its input.
    labels : tuple of str
        Meaning of its outputs, in order; may be empty.
    seconds : float or None
        Length of the excerpts it was made for; layers behind a flattening work on no other.
        None if any length will do.
    architecture : str
        Name in `MODELS`; empty for networks made elsewhere.
    options : mapping of str to number, str or bool
        What `Architecture.configure` was given; empty for the architecture as it stands.
    weights : str
        File name of the weights in `auralise.pretrained`; empty if not from there.
    sha256 : str
        Of the weights' file.
    licence, source, trained_on : str
        Licence of the weights, the paper, and the data with the protocol.
    scores : mapping of str to number or list
        What was measured, e.g. ``{"accuracy": 0.93, "accuracy_interval": [0.91, 0.95]}``.
    """

    name: str
    frontend: Frontend
    labels: tuple[str, ...] = ()
    seconds: float | None = None
    architecture: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    sha256: str = ""
    licence: str = ""
    source: str = ""
    trained_on: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class MusicNetwork:
    """A network ready to be listened to.

    Attributes
    ----------
    module : nn.Module
        In evaluation mode; takes a batch of the frontend's values, gives (batch, labels) logits.
    card : ModelCard
    """

    module: nn.Module
    card: ModelCard

    def __post_init__(self) -> None:
        if self.module.training:
            raise NetworkError(
                f"network {self.card.name!r} is in training mode; call module.eval() first"
            )


def wrap(
    module: nn.Module,
    frontend: Frontend,
    labels: Sequence[str] = (),
    *,
    name: str = "custom",
    seconds: float | None = None,
) -> MusicNetwork:
    """Make a `MusicNetwork` of any module.

    Parameters
    ----------
    module : nn.Module
        Takes (batch, channels, ...) values of ``frontend``; in evaluation mode.
    frontend : Frontend
        E.g. ``SpectrogramFrontend(StftSpec(16000, 512, 256))`` or ``RawFrontend(16000)``.
    labels : sequence of str
        Meaning of the outputs, in order.
    name : str
        For figures and reports.
    seconds : float, optional
        Length of input the network was made for, if only one will do.

    Raises
    ------
    NetworkError
        If the module is in training mode.
    InvalidValueError
        If a label stands twice.
    """
    if len(set(labels)) != len(labels):
        raise InvalidValueError(f"labels must differ from each other, got {list(labels)}")
    return MusicNetwork(module, ModelCard(name, frontend, tuple(labels), seconds))


Option = int | float | str | bool


@dataclass(frozen=True, slots=True, eq=False)
class Architecture:
    """An architecture from a paper.

    Attributes
    ----------
    build : callable
        From the number of labels, and options by name, to an untrained module.
    frontend : callable
        Makes the frontend of the paper; may take options by name too.
    seconds : float
        Length of the excerpts it takes.
    source : str
        The paper.
    differs : str
        From the paper, in what; empty if in nothing.
    options : mapping of str to number, str or bool
        That `configure` has bound.
    """

    build: Callable[..., nn.Module]
    frontend: Callable[..., Frontend]
    seconds: float
    source: str
    differs: str = ""
    options: Mapping[str, Option] = field(default_factory=dict)

    def configure(self, **options: Option) -> Architecture:
        """Return the same architecture with some of its options set.

        Each option goes to ``build``, to ``frontend`` or to both, whichever has a parameter of
        that name; ``seconds`` also sets the length of the excerpts.

        Raises
        ------
        InvalidValueError
            If neither has a parameter of that name.

        Examples
        --------
        >>> from auralise.models import MODELS
        >>> MODELS["choi2016"].configure(maps=8).options
        {'maps': 8}
        """
        build = {key: value for key, value in options.items() if _takes(self.build, key)}
        frontend = {key: value for key, value in options.items() if _takes(self.frontend, key)}
        unknown = sorted(set(options) - set(build) - set(frontend))
        if unknown:
            known = [*_parameters(self.build)[1:], *_parameters(self.frontend)]
            raise InvalidValueError(
                f"no option {unknown[0]!r} of this architecture; "
                f"it has {', '.join(dict.fromkeys(known)) or 'none'}"
            )
        return replace(
            self,
            build=partial(self.build, **build),
            frontend=partial(self.frontend, **frontend),
            seconds=float(options.get("seconds", self.seconds)),
            options={**self.options, **options},
        )


def _parameters(function: Callable[..., object]) -> list[str]:
    return list(signature(function).parameters)


def _takes(function: Callable[..., object], name: str) -> bool:
    return name in _parameters(function)


MODELS: Registry[Architecture] = Registry("architecture")
