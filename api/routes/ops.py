"""Whether the server is well."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter

from api.routes.parts import BackendOf

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer that the process lives."""
    return {"status": "alive"}


@router.get("/readyz")
def readyz(backend: BackendOf) -> dict[str, Any]:
    """Answer that the store answers; 503 where it does not."""
    with backend.store.reading() as connection:
        connection.execute(sa.select(1))
    return {"status": "ready", "model_id": backend.scoring.model_id}
