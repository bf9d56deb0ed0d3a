"""Training from what is stored, in a process of its own, one at a time."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from api.problems import Problem
from api.store import TELEMETRY, Store
from sim.common.errors import InputError, SimError
from sim.model.channels import TELEMETRY_CHANNELS
from training import artifact, fit
from training.features import Floats, feature_matrix
from training.fitting import deviations_in
from training.model import Model
from training.nominal import MIN_ROWS, nominal_rows
from training.telemetry import Telemetry

MOST_ROWS = 5_000_000
_AT_A_TIME = 50_000
_SOURCE = "stored samples"
_LOOK_S = 0.2
_END_S = 2.0
_NICENESS = 10  # who sends samples waits for an answer


@dataclass(frozen=True, slots=True)
class Task:
    """What to train on, and how. start_us, end_us: instants of the first and last sample, without bounds where None."""

    database_url: str
    start_us: int | None
    end_us: int | None
    n_clusters: int
    percentiles: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and mean, median and standard deviation of its nominal rows' deviations."""

    model: Model
    deviations: dict[str, float]


class Trainer:
    """Runs tasks in worker processes. stopping: tells whether the server ends, which ends a worker too."""

    def __init__(self, store: Store, stopping: Callable[[], bool]) -> None:
        self._store, self._stopping = store, stopping
        self._busy = threading.Lock()

    def train(self, task: Task) -> Trained:
        """Train and wait for it. Raises Problem: 409 while one runs, 400 where the samples do not do."""
        _check_enough(self._store, task)
        if not self._busy.acquire(blocking=False):
            raise Problem(409, "a model is being trained; one at a time", retry_after_s=10)
        try:
            return self._trained(task)
        finally:
            self._busy.release()

    def _trained(self, task: Task) -> Trained:
        context = multiprocessing.get_context("spawn")  # a fork would take this process's locks and connections along
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(task, theirs), name="training", daemon=True)
        with _without_interrupts():
            worker.start()
        theirs.close()
        try:
            answer = self._answer(ours)
        finally:
            worker.terminate()
            worker.join(_END_S)
            ours.close()
        if isinstance(answer, _Told):
            raise Problem(answer.status, answer.detail)
        text, deviations = answer
        return Trained(artifact.from_bytes(text.encode(), "the trained model"), deviations)

    def _answer(self, ours: Connection) -> Any:
        while not ours.poll(_LOOK_S):
            if self._stopping():
                raise Problem(503, "the server is ending; train when it is back", retry_after_s=10)
        try:
            return ours.recv()
        except EOFError:
            raise Problem(503, "the training process ended without a model; its log says why") from None


def _check_enough(store: Store, task: Task) -> None:
    some = _between(sa.select(TELEMETRY.c.ts_us), task.start_us, task.end_us).limit(MIN_ROWS).subquery()
    with store.reading() as connection:
        rows = connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    if rows < MIN_ROWS:
        raise Problem(400, f"{_SOURCE}: there are {rows}, at least {MIN_ROWS} are needed; store more")


def _between(query: "sa.Select[Any]", start_us: int | None, end_us: int | None) -> "sa.Select[Any]":
    """Return a query of samples from an instant to another [us], without bounds where None."""
    if start_us is not None:
        query = query.where(TELEMETRY.c.ts_us >= start_us)
    return query if end_us is None else query.where(TELEMETRY.c.ts_us <= end_us)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it is the server's, which ends them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(task: Task, theirs: Connection) -> None:
    """Train in a process of its own and send the artifact's text with its deviations, or what stands against it."""
    if sys.platform != "win32":
        os.nice(_NICENESS)
    try:
        answer: Any = _fitted(task)
    except Problem as problem:
        answer = _Told(problem.status, problem.detail)
    except InputError as error:
        answer = _Told(400, f"{str(error).split('; ')[0]}; store more samples, or choose others by start_ts and end_ts")
    except SimError as error:
        answer = _Told(503, str(error))
    theirs.send(answer)


