"""What the pages ask for, computed once and kept: networks, activity, sounds.

Nothing here knows of browsers. Every answer is a frozen value; every refusal is an
`AuraliseError` whose text is made for the reader.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auralise import __version__
from auralise.activations.receptive_field import ReceptiveField
from auralise.audio.files import encode_wav
from auralise.audio.waveform import Waveform
from auralise.errors import AuraliseError, InvalidValueError
from auralise.inversion import INVERTERS
from auralise.phase import PHASE_METHODS
from auralise.preparation import prepare

from . import activity, rendering
from .abx import AbxBook
from .activity import Activity
from .cache import DiskCache, Recent
from .jobs import Jobs, JobState, Progress
from .networks import Layer, NetworkPool
from .rendering import Rendered, Sound
from .songs import SongInfo
from .studies import LayerReach, Studies, reach_of
from .studio import Studio, key_of
from .trials import Trials
from .views import DEMO, View, parse_view

if TYPE_CHECKING:
    from auralise.atlas import Atlas

    from .atlas import AtlasRoom

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
    atlas : Atlas, optional
        Of a collection, for two pages more.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        models: Sequence[Path] = (),
        max_bytes: int = MAX_BYTES,
        atlas: Atlas | None = None,
    ) -> None:
        folder = default_folder() if folder is None else folder
        self.cache = DiskCache(folder / "results", max_bytes)
        self.networks = NetworkPool(models, copies=max(1, min(4, os.cpu_count() or 1)))
        self.jobs = Jobs()
        self.abx = AbxBook()
        self.studies = Studies(self.networks, self.jobs)
        self.trials = Trials(self.networks, self.jobs, folder / "claims")
        self._activities: Recent[Mapping[str, Activity]] = Recent(16)
        self.studio = Studio(self.cache, self.networks, folder / "uploads", self._activities.drop)
        self.songs = self.studio.songs
        self.atlas: AtlasRoom | None = None
        if atlas is not None:
            from .atlas import AtlasRoom  # brings along what only an atlas needs

            self.atlas = AtlasRoom(atlas, self.cache, self.networks)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the networks, in the order to be offered."""
        return self.networks.names

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the inversion methods that give a map over what the network saw."""
        return tuple(sorted(n for n, m in INVERTERS.items() if not hasattr(m, "gives_input")))

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phase methods."""
        return tuple(sorted(PHASE_METHODS))

    def require_atlas(self) -> AtlasRoom:
        """Return the atlas; `InvalidValueError` if the dashboard was given none."""
        if self.atlas is None:
            raise InvalidValueError("this dashboard has no atlas; start it with --atlas FOLDER")
        return self.atlas

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
        key = key_of(view, unit=False)
        recent = self._activities.get(key)
        if recent is not None:
            return recent
        name = self.studio.name("activity", "npz", view, scope=True)

        def measure() -> bytes:
            with self.networks.borrow(view.model) as network:
                waveform = self.studio.excerpt(network, view).waveform
                features = network.card.frontend.analyse(waveform).values
                return activity.measure_activity(network, features)

        found = activity.read_activity(
            self.cache.get_or_make(name, lambda: self.networks.work(measure))
        )
        if found is None:  # damaged
            content = measure()
            self.cache.write(name, content)
            found = activity.read_activity(content) or {}
        self._activities.put(key, found)
        return found

    def render(self, view: View) -> Rendered:
        """Return the sound of the view's unit, with what is needed to look at it.

        Raises
        ------
        AuraliseError
            As `resolve` and `auralise_unit`; `InvalidValueError` if no unit is chosen.
        """
        return self.studio.render(self._with_unit(view))

    def bundle(self, view: View) -> str:
        """Return the media id of a zip file with the bundle that ``auralise unit`` writes."""
        return self.studio.bundle(self._with_unit(view))

    def field(self, model: str, layer: str) -> ReceptiveField:
        """Return the receptive field of a layer, measured once."""
        return self.studio.field(model, layer)

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

    def sounds(self, view: View, heard: Mapping[str, Waveform], **key: object) -> dict[str, Sound]:
        """Bring sounds to one level and make them fetchable by the browser.

        Parameters
        ----------
        view : View
            Whose song they are made of; they go when it goes.
        heard : mapping of str to Waveform
        **key
            All that they depend on beside the song, as plain values.
        """
        text = json.dumps(key, sort_keys=True)
        scope = {"scope": view.song} if view.song != DEMO else {}
        sounds = {}
        matched = rendering.match_levels(list(heard.values()))
        for what, (waveform, gain) in zip(heard, matched, strict=True):
            name = self.cache.name(
                "sound", "wav", **scope, what=what, key=text, version=__version__
            )
            self.cache.get_or_make(name, partial(encode_wav, waveform))
            sounds[what] = rendering.sound_of(name, waveform, gain)
        return sounds

    def excerpt(self, view: View) -> Waveform:
        """Return the view's stretch of its song as its network hears it: its rate and length."""
        view = self.resolve(view)
        with self.networks.borrow(view.model) as network:
            return prepare(network, self.studio.excerpt(network, view).waveform)[0]

    def warm(self) -> None:
        """Do once what the first visitor would wait for: load a network, follow one unit.

        A network whose units cannot be followed is no reason not to serve: its pages say why.
        """
        view = self.resolve(View())
        strongest = self.activity(view).strongest()
        with suppress(AuraliseError):
            self.render(replace(view, unit=int(strongest[0])))
        if self.atlas is not None:
            self.atlas.points("units", "", "pca")

    def song_list(self, session: str = "") -> list[SongInfo]:
        """Return the songs that a visitor may choose from."""
        return self.songs.songs(session)

    def close(self) -> None:
        """End all jobs and delete all uploads, and what was made of them."""
        self.jobs.close()
        self.networks.close()
        self.songs.close()

    def _with_unit(self, view: View) -> View:
        view = self.resolve(view)
        if view.unit is None:
            raise InvalidValueError("no unit is chosen; choose one of the layer's")
        return view


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
