"""Trying claims on a network: what applies, what does not and why, and what was done before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auralise.claims.base import CLAIMS, Claim, Evidence, Need, NotApplicable
from auralise.claims.context import Context
from auralise.claims.judgement import Judgement, judge_evidence
from auralise.claims.statistics import holm
from auralise.claims.store import load, save
from auralise.errors import NetworkError


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What came of one claim.

    Attributes
    ----------
    claim : Claim
    evidence : Evidence or None
        None where the claim could not be tried.
    judgement : Judgement or None
        The same.
    why : str
        Why it could not be tried; empty otherwise.
    """

    claim: Claim
    evidence: Evidence | None
    judgement: Judgement | None
    why: str = ""


def try_claims(
    context: Context,
    names: Sequence[str] = (),
    *,
    folder: Path | None = None,
    told: Callable[[str, bool], object] = lambda _name, _stored: None,
) -> list[Result]:
    """Try claims on a network, and judge them together.

    Each claim's result is stored as soon as it is there, so that an interrupted run goes on where
    it was. A stored one is taken if it is of the same network, experiment and options.

    Parameters
    ----------
    context : Context
    names : sequence of str
        Which claims; all if empty. The p-values are adjusted for as many as could be tried.
    folder : Path, optional
        Where results are stored; nowhere if not given.
    told : callable
        Called before each claim with its name and whether its result was stored.

    Returns
    -------
    list of Result
        In the order of `CLAIMS`.

    Raises
    ------
    UnknownNameError
        If there is no claim of a name.
    """
    for name in names:
        CLAIMS[name]
    chosen = [claim for name, claim in CLAIMS.items() if not names or name in names]
    found = [_one(context, claim, folder, told) for claim in chosen]
    # Where there is no number nothing can be wrongly supported, so that it counts for none.
    adjusted = iter(holm([one.p for one, _ in found if one is not None and one.parts]))
    return [
        Result(
            claim,
            evidence,
            None
            if evidence is None
            else judge_evidence(evidence, next(adjusted) if evidence.parts else 1.0),
            why,
        )
        for claim, (evidence, why) in zip(chosen, found, strict=True)
    ]


def key_of(context: Context, claim: Claim) -> dict[str, Any]:
    """Return what a claim's result depends on."""
    return {
        "claim": claim.name,
        "version": claim.version,
        "network": context.sha256,
        "twins": context.twins,
        "seed": context.seed,
        "collection": None if context.collection is None else context.collection.sha256,
        "results": _content(context.results)
        if context.results is not None and Need.RESULTS in claim.needs
        else None,
    }


def _one(
    context: Context, claim: Claim, folder: Path | None, told: Callable[[str, bool], object]
) -> tuple[Evidence | None, str]:
    key = key_of(context, claim)
    place = None if folder is None else folder / claim.name
    stored = None if place is None else load(place, key)
    told(claim.name, stored is not None)
    if stored is not None:
        return stored
    evidence, why = _try(context, claim)
    if place is not None:
        save(place, key, evidence, why)
    return evidence, why


def _try(context: Context, claim: Claim) -> tuple[Evidence | None, str]:
    missing = context.lacks(claim.needs)
    if missing:
        return None, "It needs " + " and ".join(need.value for need in missing) + "."
    try:
        return claim.test(context), ""
    except (NotApplicable, NetworkError) as error:
        return None, f"It cannot be tried on this network: {error}."


def _content(folder: Path) -> str:
    """Return the SHA-256 of the files that `read_results` reads."""
    found = hashlib.sha256()
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.json")]):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()
