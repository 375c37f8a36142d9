"""What follows from the numbers of a claim: a verdict, with why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from auralise.claims.base import Evidence, Part

LEVEL = 0.05
"""Chance of a wrong `supported` that is accepted, over all claims of one run together."""

POWER = 0.8
"""Chance with which a sample of the size that is named would settle an undecided claim."""


class Verdict(Enum):
    """What can be said about a claim."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a claim.

    Attributes
    ----------
    verdict : Verdict
    reason : str
        Why, in one or two sentences.
    p : float
        Adjusted for all claims that were tried together (Holm).
    needed : int or None
        Where the sample was too small: how many would settle it; see `Part.needed`.
    """

    verdict: Verdict
    reason: str
    p: float
    needed: int | None = None


def judge_evidence(evidence: Evidence, p: float) -> Judgement:
    """Say what follows from evidence; undecided, with what it would take, if there is no number.

    Parameters
    ----------
    evidence : Evidence
    p : float
        Of the claim, adjusted for the number of claims.
    """
    if evidence.parts or evidence.needed is None:
        return judge(evidence.parts, p)
    return Judgement(Verdict.UNDECIDED, " ".join(evidence.notes[:1]), p, evidence.needed)


def judge(parts: Sequence[Part], p: float) -> Judgement:
    """Say what follows from the parts of a claim.

    Supported: every part's interval lies on the claimed side of its threshold, and the controls
    would do as well in all parts with at most `LEVEL` chance. Contradicted: the interval of one
    part lies on the other side. Undecided: everything else; among it what holds, but holds of
    controls as well, and so says nothing of training.

    Parameters
    ----------
    parts : sequence of Part
    p : float
        Of the claim, adjusted for the number of claims.
    """
    if not parts:
        return Judgement(Verdict.UNDECIDED, "Nothing could be measured.", p)
    failed = [part for part in parts if part.holds is False]
    if failed:
        return Judgement(Verdict.CONTRADICTED, " ".join(map(_failed, failed)), p)
    open_parts = [part for part in parts if part.holds is None]
    if open_parts:
        return _open(open_parts, p)
    if p > LEVEL:
        worst = max(parts, key=lambda part: 1.0 if part.p is None else part.p)
        words = f"It holds of this network, but chance would do as well or nearly so (p = {p:.2g})."
        if worst.controls:
            words = (
                f"It holds of this network, but {worst.control} do as well or nearly so "
                f"(p = {p:.2g}): no evidence that training brought it about."
            )
        return Judgement(Verdict.UNDECIDED, words, p)
    return Judgement(
        Verdict.SUPPORTED,
        "Every number is where the claim wants it"
        + (f", and farther than {parts[0].control}" if parts[0].controls else "")
        + f" (p = {p:.2g}).",
        p,
    )


def _rounded(count: int) -> str:
    """Return a count to two digits, which is more than is known of it."""
    digits = max(0, len(str(count)) - 2)
    return f"{-(-count // 10**digits) * 10**digits:,}"


def _failed(part: Part) -> str:
    """Say what a number is that the claim wants on the other side, and what controls have."""
    words = f"{part.name}: {part.value}, where the claim wants it {part.side} {part.threshold:g}"
    if not part.controls:
        return f"{words}."
    mean = sum(part.controls) / len(part.controls)
    nearer = (part.value.value > mean) == (part.side == "above") and part.value.value != mean
    return f"{words}; {part.control} are {'farther' if nearer else 'nearer'} ({mean:.3g})."


def _open(parts: Sequence[Part], p: float) -> Judgement:
    sizes = [part.needed for part in parts]
    shown = "; ".join(f"{p.name} {p.value}, threshold {p.threshold:g}" for p in parts)
    reason = f"The interval reaches both sides of the threshold: {shown}."
    if any(size is None for size in sizes):
        return Judgement(Verdict.UNDECIDED, reason, p)
    largest = max(range(len(parts)), key=lambda i: sizes[i] or 0)
    part, needed = parts[largest], sizes[largest]
    return Judgement(
        Verdict.UNDECIDED,
        f"{reason} It stands on {part.n} {part.over}; about {_rounded(needed or 0)} would settle "
        f"it with {POWER:.0%} chance if the number stays as it is.",
        p,
        needed,
    )
