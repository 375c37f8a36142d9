"""Whether an explanation can be believed: what the network itself makes of the sounds."""

from auralise.audit.audit import Audit, AuditOptions, audit, quick_options
from auralise.audit.disturbances import DISTURBANCES
from auralise.audit.recognition import Recognition, recognise
from auralise.audit.verdict import verdict

__all__ = [
    "DISTURBANCES",
    "Audit",
    "AuditOptions",
    "Recognition",
    "audit",
    "quick_options",
    "recognise",
    "verdict",
]
