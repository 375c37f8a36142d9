"""What the pages ask for, computed once and kept: networks, activity, sounds.

Nothing here knows of browsers. Every answer is a frozen value; every refusal is an
`AuraliseError` whose text is made for the reader.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from auralise import __version__
from auralise.activations.layers import Unit
from auralise.activations.receptive_field import ReceptiveField
from auralise.audio.files import encode_wav
from auralise.audio.waveform import Waveform
from auralise.auralisation import Auralisation, auralise_unit
from auralise.cli.songs import Excerpt
from auralise.errors import InvalidValueError
from auralise.inversion import INVERTERS
from auralise.models import MusicNetwork
from auralise.output.bundle import write_bundle
from auralise.output.figures import unit_figure
from auralise.phase import PHASE_METHODS
from auralise.positions import place_of

from . import activity, rendering
from .activity import Activity
from .cache import DiskCache, Recent
from .jobs import Jobs, JobState, Progress
from .networks import Layer, NetworkPool, field_of, field_values
from .rendering import Rendered, Sound, zipped
from .songs import SongInfo, SongLibrary
from .studies import LayerReach, Studies, reach_of
from .views import DEMO, View, parse_view

MAX_BYTES = 2 * 1024**3
"""Limit of the cache on disk, unless told otherwise."""


class Service:
    """Networks and songs of one dashboard, and everything that was computed of them.

    Parameters
    ----------
    folder : Path, optional
        Of the cache; the user's cache folder if not given.
    models : sequence of Path
        Folders of networks to serve beside those that come with the package.
    max_bytes : int
        Limit of the cache on disk.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        models: Sequence[Path] = (),
        max_bytes: int = MAX_BYTES,
    ) -> None:
        folder = default_folder() if folder is None else folder
        self.cache = DiskCache(folder / "results", max_bytes)
        self.networks = NetworkPool(models, copies=max(1, min(4, os.cpu_count() or 1)))
        self.jobs = Jobs()
        self.studies = Studies(self.networks, self.jobs)
        self._excerpts: Recent[Excerpt] = Recent(8)
        self._rendered: Recent[Rendered] = Recent(32)
        self.songs = SongLibrary(folder / "uploads", self._forget)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the networks, in the order to be offered."""
        return self.networks.names

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the inversion methods."""
        return tuple(sorted(INVERTERS))

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phase methods."""
        return tuple(sorted(PHASE_METHODS))

    def layers(self, model: str) -> tuple[Layer, ...]:
        """Return the layers of a network; `UnknownNameError` if there is no such network."""
        return self.networks.layers(model)

    def card(self, model: str) -> Mapping[str, Any]:
        """Return what the manifest says of a network: labels, scores, licence, training."""
        return self.networks.entry(model)

    def resolve(self, view: View) -> View:
        """Return a view with its gaps filled, once everything it names is known to exist.

        Raises
        ------
        UnknownNameError, UnknownSongError
            If there is no such model, layer or song.
        InvalidValueError
            If the unit, the start or the position is beyond what there is.
        """
        view = parse_view(view.query())  # whoever made it: its values are of the right kind now
        model = view.model or self.models[0]
        layers = self.layers(model)
        layer = self.networks.layer(model, view.layer or _first_choice(layers))
        song = self.songs.info(view.song)
        if view.start >= song.seconds:
            raise InvalidValueError(
                f"start must be before the end of {song.title!r}, which is {song.seconds:.1f} s "
                f"long, got {view.start:g} s"
            )
        if view.unit is not None and not 0 <= view.unit < layer.channels:
            raise InvalidValueError(
                f"layer {layer.name!r} of {model!r} has units 0 to {layer.channels - 1}, "
                f"got {view.unit}"
            )
        return replace(view, model=model, layer=layer.name)

    def activity(self, view: View) -> Activity:
        """Return how strongly the units of the view's layer answer its excerpt.

        One pass serves all layers of an excerpt and is kept.

        Raises
        ------
        AuraliseError
            As `resolve`.
        """
        return self.activities(view)[self.resolve(view).layer]

    def activities(self, view: View) -> Mapping[str, Activity]:
        """Return the activity of every layer of the view's network, by name."""
        view = self.resolve(view)
        name = self._name("activity", "npz", view, scope=True)

        def measure() -> bytes:
            with self.networks.borrow(view.model) as network:
                waveform = self._excerpt(network, view).waveform
                features = network.card.frontend.analyse(waveform).values
                return activity.measure_activity(network, features)

        found = activity.read_activity(self.cache.get_or_make(name, measure))
        if found is None:
            self.cache.write(name, measure())
            return self.activities(view)
        return found

    def render(self, view: View) -> Rendered:
        """Return the sound of the view's unit, with what is needed to look at it.

        Raises
        ------
        AuraliseError
            As `resolve` and `auralise_unit`; `InvalidValueError` if no unit is chosen.
        """
        view = self._with_unit(view)
        key = _key(view, unit=True)
        recent = self._rendered.get(key)
        if recent is not None and self._playable(recent):
            return recent
        name = self._name("rendered", "npz", view, unit=True, scope=True)
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
        view = self._with_unit(view)
        name = self._name("bundle", "zip", view, unit=True, scope=True)
        self.cache.get_or_make(name, lambda: self._bundle(view))
        return name

    def field(self, model: str, layer: str) -> ReceptiveField:
        """Return the receptive field of a layer, measured once."""
        self.networks.layer(model, layer)
        sha256 = self.card(model)["sha256"]
        name = self.cache.name("field", "json", model=sha256, layer=layer, version=__version__)

        def measure() -> bytes:
            with self.networks.borrow(model) as network:
                view = View(model=model, song=DEMO)
                waveform = self._excerpt(network, view).waveform
                features = network.card.frontend.analyse(waveform).values
                return json.dumps(field_values(network, features, layer)).encode()

        try:
            return field_of(json.loads(self.cache.get_or_make(name, measure)))
        except ValueError:
            content = measure()
            self.cache.write(name, content)
            return field_of(json.loads(content))

    def start_reach(self, model: str) -> JobState:
        """Start measuring how far each layer sees; the result is a tuple of `LayerReach`."""
        layers = self.layers(model)

        def work(progress: Progress) -> tuple[LayerReach, ...]:
            network, found = self.networks.fresh(model), []
            for number, layer in enumerate(layers):
                progress("receptive fields", number, len(layers))
                found.append(reach_of(network, layer, self.field(model, layer.name)))
            return tuple(found)

        return self.jobs.start(("reach", model), work)

    def sound(self, waveform: Waveform, key: str) -> Sound:
        """Make a sound within [-1, 1] fetchable by the browser; ``key`` is all it depends on."""
        name = self.cache.name("sound", "wav", version=__version__, key=key)
        self.cache.get_or_make(name, lambda: encode_wav(waveform))
        return Sound(name, waveform.duration, waveform.sample_rate, 0.0)

    def warm(self) -> None:
        """Do once what the first visitor would wait for: load a network, follow one unit."""
        view = self.resolve(View())
        strongest = self.activity(view).strongest()
        self.render(replace(view, unit=int(strongest[0])))

    def song_list(self, session: str = "") -> list[SongInfo]:
        """Return the songs that a visitor may choose from."""
        return self.songs.songs(session)

    def close(self) -> None:
        """End all jobs and delete all uploads, and what was made of them."""
        self.jobs.close()
        self.songs.close()

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
            name = self._name(what, "wav", view, unit=True, scope=True)
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
        excerpt = self._excerpt(network, view)
        unit = Unit(view.layer, view.unit or 0)
        return excerpt, auralise_unit(network, excerpt.waveform, unit, settings=view.settings)

    def _excerpt(self, network: MusicNetwork, view: View) -> Excerpt:
        key = (view.model, view.song, view.start, view.seconds)
        found = self._excerpts.get(key)
        if found is None:
            found = self.songs.excerpt(network, view.song, view.start, view.seconds)
            self._excerpts.put(key, found)
        return found

    def _with_unit(self, view: View) -> View:
        view = self.resolve(view)
        if view.unit is None:
            raise InvalidValueError("no unit is chosen; choose one of the layer's")
        return view

    def _playable(self, rendered: Rendered) -> bool:
        """Say whether all sounds of a rendering are still in the cache; marks them as used."""
        return all(self.cache.path(sound.media) is not None for sound in rendered.sounds)

    def _name(
        self, kind: str, suffix: str, view: View, *, unit: bool = False, scope: bool = False
    ) -> str:
        key = json.dumps(_key(view, unit=unit))
        sha256 = self.card(view.model)["sha256"]
        where = {"scope": view.song} if scope and view.song != DEMO else {}
        return self.cache.name(kind, suffix, **where, key=key, model=sha256, version=__version__)

    def _forget(self, song: str) -> None:
        """Delete everything that was made of a song."""
        self.cache.forget(song)
        self._excerpts.drop(song)
        self._rendered.drop(song)


_SOUNDS = ("source", "round trip", "auralised")
_DRAWING = threading.Lock()  # matplotlib's state is shared by all threads


def default_folder() -> Path:
    """Return the dashboard's folder among the user's caches; made if absent."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "auralise" / "dashboard"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _first_choice(layers: Sequence[Layer]) -> str:
    """Return the layer that a page opens on: the middle one of those with maps over time."""
    maps = [layer.name for layer in layers if len(layer.shape) > 1 and layer.parameters]
    return maps[len(maps) // 2] if maps else layers[0].name


def _key(view: View, *, unit: bool) -> tuple[str | float | None, ...]:
    excerpt = (view.model, view.song, view.start, view.seconds)
    if not unit:
        return excerpt
    choices = (view.method, view.at, view.sonification, view.phase)
    return (*excerpt, view.layer, view.unit, *choices)
