"""Who may ask the dashboard for what: hosts, token, sessions, limits, headers, shape of requests.

The browser is not trusted: not in its Host, its cookies, its paths, nor in what it sends to the
callbacks. Pages may run the scripts of this server only.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import logging
import re
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from dash import Dash
from dash.exceptions import DashException
from flask import Flask, Response, g, jsonify, make_response, redirect, request
from werkzeug.exceptions import HTTPException

from auralise.errors import AuraliseError

from .callbacks import BadCallbackError, check_callback
from .limits import Allowance, Limiter, TooManyError

CALLBACKS = "/_dash-update-component"
SESSION_COOKIE = "auralise_session"
TOKEN_COOKIE = "auralise_token"
MAX_CALLBACK_BYTES = 1_000_000

ALLOWANCE = Allowance(rate=25.0, burst=120, at_once=8)
"""Of one visitor, for callbacks and uploads."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

# Components put <style> elements into the page; there is no way to name them all in advance.
_POLICY = (
    "default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_INLINE_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.+?)</script>", re.DOTALL)
_log = logging.getLogger("auralise.dashboard")


@dataclass(frozen=True, slots=True)
class Rules:
    """What `protect` holds requests to.

    Attributes
    ----------
    host : str
        Address that the server listens on.
    token : str
        Without which nothing is answered; empty for none.
    names : tuple of str
        Names of this server beyond those that ``host`` implies.
    secret : bytes
        Signs cookies; those of another secret are not known.
    allowance : Allowance
        Of one visitor.
    """

    host: str = "127.0.0.1"
    token: str = ""
    names: tuple[str, ...] = ()
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    allowance: Allowance = ALLOWANCE


