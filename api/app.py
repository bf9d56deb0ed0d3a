"""The server's application: `uvicorn api.app:app --reload`."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import click
import uvicorn
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from api import logs, openapi, problems
from api.backend import Backend
from api.guard import Guard
from api.routes import (
    actions,
    alarms,
    analytics,
    events,
    hall,
    ims,
    metrics,
    models,
    ops,
    page,
    racks,
    referee,
    report,
    skadi,
    stream,
    telemetry,
)
from api.settings import Settings, load_settings
from sim import __version__
from sim.common.errors import SimError
from sim.common.resources import VENDOR

ROUTES = (
    telemetry,
    ims,
    racks,
    hall,
    actions,
    referee,
    stream,
    events,
    ops,
    skadi,
    report,
    analytics,
    models,
    alarms,
    metrics,
    page,
)
_DESCRIPTION = """Telemetry in, scores out: `POST /telemetry/batch`, `GET /ims/scores`, `GET /stream`. Page: `/`.
Instants are ISO 8601, answered in UTC. Errors are RFC 9457 problem details."""
_PATIENCE_S = 2


def create_app(settings: Settings, backend: Backend | None = None) -> FastAPI:
    """Return an application with a backend: one that is given, or its own, opened when the server starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.backend = opened = backend or Backend(settings)
        _before_signals(opened.stream.close)
        try:
            yield
        finally:
            opened.close()

    app = FastAPI(
        title="Skadi backend", version=__version__, description=_DESCRIPTION, lifespan=lifespan, docs_url=None,
        redoc_url=None,
    )  # fmt: skip
    problems.install(app)
    app.add_middleware(Guard, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"]
        )
    for routes in ROUTES:
        app.include_router(routes.router)
    app.mount("/page/vendor", page.PageFiles(VENDOR), name="vendor")
    app.mount("/page", page.PageFiles(), name="page")
    openapi.install(app)
    return app


def _before_signals(stop: Callable[[], None]) -> None:
    """Call `stop` in the event loop before the server handles a signal that ends it: it waits for open streams."""
    loop = asyncio.get_running_loop()

    def chained(before: Any) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(stop)  # not here: whatever the signal interrupted may hold a lock
            _bound_waiting(getattr(before, "__self__", None))
            if callable(before):
                before(number, frame)

        return handle

    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        try:
            signal.signal(number, chained(before))
        except ValueError:  # not the main thread, as in a test client, which ends its streams itself
            return


def _bound_waiting(server: Any) -> None:
    """Let a server wait only so long for clients that do not read what it has for them; it waits for ever by itself."""
    if isinstance(server, uvicorn.Server) and server.config.timeout_graceful_shutdown is None:
        server.config.timeout_graceful_shutdown = _PATIENCE_S


def _served() -> FastAPI:
    """Return the application as the environment sets it, its store opened; end the process where that cannot be."""
    try:
        settings = load_settings()
        logs.start(settings.log_level)
        return create_app(settings, Backend(settings))
    except SimError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)


def __getattr__(name: str) -> Any:
    """Make `app` when a server asks for it, so that importing this module opens nothing."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = served = _served()
    return served
