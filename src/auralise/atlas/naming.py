"""From rank correlations to a short name: "low sustained notes", with what justifies it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

STRONG = 0.3
"""Correlations weaker than this give no word, however sure they are."""

RATE = 0.05
"""Share of false discoveries, over all units and descriptors, that is put up with."""

MOST_WORDS = 3

# For each descriptor the word if it rises and the word if it falls, each with its subject: of
# several words on a subject only that of the strongest correlation is said.
_WORDS = {
    "pitch": (("height", "high"), ("height", "low")),
    "centroid": (("height", "bright"), ("height", "dark")),
    "loudness": (("loudness", "loud"), ("loudness", "quiet")),
    "tempo": (("tempo", "fast"), ("tempo", "slow")),
    "onset strength": (("kind", "onsets"), ("kind", "sustained")),
    "harmonic share": (("kind", "sustained"), ("noise", "noise")),
    "flatness": (("noise", "noise"), ("noise", "notes")),
}
_NOUNS = frozenset({"onsets", "noise", "notes"})
_ORDER = ("loudness", "tempo", "height", "kind", "noise", "pitch class", "band")


@dataclass(frozen=True, slots=True)
class Evidence:
    """How one descriptor goes with a unit.

    Attributes
    ----------
    descriptor : str
    rho : float
        Spearman's correlation with the unit's peaks, over clips.
    q : float
        False discovery rate.
    """

    descriptor: str
    rho: float
    q: float


def suggest(found: Sequence[Evidence]) -> tuple[str, tuple[Evidence, ...]]:
    """Return a name, and the correlations that it rests on, the strongest first.

    Descriptors whose correlation is weaker than `STRONG`, or less sure than `RATE`, say nothing;
    of several about the same matter, such as pitch and centroid, the strongest speaks.

    Returns
    -------
    name : str
        Empty if nothing can be said.
    evidence : tuple of Evidence

    Examples
    --------
    >>> suggest([Evidence("pitch", -0.7, 1e-9), Evidence("onset strength", -0.5, 1e-4)])[0]
    'low sustained sounds'
    """
    kept: dict[str, tuple[str, Evidence]] = {}
    for evidence in sorted(found, key=lambda one: (-abs(_number(one.rho)), one.descriptor)):
        if not abs(_number(evidence.rho)) >= STRONG or not evidence.q <= RATE:
            continue
        spoken = _word(evidence)
        if spoken is not None and len(kept) < MOST_WORDS:
            kept.setdefault(spoken[0], (spoken[1], evidence))
    words = [kept[subject][0] for subject in _ORDER if subject in kept]
    return _phrase(words), tuple(evidence for _, evidence in kept.values())


def _phrase(words: Sequence[str]) -> str:
    """Join adjectives, nouns and what stands behind them."""
    if not words:
        return ""
    behind = [word for word in words if word.startswith(("around ", "of "))]
    nouns = [word for word in words if word in _NOUNS]
    named = "clicks" if nouns == ["onsets", "noise"] else " and ".join(nouns)
    adjectives = [word for word in words if word not in nouns and word not in behind]
    return " ".join([*adjectives, named or "sounds", *behind])


def _number(rho: float) -> float:
    return rho if math.isfinite(rho) else 0.0


def _word(evidence: Evidence) -> tuple[str, str] | None:
    name = evidence.descriptor
    if name in _WORDS:
        return _WORDS[name][0 if evidence.rho > 0 else 1]
    if evidence.rho < 0:  # less of one band or pitch class is no name
        return None
    if name.startswith("band "):
        return "band", f"around {name.removeprefix('band ')}"
    return "pitch class", f"of pitch class {name.removeprefix('chroma ')}"
