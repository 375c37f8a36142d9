"""The atlas behind two pages: sounds cut on demand, points of the map."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, redirect, request

from auralise.activations.layers import Unit
from auralise.atlas import Atlas, Example
from auralise.atlas.excerpts import auralise_example, excerpt
from auralise.atlas.maps import methods, project, unit_vectors
from auralise.atlas.query import standardised
from auralise.audio.files import encode_wav, read_audio
from auralise.audio.levels import apply_level
from auralise.audio.waveform import Waveform
from auralise.errors import AuraliseError, InvalidValueError

from .cache import DiskCache
from .networks import NetworkPool
from .views import texts_of

CLIP_SECONDS = 3.0
"""How much of a clip is heard from the map."""

UNITS, CLIPS = "units", "clips"


class AtlasRoom:
    """An atlas with the cache that its sounds and maps are kept in.

    Parameters
    ----------
    atlas : Atlas
    cache : DiskCache
    networks : NetworkPool
    """

    def __init__(self, atlas: Atlas, cache: DiskCache, networks: NetworkPool) -> None:
        self.atlas, self.cache, self.networks = atlas, cache, networks
        self.layers = atlas.manifest.layers
        model = atlas.manifest.model
        # An atlas may be of a network that is not served here; then there are excerpts only.
        same = model["name"] in networks.names and (
            networks.entry(model["name"]).get("sha256") == model["sha256"]
        )
        self.model = model["name"] if same else ""

    def example(self, unit: str, kind: str, number: int) -> Example:
        """Return an example by its place among the top or the quantiles.

        Raises
        ------
        AuraliseError
            If there is no such unit, kind or example.
        """
        asked = self.atlas.unit(unit)
        if kind not in ("top", "quantiles"):
            raise InvalidValueError(f"examples are top or quantiles, got {kind[:20]!r}")
        found = asked.top(50) if kind == "top" else asked.quantiles()
        if not 0 <= number < len(found):
            raise InvalidValueError(f"there are {len(found)} examples, got number {number}")
        return found[number]

    def excerpt(self, unit: str, kind: str, number: int) -> str:
        """Return the media name of what the unit saw, with what is around it."""
        example = self.example(unit, kind, number)
        return self._kept(example, "excerpt", lambda: excerpt(self.atlas, example))

    def auralised(self, unit: str, kind: str, number: int) -> str:
        """Return the media name of the unit's sound in the window of an example."""
        if not self.model:
            raise InvalidValueError("the network of this atlas is not served here")
        example = self.example(unit, kind, number)

        def make() -> Waveform:
            with self.networks.borrow(self.model) as network:
                result = auralise_example(self.atlas, network, example)
            return apply_level(result.waveform, result.source, "source-rms").waveform

        return self._kept(example, "auralised", make)

    def clip(self, clip: str) -> str:
        """Return the media name of the middle of a clip."""
        rows = {row["clip"]: row for row in self.atlas.clips}
        if clip not in rows:
            raise InvalidValueError("there is no such clip")
        row = rows[clip]
        path = Path(self.atlas.path_of(row["collection"], row["path"]))
        start = max(0.0, (row["seconds"] - CLIP_SECONDS) / 2)

        def make() -> Waveform:
            sound = read_audio(path, start=start, seconds=CLIP_SECONDS, allow_truncated=True)
            return sound.waveform.mono()

        return self._write("clip", make, clip=clip)

    def _kept(self, example: Example, what: str, make: Callable[[], Waveform]) -> str:
        return self._write(
            what, make, unit=example.unit, clip=example.clip, window=example.window,
            model=self.atlas.manifest.model["sha256"],
        )  # fmt: skip

    def _write(self, what: str, make: Callable[[], Waveform], **key: object) -> str:
        name = self.cache.name(f"atlas-{what}", "wav", key=json.dumps(key, sort_keys=True))

        def encode() -> bytes:
            sound = make()
            return encode_wav(apply_level(sound, sound, "none").waveform)

        self.cache.get_or_make(name, encode)
        return name

    def points(self, of: str, layer: str, method: str) -> str:
        """Return the media name of a map's points, as JSON.

        Raises
        ------
        AuraliseError
            If there is no such layer or projection.
        """
        if of not in (UNITS, CLIPS):
            raise InvalidValueError(f"a map is of units or clips, got {of[:20]!r}")
        if method not in methods():
            raise InvalidValueError(f"projection must be one of {', '.join(methods())}")
        layer = layer or self.default_layer()
        self.atlas.unit(Unit(layer, 0))
        print_ = json.dumps(
            [dict(kept) for kept in self.atlas.manifest.collections.values()], sort_keys=True
        )
        name = self.cache.name(
            "atlas-map", "json", of=of, layer=layer if of == CLIPS else "", method=method,
            model=self.atlas.manifest.model["sha256"], collections=print_,
            layers=[kept.name for kept in self.layers],
        )  # fmt: skip
        make = partial(self._units if of == UNITS else self._clips, layer, method)
        self.cache.get_or_make(name, lambda: json.dumps(make()).encode())
        return name

    def default_layer(self) -> str:
        """Return the layer that maps of clips begin with: the last but one."""
        return self.layers[max(0, len(self.layers) - 2)].name

    def _units(self, layer: str, method: str) -> dict[str, Any]:
        names, values = unit_vectors(self.atlas)
        places = project(values, method)
        rows = {row["unit"]: row for row in self.atlas.units(sort="unit", limit=10**9)}
        return {
            "of": UNITS,
            "x": places[:, 0].round(4).tolist(),
            "y": places[:, 1].round(4).tolist(),
            "id": names,
            "text": [f"{name}: {rows[name]['name'] or 'no name'}" for name in names],
            "label": [rows[name]["label"] or "" for name in names],
            "layer": [rows[name]["layer"] for name in names],
        }

    def _clips(self, layer: str, method: str) -> dict[str, Any]:
        places = project(standardised(self.atlas.embedding(layer)), method)
        rows = self.atlas.clips
        return {
            "of": CLIPS,
            "x": places[:, 0].round(4).tolist(),
            "y": places[:, 1].round(4).tolist(),
            "id": [row["clip"] for row in rows],
            "text": [row["path"] for row in rows],
            "label": [", ".join(row["labels"]) for row in rows],
            "layer": [row["collection"] for row in rows],
        }


