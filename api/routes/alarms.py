"""What people say of alarms."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path
from pydantic import BaseModel, ConfigDict, Field

from api.backend import Backend, alarm_document
from api.openapi import answers
from api.routes.parts import BackendOf

router = APIRouter(tags=["monitor"])

AlarmId = Annotated[int, Path(ge=1, le=2**53, description="as GET /alarms tells it")]
_EXAMPLE = {
    "alarm_id": 1, "rack_id": "R-A-02", "open": True, "onset": "2025-01-06T05:03:00Z", "opened": "2025-01-06T05:09:00Z",
    "end": None, "acknowledged": "2026-01-01T00:00:00Z", "peak": {"deviation": 6.2, "ts": "2025-01-06T05:20:00Z"},
    "causes": [], "sensors": [], "comment": "a fan; someone is on the way", "model_id": "ims-0123456789ab",
}  # fmt: skip
_ANSWERS = answers(_EXAMPLE, s404="no such alarm", s413="the body is too large", s429="too many requests")


class Comment(BaseModel):
    """What is known of an alarm."""

    model_config = ConfigDict(extra="forbid")

    comment: str = Field(max_length=2000, pattern=r"^[^\x00]*$", examples=["a fan; someone is on the way"])


@router.post("/alarms/{alarm_id}/acknowledge", responses=_ANSWERS)
def acknowledge(backend: BackendOf, alarm_id: AlarmId) -> dict[str, Any]:
    """Note that someone has seen an alarm, and when (by this machine's clock); once is enough."""
    return _told(backend, backend.scoring.acknowledge(alarm_id, time.time_ns() // 1000))


@router.post("/alarms/{alarm_id}/comment", responses=_ANSWERS)
def comment(backend: BackendOf, alarm_id: AlarmId, said: Annotated[Comment, Body()]) -> dict[str, Any]:
    """Write down what is known of an alarm, in place of what was written before."""
    return _told(backend, backend.scoring.comment(alarm_id, said.comment))


def _told(backend: Backend, alarm: dict[str, Any]) -> dict[str, Any]:
    document = alarm_document(alarm)
    backend.stream.tell("alarm", document)
    return document
