"""What happened inside a network: layers, outputs, receptive fields; knows nothing of audio."""

from auralise.activations.layers import LayerInfo, Unit, find_layer, list_layers
from auralise.activations.receptive_field import ReceptiveField, receptive_field
from auralise.activations.recorder import record, run_to

__all__ = [
    "LayerInfo",
    "ReceptiveField",
    "Unit",
    "find_layer",
    "list_layers",
    "receptive_field",
    "record",
    "run_to",
]
