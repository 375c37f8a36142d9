"""From magnitudes back to sound.

Importing this package fills `PHASE_METHODS`: a new method is a module listed here.
"""

from auralise.phase import gradient_integration, griffin_lim, source
from auralise.phase.base import PHASE_METHODS, PhaseMethod, phase_method
from auralise.phase.gradient_integration import DEFAULT_PHASE

__all__ = [
    "DEFAULT_PHASE",
    "PHASE_METHODS",
    "PhaseMethod",
    "gradient_integration",
    "griffin_lim",
    "phase_method",
    "source",
]
