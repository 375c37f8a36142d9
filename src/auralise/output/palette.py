"""The colours of figures, for light and for dark surroundings."""

from __future__ import annotations

from dataclasses import dataclass

Colours = tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Theme:
    """One set of colours.

    Attributes
    ----------
    text, line, grid, accent : str
        Writing, waveforms, lines that guide the eye, and what is marked; CSS colours.
    magnitude : tuple of (float, str)
        Colour scale from low to high.
    signed : tuple of (float, str)
        Colour scale from minus to plus; zero, at 0.5, is near the colour of the page.
    """

    text: str
    line: str
    grid: str
    accent: str
    magnitude: Colours
    signed: Colours


def _evenly(colours: str) -> Colours:
    names = colours.split()
    return tuple((i / (len(names) - 1), name) for i, name in enumerate(names))


# Magma (S. van der Walt, N. Smith), perceptually uniform, at seventeen even places.
_MAGMA = _evenly(
    "#000004 #0a0822 #1d1147 #36106b #51127c #6a1c81 #832681 #9c2e7f #b73779 #d0416f #e75263 "
    "#f56b5c #fc8961 #fea772 #fec488 #fde2a3 #fcfdbf"
)

# ColorBrewer's RdBu (C. Brewer), reversed: blue below zero, red above, light between.
_BLUE_RED = _evenly(
    "#053061 #2166ac #4393c3 #92c5de #d1e5f0 #f7f7f7 #fddbc7 #f4a582 #d6604d #b2182b #67001f"
)

# After Berlin (F. Crameri, Scientific colour maps): dark between; zero made neutral.
_BERLIN = _evenly(
    "#9eb0ff #79abed #519fd3 #3685ad #286886 #1d4b61 #14303e #16191c #3a1305 "
    "#5b1d08 #7d341e #9e513f #be6f63 #df8f89 #ffadad"
)

LIGHT = Theme("#20262b", "#2f6079", "#e2e6e9", "#c2410c", _MAGMA, _BLUE_RED)
DARK = Theme("#e4e8eb", "#86bdd6", "#2b3238", "#ffb86b", _MAGMA, _BERLIN)

MUTED = "#8a939b"
"""For controls, on light and on dark."""

WHITE = "#ffffff"
"""For lines over an image of magnitudes."""
