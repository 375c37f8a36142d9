"""From sound into a network's input and back."""

from auralise.frontends.base import Features, Frontend
from auralise.frontends.build import build
from auralise.frontends.raw import RawFrontend
from auralise.frontends.spectrogram import SpectrogramFrontend

__all__ = ["Features", "Frontend", "RawFrontend", "SpectrogramFrontend", "build"]
