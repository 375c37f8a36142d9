"""The network of a training that is still going on, or was stopped, from its last state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from auralise.errors import WeightsError
from auralise.frontends.build import build
from auralise.models.base import MODELS, ModelCard, MusicNetwork
from auralise.training.checkpoints import LAST, read_state

_OPTION = "option "


def network_of_training(folder: Path) -> tuple[MusicNetwork, int]:
    """Return the network as it was after the last epoch that a training has kept, and its seed.

    Parameters
    ----------
    folder : Path
        Of the training's state, such as ``NAME.training`` beside the network to be.

    Raises
    ------
    WeightsError
        If there is no such state, it is damaged, or its architecture is not known here.
    """
    path = folder / LAST
    state = read_state(path)
    try:
        identity = state["callbacks"]["Keeper"]["identity"]
        epoch, weights = int(state["epoch"]) + 1, state["state_dict"]
    except (KeyError, TypeError) as error:
        raise WeightsError(f"{path} is no state of a training: it has no {error}") from error
    name = _architecture_of(identity["architecture"], path)
    options = {k.removeprefix(_OPTION): v for k, v in identity.items() if k.startswith(_OPTION)}
    module = MODELS[name].configure(**options).build(len(identity["labels"]))
    module.load_state_dict({k.removeprefix("network."): v for k, v in weights.items()})
    return MusicNetwork(module.eval(), _card(folder, name, options, identity, epoch)), int(
        identity["seed"]
    )


def _card(
    folder: Path, name: str, options: dict[str, Any], identity: dict[str, Any], epoch: int
) -> ModelCard:
    return ModelCard(
        name=f"{folder.name.removesuffix('.training')}, after epoch {epoch}",
        frontend=build(identity["frontend"]),
        labels=tuple(identity["labels"]),
        seconds=identity["seconds"],
        architecture=name,
        options=options,
    )


def _architecture_of(wanted: str, path: Path) -> str:
    """Return the name of the architecture that a function builds."""
    for name, architecture in MODELS.items():
        function = getattr(architecture.build, "func", architecture.build)
        if f"{function.__module__}.{function.__qualname__}" == wanted:
            return name
    raise WeightsError(f"{path} is of an architecture that is not known here: {wanted}")
