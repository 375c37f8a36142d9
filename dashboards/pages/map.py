"""Map: units or clips of an atlas on a plane; rest on a point to hear it, click to go there."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from auralise.activations.layers import Unit
from auralise.atlas.maps import methods
from auralise.errors import AuraliseError

from .. import ids
from ..atlas import CLIPS, UNITS
from ..service import Service
from ..views import texts_of
from ..widgets import controls, notice

PATH, TITLE = "/map", "Map"
DATA, PROBLEM, SAID = "map-data", "map-problem", "map-said"
_WORDS = {UNITS: "units", CLIPS: "clips", "pca": "principal components", "umap": "UMAP"}


def layout(service: Service) -> Component:
    """Return the page with nothing chosen yet."""
    layers = [kept.name for kept in service.atlas.layers] if service.atlas else []
    native: dict[str, Any] = {"className": "map-native"}
    return html.Div(
        [
            dcc.Store(id=DATA),
            html.Div(
                [
                    html.H1("What is near what, for the network"),
                    html.P(
                        "Drag to move, turn the wheel to come nearer. Rest on a point to hear it; "
                        "click a unit to see all of it.",
                        className="lead",
                    ),
                ],
                className="intro",
            ),
            html.Div(id=PROBLEM),
            html.Section(
                [
                    html.Div(
                        [
                            _pick("map-of", "Points", (UNITS, CLIPS)),
                            _pick("map-layer", "Layer of the clips' map", tuple(layers)),
                            _pick("map-by", "Projection", methods()),
                            _pick("map-colour", "Colour by", ("label", "layer")),
                            html.Label(
                                [
                                    "Search",
                                    dcc.Input(id="map-search", type="search", debounce=False),
                                ],
                                **native,
                            ),
                            html.Button("Let me hear", id="map-sound", type="button"),
                        ],
                        className="bar-of-choices",
                    ),
                    html.Div(
                        [
                            html.Canvas(
                                id="map-canvas",
                                tabIndex=0,
                                role="img",
                                **{"aria-label": "Map of the atlas"},  # type: ignore[arg-type]
                            ),
                            html.Div("", id="map-tip", role="status"),
                        ],
                        className="map-box",
                    ),
                    html.Div(id="map-key", className="map-key"),
                    html.P("", id=SAID, className="quiet", role="status"),
                ],
                className="card",
            ),
        ]
    )


def _pick(id: str, label: str, names: tuple[str, ...]) -> Component:
    choice: Component = controls.choice(
        id, label, controls.options(names, _WORDS), value=names[0] if names else None
    )
    return choice


def register(app: Dash, service: Service) -> None:
    """Wire the page to ``service``."""

    @app.callback(
        Output(DATA, "data"),
        Output(PROBLEM, "children"),
        *(Output(name, "value") for name in ("map-of", "map-layer", "map-by", "map-colour")),
        Input(ids.URL, "search"),
    )
    def data(search: str | None) -> tuple[Any, ...]:
        return data_of(service, search)

    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise_map", "choose"),
        Output("map-key", "className"),
        *(Input(name, "value") for name in ("map-of", "map-layer", "map-by", "map-colour")),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("auralise_map", "show"),
        Output(SAID, "children"),
        Input(DATA, "data"),
        Input("map-search", "value"),
    )


def data_of(service: Service, search: str | None) -> tuple[Any, ...]:
    """Return where the map's points are, the problem with the address, and the choices."""
    try:
        room = service.require_atlas()
        texts = texts_of(search or "", ("of", "map_layer", "by", "colour"))
        of = texts.get("of") or UNITS
        layer = texts.get("map_layer") or room.default_layer()
        room.atlas.unit(Unit(layer, 0))
        by = texts.get("by") or "pca"
        colour = "layer" if texts.get("colour") == "layer" else "label"
        url = f"/media/{room.points(of, layer, by)}"
        return {"url": url, "colour": colour}, None, of, layer, by, colour
    except AuraliseError as error:
        return None, notice.problem(error), UNITS, None, "pca", "label"
