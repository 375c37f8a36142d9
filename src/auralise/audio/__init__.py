"""A sound: samples in memory, files, sampling rates, levels. Knows nothing of networks."""

from auralise.audio.waveform import Waveform

__all__ = ["Waveform"]
