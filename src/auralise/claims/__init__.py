"""Sentences from the literature, each an experiment with a measure, a control and an interval.

A claim is one module that ends in a `Claim`, listed here. It prints nothing and draws nothing.
"""

from auralise.claims import distance, invariance, key, onsets
from auralise.claims.base import CLAIMS, Claim, Evidence, Judgement, Need, Part, Verdict, judge
from auralise.claims.context import Context

for _module in (invariance, onsets, key, distance):
    CLAIMS.register(_module.CLAIM.name)(_module.CLAIM)

__all__ = [
    "CLAIMS",
    "Claim",
    "Context",
    "Evidence",
    "Judgement",
    "Need",
    "Part",
    "Verdict",
    "judge",
]