@dataclass(frozen=True, slots=True)
class _Told:
    """A Problem as it goes from process to process."""

    status: int
    detail: str


def _fitted(task: Task) -> tuple[str, dict[str, float]]:
    store = Store(task.database_url)
    try:
        telemetry = stored_telemetry(store, task.start_us, task.end_us)
    finally:
        store.close()
    one_rack = len(telemetry.racks) == 1
    model = fit(telemetry, n_clusters=task.n_clusters, percentiles=task.percentiles, one_rack=one_rack)
    deviation = deviations_in(model, telemetry)[nominal_rows(telemetry, "extended").keep]
    found = {"mean": np.mean(deviation), "median": np.median(deviation), "std": np.std(deviation)}
    return artifact.to_text(replace(model, name="stored")), {name: round(float(v), 6) for name, v in found.items()}


def stored_telemetry(store: Store, start_us: int | None = None, end_us: int | None = None) -> Telemetry:
    """Return stored samples as a run in memory, by time, then rack. Raises Problem 422 for over MOST_ROWS of them."""
    racks: dict[str, int] = {}
    parts = [_part(rows, racks) for rows in _blocks(store, start_us, end_us)]
    if not parts:
        return Telemetry(np.empty(0), np.empty(0, np.intp), (), np.empty((0, 10)), 60.0, _SOURCE)
    ts_s, rack = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    values = np.concatenate([p[2] for p in parts])
    spacing_s = spacings_s(ts_s, rack, len(racks))
    columns = dict(zip(TELEMETRY_CHANNELS, values.T, strict=True))
    x = feature_matrix(columns, ts_s.size, spacing_s[rack])
    usual_s = float(np.nanmedian(spacing_s)) if np.isfinite(spacing_s).any() else 60.0
    return Telemetry(ts_s, rack, tuple(racks), x, usual_s, _SOURCE)


def _blocks(store: Store, start_us: int | None, end_us: int | None) -> Iterator[list[Any]]:
    """Give rows of (ts_us, rack_id, channels..) in order of time, a block at a time."""
    channels = [TELEMETRY.c[name] for name in TELEMETRY_CHANNELS]
    query = _between(sa.select(TELEMETRY.c.ts_us, TELEMETRY.c.rack_id, *channels), start_us, end_us)
    rows = 0
    with store.reading() as connection:
        found = connection.execution_options(stream_results=True, max_row_buffer=_AT_A_TIME).execute(
            query.order_by(TELEMETRY.c.ts_us, TELEMETRY.c.rack_id).limit(MOST_ROWS + 1)
        )
        for block in found.partitions(_AT_A_TIME):
            rows += len(block)
            if rows > MOST_ROWS:
                raise Problem(422, f"{_SOURCE}: over {MOST_ROWS:,}; choose fewer by start_ts and end_ts")
            yield list(block)


def _part(rows: list[Any], racks: dict[str, int]) -> tuple[Floats, NDArray[np.intp], Floats]:
    """Return instants [s], numbers of racks and values (rows, channels) of a block; new racks are numbered."""
    ts_s = np.array([row[0] for row in rows], dtype=np.int64) / 1e6
    rack = np.array([racks.setdefault(row[1], len(racks)) for row in rows], dtype=np.intp)
    return ts_s, rack, np.array([tuple(row)[2:] for row in rows], dtype=np.float64)


def spacings_s(ts_s: Floats, rack: NDArray[np.intp], racks: int) -> Floats:
    """Return the median spacing of each rack's own samples [s], NaN for those with one."""
    order = np.argsort(rack, kind="stable")
    bounds = np.searchsorted(rack[order], np.arange(racks + 1))
    each = [np.diff(ts_s[order[a:b]]) for a, b in pairwise(bounds.tolist())]
    return np.array([np.median(s) if s.size else np.nan for s in each])
