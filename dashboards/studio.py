"""Where the sound of a unit is made, once, and kept: on disk, and the last few in memory."""

from __future__ import annotations

import json
import tempfile
import threading
from pathlib import Path

from auralise import __version__
from auralise.activations.layers import Unit
from auralise.activations.receptive_field import ReceptiveField
from auralise.audio.files import encode_wav
from auralise.auralisation import Auralisation, auralise_unit
from auralise.cli.songs import Excerpt
from auralise.models import MusicNetwork
from auralise.output.bundle import write_bundle
from auralise.output.figures import unit_figure
from auralise.positions import place_of

from . import rendering
from .cache import DiskCache, Recent
from .networks import NetworkPool, field_of, field_values
from .rendering import Rendered, Sound, zipped
from .songs import SongLibrary
from .views import DEMO, View

_SOUNDS = ("source", "round trip", "auralised")
_DRAWING = threading.Lock()  # matplotlib's state is shared by all threads


class Studio:
    """Makes sounds of views whose names are known to exist, see `Service.resolve`.

    Parameters
    ----------
    cache : DiskCache
    networks : NetworkPool
    uploads : Path
        Folder of the songs that visitors drop in; what is made of a song goes with it.
    """

    def __init__(self, cache: DiskCache, networks: NetworkPool, uploads: Path) -> None:
        self.cache = cache
        self.networks = networks
        self._excerpts: Recent[Excerpt] = Recent(8)
        self._rendered: Recent[Rendered] = Recent(32)
        self.songs = SongLibrary(uploads, self.forget)

    def render(self, view: View) -> Rendered:
        """Return the sound of the view's unit, with what is needed to look at it.

        Raises
        ------
        AuraliseError
            As `auralise.auralisation.auralise_unit`.
        """
        key = key_of(view, unit=True)
        recent = self._rendered.get(key)
        if recent is not None and self._playable(recent):
            return recent
        name = self.name("rendered", "npz", view, unit=True, scope=True)
        with self.cache.making(name):
            content = self.cache.read(name)
            found = None if content is None else rendering.unpack(content)
            if found is None or not self._playable(found):
                found = self._make(view)
                self.cache.write(name, rendering.pack(found))
        self._rendered.put(key, found)
        return found

    def bundle(self, view: View) -> str:
        """Return the media id of a zip file with the bundle that ``auralise unit`` writes."""
        name = self.name("bundle", "zip", view, unit=True, scope=True)
        self.cache.get_or_make(name, lambda: self._bundle(view))
        return name

    def field(self, model: str, layer: str) -> ReceptiveField:
        """Return the receptive field of a layer, measured once."""
        self.networks.layer(model, layer)
        sha256 = self.networks.entry(model)["sha256"]
        name = self.cache.name("field", "json", model=sha256, layer=layer, version=__version__)

        def measure() -> bytes:
            with self.networks.borrow(model) as network:
                view = View(model=model, song=DEMO)
                waveform = self.excerpt(network, view).waveform
                features = network.card.frontend.analyse(waveform).values
                return json.dumps(field_values(network, features, layer)).encode()

        try:
            return field_of(json.loads(self.cache.get_or_make(name, measure)))
        except ValueError:
            content = measure()
            self.cache.write(name, content)
            return field_of(json.loads(content))

    def name(
        self, kind: str, suffix: str, view: View, *, unit: bool = False, scope: bool = False
    ) -> str:
        """Return the name in the cache of what is made of a view."""
        key = json.dumps(key_of(view, unit=unit))
        sha256 = self.networks.entry(view.model)["sha256"]
        where = {"scope": view.song} if scope and view.song != DEMO else {}
        return self.cache.name(kind, suffix, **where, key=key, model=sha256, version=__version__)

    def forget(self, song: str) -> None:
        """Delete everything that was made of a song."""
        self.cache.forget(song)
        self._excerpts.drop(song)
        self._rendered.drop(song)

    def _make(self, view: View) -> Rendered:
        """Compute a rendering; its sounds are in the cache when it returns."""
        field = None if view.at == "whole" else self.field(view.model, view.layer)
        with self.networks.borrow(view.model) as network:
            excerpt, result = self._auralise(network, view)
        position = result.inversion.position
        shape = tuple(result.features.values.shape[1:])
        place = None
        if field is not None and position is not None:
            place = place_of(result.frontend, field, position, shape)
        source, round_trip, auralised = self._sounds(view, result)
        return Rendered(
            unit=str(result.inversion.unit),
            source=source,
            round_trip=round_trip,
            auralised=auralised,
            figure=unit_figure(result, place=place),
            activation=result.inversion.activation,
            place=place,
            flags=result.inversion.flags,
            scores=dict(result.scores),
            sonification=result.sonification,
            phase=result.phase,
            notes=excerpt.song.notes,
        )

    def _sounds(self, view: View, result: Auralisation) -> list[Sound]:
        """Write the three sounds of a result, brought to one level."""
        sounds = []
        heard = (result.source, result.round_trip, result.waveform)
        matched = rendering.match_levels(heard)
        for what, (waveform, gain) in zip(_SOUNDS, matched, strict=True):
            name = self.name(what, "wav", view, unit=True, scope=True)
            self.cache.write(name, encode_wav(waveform))
            sounds.append(Sound(name, waveform.duration, waveform.sample_rate, gain))
        return sounds

    def _bundle(self, view: View) -> bytes:
        with self.networks.borrow(view.model) as network:
            excerpt, result = self._auralise(network, view)
            with _DRAWING, tempfile.TemporaryDirectory() as aside:
                folder = Path(aside) / f"{view.layer}-{view.unit}"
                write_bundle(folder, result, network, excerpt.song, settings=view.settings)
                return zipped(folder)

    def _auralise(self, network: MusicNetwork, view: View) -> tuple[Excerpt, Auralisation]:
        excerpt = self.excerpt(network, view)
        unit = Unit(view.layer, view.unit or 0)
        return excerpt, auralise_unit(network, excerpt.waveform, unit, settings=view.settings)

    def excerpt(self, network: MusicNetwork, view: View) -> Excerpt:
        """Return the view's stretch of its song, as its network takes it."""
        key = (view.model, view.song, view.start, view.seconds)
        found = self._excerpts.get(key)
        if found is None:
            found = self.songs.excerpt(network, view.song, view.start, view.seconds)
            self._excerpts.put(key, found)
        return found

    def _playable(self, rendered: Rendered) -> bool:
        """Say whether all sounds of a rendering are still in the cache; marks them as used."""
        return all(self.cache.path(sound.media) is not None for sound in rendered.sounds)


def key_of(view: View, *, unit: bool) -> tuple[str | float | None, ...]:
    """Return everything that a view's excerpt, or its unit's sound, depends on."""
    excerpt = (view.model, view.song, view.start, view.seconds)
    if not unit:
        return excerpt
    choices = (view.method, view.at, view.sonification, view.phase)
    return (*excerpt, view.layer, view.unit, *choices)
