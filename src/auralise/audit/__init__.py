"""Whether an explanation can be believed: what the network itself makes of the sounds."""

from auralise.audit.disturbances import DISTURBANCES
from auralise.audit.recognition import Recognition, recognise

__all__ = ["DISTURBANCES", "Recognition", "recognise"]
