"""The whole way as one function: from a song and a unit to the unit's sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from auralise.audio.waveform import Waveform
from auralise.frontends.base import Features
from auralise.inversion.base import Inversion


@dataclass(frozen=True, slots=True, eq=False)
class Auralisation:
    """What a unit sounds like, and how that was found out.

    Attributes
    ----------
    waveform : Waveform
        The unit's sound; one channel, at the network's rate, before any level policy.
    source : Waveform
        The excerpt the network heard.
    round_trip : Waveform
        The source after the same way without inversion; what it lacks is not the unit's doing.
    inversion : Inversion
        The map, its unit, method, activation, position and flags.
    features : Features
        What the network saw.
    model : str
        Name of the network.
    sonification : str
        How the map became sound: ``"mask"``, ``"magnitude"`` or ``"waveform"``.
    phase : str
        Name of the phase method; ``"none"`` where the map is a waveform.
    scores : mapping of str to float or None
        ``spectral_convergence_db`` (how far the sound's own magnitudes are from the wanted ones),
        ``round_trip_convergence_db`` (the same without inversion), ``activation_source``,
        ``activation_round_trip`` and ``activation_auralised`` (the unit's strongest value when it
        hears these sounds).
    """

    waveform: Waveform
    source: Waveform
    round_trip: Waveform
    inversion: Inversion
    features: Features
    model: str
    sonification: str
    phase: str
    scores: Mapping[str, float | None] = field(default_factory=dict)
