"""The three sounds of an auralisation, at levels fit for listening."""

from __future__ import annotations

from dataclasses import dataclass

from auralise.audio.levels import Levelled, apply_level
from auralise.auralisation import Auralisation


@dataclass(frozen=True, slots=True, eq=False)
class Sounds:
    """What is played and written, none of it clipping.

    Attributes
    ----------
    auralised : Levelled
        The unit's sound, at the level the policy gives it.
    source, round_trip : Levelled
        As they are; lowered to -1 dBFS only where they would clip.
    """

    auralised: Levelled
    source: Levelled
    round_trip: Levelled


def level_sounds(auralisation: Auralisation, policy: str = "source-rms") -> Sounds:
    """Set the levels of an auralisation's sounds.

    Parameters
    ----------
    auralisation : Auralisation
        Not changed.
    policy : str
        From `auralise.audio.levels.LEVELS`, for the unit's sound.

    Raises
    ------
    UnknownNameError
        If there is no such policy.
    """
    source = auralisation.source
    return Sounds(
        auralised=apply_level(auralisation.waveform, source, policy),
        source=apply_level(source, source, "none"),
        round_trip=apply_level(auralisation.round_trip, source, "none"),
    )
