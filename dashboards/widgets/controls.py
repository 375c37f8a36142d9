"""The choices at the top of pages, and what they are called."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from .. import ids
from ..service import Service

METHODS = {
    "guided": "Guided backpropagation",
    "deconvnet": "Deconvnet",
    "gradient": "Gradient",
}
"""What methods are called; others go by their name."""

PHASES = {
    "source": "of the recording",
    "griffin-lim": "Griffin-Lim",
    "fast-griffin-lim": "fast Griffin-Lim",
    "pghi": "heap integration",
    "pghi-fast-griffin-lim": "heap integration, then fast Griffin-Lim",
}


def choice(id: str, label: str, data: list[Any] | None = None, **more: Any) -> Component:  # noqa: ANN401
    """Return a drop-down list that the page's address fills."""
    select: Component = dmc.Select(
        id=id,
        label=label,
        data=data or [],
        allowDeselect=False,
        maxDropdownHeight=320,
        comboboxProps={"withinPortal": True, "shadow": "md"},
        className="choice",
        **more,
    )
    return select


def options(names: tuple[str, ...], words: dict[str, str] | None = None) -> list[dict[str, str]]:
    """Return names as the entries of a list."""
    return [{"value": name, "label": (words or {}).get(name, name)} for name in names]


def song_choice() -> Component:
    """Return the choice of a song, with a place for one's own."""
    return html.Div(
        [
            choice(ids.SONG, "Song"),
            html.Div(
                [
                    dmc.Button(
                        "Use your own song…", id="upload-button", variant="light", size="xs"
                    ),
                    html.Span(
                        "or drop it anywhere", id=ids.UPLOAD, role="status", className="quiet"
                    ),
                ],
                className="upload",
            ),
        ],
        className="song",
    )


def model_options(service: Service) -> list[dict[str, str]]:
    """Return the networks as entries of a list."""
    return options(service.models)


def seconds(id: str) -> Component:
    """Return the field for where the excerpt begins."""
    field: Component = dmc.NumberInput(
        id=id,
        label="Excerpt from (s)",
        min=0,
        step=1,
        decimalScale=2,
        debounce=500,
        className="choice short",
        size="sm",
    )
    return field


def song_options(service: Service, session: str, current: str = "") -> list[dict[str, str]]:
    """Return a visitor's songs as entries of a list, with their length; also the current one."""
    songs = [
        {"value": song.id, "label": f"{song.title} ({song.seconds:.0f} s)"}
        for song in service.song_list(session)
    ]
    if current and current not in {song["value"] for song in songs}:
        songs.append({"value": current, "label": service.songs.info(current).title})
    return songs


def sonification_options(service: Service, model: str) -> list[dict[str, str]]:
    """Return how a map can be made audible; raw audio leaves no choice."""
    if not service.networks.takes_spectrograms(model):
        return [{"value": "", "label": "the map is a sound"}]
    return [
        {"value": "", "label": "mask on the song"},
        {"value": "magnitude", "label": "sound of its own"},
    ]


def phase_options(service: Service, model: str) -> list[dict[str, str]]:
    """Return the phase methods; raw audio needs none."""
    if not service.networks.takes_spectrograms(model):
        return [{"value": "", "label": "none needed"}]
    return [
        {"value": "", "label": "as it fits"},
        *options(service.phases, PHASES),
    ]
