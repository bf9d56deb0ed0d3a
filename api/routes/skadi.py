"""Routes that clients of the reference use, with its fields."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from api.routes.parts import BackendOf
from sim import __version__

router = APIRouter(tags=["reference"])


@router.get("/", response_class=Response)
async def root(request: Request, backend: BackendOf) -> Response:
    """Return the page, or what this service is where JSON is asked for."""
    accepts = request.headers.get("accept", "*/*")
    if "text/html" in accepts:
        return FileResponse(request.app.state.page / "index.html", media_type="text/html")
    settings = backend.settings
    return JSONResponse({
        "service": "skadi-sim", "version": __version__, "status": "running", "mode": backend.actions.mode,
        "kill_switch": settings.global_kill_switch,
    })  # fmt: skip


@router.get("/health")
async def health() -> dict[str, Any]:
    """Answer as the reference does."""
    return {"status": "healthy"}
