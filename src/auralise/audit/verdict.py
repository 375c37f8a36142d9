"""What the numbers of an audit allow one to say, in plain words."""

from __future__ import annotations

from auralise.audit.audit import Audit

ALIKE = 0.7
"""A cosine from which two maps are called much the same."""

STEADY = 0.9
"""A cosine from which a map is called steady under noise."""

NOTHING = "The unit does not answer to this excerpt, so there is nothing to believe or to doubt."

CLEAR = 1.1
"""How many times the floor's value counts as clearly more."""


def verdict(audit: Audit) -> str:
    """Return one to four plain sentences on what can be believed.

    Parameters
    ----------
    audit : Audit

    Examples
    --------
    >>> from auralise.activations import Unit
    >>> verdict(Audit(Unit("conv3", 5), "guided", "net", True, False))
    'The unit does not answer to this excerpt, so there is nothing to believe or to doubt.'
    """
    if audit.inactive:
        return (
            "The unit does not answer to this excerpt, so there is nothing to believe or to doubt."
        )
    return " ".join(
        sentence for sentence in (_main(audit), _doubts(audit), _scope(audit)) if sentence
    )


def drives(audit: Audit) -> bool | None:
    """Say whether the sound drives its unit: more than both floors, and more than most others."""
    heard = audit.feedback
    if heard is None:
        return None
    floor = max(heard.random_mask, heard.energy_mask)
    return heard.own > CLEAR * floor and (heard.above is None or heard.above > 0.5)


def _main(audit: Audit) -> str:
    heard = audit.feedback
    if heard is None:
        return ""
    if drives(audit):
        return (
            "The sound shows something in the excerpt that drives the unit: fed back, the unit "
            f"reaches {heard.own:.2f} of its value on the excerpt, against {heard.random_mask:.2f} "
            f"for a random mask and {heard.energy_mask:.2f} for one that keeps what is loud."
        )
    return (
        "Do not take the sound for what the unit listens for: fed back, the unit reaches "
        f"{heard.own:.2f} of its value on the excerpt, and a random mask {heard.random_mask:.2f}, "
        f"one that keeps what is loud {heard.energy_mask:.2f}"
        + ("." if heard.above is None else f"; {heard.above:.0%} of the other units answer less.")
    )


def _doubts(audit: Audit) -> str:
    found, curve = audit.sensitivity, audit.randomisation
    doubts = []
    if audit.input_independent or (found and found.sound is not None and found.sound > ALIKE):
        doubts.append("hardly depends on the excerpt")
    if found and found.units is not None and found.units > ALIKE:
        doubts.append("looks much the same for other units")
    if curve and curve.final is not None and curve.final > ALIKE:
        doubts.append("stays much the same when the weights are put in disorder")
    if found and found.noise is not None and found.noise < STEADY:
        doubts.append("changes under noise that nobody hears")
    return f"The map {_listed(doubts)}." if doubts else ""


def _scope(audit: Audit) -> str:
    own, floor = audit.map, audit.random_mask
    if own is None or floor is None:
        return ""
    if own.removal is None or floor.removal is None:
        return "It says what could drive the unit; of the label nothing was asked at this length."
    if own.removal > max(floor.removal, 0.0) + 0.05 and own.same:
        return "Without this part the network is less sure of its label, so that it bears on it."
    return (
        "It says what could drive the unit; it does not explain the label that the network gives."
    )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
