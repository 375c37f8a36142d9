"""Figures as files that the browser fetches, drawn once per view and look."""

from __future__ import annotations

from typing import Any

from auralise import __version__
from auralise.output.interactive import draw
from auralise.output.palette import DARK, LIGHT, Theme

from .service import Service
from .views import DEMO, View

_LONG = 40  # letters that are too many for a line of a narrow figure
LOOKS = ("light", "dark", "light-narrow", "dark-narrow")
"""Colours and width that a page may have; narrow ones have no colour bars."""


def theme_of(look: str | None) -> Theme:
    """Return the colours of a look; those of the light one if there is none of that name."""
    return DARK if str(look).startswith("dark") else LIGHT


def is_narrow(look: str | None) -> bool:
    """Say whether a look is for a narrow page."""
    return str(look).endswith("-narrow")


def drawing(service: Service, view: View, look: str) -> str:
    """Return where the browser finds the figure of a view's unit.

    Parameters
    ----------
    service : Service
    view : View
        With a unit.
    look : str
        One of `LOOKS`; anything else is taken for the first.
    """
    look = look if look in LOOKS else LOOKS[0]
    rendered = service.render(view)
    where = {"scope": view.song} if view.song != DEMO else {}
    key = rendered.auralised.media  # the sound's name stands for everything that it depends on
    name = service.cache.name("figure", "json", **where, key=key, look=look, version=__version__)

    def make() -> bytes:
        drawn = draw(rendered.figure, theme_of(look))
        if is_narrow(look):
            fit(drawn)
        return str(drawn.to_json()).encode()

    service.cache.get_or_make(name, make)
    return f"/media/{name}"


def fit(drawn: Any) -> None:  # noqa: ANN401
    """Make room in a drawn figure on a narrow page: no colour bars, small margins, fewer ticks."""
    for name in [name for name in drawn.layout if str(name).startswith("coloraxis")]:
        drawn.layout[name].showscale = False
    drawn.update_layout(margin={"l": 52, "r": 10})
    drawn.update_xaxes(nticks=5)
    drawn.update_annotations(font={"size": 11})
    for words in drawn.layout.annotations:
        if max(map(len, str(words.text).split("<br>"))) > _LONG:
            words.font.size = 8


def blank(height: int = 640) -> dict[str, Any]:
    """Return an empty figure that takes the room of the one to come."""
    hidden = {"visible": False}
    clear = "rgba(0,0,0,0)"
    return {
        "data": [],
        "layout": {
            "height": height,
            "paper_bgcolor": clear,
            "plot_bgcolor": clear,
            "xaxis": hidden,
            "yaxis": hidden,
        },
    }
