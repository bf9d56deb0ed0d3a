"""The socket of the reference's clients."""

from fastapi import APIRouter, WebSocket

from api.routes.parts import backend_of

router = APIRouter()
MOST_CHARACTERS = 65_536


@router.websocket("/ws/events")
async def events(socket: WebSocket) -> None:
    """Echo what a client sends."""
    backend_of(socket)
    await socket.accept()
    async for text in socket.iter_text():
        if len(text) > MOST_CHARACTERS:
            await socket.close(1009, f"send at most {MOST_CHARACTERS:,} characters at a time")
            return
        await socket.send_json({"echo": text})
