"""From magnitudes back to sound.

Importing this package fills `PHASE_METHODS`: a new method is a module listed here.
"""

from auralise.phase.base import PHASE_METHODS, PhaseMethod

__all__ = ["PHASE_METHODS", "PhaseMethod"]
