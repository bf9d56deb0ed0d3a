"""A sink that writes in a thread of its own, while the next block is simulated."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from sim.engine.blocks import Labels, Sink, Telemetry
from sim.incidents.labels import IncidentEvent
from sim.model.episodes import Episode

MAX_WAITING = 4
"""Calls that may wait for the writer; a faster simulation waits instead, so memory stays bounded."""


class InBackground:
    """Passes everything on in order. As a context it ends when all is written; what fails there is raised here."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._waiting: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")

    def telemetry(self, block: Telemetry) -> None:
        """Pass readings on."""
        self._pass_on(self._sink.telemetry, block)

    def labels(self, block: Labels) -> None:
        """Pass labels on."""
        self._pass_on(self._sink.labels, block)

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Pass events on."""
        self._pass_on(self._sink.events, finished)

    def _pass_on(self, call: Callable[[Any], None], what: Any) -> None:
        self._waiting.append(self._thread.submit(call, what))
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._thread.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            while self._waiting:
                self._waiting.popleft().result()
