"""A web page in one file: style, script, figures and sounds inside, nothing fetched."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from auralise.audio.files import encode_wav
from auralise.audio.waveform import Waveform
from auralise.output.figures import Figure
from auralise.output.interactive import draw, height_of, plotly_script, themes

# The browser itself refuses any request: only what stands in the page may be used.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data:; base-uri 'none'; form-action 'none'"
)


def page(
    title: str,
    body: str,
    figures: Mapping[str, Figure],
    drawings: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Put a page together.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML; what came from outside must be escaped in it.
    figures : mapping of str to Figure
        From the names that `figure_holder` was given.
    drawings : mapping of str to plotly.graph_objects.Figure
        Of other kinds, from the names that `drawing_holder` was given.

    Returns
    -------
    str
        HTML that needs no network; plotly.js is in it once.
    """
    plain = {name: _plain(draw(figure)) for name, figure in figures.items()}
    plain |= {name: _plain(drawing) for name, drawing in drawings.items()}
    return _page(title, body, plain)


def _page(title: str, body: str, drawings: dict[str, dict[str, Any]]) -> str:
    """Put a page together of drawings as plain values."""
    data = "".join(_json_script(name, drawing) for name, drawing in drawings.items())
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_asset('report.css')}</style>\n</head>\n"
        f"<body>\n{body}\n{data}{_json_script('themes', themes())}"
        f"<script>{plotly_script()}</script>\n<script>\n{_asset('report.js')}</script>\n"
        "</body>\n</html>\n"
    )


def figure_page(figure: Figure) -> str:
    """Return a page that shows one figure."""
    body = (
        f"<header><h1>{escape(figure.title)}</h1></header>\n"
        f"<main><section>{figure_holder('figure', figure)}</section></main>"
    )
    return page(figure.title, body, {"figure": figure})


def figure_holder(name: str, figure: Figure) -> str:
    """Return the place in a page where a figure will be drawn."""
    return _holder(name, height_of(figure), figure.describe())


def drawing_page(title: str, description: str, drawing: Any, height: int) -> str:  # noqa: ANN401
    """Return a page that shows one drawing of another kind.

    Parameters
    ----------
    title : str
        Plain text.
    description : str
        The drawing in words.
    drawing : plotly.graph_objects.Figure
        With a colour template that the page may exchange.
    height : int
        Of the drawing, in pixels.
    """
    body = (
        f"<header><h1>{escape(title)}</h1></header>\n"
        f"<main><section>{_holder('figure', height, description)}</section></main>"
    )
    return _page(title, body, {"figure": _plain(drawing)})


def drawings_page(title: str, body: str, drawings: Mapping[str, Any]) -> str:
    """Put a page together of drawings of other kinds.

    Parameters
    ----------
    title : str
        Plain text.
    body : str
        HTML; what came from outside must be escaped in it.
    drawings : mapping of str to plotly.graph_objects.Figure
        From the names that `drawing_holder` was given.
    """
    return _page(title, body, {name: _plain(drawn) for name, drawn in drawings.items()})


def drawing_holder(name: str, height: int, description: str) -> str:
    """Return the place in a page where a drawing will be shown."""
    return _holder(name, height, description)


def _holder(name: str, height: int, description: str) -> str:
    return (
        f'<div class="figure" role="img" data-figure="{escape(name)}" '
        f'style="--height:{height}px" aria-label="{escape(description)}">'
        "<noscript>The figure needs JavaScript.</noscript></div>"
    )


def audio_uri(waveform: Waveform) -> str:
    """Return a sound as a 16-bit WAV inside a URI, for players."""
    return "data:audio/wav;base64," + base64.b64encode(encode_wav(waveform, "PCM_16")).decode()


def _plain(drawn: Any) -> dict[str, Any]:  # noqa: ANN401 (plotly has no types)
    """Return a drawing as plain values, without the colours that the page adds."""
    drawing: dict[str, Any] = json.loads(drawn.to_json())
    del drawing["layout"]["template"]
    return drawing


def _json_script(name: str, value: object) -> str:
    """Return data for the page's script; a `<` in it cannot end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(name)}">{text}</script>\n'


def _asset(name: str) -> str:
    return files("auralise.output").joinpath(name).read_text(encoding="utf-8")
