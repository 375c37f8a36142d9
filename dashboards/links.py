"""From a page's address to what it shows, gaps filled as a first visit needs it."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

from .service import Service
from .views import View, parse_view


def chosen(service: Service, search: str | None) -> View:
    """Return the view an address stands for; where it names no unit, the strongest one.

    Raises
    ------
    AuraliseError
        If the address names something that is not there.
    """
    view = service.resolve(parse_view(search or ""))
    if view.unit is None:
        view = replace(view, unit=int(service.activity(view).strongest()[0]))
    return view


def plain(view: View, *names: str) -> dict[str, Any]:
    """Return a view for the browser; ``names`` are the choices of the page, in its order."""
    return {**asdict(view), "names": list(names)}


def view_of(values: dict[str, Any]) -> View:
    """Return the view that `plain` was given."""
    known = {field.name for field in fields(View)}
    return View(**{name: value for name, value in values.items() if name in known})
