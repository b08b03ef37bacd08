"""Who may use the review's server: a random token or a password, the right Host and Origin; and what the browser may load."""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scd_core.errors import InputError

__all__ = ["HEADERS", "Access", "Guard", "read_passwords", "refusal"]

HEADERS = {
    # No inline script, no other server, no frame around the page.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src "
    "'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""Of every answer."""
_LOCAL = {"127.0.0.1", "localhost", "[::1]"}
_COOKIE_SECONDS = 30 * 24 * 3600
_READING = {"GET", "HEAD"}
_MOST_NAME = 100


@dataclass(frozen=True)
class Access:
    """Who may come in, and under which name.

    Args:
        who: name of the person that has the token.
        token: the secret of the address that is printed.
        passwords: person -> password, of other people; the name ``*`` stands for any.
        is_loopback: only this machine may come in.
    """

    who: str
    token: str
    passwords: Mapping[str, str] = field(default_factory=dict)
    is_loopback: bool = True

    def person(self, request: Request) -> str | None:
        """Who asks; None where the request shows neither token nor password. Every secret is compared in constant time."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            return self._by_password(value)
        offers = (
            value.strip() if scheme.lower() == "bearer" else "",
            request.query_params.get("token", ""),
            request.cookies.get(self.cookie(request), ""),
        )
        right = False
        for offer in offers:
            right |= _same(offer, self.token)
        return self.who if right else None

    def cookie(self, request: Request) -> str:
        """Name of the cookie, one for each port: browsers send a cookie to all ports of a machine."""
        return f"trapaudit_{(request.scope.get('server') or ('', 0))[1]}"

    def allows_host(self, host: str) -> bool:
        """Whether a request with this Host means this server: a foreign name may lead here (DNS rebinding)."""
        name = _host_name(host)
        if name in _LOCAL:
            return True
        if self.is_loopback:
            return False
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def allows_origin(self, request: Request) -> bool:
        """Whether a page of this server sent the request, or no page did."""
        origin = request.headers.get("origin")
        if origin is None:
            return request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        try:
            sender = urlsplit(origin).netloc.lower()
        except ValueError:  # no address, such as half an IPv6 one
            return False
        return sender == request.headers.get("host", "").lower() != ""

    def _by_password(self, value: str) -> str | None:
        try:
            name, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        name = name.strip()
        expected = self.passwords.get(name, self.passwords.get("*"))
        is_right = _same(password, expected if expected is not None else secrets.token_hex(16))
        is_name = 0 < len(name) <= _MOST_NAME and name.isprintable()
        return name if is_right and is_name and expected is not None else None


class Guard:
    """Lets in who has the token or a password, from a page of this server, and adds :data:`HEADERS` to every answer.

    Args:
        app: the application behind it, whose requests have the person in ``scope["state"]["who"]``.
        access: who may come in.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with one line."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refused = self._refused(request)
        is_given = refused is None and "token" in request.query_params

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if is_given:
                    headers.append("Set-Cookie", self._set_cookie(request))
            await send(message)

        await (refused or self._app)(scope, receive, send_with_headers)

    def _refused(self, request: Request) -> Response | None:
        access = self._access
        if not access.allows_host(request.headers.get("host", "")):
            return refusal(403, "this address is not the review's; open the one that it printed")
        if request.method not in _READING and not access.allows_origin(request):
            return refusal(403, "another page sent this; answers are taken from the review's own page only")
        who = access.person(request)
        if who is None:
            headers = (
                {"WWW-Authenticate": 'Basic realm="trapaudit review", charset="UTF-8"'} if access.passwords else {}
            )
            return refusal(401, "the token is missing or wrong; open the address that the review printed", headers)
        request.scope.setdefault("state", {})["who"] = who
        return None

    def _set_cookie(self, request: Request) -> str:
        """So that the page's own pictures need no token in their address."""
        name = self._access.cookie(request)
        return f"{name}={self._access.token}; Max-Age={_COOKIE_SECONDS}; Path=/; HttpOnly; SameSite=Strict"


def read_passwords(text: str, where: str) -> dict[str, str]:
    """Passwords from the text of a file: ``NAME:PASSWORD`` on each line, or one line with a password for everybody.

    Args:
        text: of the file.
        where: of the file, for messages.

    Raises:
        InputError: it holds none, or one that is too short.

    >>> read_passwords("ana:correct horse\\n", "f"), read_passwords("correct horse", "f")
    ({'ana': 'correct horse'}, {'*': 'correct horse'})
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{where}: holds no password; write NAME:PASSWORD on each line")
    found = {}
    for number, line in enumerate(lines, 1):
        name, colon, password = line.partition(":")
        if not colon and len(lines) > 1:
            raise InputError(f"{where}, line {number}: expected NAME:PASSWORD")
        name, password = (name.strip(), password) if colon else ("*", line)
        if len(password) < 8:
            raise InputError(f"{where}, line {number}: the password has fewer than 8 characters")
        found[name] = password
    return found


def refusal(status: int, line: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An answer that says in one line of at most 400 characters why the request was not met: a line may quote the request."""
    line = " ".join(line.split())
    return JSONResponse({"detail": line if len(line) <= 400 else f"{line[:399]}…"}, status, dict(headers or {}))


def _same(offer: str, secret: str) -> bool:
    return hmac.compare_digest(offer.encode("utf-8", "replace"), secret.encode())


def _host_name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()
