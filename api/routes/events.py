"""The socket of the reference's clients: an echo, and the hall's figures while data flows."""

import asyncio
import contextlib
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.concurrency import run_in_threadpool

from api import figures
from api.aggregates import DAY_US
from api.backend import Backend
from api.problems import StoreUnavailable
from api.routes.parts import backend_of
from sim.common.time_units import format_instant_us

router = APIRouter()
MOST_CHARACTERS = 65_536
MOST_SOCKETS = 256
_TRY_AGAIN = 1013
LONGEST_S = 10.0
"""A frame comes at least so often while data flows [s]."""


@router.websocket("/ws/events")
async def events(socket: WebSocket) -> None:
    """Echo what a client sends, and tell it the hall's figures whenever there are new ones."""
    await socket.accept()
    backend = backend_of(socket)
    if backend.sockets >= MOST_SOCKETS:
        await socket.close(_TRY_AGAIN, f"{MOST_SOCKETS} sockets are open already; try again")
        return
    backend.sockets += 1
    telling = asyncio.create_task(_tell(socket, backend))
    try:
        wrong = await _echo(socket)
    finally:
        backend.sockets -= 1
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
            await telling
    if wrong:
        await socket.close(*wrong)


async def _echo(socket: WebSocket) -> tuple[int, str] | None:
    """Echo until the client is gone, or return the code and the reason to close with."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            return 1003, "send text"
        if len(text) > MOST_CHARACTERS:
            return 1009, f"send at most {MOST_CHARACTERS:,} characters at a time"
        try:
            await socket.send_json({"echo": text})
        except WebSocketDisconnect:
            return None


async def _tell(socket: WebSocket, backend: Backend) -> None:
    """Send a frame now and then every interval in which something came in, until cancelled."""
    interval_s, seen = min(LONGEST_S, backend.settings.ims_score_interval_s), -1
    while True:
        if backend.ingest.counters.samples != seen:
            seen = backend.ingest.counters.samples
            with contextlib.suppress(StoreUnavailable):
                frame = await run_in_threadpool(_frame, backend)
                if frame is not None:
                    await socket.send_json(frame)
        await asyncio.sleep(interval_s)


def _frame(backend: Backend) -> dict[str, Any] | None:
    """Return the hall's figures as the reference's clients read them, None while nothing is stored."""
    with backend.store.reading() as connection:
        found = figures.overview(connection)
    if found is None:
        return None
    newest, told = found
    actions = backend.actions_during(newest - DAY_US, newest)
    return {
        "ts": format_instant_us(newest),
        "kpis": {name: told[name] for name in ("j_per_prompt_wh", "latency_p95_ms", "inlet_compliance_pct")},
        "ims": {"deviation": told["ims_deviation"], "mms_state": told["mms_state"]},
        "last_action": _action(actions[-1]) if actions else None,
    }


def _action(action: dict[str, Any]) -> dict[str, Any]:
    """Return an action with the first number among its parameters as its delta."""
    delta = next((value for value in action["params"].values() if isinstance(value, (int, float))), None)
    return {"action": action["action"], "delta": delta, "pred_saving_pct": action["pred_saving_pct"]}
