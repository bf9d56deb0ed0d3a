"""What happens, as it happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from api.openapi import answers
from api.routes.parts import BackendOf
from api.stream import Stream

router = APIRouter(tags=["stream"])
_RETRY_MS = 1000


_EXAMPLE = """retry: 1000

id: 5f0c1a7e-12
event: tick
data: {"ts":"2025-01-06T09:00:00Z","samples":72}
"""


@router.get("/stream", response_class=StreamingResponse, responses=answers(
    _EXAMPLE, "text/event-stream", s503="too many listen, or the store is not available; try again",
))  # fmt: skip
async def get_stream(
    backend: BackendOf, last_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=32)] = None
) -> StreamingResponse:
    """Tell what happens as server-sent events: tick, scores, alarm, hall, command, referee.

    Whoever comes back with Last-Event-ID is given what it missed, or `reset` where that is not kept. Whoever reads too
    slowly is told to `reconnect`. A comment every 10 s shows that the line stands.
    """
    backend.stream.check_room()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(backend.stream, last_id), media_type="text/event-stream", headers=headers)


async def _events(stream: Stream, last_id: str | None) -> AsyncIterator[str]:
    yield f"retry: {_RETRY_MS}\n\n"
    async for message in stream.listen(last_id):
        if message is None:
            yield ": still here\n\n"
        else:
            yield f"id: {stream.id_of(message)}\nevent: {message.kind}\ndata: {message.data}\n\n"
        await asyncio.sleep(0)  # a client that reads fast does not keep the others waiting
