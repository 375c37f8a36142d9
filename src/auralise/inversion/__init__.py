"""From one unit's activation back to the shape of the input; knows nothing of audio.

Importing this package fills `INVERTERS`: a new method is a module listed here.
"""

from auralise.inversion import captum_methods, integrated, optimise, products
from auralise.inversion.backprop import invert_layer
from auralise.inversion.base import INVERTERS, Inversion, InversionOptions, Inverter, Position

__all__ = [
    "INVERTERS",
    "Inversion",
    "InversionOptions",
    "Inverter",
    "Position",
    "captum_methods",
    "integrated",
    "invert_layer",
    "optimise",
    "products",
]
