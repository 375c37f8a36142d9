"""The whole way as one function: from a song and a unit to the unit's sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from auralise.activations.layers import Unit
from auralise.audio.waveform import Waveform
from auralise.errors import AuraliseError, InvalidValueError
from auralise.frontends.base import Features, Frontend
from auralise.inversion import Inversion
from auralise.masks import MASK
from auralise.models.base import MusicNetwork
from auralise.preparation import prepare
from auralise.settings import DEFAULTS, Settings
from auralise.way import Way

SILENT = "silent"


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
        The map, its unit, method, activation, position and flags; ``"silent"`` among them if there
        is a map and yet nothing to hear.
    features : Features
        What the network saw.
    frontend : Frontend
        That made the features; it knows times and frequencies of their axes.
    model : str
        Name of the network.
    sonification : str
        How the map became sound: ``"mask"``, ``"magnitude"`` or ``"waveform"``.
    phase : str
        Name of the phase method; ``"none"`` where the map is a waveform.
    scores : mapping of str to float or None
        ``spectral_convergence_db``: how far the sound's own magnitudes are from the wanted ones;
        ``round_trip_convergence_db``: the same without inversion. Both are None where there is
        nothing to be far from: silence, an exact match, or a map that is a waveform.
        ``activation_source``, ``activation_round_trip``, ``activation_auralised``: the unit's
        strongest value on these sounds, the last two brought to the source's root mean square.
    """

    waveform: Waveform
    source: Waveform
    round_trip: Waveform
    inversion: Inversion
    features: Features
    frontend: Frontend
    model: str
    sonification: str
    phase: str
    scores: Mapping[str, float | None] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """Show the figure and the players in a notebook."""
        from auralise.output.notebook import html  # presentation is looked up when it is asked for

        return html(self)


def auralise_unit(
    network: MusicNetwork,
    source: Waveform,
    unit: Unit | str,
    *,
    method: str = "guided",
    phase: str | None = None,
    settings: Settings | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Auralisation:
    """Let one unit of a network be heard.

    Parameters
    ----------
    network : MusicNetwork
    source : Waveform
        The sound the unit reacts to; any rate, see `prepare`.
    unit : Unit or str
        The unit to follow, e.g. ``"conv3:17"``.
    method : str
        Name in `INVERTERS`, or ``"mask"``.
    phase : str, optional
        Name in `PHASE_METHODS`; see `Settings` for the default.
    settings : Settings, optional
        All choices at once, in place of ``method`` and ``phase``.
    report : callable
        Told steps done and steps in all where the method searches in steps, as ``"mask"`` does.

    Returns
    -------
    Auralisation

    Raises
    ------
    UnknownNameError
        If the layer, the method or the phase does not exist.
    InvalidValueError
        If the channel or the position is outside the layer's output.
    ShapeError
        If the layer takes only excerpts of the network's own length and this is another.
    UnsupportedActivationError
        If the method has no rule for an activation function on the way.

    References
    ----------
    .. [1] K. Choi, G. Fazekas, M. Sandler, "Explaining deep convolutional neural networks on music
       classification", arXiv:1607.02444, 2016.
    """
    unit = Unit.parse(unit) if isinstance(unit, str) else unit
    if settings is None:
        settings = Settings(method=method, phase=phase)
    channels = [unit.channel]
    return next(
        auralise_layer(network, source, unit.layer, channels, settings=settings, report=report)
    )


def auralise_layer(
    network: MusicNetwork,
    source: Waveform,
    layer: str,
    channels: Sequence[int] | None = None,
    *,
    settings: Settings = DEFAULTS,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Auralisation]:
    """Let units of one layer be heard, one after the other, from a single forward pass.

    Parameters
    ----------
    network : MusicNetwork
    source : Waveform
        Any rate, see `prepare`.
    layer : str
    channels : sequence of int, optional
        Which units, in this order; all of the layer if not given.
    settings : Settings
        The same for all units.
    report : callable
        As for `auralise_unit`.

    Yields
    ------
    Auralisation

    Raises
    ------
    AuraliseError
        As `auralise_unit`; a note says for which layer, model and method.
    """
    frontend = network.card.frontend
    settings = settings.resolved(frontend)
    sound, _ = prepare(network, source)
    features = frontend.analyse(sound)
    way = Way(network, features, layer, settings)
    try:
        answer = way.answer(features)
        if channels is None:
            channels = range(answer.shape[0])
        if settings.method == MASK:
            found = way.searched(sound, channels, answer, report)
        else:
            found = way.inverted(channels)
        round_trip, floor = way.round_trip()
        heard_again = way.hear(round_trip)
        for inversion, waveform, convergence in found:
            if inversion.relevance.any() and not waveform.samples.any():
                inversion = replace(inversion, flags=(*inversion.flags, SILENT))
            channel = inversion.unit.channel
            yield Auralisation(
                waveform=waveform,
                source=sound,
                round_trip=round_trip,
                inversion=inversion,
                features=features,
                frontend=frontend,
                model=network.card.name,
                sonification=str(settings.sonification),
                phase=settings.phase or "none",
                scores={
                    "spectral_convergence_db": convergence,
                    "round_trip_convergence_db": floor,
                    "activation_source": float(answer[channel].max()),
                    "activation_round_trip": float(heard_again[channel].max()),
                    "activation_auralised": float(way.hear(waveform)[channel].max()),
                },
            )
    except AuraliseError as error:
        error.add_note(
            f"while inverting layer {layer!r} of {network.card.name!r} with {settings.method!r}"
        )
        raise


def sonify(
    network: MusicNetwork, features: Features, inversion: Inversion, settings: Settings = DEFAULTS
) -> Waveform:
    """Let a map be heard that is there already, say by another sonification or phase.

    Parameters
    ----------
    network : MusicNetwork
    features : Features
        What the map is of.
    inversion : Inversion
        By the method that ``settings`` name.
    settings : Settings

    Returns
    -------
    Waveform
        At the network's rate, before any level policy.

    Raises
    ------
    InvalidValueError
        If the map is by another method, or one that was found by search, which has its sound.
    """
    if inversion.method == MASK:
        raise InvalidValueError("a map by 'mask' was found with its sound, and has no other")
    if inversion.method != settings.method:
        raise InvalidValueError(
            f"a map by {inversion.method!r} cannot be heard with settings for {settings.method!r}"
        )
    chosen = settings.resolved(network.card.frontend)
    return Way(network, features, inversion.unit.layer, chosen).sound_of(inversion.relevance)[0]


def strongest_units(
    network: MusicNetwork, source: Waveform, layer: str, count: int
) -> list[tuple[Unit, float]]:
    """Return the units of a layer that answer an excerpt most strongly.

    Parameters
    ----------
    network : MusicNetwork
    source : Waveform
        Any rate, see `prepare`.
    layer : str
    count : int
        How many; all of the layer if it has fewer.

    Returns
    -------
    list of (Unit, float)
        With their strongest value, the strongest unit first; of equals, the lower channel.
    """
    sound, _ = prepare(network, source)
    way = Way(network, network.card.frontend.analyse(sound), layer, DEFAULTS)
    peaks = way.answer(way.features).flatten(1).amax(1).tolist()
    order = sorted(range(len(peaks)), key=lambda channel: (-peaks[channel], channel))
    return [(Unit(layer, channel), peaks[channel]) for channel in order[:count]]
