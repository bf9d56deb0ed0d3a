"""The stream: what happens, told to every listener, each with a bounded queue of its own."""

import asyncio
import json
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from api.problems import Problem

REMEMBERED = 1024
"""Latest messages kept for listeners that come back."""

MOST_LISTENERS = 256
HEARTBEAT_S = 10.0
_QUEUE = 256


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that happened: its number, its kind (tick, scores, alarm, hall, command, referee) and what it says.

    A listener is also told `reset`, where it cannot be given what it missed, and `reconnect`, last, when it is dropped.
    """

    number: int
    kind: str
    data: str


class _Listener:
    """A bounded queue in a client's event loop; None in it wakes a listener that is to end."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[Message | None] = asyncio.Queue(_QUEUE)
        self.dropped = False

    def put(self, message: Message | None) -> None:
        """Take a message in; whoever is so slow that the queue is full gets no more, and may come back for it."""
        if self.dropped:
            return
        if message is None or self.queue.full():
            self.dropped = message is not None
            while not self.queue.empty():
                self.queue.get_nowait()
            message = None
        self.queue.put_nowait(message)


class Stream:
    """Messages from any thread to listeners in an event loop.

    A message's id is the stream's own name and its number, so that a client of another start of the server is known.
    """

    def __init__(self, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._lock = threading.Lock()
        self._recent: deque[Message] = deque(maxlen=REMEMBERED)
        self._listeners: set[_Listener] = set()
        self._number = 0
        self._name = secrets.token_hex(4)
        self._heartbeat_s = heartbeat_s
        self.closed = False

    @property
    def listeners(self) -> int:
        """Number of clients that listen."""
        return len(self._listeners)

    @property
    def number(self) -> int:
        """Number of the latest message."""
        return self._number

    def id_of(self, message: Message) -> str:
        """Return what a client sends back as Last-Event-ID."""
        return f"{self._name}-{message.number}"

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell all listeners, from any thread."""
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        with self._lock:
            self._number += 1
            message = Message(self._number, kind, text)
            self._recent.append(message)
            for listener in self._listeners:
                _pass_on(listener, message)

    def check_room(self) -> None:
        """Raise Problem 503 where as many listen as may."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise Problem(503, f"{MOST_LISTENERS} clients listen already; try again", retry_after_s=10)

    async def listen(self, last_id: str | None = None) -> AsyncIterator[Message | None]:
        """Give messages as they come, those after `last_id` first; None is a heartbeat."""
        listener = _Listener()
        with self._lock:
            told, first = self._number, self._missed(last_id)
            listener.dropped = len(self._listeners) >= MOST_LISTENERS
            if not listener.dropped:
                self._listeners.add(listener)
        try:
            for message in first:
                told = message.number
                yield message
            while not self.closed and not listener.dropped:
                message_ = await self._next(listener)
                told = message_.number if message_ else told
                yield message_
            if listener.dropped:
                yield Message(told, "reconnect", '{"why":"read too slowly; come back with Last-Event-ID"}')
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def _missed(self, last_id: str | None) -> list[Message]:
        """Return what came after a listener was last told something, or that it has to ask anew for what stands."""
        if last_id is None:
            return []
        name, _, digits = last_id.rpartition("-")
        seen = int(digits) if name == self._name and digits.isdecimal() else -1
        oldest = self._recent[0].number if self._recent else self._number + 1
        if not oldest - 1 <= seen <= self._number:
            return [Message(self._number, "reset", '{"why":"what was missed is not kept; ask anew for what stands"}')]
        return [message for message in self._recent if message.number > seen]

    async def _next(self, listener: _Listener) -> Message | None:
        """Return the next message, or None where the listener's queue ends or nothing was told for long."""
        try:
            return await asyncio.wait_for(listener.queue.get(), self._heartbeat_s)
        except TimeoutError:
            return None

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
