"""The dashboard's app: a frame around pages, each with an address of its own."""

from __future__ import annotations

from collections.abc import Sequence

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from auralise import __version__

from . import ids
from .pages import Page, pages_of
from .service import Service

_THEME = {
    "primaryColor": "petrol",
    "primaryShade": {"light": 7, "dark": 3},

    "defaultRadius": "md",
    "fontFamily": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif",
    "colors": {
        "petrol": [
            "#eef5f9", "#dceaf2", "#b5d4e3", "#86bdd6", "#64a5c3",
            "#4b90b0", "#3d7c9b", "#2f6079", "#254e63", "#1a3b4c",
        ]
    },
}  # fmt: skip


def create_app(service: Service) -> Dash:
    """Build an app around ``service``; call it twice and you get two independent apps."""
    app = Dash(
        __name__,
        title="auralise",
        update_title="",
        assets_ignore=r"export\.js",  # for pages that are written to a file
        description="Hear what a neural network listens for.",
        suppress_callback_exceptions=True,  # pages come and go; their ids are checked by a test
    )
    index = app.index_string.replace("<html>", '<html lang="en">')
    # Dash puts its scripts into a footer, which would be a second one.
    app.index_string = index.replace("<footer>", "<div>").replace("</footer>", "</div>")
    kept = pages_of(service)
    app.layout = shell(kept)

    @app.callback(Output(ids.PAGE, "children"), Input(ids.URL, "pathname"))
    def show(pathname: str | None) -> Component:
        path = "/" + (pathname or "").strip("/")
        if path == "/":
            return kept[0].layout(service)
        pages = {page.PATH: page for page in kept}
        return pages[path].layout(service) if path in pages else missing(path)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise", "title"),
        Output(ids.NAVIGATION, "className"),
        Input(ids.URL, "pathname"),
        Input(ids.PAGE, "children"),
    )
    for page in kept:
        page.register(app, service)
    return app


def shell(kept: Sequence[Page]) -> Component:
    """Return the frame that every page shares."""
    links = [html.A(page.TITLE, href=page.PATH, **{"data-page": page.PATH}) for page in kept]  # type: ignore[arg-type]
    frame: Component = dmc.MantineProvider(
        [
            dcc.Location(id=ids.URL, refresh=False),
            dcc.Store(id=ids.LOOK),
            html.A("Skip to the page", href="#page", className="skip"),
            html.Header(
                [
                    html.A(
                        [html.Span(className="mark", **{"aria-hidden": "true"}), "auralise"],  # type: ignore[arg-type]
                        href="/listen",
                        className="brand",
                        **{"data-page": "/listen"},  # type: ignore[arg-type]
                    ),
                    html.Nav(links, id=ids.NAVIGATION, **{"aria-label": "Pages"}),  # type: ignore[arg-type]
                    dmc.ColorSchemeToggle(
                        lightIcon=html.Span("☀", **{"aria-hidden": "true"}),  # type: ignore[arg-type]
                        darkIcon=html.Span("☾", **{"aria-hidden": "true"}),  # type: ignore[arg-type]
                        variant="subtle",
                        size="lg",
                        **{"aria-label": "Switch between light and dark"},
                    ),
                ],
                className="top",
            ),
            html.Main(id=ids.PAGE, tabIndex=-1),
            html.Footer(f"auralise {__version__}. Everything here is computed on this machine."),
            html.Div("Drop the song", className="dropzone", **{"aria-hidden": "true"}),  # type: ignore[arg-type]
        ],
        theme=_THEME,
        defaultColorScheme="auto",
    )
    return frame


def missing(path: str) -> Component:
    """Return the page for an address that has none."""
    return html.Section(
        [
            html.H1("There is no such page"),
            html.P(["Nothing is at ", html.Code(path[:80]), "."]),
            html.A("Go to Listen", href="/listen", **{"data-page": "/listen"}),  # type: ignore[arg-type]
        ],
        className="card",
    )