def protect(app: Dash, rules: Rules) -> None:
    """Hold every request to an app to the rules, and give every answer its headers.

    Parameters
    ----------
    app : Dash
        With all its callbacks and its ``index_string``; not changed after this.
    rules : Rules
    """
    server: Flask = app.server
    limiter = Limiter(rules.allowance)
    guesses = Limiter(Allowance(rate=1.0, burst=20, at_once=20))

    @server.before_request
    def check() -> Response | tuple[Response, int] | None:
        return (
            _check_host(rules)
            or _check_token(rules, guesses)
            or _check_origin()
            or _enter(rules, limiter)
            or _check_body(app)
        )

    @server.after_request
    def dress(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if response.mimetype == "text/html":
            response.headers["Content-Security-Policy"] = policy(app)
            response.headers["Cache-Control"] = "no-store"
        if g.pop("new_session", False):
            _set_cookie(response, SESSION_COOKIE, _signed(rules.secret, g.session))
        return response

    @server.teardown_request
    def leave(_error: BaseException | None) -> None:
        visitor = g.pop("visitor", None)
        if visitor is not None:
            limiter.leave(visitor)

    _register_errors(app)


def _register_errors(app: Dash) -> None:
    """Answer errors that a visitor can cause with a sentence, not with a traceback."""
    server: Flask = app.server

    @server.errorhandler(DashException)
    def unknown(error: DashException) -> tuple[Response, int]:
        if request.path == CALLBACKS:
            return mistaken(error)
        return refusal("there is no such file", 404)

    @server.errorhandler(AuraliseError)
    def refused(error: AuraliseError) -> tuple[Response, int]:
        return refusal(str(error), 400)

    @server.errorhandler(HTTPException)
    def known(error: HTTPException) -> tuple[Response, int] | HTTPException:
        code = error.code or 500
        return refusal(error.description or error.name, code) if code >= 400 else error

    def mistaken(error: Exception) -> tuple[Response, int]:
        """Answer values of a type that no page of ours sends; ours are found in the log."""
        if request.path != CALLBACKS:
            raise error
        _log.error("a callback could not be answered", exc_info=error)
        return refusal("this request cannot be answered; load the page again", 400)

    for kind in (TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
        server.register_error_handler(kind, mistaken)


def session_id() -> str:
    """Return whose request is being answered; empty outside a request."""
    return str(g.get("session", "")) if g else ""


def refusal(text: str, code: int, retry: float = 0.0) -> tuple[Response, int]:
    """Return an answer that says why not."""
    response = jsonify(error=text)
    if retry:
        response.headers["Retry-After"] = str(max(1, round(retry)))
    return response, code


def policy(app: Dash) -> str:
    """Return the content security policy of an app's pages: its own scripts, and nobody else's."""
    inline = [*_INLINE_SCRIPT.findall(app.index_string)]
    hashes = [*app.csp_hashes(), *(_hash(script) for script in inline)]
    return _POLICY.format(hashes=" ".join(dict.fromkeys(hashes)))


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_host(rules: Rules) -> tuple[Response, int] | None:
    """Refuse names that are not this server's: a foreign page may point its own name here."""
    name = _host_name(request.host)
    if is_loopback(name) or name in {rules.host, *rules.names}:
        return None
    if not is_loopback(rules.host) and (_is_address(name) or name in _own_names()):
        return None
    return refusal("this server does not go by that name; use the address that it printed", 403)


def _host_name(host: str) -> str:
    """Return a Host header without its port and brackets, in small letters."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_names() -> Sequence[str]:
    name = socket.gethostname().lower()
    return (name, f"{name}.local")


def _check_token(rules: Rules, guesses: Limiter) -> Response | tuple[Response, int] | None:
    """Ask for the token once; a cookie remembers that it was given."""
    if not rules.token or request.path == "/health":
        return None
    expected = _mac(rules.secret, f"token {rules.token}")
    if hmac.compare_digest(request.cookies.get(TOKEN_COOKIE, "").encode(), expected.encode()):
        return None
    given = request.args.get("token", "")
    try:
        with guesses.request(request.remote_addr or ""):
            if not hmac.compare_digest(given.encode(), rules.token.encode()):
                return refusal(
                    "open the address with the token that the server printed when it started", 401
                )
    except TooManyError as error:
        return refusal(str(error), 429, error.seconds)
    rest = urlencode([(k, v) for k, v in request.args.items(multi=True) if k != "token"])
    path = "/" + request.path.lstrip("/\\")
    response = make_response(redirect(f"{path}?{rest}" if rest else path, 303))
    _set_cookie(response, TOKEN_COOKIE, expected)
    return response


def _check_origin() -> tuple[Response, int] | None:
    """Refuse what the page of another server sends."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    own = origin is None or urlsplit(origin).netloc == request.host
    if own and site in (None, "same-origin", "none"):
        return None
    return refusal("this was sent by the page of another server", 403)


def _enter(rules: Rules, limiter: Limiter) -> tuple[Response, int] | None:
    """Find out whose request this is, and whether they have used up their share."""
    session = _verified(rules.secret, request.cookies.get(SESSION_COOKIE, ""))
    g.new_session = not session
    g.session = session or secrets.token_hex(12)
    if request.method not in ("POST", "DELETE"):
        return None
    visitor = session or f"address {request.remote_addr}"
    try:
        limiter.enter(visitor)
    except TooManyError as error:
        return refusal(str(error), 429, error.seconds)
    g.visitor = visitor
    return None


def _check_body(app: Dash) -> tuple[Response, int] | None:
    """Refuse requests to the callbacks that no page of this app sends."""
    if request.path != CALLBACKS or request.method != "POST":
        return None
    if (request.content_length or 0) > MAX_CALLBACK_BYTES:
        return refusal(f"a request has at most {MAX_CALLBACK_BYTES} bytes", 413)
    try:
        check_callback(request.get_json(), app.callback_map)
    except RecursionError:
        return refusal("this request is nested too deeply", 400)
    except BadCallbackError as error:
        return refusal(str(error), 400)
    return None


def _set_cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, httponly=True, samesite="Lax", secure=request.is_secure)


def _mac(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()[:32]


def _signed(secret: bytes, session: str) -> str:
    return f"{session}.{_mac(secret, f'session {session}')}"


def _verified(secret: bytes, cookie: str) -> str:
    """Return the session of a cookie that this server made; empty for any other."""
    session = cookie.partition(".")[0]
    known = re.fullmatch(r"[0-9a-f]{24}", session) is not None
    if known and hmac.compare_digest(cookie.encode(), _signed(secret, session).encode()):
        return session
    return ""
