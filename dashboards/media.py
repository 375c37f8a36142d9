"""Sounds and downloads for the browser: files of the cache, by id, in ranges."""

from __future__ import annotations

from flask import Flask, Response, abort, request, send_file

from .cache import DiskCache

TYPES = {"wav": "audio/wav", "zip": "application/zip", "json": "application/json"}
"""What may be fetched, by the ending of its id."""


def register_media(server: Flask, cache: DiskCache) -> None:
    """Serve ``/media/<id>``, a sound, a bundle or a drawn figure.

    An id is a name that the cache made; it is looked up and never taken for a path. Ranges of bytes
    are answered, so that a player can jump. An id means one content for ever, so browsers may keep
    it, for themselves only.

    Parameters
    ----------
    server : Flask
    cache : DiskCache
    """

    @server.get("/media/<name>")
    def media(name: str) -> Response:
        ending = name.rpartition(".")[2]
        path = cache.path(name) if ending in TYPES else None
        if path is None:
            abort(404, "this sound is not kept any more; load the page again")
        try:
            response = send_file(
                path,
                mimetype=TYPES[ending],
                conditional=True,
                etag=name,
                as_attachment=ending == "zip" or "name" in request.args,
                download_name=_download_name(ending),
            )
        except FileNotFoundError:  # deleted in this moment to make room
            abort(404, "this sound is not kept any more; load the page again")
        response.headers["Accept-Ranges"] = "bytes"
        response.headers["Cache-Control"] = "private, max-age=86400, immutable"
        return response


def _download_name(ending: str) -> str:
    """Return the name a browser saves a file under: the page's wish made harmless, or ours."""
    wish = request.args.get("name", "")
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in wish)[:80]
    return f"{kept.strip('-') or 'auralise'}.{ending}"
