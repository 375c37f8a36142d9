"""Where the sound of a unit is made, once, and kept: on disk, and the last few in memory."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from auralise import __version__
from auralise.activations.layers import Unit
from auralise.activations.receptive_field import ReceptiveField
from auralise.audio.files import encode_wav
from auralise.auralisation import Auralisation, auralise_layer, auralise_unit
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


Group = tuple[str | float | None, ...]
"""Everything that views of units which are made in one pass have in common."""

MOST = 8
"""Most units that are made in one pass; the visitor who waits for the first waits for all."""


class Studio:
    """Makes sounds of views whose names are known to exist, see `Service.resolve`.

    Views that differ in nothing but the unit and are asked for while another of them is being made
    are made together, from one pass through the network.

    Parameters
    ----------
    cache : DiskCache
    networks : NetworkPool
    uploads : Path
        Folder of the songs that visitors drop in; what is made of a song goes with it.
    on_forgotten : callable
        Called with the id of a song that goes.
    """

    def __init__(
        self,
        cache: DiskCache,
        networks: NetworkPool,
        uploads: Path,
        on_forgotten: Callable[[str], None] = lambda song: None,
    ) -> None:
        self.cache = cache
        self.networks = networks
        self._excerpts: Recent[Excerpt] = Recent(8)
        self._rendered: Recent[Rendered] = Recent(32)
        self._asked: dict[Group, list[View]] = {}
        self._asking = threading.Lock()
        self._on_forgotten = on_forgotten
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
        group = group_of(view)
        with self._asking:
            self._asked.setdefault(group, []).append(view)
        try:
            with self.cache.making(str(group)):
                found = self._kept(view) or self._make_asked(group, view)
        finally:
            with self._asking:
                self._asked[group].remove(view)
                if not self._asked[group]:
                    del self._asked[group]
        self._rendered.put(key, found)
        return found

    def _kept(self, view: View) -> Rendered | None:
        """Return a rendering from the disk; None if it or one of its sounds is not there."""
        content = self.cache.read(self.name("rendered", "npz", view, unit=True, scope=True))
        found = None if content is None else rendering.unpack(content)
        return found if found is not None and self._playable(found) else None

    def _make_asked(self, group: Group, view: View) -> Rendered:
        """Make a view, and with it others of its group that visitors wait for."""
        with self._asking:
            others = [other for other in self._asked[group] if other != view]
        wanted = dict.fromkeys([view, *others])
        missing = [one for one in wanted if one == view or self._kept(one) is None][:MOST]
        made = dict(zip(missing, self.networks.work(partial(self._make, missing)), strict=True))
        return made[view]

    def bundle(self, view: View) -> str:
        """Return the media id of a zip file with the bundle that ``auralise unit`` writes."""
        name = self.name("bundle", "zip", view, unit=True, scope=True)
        self.cache.get_or_make(name, lambda: self.networks.work(partial(self._bundle, view)))
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
        self._on_forgotten(song)

    def _make(self, views: Sequence[View]) -> list[Rendered]:
        """Compute renderings of one group; they and their sounds are in the cache on return."""
        view = views[0]
        field = None if view.at == "whole" else self.field(view.model, view.layer)
        made = []
        with self.networks.borrow(view.model) as network:
            excerpt = self.excerpt(network, view)
            channels = [one.unit or 0 for one in views]
            results = auralise_layer(
                network, excerpt.waveform, view.layer, channels, settings=view.settings
            )
            for one, result in zip(views, results, strict=True):
                rendered = self._rendering(one, result, field, excerpt.song.notes)
                name = self.name("rendered", "npz", one, unit=True, scope=True)
                self.cache.write(name, rendering.pack(rendered))
                made.append(rendered)
        return made

    def _rendering(
        self, view: View, result: Auralisation, field: ReceptiveField | None, notes: tuple[str, ...]
    ) -> Rendered:
        """Return what a page shows of a result; its sounds are in the cache on return."""
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
            notes=notes,
        )

    def _sounds(self, view: View, result: Auralisation) -> list[Sound]:
        """Write the three sounds of a result, brought to one level."""
        sounds = []
        heard = (result.source, result.round_trip, result.waveform)
        matched = rendering.match_levels(heard)
        for what, (waveform, gain) in zip(_SOUNDS, matched, strict=True):
            name = self.name(what, "wav", view, unit=True, scope=True)
            self.cache.write(name, encode_wav(waveform))
            sounds.append(rendering.sound_of(name, waveform, gain))
        return sounds

    def _bundle(self, view: View) -> bytes:
        with self.networks.borrow(view.model) as network:
            excerpt = self.excerpt(network, view)
            unit = Unit(view.layer, view.unit or 0)
            result = auralise_unit(network, excerpt.waveform, unit, settings=view.settings)
            with _DRAWING, tempfile.TemporaryDirectory() as aside:
                folder = Path(aside) / f"{view.layer}-{view.unit}"
                write_bundle(folder, result, network, excerpt.song, settings=view.settings)
                return zipped(folder)

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


def group_of(view: View) -> Group:
    """Return what a view has in common with those that can be made in the same pass."""
    return key_of(replace(view, unit=None), unit=True)


def key_of(view: View, *, unit: bool) -> tuple[str | float | None, ...]:
    """Return everything that a view's excerpt, or its unit's sound, depends on."""
    excerpt = (view.model, view.song, view.start, view.seconds)
    if not unit:
        return excerpt
    choices = (view.method, view.at, view.sonification, view.phase)
    return (*excerpt, view.layer, view.unit, *choices)
