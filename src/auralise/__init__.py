"""Hear what a neural network listens for.

The public names below are looked up when they are first used, so that ``import auralise`` and
``auralise --help`` do not wait for PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auralise.activations import Unit, list_layers
    from auralise.audio.files import read_audio, write_audio
    from auralise.audio.waveform import Waveform
    from auralise.auralisation import auralise_layer, auralise_unit, sonify
    from auralise.frontends import RawFrontend, SpectrogramFrontend
    from auralise.models.base import wrap
    from auralise.models.weights import load_model
    from auralise.spectral.stft import StftSpec

__version__ = "0.1.0"

__all__ = [
    "RawFrontend",
    "SpectrogramFrontend",
    "StftSpec",
    "Unit",
    "Waveform",
    "__version__",
    "auralise_layer",
    "auralise_unit",
    "list_layers",
    "load_model",
    "read_audio",
    "sonify",
    "wrap",
    "write_audio",
]

_HOME = {
    "RawFrontend": "auralise.frontends",
    "SpectrogramFrontend": "auralise.frontends",
    "StftSpec": "auralise.spectral.stft",
    "Unit": "auralise.activations",
    "Waveform": "auralise.audio.waveform",
    "auralise_layer": "auralise.auralisation",
    "auralise_unit": "auralise.auralisation",
    "list_layers": "auralise.activations",
    "load_model": "auralise.models.weights",
    "read_audio": "auralise.audio.files",
    "sonify": "auralise.auralisation",
    "wrap": "auralise.models.base",
    "write_audio": "auralise.audio.files",
}


if not TYPE_CHECKING:  # hidden, so that a type checker still refuses names that do not exist

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'auralise' has no attribute {name!r}")
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
