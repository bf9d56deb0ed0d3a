"""A sweep carried out: runs given to an engine, once more where their worker died, and what became of each."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from sim.common.atomic_files import WriteLockedError
from sim.common.errors import OutputError, SimError
from sim.common.text import reason
from sim.sweeps.engines import RETRIES, Engine

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T, R]):
    """What became of a run: what computing it returned, or why it failed."""

    run: T
    result: R | None
    failed: str = ""


@dataclass(frozen=True, slots=True)
class _Try(Generic[T]):
    run: T
    slot: int
    number: int


class Driver(Generic[T, R]):
    """Gives runs to an engine, each as a call; `outcomes` tells of each as it ends, in whatever order that is."""

    def __init__(self, runs: Iterable[T], call: Callable[[T], R], engine: Engine) -> None:
        self._waiting = iter(runs)
        self._again: deque[tuple[T, int]] = deque()
        self._call, self._engine = call, engine
        self._free = list(range(engine.slots))
        self._running: dict[Future[R], _Try[T]] = {}
        self._ended_by: OutputError | None = None

    def outcomes(self) -> Iterator[Outcome[T, R]]:
        """Yield what became of each run.

        Raises OutputError where no run can be computed any more, once those are over that have begun: the disk takes no
        more, or the scheduler is gone.
        """
        self._give()
        while self._running:
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in done:
                attempt = self._running.pop(future)
                self._free.append(attempt.slot)
                outcome = self._outcome(future, attempt)
                if outcome is not None:
                    yield outcome
            self._give()
        if self._ended_by is not None:
            raise self._ended_by

    def _give(self) -> None:
        """Give runs to all slots that are free."""
        while self._free and self._ended_by is None:
            run, number = self._again.popleft() if self._again else (next(self._waiting, None), 1)
            if run is None:
                return
            slot = self._free.pop()
            future = self._engine.submit(slot, self._call, run)
            self._running[future] = _Try(run, slot, number)

    def _outcome(self, future: "Future[R]", attempt: _Try[T]) -> Outcome[T, R] | None:
        """Return what became of a run, None where it is tried again or was taken back."""
        try:
            return Outcome(attempt.run, future.result())
        except CancelledError:
            self._end(OutputError("the scheduler is gone"))
            return None
        except self._engine.died as error:
            _LOG.info("try %d: %s: %s", attempt.number, reason(error), attempt.run)
            if attempt.number < self._engine.tries:
                self._again.append((attempt.run, attempt.number + 1))
                return None
            return _failed(attempt.run, f"its worker died each of {1 + RETRIES} times: killed, or out of memory")
        except SimError as error:
            if isinstance(error, OutputError) and not isinstance(error, WriteLockedError):
                self._end(error)
            return _failed(attempt.run, str(error))
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the run's; the rest goes on
            _LOG.info("%s", attempt.run, exc_info=error)
            return _failed(attempt.run, f"{type(error).__name__}: {reason(error)}")

    def _end(self, error: OutputError) -> None:
        """Give no more runs, and take those back that have not begun."""
        if self._ended_by is None:
            self._ended_by = error
            for future in self._running:
                future.cancel()


def _failed(run: T, error: str) -> Outcome[T, R]:
    return Outcome(run, None, error)
