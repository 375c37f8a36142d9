"""Sentences from the literature, each an experiment with a measure, a control and an interval.

A claim is one module that ends in a `Claim`, listed here. It prints nothing and draws nothing.
"""

from auralise.claims import (
    believed,
    distance,
    harmony,
    invariance,
    key,
    labels,
    mel,
    onsets,
    refinements,
    segments,
    spectrograms,
)
from auralise.claims.base import CLAIMS, Claim, Evidence, Need, Part
from auralise.claims.context import Context
from auralise.claims.judgement import Judgement, Verdict, judge

for _module in (
    spectrograms,
    mel,
    invariance,
    onsets,
    harmony,
    labels,
    key,
    segments,
    distance,
    refinements,
    believed,
):
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
