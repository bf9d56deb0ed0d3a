"""What happens, as it happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from api.routes.parts import BackendOf
from api.stream import Stream

router = APIRouter(tags=["stream"])


@router.get("/stream", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def get_stream(
    backend: BackendOf, last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=32)] = None
) -> StreamingResponse:
    """Tell what happens as server-sent events: tick, scores, alarm, command, referee."""
    after = int(last) if last is not None and last.isdecimal() else None
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(backend.stream, after), media_type="text/event-stream", headers=headers)


async def _events(stream: Stream, after: int | None) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for message in stream.listen(after):
        yield (
            ": still here\n\n"
            if message is None
            else f"id: {message.number}\nevent: {message.kind}\ndata: {message.data}\n\n"
        )
        await asyncio.sleep(0)
