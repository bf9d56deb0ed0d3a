"""Where the runs of a sweep are computed: processes here, or a Dask cluster, both as concurrent.futures."""

import logging
import multiprocessing
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import NoReturn, Protocol, Self, TypeVar

from sim.common.errors import InputError
from sim.common.text import reason

T = TypeVar("T")

RETRIES = 3
"""How often a run is tried again whose worker died."""

_ADDRESS = re.compile(r"(tcp|tls|ws|wss)://\S+:\d{1,5}")
_PATIENCE_S, _PAUSE_S = 10.0, 0.5
_MOST_HELD = 10_000
"""Runs that a scheduler holds at a time (assumed): enough for any cluster to see that there is work."""


class Engine(Protocol):
    """Computes calls, at most `slots` at a time.

    died: what a call raises whose worker came to an end. tries: how often such a call is given to it.
    """

    @property
    def slots(self) -> int: ...
    @property
    def died(self) -> type[BaseException]: ...
    @property
    def tries(self) -> int: ...

    def submit(self, slot: int, call: Callable[..., T], *args: object) -> "Future[T]":
        """Give a call to a slot that is free."""


class Processes:
    """Processes of this machine: an executor for each, so that one which dies takes no other's run with it."""

    died: type[BaseException] = BrokenProcessPool
    tries = 1 + RETRIES

    def __init__(self, workers: int) -> None:
        self.slots = workers
        self._spawning = multiprocessing.get_context("spawn")
        self._before = {*multiprocessing.active_children()}
        self._pools: list[Executor] = [self._pool() for _ in range(workers)]

    def _pool(self) -> Executor:
        return ProcessPoolExecutor(1, mp_context=self._spawning, initializer=_prepare_worker)

    def submit(self, slot: int, call: Callable[..., T], *args: object) -> "Future[T]":
        """Give a call to a process that is free; a new one takes the place of one that died."""
        try:
            return self._pools[slot].submit(call, *args)
        except BrokenProcessPool:
            self._pools[slot].shutdown(wait=False)
            self._pools[slot] = self._pool()
            return self._pools[slot].submit(call, *args)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:  # each removes what it has not finished
            for child in {*multiprocessing.active_children()} - self._before:
                child.terminate()
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)


class _Stopped(SystemExit):
    """What SIGTERM is in a worker: no error of the run, which removes what it has not finished all the same."""


def _prepare_worker() -> None:
    """Leave Ctrl-C to the process that started this one, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise _Stopped


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    while True:  # the first one ends its run, the next one the process, which waits for another run then
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PAUSE_S)


class Cluster:
    """A Dask cluster, which gives calls to workers by itself, again where they die. Raises InputError without one."""

    tries = 1

    def __init__(self, scheduler: str) -> None:
        if not _ADDRESS.fullmatch(scheduler):
            raise InputError(f"--scheduler: {scheduler!r} is no address such as tcp://10.0.0.1:8786")
        try:
            from distributed import Client  # noqa: PLC0415 - an extra
            from distributed.scheduler import KilledWorker  # noqa: PLC0415 - as above
        except ImportError:
            raise InputError("--scheduler: distributed is not installed; pip install 'skadi-sim[cluster]'") from None
        for name in ("distributed", "distributed.client"):  # which tell of their own retries with tracebacks
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            self._client = Client(scheduler, timeout=_PATIENCE_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"--scheduler: nobody answers at {scheduler!r}: {reason(error)}") from None
        self._executor: Executor = self._client.get_executor(pure=False)
        self.slots = _MOST_HELD
        self.died: type[BaseException] = KilledWorker

    def submit(self, _slot: int, call: Callable[..., T], *args: object) -> "Future[T]":
        """Give a call to the scheduler."""
        return self._executor.submit(call, *args)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close(timeout=_PATIENCE_S)  # what has not begun is forgotten; what workers are at they finish
