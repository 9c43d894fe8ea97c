"""What stands before every request: who may ask, how much at once, and what a browser may do with the answer.

A page of another site cannot use the server through the browser of a person who runs it. A name that resolves to this
machine (DNS rebinding) is in `Host`, which must be one of the server's own; a form or a script of another site names
that site in `Origin`, or is called `cross-site` in `Sec-Fetch-Site`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from convolve.serve.problems import problem

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_SAFE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
MOST_REQUESTS: Final = 256
_GUARDED: Final = "jobs"
_OWN_SITES: Final = ("same-origin", "none")
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@final
@dataclass(frozen=True)
class Where:
    """The names and the port that are the server's own."""

    hosts: tuple[str, ...]
    port: int

    def is_own(self, host: str) -> bool:
        """Whether a `Host` header names the server."""
        name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        name, port = (name, port) if colon else (host, "")
        return name.strip("[]").casefold() in self.hosts and port in ("", str(self.port))


@final
class Guard:
    """Passes to ``app`` what may be answered: requests to one of ``hosts`` at ``port``, not more than ``most`` at once.
    Those to `/jobs`, or with ``all_paths`` to any address, need the ``token`` as a bearer.
    """

    def __init__(self, app: ASGIApp, where: Where, token: str, *, all_paths: bool, most: int = MOST_REQUESTS) -> None:
        self._app, self._where, self._token, self._all_paths, self._most = app, where, token, all_paths, most
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        if refusal:
            await problem(*refusal)(scope, receive, send_with_headers)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            self._running -= 1

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[HTTPStatus, str] | None:
        host = headers.get("host", "")
        if not self._where.is_own(host):
            return HTTPStatus.MISDIRECTED_REQUEST, f"This server does not answer as {host}; use its own address."
        if method not in _SAFE_METHODS:
            origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
            if (origin is not None and origin != f"http://{host}") or site not in _OWN_SITES:
                return HTTPStatus.FORBIDDEN, "A page of another site may not use this server; open its own address."
        if self._all_paths or path.partition("/")[2].partition("/")[0] == _GUARDED:
            given = headers.get("authorization", "").encode()
            if not secrets.compare_digest(given, f"Bearer {self._token}".encode()):
                sentence = "This needs the token that the server printed; send it as Authorization: Bearer TOKEN."
                return HTTPStatus.UNAUTHORIZED, sentence
        if self._running >= self._most:
            return HTTPStatus.SERVICE_UNAVAILABLE, "The server is busy; try again in a moment."
        return None
