"""One page's state, told by its address, as one HTML file that needs no server."""

from __future__ import annotations

import base64
from contextlib import suppress
from html import escape
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from auralise import __version__
from auralise.audio.files import encode_wav, read_audio
from auralise.errors import InvalidValueError, OutputError
from auralise.output.interactive import plotly_script, themes

from .pages import PAGES
from .service import Service
from .snapshot import Snapshot, json_script, to_html, to_json

# The browser itself refuses any request: only what stands in the page may be used.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data: blob:; connect-src data: blob:; base-uri 'none'; "
    "form-action 'none'"
)
_STYLES = ("app.css", "tables.css")
_SCRIPTS = (
    "wavesurfer.min.js", "wavesurfer.regions.min.js", "players.js", "transport.js", "export.js"
)  # fmt: skip


def export_page(service: Service, address: str, song: Path | None = None) -> str:
    """Return the HTML of the page that an address leads to.

    Parameters
    ----------
    service : Service
    address : str
        ``/listen?layer=conv3&unit=17``, with or without a server's name before it.
    song : Path, optional
        A file to be heard in place of the address's song.

    Raises
    ------
    InvalidValueError
        If no page is at that address.
    AuraliseError
        If the address names what is not there.
    """
    parts = urlsplit(address)
    path = "/" + parts.path.strip("/")
    pages = {page.PATH: page for page in PAGES}
    page = PAGES[0] if path == "/" else pages.get(path)
    if page is None:
        raise InvalidValueError(
            f"there is no page at {path!r}; the pages are {', '.join(pages)}, for instance "
            "/listen?layer=conv3&unit=17"
        )
    if not hasattr(page, "export"):
        raise InvalidValueError(f"the page {page.TITLE} cannot be written to a file")
    query = parts.query
    if song is not None:
        kept = [(name, value) for name, value in parse_qsl(query) if name != "song"]
        query = urlencode([*kept, ("song", adopt_song(service, song))])
    snapshot: Snapshot = page.export(service, f"?{query}" if query else "")
    return written(service, snapshot, f"{page.PATH}?{parts.query}".rstrip("?"))


def written(service: Service, snapshot: Snapshot, address: str) -> str:
    """Put a page together: style, scripts, figures and sounds inside, nothing fetched."""
    sounds = {
        **snapshot.sounds,
        "sounds": [
            {**sound, "url": _data_uri(service, str(sound["url"]))}
            for sound in snapshot.sounds.get("sounds", [])
        ],
    }
    credit = f"<p>{escape(snapshot.credits)}</p>" if snapshot.credits else ""
    styles = "\n".join(_asset(name) for name in _STYLES)
    scripts = "\n".join(f"<script>{_asset(name)}</script>" for name in _SCRIPTS)
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(snapshot.title)} · auralise</title>\n<style>\n{styles}</style>\n</head>\n"
        '<body class="exported">\n<header class="top"><span class="brand">'
        '<span class="mark" aria-hidden="true"></span>auralise</span></header>\n'
        f'<main id="page">{to_html(snapshot.body)}</main>\n'
        f"<footer>{credit}<p>Written by auralise {__version__} from the dashboard's page "
        f"<code>{escape(address)}</code>. The players are wavesurfer.js (BSD-3-Clause), the "
        "figures plotly.js (MIT).</p></footer>\n"
        f"{json_script(to_json(sounds), 'sounds')}{json_script(to_json(themes()), 'themes')}"
        f"<script>{plotly_script()}</script>\n{scripts}\n</body>\n</html>\n"
    )


def write_page(path: Path, content: str, *, force: bool = False) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    OutputError
        If there is a file of that name and ``force`` is not given, or it cannot be written.
    """
    if path.exists() and not force:
        raise OutputError(f"{str(path)!r} is there already; use --force to replace it")
    aside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(content, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


def adopt_song(service: Service, path: Path) -> str:
    """Take a file of one's own as a song of a service, and return its id.

    Raises
    ------
    AudioFileError
        If the file cannot be read.
    """
    sound = read_audio(path)
    target = service.songs.new_file()
    target.write_bytes(encode_wav(sound.waveform.mono(), "FLOAT"))
    info = service.songs.add(target, "export", path.stem, sound.waveform.duration, sound.notes)
    return info.id


def _data_uri(service: Service, url: str) -> str:
    content = service.cache.read(url.removeprefix("/media/"))
    if content is None:
        raise OutputError("the cache is too small for this page; give it more room")
    return f"data:audio/wav;base64,{base64.b64encode(content).decode()}"


def _asset(name: str) -> str:
    text = files("auralise.dashboards.assets").joinpath(name).read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script")
