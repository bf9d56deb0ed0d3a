"""What stands before every route: known hosts, bounded bodies and rates, and the token where one is needed."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import response
from api.samples import MOST_BYTES
from api.settings import Settings, is_loopback

_READING = ("GET", "HEAD", "OPTIONS")
OPEN_PATHS = ("/healthz", "/readyz", "/health")
"""Answered without a token: whoever watches over the process has none."""


_CLIENTS = 4096
"""Clients whose rates are remembered; the one unheard for longest is forgotten first."""


class _TooLargeError(Exception):
    """The body is longer than any route takes."""


class Guard:
    """Refuses requests that no route should see."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._rates = _Rates(settings.rate_per_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1][:120]})
            return
        if refusal:
            await response(*refusal, headers=_headers(refusal[0]))(scope, receive, send)
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, _bounded(receive), sent)
        except _TooLargeError:
            if not started:
                await response(413, f"the body is over {MOST_BYTES:,} bytes; send smaller batches")(
                    scope, receive, send
                )

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        refusal = self._misdirected(scope, headers) or self._unauthorised(scope, headers)
        if refusal is None and scope.get("method", "GET") not in _READING and not self._rates.allow(scope):
            return 429, f"over {self._settings.rate_per_s:g} requests a second; send more samples in fewer batches"
        return refusal

    def _misdirected(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return why a request is none for this server: its host, its length, the page that it comes from."""
        host, length = _host(headers.get("host", "")), headers.get("content-length", "")
        if "*" not in self._settings.allowed_hosts and host not in self._settings.allowed_hosts:
            return 400, "Host: is not one of this server's names; SKADI_ALLOWED_HOSTS lists them"
        if length.isdigit() and int(length) > MOST_BYTES:
            return 413, f"the body is over {MOST_BYTES:,} bytes; send smaller batches"
        if not self._is_welcome(scope, headers):
            return 403, "Origin: pages of other sites may not do this; SKADI_CORS_ORIGINS lists those that may"
        return None

    def _unauthorised(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return why whoever asks may not."""
        tokens = self._tokens_for(scope, headers)
        if not tokens and not _is_local(scope) and self._settings.token is None:
            return 403, "the server listens to others and has no token: set SKADI_TOKEN"
        if tokens and not _carries(headers, tokens):
            return 401, "Authorization: give Bearer and the token"
        return None

    def _is_welcome(self, scope: Scope, headers: Headers) -> bool:
        """Tell whether the page that asks, if one does, is ours or listed: a browser asks CORS for neither of these."""
        origin, listed = headers.get("origin"), self._settings.cors_origins
        if origin is None or (scope["type"] == "http" and scope["method"] in _READING):
            return True
        return origin in listed or "*" in listed or origin.partition("://")[2] == headers.get("host")

    def _tokens_for(self, scope: Scope, headers: Headers) -> list[SecretStr]:
        """Return the tokens that do for a request, none where it needs none: one who may write may read."""
        write, read = self._settings.token, self._settings.read_token
        if scope.get("method", "GET") not in _READING:
            return [] if write is None else [write]
        if read is None or _is_open(scope["path"], headers):
            return []
        return [read] if write is None else [read, write]


def _is_open(path: str, headers: Headers) -> bool:
    """Tell whether a path is read without a token: the page is, which then asks for it, and holds no data itself."""
    is_page = path.startswith("/page/") or path == "/docs" or (path == "/" and "text/html" in headers.get("accept", ""))
    return is_page or path in OPEN_PATHS


def _carries(headers: Headers, tokens: Sequence[SecretStr]) -> bool:
    kind, _, text = headers.get("authorization", "").partition(" ")
    given = text.strip().encode()
    matches = [secrets.compare_digest(given, token.get_secret_value().encode()) for token in tokens]
    return kind.lower() == "bearer" and any(matches)


def _host(value: str) -> str:
    """Return a Host header's name without its port; that of an IPv6 address stays in brackets."""
    name, _, port = value.rpartition(":")
    return (name if port.isdigit() else value).lower()


def _is_local(scope: Scope) -> bool:
    """Tell whether a request came to this machine's own address; a socket's path is one too."""
    server = scope.get("server")
    return server is None or server[1] is None or is_loopback(server[0]) or server[0] == "testserver"


def _headers(status: int) -> dict[str, str]:
    return {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}.get(status, {})


class _Rates:
    """So many requests a second of each client, and as many at once."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, scope: Scope) -> bool:
        """Count a request; tell whether its client may send it now."""
        client, now_s = (scope.get("client") or ("",))[0], time.monotonic()
        left, at_s = self._left.pop(client, (self._per_s, now_s))
        left = min(max(1.0, self._per_s), left + (now_s - at_s) * self._per_s)
        allowed = left >= 1.0
        self._left[client] = (left - allowed, now_s)
        if len(self._left) > _CLIENTS:
            self._left.popitem(last=False)
        return allowed


def _bounded(receive: Receive) -> Receive:
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MOST_BYTES:
                raise _TooLargeError
        return message

    return bounded
