"""Whether the server is well."""

from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter

from api.problems import RETRY_AFTER_S, Problem
from api.routes.parts import BackendOf

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer that the process lives."""
    return {"status": "alive"}


@router.get("/readyz")
def readyz(backend: BackendOf) -> dict[str, Any]:
    """Answer that the store answers and the hall's thread lives; 503 where one does not."""
    with backend.store.reading() as connection:
        connection.execute(sa.select(1))
    if backend.hall.failure is not None:
        raise Problem(503, f"the live hall has failed: {backend.hall.failure}", retry_after_s=RETRY_AFTER_S)
    return {"status": "ready", "model_id": backend.scoring.model_id}
