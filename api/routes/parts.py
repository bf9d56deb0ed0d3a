"""What routes share: the backend that answers them, instants in queries, thinning."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from api.backend import Backend
from api.problems import Problem
from sim.common.time_units import instant_us, parse_instant


def backend_of(connection: HTTPConnection) -> Backend:
    """Return the backend of the application that a request or a socket came to."""
    backend: Backend = connection.app.state.backend
    return backend


BackendOf = Annotated[Backend, Depends(backend_of)]
Limit = Annotated[int, Query(ge=1, le=10_000, description="so many at most, the newest first")]


def us_of(value: str | None, name: str) -> int | None:
    """Return microseconds since 1970 of an instant in a query, if there is one. Raises Problem 422."""
    if value is None:
        return None
    try:
        return instant_us(parse_instant(value.replace(" ", "+") if "T" in value else value))
    except ValueError as error:
        raise Problem(422, f"{name}: {value!r:.60}: {error}") from None
