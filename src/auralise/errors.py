"""The errors auralise raises on purpose.

Everything a caller may want to catch derives from `AuraliseError`; each class also derives
from the built-in error it specialises, so ``except ValueError`` keeps working.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class AuraliseError(Exception):
    """Base of every error that auralise raises on purpose."""


class ShapeError(AuraliseError, ValueError):
    """An array does not have the shape a function was promised."""


class InvalidValueError(AuraliseError, ValueError):
    """A number or text is outside what a function accepts."""


class UnknownNameError(AuraliseError, LookupError):
    """A name that should come from a known list does not."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=3)
        if close:
            hint = "did you mean " + " or ".join(repr(n) for n in close) + "?"
        else:
            hint = "choose from " + ", ".join(names)
        super().__init__(f"no {kind} named {name!r}; {hint}")
        self.name = name


class AudioFileError(AuraliseError, OSError):
    """A sound file cannot be read, or says something else than it holds."""


class WeightsError(AuraliseError, OSError):
    """Weights are missing, altered, or belong to another network."""


class OutputError(AuraliseError, OSError):
    """Results cannot be written where they were asked for; nothing half-written is left."""


class NetworkError(AuraliseError, RuntimeError):
    """A network cannot be used as it is: wrong mode, no such output, not a tensor."""


class UnsupportedActivationError(AuraliseError, NotImplementedError):
    """An activation function has no rule in the inversion method that met it."""


class TrainingError(AuraliseError, RuntimeError):
    """A training cannot go on: the loss is not finite, or memory is used up."""


class MissingPackageError(AuraliseError, ImportError):
    """Something was asked for that needs a package which is not installed."""


class LessMemoryWarning(UserWarning):
    """Memory did not suffice for what was tried first; the work goes on in smaller parts."""
