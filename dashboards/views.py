"""What a page shows, as its address says it: model, song, time, layer, unit, method.

Addresses come from anywhere, so everything in them is checked here before it is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from urllib.parse import parse_qs, urlencode

from auralise.errors import InvalidValueError, UnknownNameError
from auralise.inversion import INVERTERS
from auralise.masks import MASK
from auralise.phase import PHASE_METHODS
from auralise.positions import At, parse_at
from auralise.settings import Settings

DEMO = "demo"
LONGEST = 30.0
"""Longest excerpt in seconds that a page shows."""

_LONGEST_TEXT = 120
_LATEST = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows.

    Attributes
    ----------
    model : str
        Name of a network; empty for the first there is.
    song : str
        Id of a song; "demo" is the one that comes with the package.
    start : float
        Where the excerpt begins, in seconds.
    seconds : float or None
        Its length; None for the network's own.
    layer : str
        Empty for the network's first choice.
    unit : int or None
        Channel; None if none is chosen.
    method : str
        Name in `INVERTERS`, or ``mask``.
    at : str
        ``peak``, ``whole``, SECONDS or SECONDS,HERTZ of the excerpt.
    sonification, phase : str
        Empty for the default of the network.
    """

    model: str = ""
    song: str = DEMO
    start: float = 0.0
    seconds: float | None = None
    layer: str = ""
    unit: int | None = None
    method: str = "guided"
    at: str = "peak"
    sonification: str = ""
    phase: str = ""

    @property
    def position(self) -> At:
        """The place on the unit's map that is followed."""
        return parse_at(self.at)

    @property
    def settings(self) -> Settings:
        """Every choice on the way to the unit's sound."""
        return Settings(
            method=self.method,
            at=self.position,
            sonification=self.sonification or None,
            phase=self.phase or None,
        )

    def query(self) -> str:
        """Return the view as the query of an address; defaults are left out.

        Examples
        --------
        >>> View(layer="conv3", unit=17, start=1.5).query()
        'start=1.5&layer=conv3&unit=17'
        """
        known = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }
        return urlencode({name: _written(value) for name, value in known.items()})


def parse_view(query: str | Mapping[str, str]) -> View:
    """Read a view from the query of an address.

    Only form is checked here; whether model, song, layer and unit exist, the service knows.

    Parameters
    ----------
    query : str or mapping
        With or without the question mark; names that no view has are left out.

    Raises
    ------
    InvalidValueError
        If a number is none, not finite or out of range, or a text too long, with a sentence for
        the reader.
    UnknownNameError
        If there is no such method or phase.

    Examples
    --------
    >>> parse_view("?layer=conv3&unit=17&utm=x").unit
    17
    """
    texts = texts_of(query, [field.name for field in fields(View)])
    view = View(
        model=texts.get("model", ""), song=texts.get("song") or DEMO, layer=texts.get("layer", "")
    )
    if texts.get("start"):
        view = replace(view, start=_number("start", texts["start"], 0.0, _LATEST))
    if texts.get("seconds"):
        view = replace(view, seconds=_number("seconds", texts["seconds"], 0.1, LONGEST))
    if texts.get("unit"):
        view = replace(view, unit=channel_of("unit", texts["unit"]))
    if texts.get("at"):
        parse_at(texts["at"])
        view = replace(view, at=texts["at"])
    return _with_choices(view, texts)


def _with_choices(view: View, texts: Mapping[str, str]) -> View:
    """Add method, sonification and phase, each from a known list."""
    if texts.get("method"):
        if texts["method"] not in (*INVERTERS, MASK):
            raise UnknownNameError("inversion method", texts["method"], [*INVERTERS, MASK])
        view = replace(view, method=texts["method"])
    if texts.get("phase"):
        PHASE_METHODS[texts["phase"]]
        view = replace(view, phase=texts["phase"])
    sonification = texts.get("sonification", "")
    if sonification not in ("", "mask", "magnitude"):
        raise InvalidValueError(f"sonification must be mask or magnitude, got {sonification!r}")
    return replace(view, sonification=sonification)


def texts_of(query: str | Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return parts of a query, each once, of harmless length and characters.

    Parameters
    ----------
    query : str or mapping
        With or without the question mark.
    names : iterable of str
        Which parts; others are left out, as are those that the query does not have.

    Raises
    ------
    InvalidValueError
        If the query is too long, or one of the parts.

    Examples
    --------
    >>> texts_of("?axis=mel&utm=x", ["axis", "filter"])
    {'axis': 'mel'}
    """
    if isinstance(query, str):
        if len(query) > 4000:
            raise InvalidValueError(f"an address has at most 4000 characters, got {len(query)}")
        try:
            parts = parse_qs(query.removeprefix("?"), max_num_fields=40)
        except ValueError as error:
            raise InvalidValueError("an address has at most 40 parts") from error
        query = {name: values[-1] for name, values in parts.items()}
    if not isinstance(query, Mapping):  # a browser may send anything
        raise InvalidValueError(f"an address is text, got {type(query).__name__}")
    known = set(names)
    texts = {name: str(value) for name, value in query.items() if name in known}
    for name, text in texts.items():
        if len(text) > _LONGEST_TEXT or not text.isprintable():
            raise InvalidValueError(
                f"{name} in the address must be at most {_LONGEST_TEXT} printable characters, "
                f"got {text[:20]!r}..."
            )
    return texts


def _number(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InvalidValueError(f"{name} must be from {low:g} to {high:g} seconds, got {text!r}")
    return value


def channel_of(name: str, text: str) -> int:
    """Read the number of a unit or filter.

    Raises
    ------
    InvalidValueError
        If it is none; the message names ``name``.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise InvalidValueError(f"{name} must be a whole number from 0 on, got {text!r}")
    return int(text)


def _written(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)
