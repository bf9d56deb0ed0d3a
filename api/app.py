"""The server's application: `uvicorn api.app:app --reload`."""

import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from api import problems
from api.backend import Backend
from api.guard import Guard
from api.routes import actions, hall, ims, ops, racks, referee, skadi, stream, telemetry
from api.settings import Settings
from sim import __version__

PAGE = Path(__file__).parent / "page"
_DESCRIPTION = """Telemetry in, scores out: `POST /telemetry/batch`, `GET /ims/scores`, `GET /stream`. Page: `/`.
Instants are ISO 8601, answered in UTC. Errors are RFC 9457 problem details."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return an application with a backend of its own, which opens its store when the server starts."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logging.getLogger("api").setLevel(settings.log_level.upper())
        backend = Backend(settings)
        app.state.backend = backend
        with_signals(backend.stream.close)
        try:
            yield
        finally:
            backend.close()

    app = FastAPI(title="Skadi backend", version=__version__, description=_DESCRIPTION, lifespan=lifespan)
    app.state.settings, app.state.page = settings, PAGE
    problems.install(app)
    app.add_middleware(Guard, settings=settings)
    for routes in (telemetry, ims, racks, hall, actions, referee, stream, ops, skadi):
        app.include_router(routes.router)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    return app


def with_signals(stop: Callable[[], None]) -> None:
    """Call `stop` before the server's own handler of a signal that ends it, which waits for open streams.

    Only the main thread may handle signals; a test client runs elsewhere and ends its streams itself.
    """

    def chained(before: Any) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            stop()
            if callable(before):
                before(number, frame)

        return handle

    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        try:
            signal.signal(number, chained(before))
        except ValueError:
            return


app = create_app()
