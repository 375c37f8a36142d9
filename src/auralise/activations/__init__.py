"""What happened inside a network: layers, units, outputs, receptive fields; knows nothing of audio."""

from auralise.activations.layers import Unit

__all__ = ["Unit"]
