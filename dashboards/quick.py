"""The answer to a click on a unit, without the way over the page's callbacks."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from .links import chosen
from .service import Service
from .widgets.heard import player_data


def register_quick(server: Flask, service: Service) -> None:
    """Answer ``/heard?...``, the query of a page's address, with what the players are given.

    The page's callbacks give the same later, with all that is said of the sound. A request may
    take work, so it is a POST and counts among those that a visitor has a limited number of.

    Parameters
    ----------
    server : Flask
    service : Service
    """

    @server.post("/heard")
    def heard() -> Response:
        view = chosen(service, request.query_string.decode("utf-8", "replace"))
        return jsonify(player_data(view, service.render(view)))
