"""A sound seen in time and frequency: transforms, mel scale, compression. No networks here."""

from auralise.spectral.compression import Compression
from auralise.spectral.mel import MelBank, mel_bank
from auralise.spectral.spectrogram import Spectrogram, analyse
from auralise.spectral.stft import StftSpec, istft, stft

__all__ = [
    "Compression",
    "MelBank",
    "Spectrogram",
    "StftSpec",
    "analyse",
    "istft",
    "mel_bank",
    "stft",
]
