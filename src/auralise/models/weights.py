"""Weights on disk: safetensors with a manifest; nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from auralise.errors import UnknownNameError, WeightsError
from auralise.frontends.build import build
from auralise.models.base import MODELS, ModelCard, MusicNetwork

MANIFEST = "manifest.json"
_REQUIRED = ("architecture", "weights", "sha256", "labels", "frontend", "seconds")


def pretrained_folder() -> Traversable:
    """Return the folder of the networks that come with the package."""
    return files("auralise.pretrained")


def read_manifest(folder: Traversable | Path | None = None) -> Mapping[str, Mapping[str, Any]]:
    """Return the entries of a folder of networks, by name.

    Parameters
    ----------
    folder : Path, optional
        The package's own networks if not given.

    Raises
    ------
    WeightsError
        If there is no manifest, or it cannot be understood.
    """
    place = pretrained_folder() if folder is None else folder
    try:
        entries = json.loads((place / MANIFEST).read_text(encoding="utf-8"))["networks"]
    except FileNotFoundError:
        raise WeightsError(f"no {MANIFEST} in {place}; is it a folder of networks?") from None
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{MANIFEST} in {place} cannot be read: {error}") from error
    if not isinstance(entries, dict):
        raise WeightsError(f"{MANIFEST} in {place} must map names to networks")
    return entries


def load_model(name: str, folder: Path | None = None) -> MusicNetwork:
    """Load a network with its weights.

    Parameters
    ----------
    name : str
        Of a network that comes with the package, or, written as a path, of a folder that
        ``auralise train`` made.
    folder : Path, optional
        Where to look instead of the package.

    Raises
    ------
    UnknownNameError
        If there is no such network.
    WeightsError
        If its weights are missing, altered (by sha256), or do not fit its architecture.
    """
    name, folder, entries = _find(name, folder)
    entry = entries[name]
    missing = [key for key in _REQUIRED if key not in entry]
    if missing:
        raise WeightsError(f"the manifest's entry for {name!r} lacks {', '.join(missing)}")
    with as_file((pretrained_folder() if folder is None else folder) / entry["weights"]) as path:
        module = _load(path, name, entry)
    return MusicNetwork(module, _card(name, entry))


def training_seed(name: str, folder: Path | None = None) -> int | None:
    """Return the seed that a network's training began with; None if its manifest has none.

    Parameters
    ----------
    name, folder
        As in `load_model`.

    Raises
    ------
    UnknownNameError, WeightsError
        If there is no such network, or the manifest cannot be read.

    Examples
    --------
    >>> training_seed("choi2016-instruments")
    0
    """
    name, _, entries = _find(name, folder)
    seed = entries[name].get("training", {}).get("seed")
    return seed if isinstance(seed, int) else None


def _find(
    name: str, folder: Path | None
) -> tuple[str, Path | None, Mapping[str, Mapping[str, Any]]]:
    """Return a network's name, its folder (None is the package's) and the folder's entries."""
    if folder is None and Path(name).is_dir():
        folder = Path(name)
        entries = read_manifest(folder)
        name = next(iter(entries))
    else:
        entries = read_manifest(folder)
    if name not in entries:
        raise UnknownNameError("model", name, entries)
    return name, folder, entries


def _load(path: Path, name: str, entry: Mapping[str, Any]) -> nn.Module:
    """Build the network of an entry and fill it with checked weights."""
    if not path.is_file():
        raise WeightsError(f"weights of {name!r} are missing: there is no {path.name}")
    digest = sha256_of(path)
    if digest != entry["sha256"]:
        raise WeightsError(
            f"weights of {name!r} have been altered: {path.name} has sha256 {digest[:12]}..., the "
            f"manifest says {str(entry['sha256'])[:12]}...; install the package again"
        )
    architecture = MODELS[entry["architecture"]].configure(**entry.get("options", {}))
    module = architecture.build(len(entry["labels"]))
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(
            f"{path.name} does not fit the architecture {entry['architecture']!r}: {error}"
        ) from error
    return module.eval()


def _card(name: str, entry: Mapping[str, Any]) -> ModelCard:
    texts = {key: str(entry.get(key, "")) for key in ("licence", "source", "trained_on")}
    return ModelCard(
        name=name,
        frontend=build(entry["frontend"]),
        labels=tuple(entry["labels"]),
        seconds=entry["seconds"],
        architecture=entry["architecture"],
        options=entry.get("options", {}),
        weights=entry["weights"],
        sha256=entry["sha256"],
        scores=entry.get("scores", {}),
        **texts,
    )


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_model(network: MusicNetwork, folder: Path, extra: Mapping[str, Any]) -> None:
    """Write a network into a folder of networks: weights and its entry in the manifest.

    Parameters
    ----------
    network : MusicNetwork
        Its card's name and architecture are used; ``weights`` and ``sha256`` are worked out.
    folder : Path
        Made if it does not exist. Other networks in it stay.
    extra : mapping
        More plain values for the manifest's entry, such as the command that trained it.
    """
    card = network.card
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{card.name}.safetensors"
    state = {key: value.contiguous() for key, value in network.module.state_dict().items()}
    path.write_bytes(save(state))
    entries = dict(read_manifest(folder)) if (folder / MANIFEST).exists() else {}
    entries[card.name] = {
        "architecture": card.architecture,
        "options": dict(card.options),
        "weights": path.name,
        "sha256": sha256_of(path),
        "labels": list(card.labels),
        "frontend": card.frontend.describe(),
        "seconds": card.seconds,
        "licence": card.licence,
        "source": card.source,
        "trained_on": card.trained_on,
        "scores": dict(card.scores),
        **extra,
    }
    text = json.dumps({"networks": entries}, indent=2, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
