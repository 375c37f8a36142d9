"""Two units beside each other, of one network or of two, on the same stretch of a song."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from auralise.audio.files import read_audio
from auralise.audio.resampling import pad_to, resample
from auralise.audio.waveform import Waveform
from auralise.errors import OutputError, UnknownNameError

from .rendering import Rendered, Sound
from .service import Service
from .views import View, channel_of, parse_view, texts_of

PARTS = ("other", "other_layer", "other_unit")
"""What an address has beside the parts of a `View`."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two views of the same stretch of a song.

    Attributes
    ----------
    a, b : View
        Each with a unit.
    """

    a: View
    b: View


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two units' sounds, ready for a page.

    Attributes
    ----------
    a, b : Rendered
        As on the page Listen.
    sounds : dict of str to Sound
        ``source``, ``a`` and ``b``: at one rate, of one length, at one level, so that nothing but
        the sound tells them apart.
    correlation : float or None
        Of the two sounds, in [-1, 1]; None if one of them is silent.
    rates : pair of int
        At which the networks hear, in Hz.
    seconds : pair of float
        How much of the song each hears; the shorter sound is followed by silence.
    """

    a: Rendered
    b: Rendered
    sounds: dict[str, Sound]
    correlation: float | None
    rates: tuple[int, int]
    seconds: tuple[float, float]


def read_pair(service: Service, search: str | None) -> Pair:
    """Read two units from an address, and fill the gaps.

    Where it does not say otherwise, the second network is the first before training, and its unit
    the one of the same layer and number; where it has no such layer, its strongest.

    Raises
    ------
    AuraliseError
        If the address names what is not there.
    """
    view = service.resolve(parse_view(search or ""))
    texts = texts_of(search or "", PARTS)
    if view.unit is None:
        view = replace(view, unit=int(service.activity(view).strongest()[0]))
    model = texts.get("other") or next(iter(_partners(service, view.model)), view.model)
    layer = texts.get("other_layer", "")
    if not layer and view.layer in {entry.name for entry in service.layers(model)}:
        layer = view.layer
    if layer and layer not in {entry.name for entry in service.layers(model)}:
        raise UnknownNameError("layer", layer, [entry.name for entry in service.layers(model)])
    other = replace(view, model=model, layer=layer, unit=None, at="peak")
    if service.networks.takes_spectrograms(model) != service.networks.takes_spectrograms(
        view.model
    ):
        other = replace(other, sonification="", phase="")
    other = service.resolve(other)
    if texts.get("other_unit"):
        other = replace(other, unit=channel_of("other_unit", texts["other_unit"]))
    elif other.layer == view.layer and (view.unit or 0) < _units(service, other):
        other = replace(other, unit=view.unit)
    else:
        other = replace(other, unit=int(service.activity(other).strongest()[0]))
    return Pair(view, service.resolve(other))


def _partners(service: Service, model: str) -> list[str]:
    """Return networks to set beside one, the likeliest first: itself before training."""
    untrained = [name for name in service.networks.untrained if name.startswith(f"{model}.")]
    return [*untrained, *(name for name in service.models if name != model)]


def _units(service: Service, view: View) -> int:
    return service.networks.layer(view.model, view.layer).channels


def compare(service: Service, pair: Pair) -> Compared:
    """Let both units be heard.

    Raises
    ------
    AuraliseError
        As `Service.render`.
    """
    a, b = service.render(pair.a), service.render(pair.b)
    read = [_read(service, sound) for sound in (a.source, a.auralised, b.auralised)]
    rates = (service.networks.sample_rate(pair.a.model), service.networks.sample_rate(pair.b.model))
    alike = [resample(waveform, max(one.sample_rate for one in read)) for waveform in read]
    seconds = (read[1].duration, read[2].duration)
    length = max(waveform.n_samples for waveform in alike)
    source, first, second = (pad_to(waveform, length) for waveform in alike)
    key = [a.auralised.media, b.auralised.media]
    heard = {"source": source, "a": first, "b": second}
    sounds = service.sounds(pair.a, heard, compared=key)
    return Compared(a, b, sounds, correlation_of(first, second), rates, seconds)


def correlation_of(first: Waveform, second: Waveform) -> float | None:
    """Return the correlation of two sounds of one length; None if one is silent.

    Examples
    --------
    >>> tone = Waveform(torch.sin(torch.arange(800.0))[None], 8000)
    >>> round(correlation_of(tone, Waveform(-2 * tone.samples, 8000)), 3)
    -1.0
    """
    x, y = first.samples[0].double(), second.samples[0].double()
    norms = float(torch.linalg.vector_norm(x) * torch.linalg.vector_norm(y))
    return float(x @ y) / norms if norms > 0 else None


def _read(service: Service, sound: Sound) -> Waveform:
    path = service.cache.path(sound.media)
    if path is None:  # deleted in this moment to make room
        raise OutputError("the cache is too small for what is compared here; give it more room")
    return read_audio(path).waveform