def register_atlas(server: Flask, room: AtlasRoom) -> None:
    """Serve ``/atlas/excerpt``, ``/atlas/auralised``, ``/atlas/clip`` and ``/atlas/map``.

    Each answers with the address of a file of the cache, which is made if it is not there.
    """

    @server.get("/atlas/<what>")
    def atlas(what: str) -> Response:
        if what not in _ROUTES:
            abort(404)
        try:
            texts = texts_of(request.args, ("unit", "kind", "number", "clip", "of", "layer", "by"))
            name = _ROUTES[what](room, texts)
        except AuraliseError as error:
            abort(404, str(error))
        answer = redirect(f"/media/{name}", 302)
        answer.headers["Cache-Control"] = "private, max-age=600"
        return answer  # type: ignore[return-value]


def _number(texts: Mapping[str, str]) -> int:
    text = texts.get("number", "0")
    if not text.isdecimal() or len(text) > 4:
        raise InvalidValueError(f"number must be a whole number, got {text[:20]!r}")
    return int(text)


_ROUTES: dict[str, Callable[[AtlasRoom, Mapping[str, str]], str]] = {
    "excerpt": lambda r, t: r.excerpt(t.get("unit", ""), t.get("kind", "top"), _number(t)),
    "auralised": lambda r, t: r.auralised(t.get("unit", ""), t.get("kind", "top"), _number(t)),
    "clip": lambda r, t: r.clip(t.get("clip", "")),
    "map": lambda r, t: r.points(t.get("of", UNITS), t.get("layer", ""), t.get("by", "pca")),
}
