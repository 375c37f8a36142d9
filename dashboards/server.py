"""The dashboard on the network: everything wired together, behind a production server."""

from __future__ import annotations

import logging
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from dash import Dash
from flask import Response, jsonify
from waitress.server import create_server

from auralise import __version__
from auralise.errors import InvalidValueError, OutputError

from .limits import Allowance
from .media import register_media
from .quick import register_quick
from .security import ALLOWANCE, Rules, is_loopback, protect
from .service import Service
from .uploads import Decoders, UploadLimits, register_uploads

THREADS = 16
CONNECTIONS = 500
EXPIRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a dashboard can be reached.

    Attributes
    ----------
    host : str
        That the server listens on.
    port : int
    token : str
        That has to be in the first address a browser opens; empty if none is needed.
    """

    host: str
    port: int
    token: str = ""

    @property
    def url(self) -> str:
        """The address to open first."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        query = f"?token={self.token}" if self.token else ""
        return f"http://{name}:{self.port}/{query}"

    @property
    def warning(self) -> str:
        """What to know before others can reach it; empty where they cannot."""
        if is_loopback(self.host):
            return ""
        return (
            f"other machines can reach this dashboard at {self.host}, over a connection that is "
            "not encrypted. Whoever has the token can use it. Prefer the default address and a "
            "tunnel (ssh -L), or a server with TLS in front"
        )


def equip(
    app: Dash,
    service: Service,
    *,
    host: str = "127.0.0.1",
    token: str = "",
    names: tuple[str, ...] = (),
    limits: UploadLimits | None = None,
    allowance: Allowance = ALLOWANCE,
) -> Decoders:
    """Add to an app what its pages need beside the callbacks, and the rules all requests keep to.

    ``/media/...``, ``/heard``, ``/upload``, ``/health``; headers, sessions, limits, token.

    Parameters
    ----------
    app : Dash
        With all its callbacks.
    service : Service
        That the pages ask.
    host, token, names
        See `auralise.dashboards.security.Rules`.
    limits : UploadLimits, optional
    allowance : Allowance
        Of one visitor.

    Returns
    -------
    Decoders
        To be closed when the app is not used any more.
    """
    limits = UploadLimits() if limits is None else limits
    decoders = Decoders(limits)
    secret = service.cache.secret
    protect(app, Rules(host, token, names, secret, allowance))
    register_media(app.server, service.cache)
    register_quick(app.server, service)
    if service.atlas is not None:
        from .atlas import register_atlas

        register_atlas(app.server, service.atlas)
    register_uploads(app.server, service.songs, decoders, limits)

    @app.server.get("/health")  # type: ignore[untyped-decorator]
    def health() -> Response:
        return jsonify(status="ok", version=__version__)

    return decoders


def serve(
    app: Dash,
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 8050,
    token: str | None = None,
    names: tuple[str, ...] = (),
    threads: int = THREADS,
    limits: UploadLimits | None = None,
    ready: Callable[[Address], None] = lambda address: None,
) -> None:
    """Serve an app until the process is asked to end; what is under way is finished then.

    Parameters
    ----------
    app : Dash
        With all its callbacks.
    service : Service
        Closed at the end.
    host : str
        Address to listen on. Where other machines can reach it, a token is needed.
    port : int
        0 for any that is free.
    token : str, optional
        A new one if not given and one is needed; "" for none, on a loopback address only.
    names : tuple of str
        Names of this server in a Host header, beyond its addresses.
    threads : int
        How many requests are answered at the same time.
    limits : UploadLimits, optional
    ready : callable
        Called once with the address when the first page can be shown at once.

    Raises
    ------
    InvalidValueError
        If other machines could reach the server without a token, or the port is no port.
    OutputError
        If the address cannot be listened on.
    """
    if not 0 <= port <= 65535:
        raise InvalidValueError(f"port must be from 0 to 65535, got {port}")
    if token == "" and not is_loopback(host):
        raise InvalidValueError(f"{host} can be reached by other machines; it needs a token")
    token = (secrets.token_urlsafe(24) if not is_loopback(host) else "") if token is None else token
    limits = UploadLimits() if limits is None else limits
    decoders = equip(app, service, host=host, token=token, names=names, limits=limits)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    try:
        server = create_server(
            app.server,
            host=host,
            port=port,
            threads=threads,
            connection_limit=CONNECTIONS,
            channel_timeout=60,
            max_request_body_size=limits.file_bytes + 1,
            max_request_header_size=32_768,
            ident=None,
            expose_tracebacks=False,
            clear_untrusted_proxy_headers=True,
        )
    except OSError as error:
        service.close()
        raise OutputError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}; "
            "choose another with --port"
        ) from error
    with _ended_by_signals(), _kept_tidy(service, decoders):
        service.warm()  # nobody waits for it in the browser
        ready(Address(host, server.effective_port, token))
        server.run()  # returns when a signal asks the process to end


@contextmanager
def _kept_tidy(service: Service, decoders: Decoders) -> Iterator[None]:
    """Delete old uploads aside; close everything at the end."""
    done = threading.Event()

    def tend() -> None:
        decoders.warm()
        while not done.wait(EXPIRY_SECONDS):
            service.songs.expire()

    tending = threading.Thread(target=tend, name="tidy", daemon=True)
    tending.start()
    try:
        yield
    finally:
        done.set()
        tending.join(timeout=30)  # a thread that computes while Python ends would abort it
        decoders.close()
        service.close()


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end the server as an interrupt does, while the block runs."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
