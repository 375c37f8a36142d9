"""An auralisation in a notebook: its figure and three players, nothing fetched."""

from __future__ import annotations

import base64
from html import escape

from auralise.audio.levels import Levelled
from auralise.auralisation import Auralisation
from auralise.output.figures import unit_figure
from auralise.output.page import audio_uri
from auralise.output.png import encode_png
from auralise.output.sounds import level_sounds
from auralise.output.words import explain, number


def html(auralisation: Auralisation) -> str:
    """Return a fragment for a notebook's cell.

    Parameters
    ----------
    auralisation : Auralisation

    Returns
    -------
    str
        HTML without scripts: the figure as PNG, the sounds as 16-bit WAV.
    """
    inversion, sounds = auralisation.inversion, level_sounds(auralisation)
    figure = unit_figure(auralisation)
    image = base64.b64encode(encode_png(figure)).decode()
    flags = "".join(
        f"<p><strong>{escape(flag)}</strong> {escape(explain(flag))}</p>"
        for flag in inversion.flags
    )
    players = "".join(
        _player(label, sound)
        for label, sound in (
            ("Auralised sound", sounds.auralised),
            ("Source", sounds.source),
            ("Round trip", sounds.round_trip),
        )
    )
    return (
        '<div style="max-width:900px;font-family:system-ui,sans-serif">'
        f"<p><strong>{escape(figure.title)}</strong>, "
        f"activation {number(inversion.activation)}</p>{flags}"
        f'<div style="display:flex;flex-wrap:wrap;gap:12px">{players}</div>'
        f'<img style="max-width:100%" alt="{escape(figure.describe())}" '
        f'src="data:image/png;base64,{image}"></div>'
    )


def _player(label: str, sound: Levelled) -> str:
    return (
        f'<figure style="margin:0;flex:1 1 240px"><figcaption>{escape(label)}</figcaption>'
        f'<audio controls preload="metadata" style="width:100%" aria-label="{escape(label)}" '
        f'src="{audio_uri(sound.waveform)}"></audio></figure>'
    )
