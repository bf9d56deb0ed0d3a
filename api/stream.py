"""The stream: what happens, told to every listener, each with a bounded queue of its own."""

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

REMEMBERED = 512
"""Latest messages kept for listeners that come back."""

_QUEUE = 256
_HEARTBEAT_S = 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that happened: its number, its kind (tick, scores, alarm, command, referee) and what it says."""

    number: int
    kind: str
    data: str


class _Listener:
    """A bounded queue in a client's event loop; None ends it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue(_QUEUE)

    def put(self, message: Message | None) -> None:
        """Take a message in; who is so slow that the queue is full is ended, and comes back by Last-Event-ID."""
        if message is None or self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            message = None
        self.queue.put_nowait(message)


class Stream:
    """Messages from any thread to listeners in the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: deque[Message] = deque(maxlen=REMEMBERED)
        self._listeners: set[_Listener] = set()
        self._number = 0
        self.closed = False

    @property
    def listeners(self) -> int:
        """Number of clients that listen."""
        return len(self._listeners)

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell all listeners, from any thread."""
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        with self._lock:
            self._number += 1
            message = Message(self._number, kind, text)
            self._recent.append(message)
            for listener in self._listeners:
                _pass_on(listener, message)

    async def listen(self, after: int | None = None) -> AsyncIterator[Message | None]:
        """Give messages as they come, those after a number first where they are still known; None is a heartbeat."""
        listener = _Listener()
        with self._lock:
            missed = [m for m in self._recent if after is not None and m.number > after]
            self._listeners.add(listener)
        try:
            for message in missed:
                yield message
            while not self.closed:
                try:
                    message_ = await asyncio.wait_for(listener.queue.get(), _HEARTBEAT_S)
                except TimeoutError:
                    yield None
                    continue
                if message_ is None:
                    return
                yield message_
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def close(self) -> None:
        """End all listeners, so that the server can stop."""
        self.closed = True
        with self._lock:
            for listener in self._listeners:
                _pass_on(listener, None)


def _pass_on(listener: _Listener, message: Message | None) -> None:
    try:
        listener.loop.call_soon_threadsafe(listener.put, message)
    except RuntimeError:  # its loop is closed: nobody listens any more
        return
