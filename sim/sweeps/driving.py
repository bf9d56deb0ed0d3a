"""A sweep carried out: runs given to an engine, those whose worker died once more, and the index of all."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass

from sim.common.atomic_files import WriteLockedError
from sim.common.errors import OutputError, SimError
from sim.common.text import reason
from sim.sweeps.computing import Line, Place, compute
from sim.sweeps.engines import RETRIES, Engine
from sim.sweeps.sweep import Run

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run: its line of the index, with what went wrong where it failed."""

    run: Run
    line: Line
    failed: str = ""


@dataclass(frozen=True, slots=True)
class _Try:
    run: Run
    slot: int
    number: int


class Driver:
    """Gives the runs of a sweep to an engine; `outcomes` tells of each as it ends, in whatever order that is."""

    def __init__(self, runs: Iterable[Run], place: Place, engine: Engine) -> None:
        self._waiting = iter(runs)
        self._again: deque[tuple[Run, int]] = deque()
        self._place, self._engine = place, engine
        self._free = list(range(engine.slots))
        self._running: dict[Future[Line], _Try] = {}
        self._ended_by: OutputError | None = None

    def outcomes(self) -> Iterator[Outcome]:
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
            future = self._engine.submit(slot, compute, run, self._place)
            self._running[future] = _Try(run, slot, number)

    def _outcome(self, future: "Future[Line]", attempt: _Try) -> Outcome | None:
        """Return what became of a run, None where it is tried again or was taken back."""
        try:
            return Outcome(attempt.run, future.result())
        except CancelledError:
            self._end(OutputError("the scheduler is gone"))
            return None
        except self._engine.died as error:
            _LOG.info("%s: try %d: %s", attempt.run.folder, attempt.number, reason(error))
            if attempt.number < self._engine.tries:
                self._again.append((attempt.run, attempt.number + 1))
                return None
            return _failed(attempt.run, f"its worker died each of {1 + RETRIES} times: killed, or out of memory")
        except SimError as error:
            if isinstance(error, OutputError) and not isinstance(error, WriteLockedError):
                self._end(error)
            return _failed(attempt.run, str(error))
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the run's; the rest goes on
            _LOG.info("%s", attempt.run.folder, exc_info=error)
            return _failed(attempt.run, f"{type(error).__name__}: {reason(error)}")

    def _end(self, error: OutputError) -> None:
        """Give no more runs, and take those back that have not begun."""
        if self._ended_by is None:
            self._ended_by = error
            for future in self._running:
                future.cancel()


def _failed(run: Run, error: str) -> Outcome:
    return Outcome(run, {**run.parameters, "status": "failed", "error": error}, error)
