"""A page's state as plain HTML: components without callbacks, and what its players hold."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go
from dash import dcc
from dash.development.base_component import Component

from auralise.errors import InvalidValueError

_NAMES = {"className": "class", "tabIndex": "tabindex", "htmlFor": "for", "colSpan": "colspan"}
_WILD = ("data-", "aria-")
_VOID = ("Img", "Br", "Hr")
_LEFT_OUT = (dcc.Store, dcc.Interval)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One page's state.

    Attributes
    ----------
    title : str
    body : Component
        Of ``html`` components and graphs only; links to other states become plain text.
    sounds : dict
        As the players get it; empty for none.
    credits : str
        Whose song is heard, and under which terms; empty where it is not known.
    """

    title: str
    body: Component
    sounds: dict[str, Any]
    credits: str = ""


def to_html(part: Any) -> str:  # noqa: ANN401
    """Write components as HTML; texts and attributes are escaped.

    Parameters
    ----------
    part : Component, str, number, None, or a list of them

    Raises
    ------
    InvalidValueError
        If there is a component that has no plain form.

    Examples
    --------
    >>> from dash import html
    >>> to_html(html.P(["a < b", html.Br()], className="quiet"))
    '<p class="quiet">a &lt; b<br></p>'
    """
    if part is None or isinstance(part, _LEFT_OUT):
        return ""
    if isinstance(part, (str, int, float)):
        return escape(str(part))
    if isinstance(part, dcc.Graph):
        return _graph(part)
    if isinstance(part, Component):
        return _element(part)
    if isinstance(part, Iterable):
        return "".join(to_html(child) for child in part)
    raise InvalidValueError(f"{type(part).__name__} has no plain form")


def _element(part: Component) -> str:
    if part._namespace != "dash_html_components":
        raise InvalidValueError(f"{type(part).__name__} has no plain form")
    given = {
        name: getattr(part, name)
        for name in [*part._prop_names, *vars(part)]
        if hasattr(part, name)
        and (name in part._prop_names or name.startswith(_WILD))
        and name not in ("children", "n_clicks", "n_clicks_timestamp", "key")
    }
    tag = str(part._type).lower()
    if "action" in str(given.get("className", "")).split():  # asks the server for something
        return ""
    link = tag == "a" and not str(given.get("href", "")).startswith(("http", "#"))
    if link:
        tag, given = "span", {k: v for k, v in given.items() if k not in ("href", "download")}
    given = {k: v for k, v in given.items() if k not in ("data-go", "data-page", "data-unit")}
    opening = f"<{tag}{''.join(_attribute(k, v) for k, v in given.items())}>"
    if part._type in _VOID:
        return opening
    return f"{opening}{to_html(getattr(part, 'children', None))}</{tag}>"


def _attribute(name: str, value: object) -> str:
    if value is None or value is False or isinstance(value, (list, tuple)):
        return ""
    if name == "id" and isinstance(value, dict):
        return ""
    if name == "style" and isinstance(value, dict):
        value = ";".join(f"{_hyphens(key)}:{entry}" for key, entry in value.items())
    if value is True:
        return f" {name}" if name in ("hidden", "disabled", "open") else f' {name}="true"'
    return f' {_NAMES.get(name, name)}="{escape(str(value))}"'


def _hyphens(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name)


def _graph(part: Component) -> str:
    figure = getattr(part, "figure", None)
    drawn = figure if isinstance(figure, go.Figure) else go.Figure(figure)
    height = int(drawn.layout.height or 400)
    return f'<div class="plot" style="height:{height}px">{json_script(str(drawn.to_json()))}</div>'


def json_script(text: str, id: str = "") -> str:
    """Write JSON into a page, so that nothing in it can end the element."""
    named = f' id="{escape(id)}"' if id else ""
    harmless = text.replace("<", "\\u003c")
    return f'<script type="application/json"{named}>{harmless}</script>'


def to_json(value: object) -> str:
    """Return plain values as JSON."""
    return json.dumps(value, ensure_ascii=False)
