"""Changes to a sound that a musician can name: what is left when one thing is taken away or moved.

A perturbation is a frozen set of options that is called with a waveform and returns a new one of
the same rate and channels, on the CPU bit for bit the same each time. All keep the length but
`Tempo`. `PERTURBATIONS` has one of each with plain options; those that name a band or a stretch
are made by the caller.
"""

from auralise.perturbations.base import PERTURBATIONS, Perturbation
from auralise.perturbations.baselines import NoiseFloor, Silence
from auralise.perturbations.moves import Gain, PitchShift, Tempo
from auralise.perturbations.mutes import BandMute, RegionMute, TimeMask, WithoutPart, bands

__all__ = [
    "PERTURBATIONS",
    "BandMute",
    "Gain",
    "NoiseFloor",
    "Perturbation",
    "PitchShift",
    "RegionMute",
    "Silence",
    "Tempo",
    "TimeMask",
    "WithoutPart",
    "bands",
]
