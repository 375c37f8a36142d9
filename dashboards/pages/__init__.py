"""The pages: one module each, and one line in `PAGES`."""

from typing import Protocol

from dash import Dash
from dash.development.base_component import Component

from ..service import Service
from . import about, audit, claims, compare, filters, layers, listen


class Page(Protocol):
    """What a page module offers.

    Attributes
    ----------
    PATH : str
        Its address, e.g. ``"/listen"``.
    TITLE : str
        In the navigation.
    """

    PATH: str
    TITLE: str

    def layout(self, service: Service) -> Component:
        """Return the page with nothing chosen yet; cheap, it is called for every visit."""
        ...

    def register(self, app: Dash, service: Service) -> None:
        """Wire the page: callbacks ask ``service``, and read choices from the address."""
        ...


PAGES: tuple[Page, ...] = (listen, filters, layers, compare, audit, claims, about)
"""In the order of the navigation; the first is also at ``/``."""


def pages_of(service: Service) -> tuple[Page, ...]:
    """Return the pages of a dashboard, in the order of the navigation.

    Two more where there is an atlas; what they need is imported then only.
    """
    if service.atlas is None:
        return PAGES
    from . import map as map_page
    from . import unit as unit_page

    return (*PAGES[:-1], unit_page, map_page, PAGES[-1])
