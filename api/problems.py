"""Errors as RFC 9457 problem details: where, which value, what would be right; never a traceback."""

import logging
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.status import HTTP_404_NOT_FOUND, HTTP_405_METHOD_NOT_ALLOWED

from sim.common.errors import InputError
from sim.common.text import printable

_LOG = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
_SHOWN = 20
"""Problems of one request that are told one by one."""


class Problem(Exception):  # noqa: N818 - it is the answer, not only the error
    """An answer that is an error. errors: {place, value, why} of each offender."""

    def __init__(
        self, status: int, detail: str, errors: list[dict[str, Any]] | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.retry_after_s = status, detail, errors or [], retry_after_s


class StoreUnavailable(Problem):
    """The database does not take or give anything now; what was acknowledged is safe."""

    def __init__(self, why: str) -> None:
        super().__init__(503, f"the store is not available: {why}; try again", retry_after_s=RETRY_AFTER_S)


class StoreContended(StoreUnavailable):
    """Another server has written to the store what this one did not know of."""

    def __init__(self) -> None:
        super().__init__("another server writes to it, and only one may")


_TITLES = {
    400: "Bad request",
    401: "Token needed",
    403: "Refused",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Not now",
    413: "Too large",
    415: "Unsupported media type",
    422: "Not usable",
    429: "Too many requests",
    500: "Failed",
    503: "Not available",
}


def response(
    status: int, detail: str, errors: list[dict[str, Any]] | None = None, headers: dict[str, str] | None = None
) -> JSONResponse:
    """Return a problem document."""
    body: dict[str, Any] = {
        "type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status, "detail": detail,
    }  # fmt: skip
    if errors:
        body["errors"] = errors[:_SHOWN]
        if len(errors) > _SHOWN:
            body["more_errors"] = len(errors) - _SHOWN
    return JSONResponse(body, status, headers, MEDIA_TYPE)


def _problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)  # noqa: S101 - registered for it
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else {}
    if error.status == 401:  # noqa: PLR2004 - the status that asks for a token
        headers["WWW-Authenticate"] = "Bearer"
    return response(error.status, error.detail, error.errors, headers)


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    detail = "there is no such route; /docs lists them" if error.status_code == HTTP_404_NOT_FOUND else error.detail
    headers = dict(error.headers or {})
    if error.status_code == HTTP_405_METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
    return response(error.status_code, str(detail), headers=headers)


def _allowed(request: Request) -> str:
    """Return the methods of a path, which several routes may answer."""
    methods: set[str] = set()
    for path, operations in request.app.openapi()["paths"].items():
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path))
        if re.fullmatch(pattern, request.url.path):
            methods |= {method.upper() for method in operations}
    return ", ".join(sorted(methods))


def _input(_request: Request, error: Exception) -> JSONResponse:
    return response(422, str(error))


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    found = [
        {
            "place": ".".join(printable(str(part)) for part in e["loc"]),
            "value": printable(f"{e.get('input')!r:.80}"),
            "why": printable(e["msg"]),
        }
        for e in error.errors()
    ]
    return response(422, "; ".join(f"{e['place']}: {e['why']}" for e in found[:3]), found)


def _gone(_request: Request, _error: Exception) -> JSONResponse:
    """Answer a client that hung up amid its body, which is no failure of ours; nobody reads it."""
    return response(400, "the body ends too early; send it whole")


def _failed(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("%s %s failed", request.method, printable(request.url.path), exc_info=error)
    return response(500, "the server failed at this request; its log says why")


def install(app: FastAPI) -> None:
    """Let every error of an app become a problem document."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(InputError, _input)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _failed)
