"""The referee: alarms of any monitor over the live hall, held against the truth that only the hall knows."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from api.hall_run import HallRun
from api.problems import Problem
from api.store import HALL_RUNS, REFEREE_ALARMS, Store
from api.stream import Stream
from sim.common.time_units import format_instant_us, instant_us
from sim.engine.blocks import Labels as TickLabels
from sim.model.channels import TELEMETRY_CHANNELS
from sim.model.profiles import INCIDENT, SENSOR
from sim.runs.files import tables_of
from training.alarms import KINDS, Alarm, Known, scoreboard
from training.evaluation import Protocol
from training.events import Truth
from training.features import Floats, feature_matrix
from training.labels import labels_of
from training.mms import PERSISTENT, RECOVERING, TRANSIENT, Smoother
from training.model import Model
from training.monitor import Monitor

LARGEST_Z_TAUS = (2.80, 3.09)
"""95 % and 98 % points of the largest of ten independent normal |z|."""

MOST_ALARMS = 200_000
OWN = ("ims (ema)", "ims (likelihood)", "largest-z")
"""Names of the contestants that come with the server."""

_PROTOCOL = Protocol()
_TOLD_EVERY_S = 5.0
_WHERE = Path("the live hall")


class _Own:
    """A built-in contestant: a score per rack and tick, smoothed as everywhere, its states turned into alarms."""

    def __init__(self, name: str, smoother: Smoother, racks: Sequence[str], tick_s: float) -> None:
        self.name = name
        self.alarms: list[Alarm] = []
        self._smoother, self._racks, self._tick_s = smoother, racks, tick_s
        self._open: dict[tuple[int, bool], int] = {}
        smoother.know(len(racks))

    def take(self, ts_s: float, score: Floats) -> None:
        """Take a tick's scores, (racks,)."""
        state = self._smoother.step(np.arange(len(self._racks)), ts_s, score).state
        self._follow(ts_s, (state == PERSISTENT) | (state == RECOVERING), transient=False)
        self._follow(ts_s, state == TRANSIENT, transient=True)

    def _follow(self, ts_s: float, on: NDArray[np.bool_], *, transient: bool) -> None:
        """Begin an alarm where a state begins, and end it with the first sample that does not have it."""
        lit = set(np.flatnonzero(on).tolist())
        for rack, _ in [key for key in self._open if key[1] == transient and key[0] not in lit]:
            number = self._open.pop((rack, transient))
            begun = self.alarms[number]
            self.alarms[number] = Alarm(begun.rack, begun.start_s, ts_s, "", transient)
        for rack in sorted(lit):
            if (rack, transient) not in self._open:
                self._open[rack, transient] = len(self.alarms)
                self.alarms.append(Alarm(self._racks[rack], ts_s, None, "", transient))


class Case:
    """One run of the hall before the referee: its truth as far as it is known, and all alarms."""

    def __init__(self, run: HallRun, model: Model | None, told: Callable[["Case"], None]) -> None:
        self.run = run
        self.racks = run.hall.facility.racks
        self.posted: dict[str, dict[tuple[str, float], Alarm]] = {}
        self.own = _own(model, self.racks, run.tick_s)
        self._model, self._told = model, told
        self._monitor = None if model is None else Monitor(model)
        self._tables = tables_of(run.hall)
        self._start_s = instant_us(run.scenario.start) / 1e6
        self._event: list[NDArray[np.bool_]] = []
        self._ignored: list[NDArray[np.bool_]] = []
        self._key: list[NDArray[np.int32]] = []
        self._names = [""]
        self._codes = {"": 0}
        self._incidents: set[int] = set()
        self._walls: deque[tuple[float, float]] = deque(maxlen=20_000)
        self._lock = threading.Lock()
        self._known = 0

    def feed(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Let the built-in contestants see a tick, as anybody sees it."""
        ts_s = self._start_s + (self.run.ticks - 1) * self.run.tick_s
        self._walls.append((time.time(), ts_s))
        if self._model is None or self._monitor is None:
            return
        columns = {
            name: np.array([np.nan if s[name] is None else s[name] for s in samples]) for name in TELEMETRY_CHANNELS
        }
        x = feature_matrix(columns, len(samples), self.run.tick_s)
        instants = np.full(len(x), ts_s)
        felt = self._monitor.score(self.racks, np.arange(len(x)), instants, x)[1]
        largest = np.abs(np.nan_to_num(self._model.scaled(x))).max(axis=1)
        with self._lock:
            for one in self.own:
                one.take(ts_s, largest if one.name == OWN[2] else felt)

    def labels(self, block: TickLabels) -> None:
        """Take the truth of ticks."""
        labels = labels_of(self._tables.labels(block, text=False), _WHERE)
        ticks, racks = block.racks.profile.shape
        nothing = np.zeros(labels.kind.size)
        truth = Truth.of(labels, nothing.astype(np.intp), nothing, 1.0, _PROTOCOL.truth, _PROTOCOL.ignored)
        affected = np.isin(labels.kind, (INCIDENT, SENSOR)) & truth.event
        codes = np.zeros(labels.kind.size, dtype=np.int32)
        for i in np.flatnonzero(truth.event | truth.ignored).tolist():
            codes[i] = self._code(str(labels.episode[i]), incident=bool(affected[i]))
        with self._lock:
            shape = ticks, racks
            self._event += list(truth.event.reshape(shape))
            self._ignored += list(truth.ignored.reshape(shape))
            self._key += list(codes.reshape(shape))
        if len(self.run.over) != self._known:
            self._known = len(self.run.over)
            self._told(self)

    def _code(self, name: str, *, incident: bool) -> int:
        code = self._codes.setdefault(name, len(self._names))
        if code == len(self._names):
            self._names.append(name)
        if incident:
            self._incidents.add(code)
        return code

    def instant_s(self, wall_s: float) -> float | None:
        """Return the hall's time [s since 1970] at an instant of the wall clock, None before the run."""
        before = [ts_s for at_s, ts_s in self._walls if at_s <= wall_s]
        return before[-1] if before else None

    @property
    def now_s(self) -> float:
        """The hall's time [s since 1970]."""
        return self._start_s + self.run.now_s

    @property
    def start_s(self) -> float:
        """When the hall's time began [s since 1970]."""
        return self._start_s

    def alarms(self) -> dict[str, list[Alarm]]:
        """Return all alarms by contestant."""
        with self._lock:
            own = {one.name: list(one.alarms) for one in self.own}
            return own | {name: list(alarms.values()) for name, alarms in self.posted.items()}

    def post(self, contestant: str, alarms: Sequence[Alarm]) -> None:
        """Take alarms in; one that is known by its rack and start is the same, perhaps ended now."""
        with self._lock:
            mine = self.posted.setdefault(contestant, {})
            mine |= {(a.rack, a.start_s): a for a in alarms}

    def count(self) -> int:
        """Return the number of alarms that were posted."""
        return sum(map(len, self.posted.values()))

    def board(self, *, reveal: bool) -> dict[str, Any]:
        """Return the scoreboard over the ticks whose truth is known; what is open is left out unless it is shown."""
        alarms = self.alarms()
        with self._lock:
            event, ignored, key = (
                np.array(of, dtype=kind).reshape(-1, len(self.racks))
                for of, kind in ((self._event, bool), (self._ignored, bool), (self._key, np.int32))
            )
            names, incidents = np.array(self._names, dtype=np.str_), set(self._incidents)
        known = self._known_incidents(reveal=reveal)
        hidden = np.array([code for code in incidents if str(names[code]) not in known], dtype=np.int32)
        veiled = event & np.isin(key, hidden)
        ticks = self._start_s + np.arange(len(event)) * float(self.run.tick_s)
        truth = Truth(
            (event & ~veiled).ravel(), (ignored | veiled).ravel(), names[key.ravel()],
            np.tile(np.arange(len(self.racks)), len(event)), np.repeat(ticks, len(self.racks)), float(self.run.tick_s),
        )  # fmt: skip
        until = self.run.instant(len(event) * self.run.tick_s)
        if not len(event):
            empty = [{"name": name, "alarms": len(of)} for name, of in alarms.items()]
            return {"truth_until": until, "contestants": empty, "incidents": []}
        return {"truth_until": until, **scoreboard(truth, self.racks, known, alarms)}

    def _known_incidents(self, *, reveal: bool) -> dict[str, Known]:
        known = {name: Known(e.kind, e.group, e.assets) for name, e in dict(self.run.over).items()}
        if reveal:
            known |= {
                o.id: Known(o.incident.kind.name, o.incident.kind.group, o.incident.assets)
                for o in self.run.simulation.begun
                if o.id not in known
            }
        return known


def _own(model: Model | None, racks: Sequence[str], tick_s: float) -> list[_Own]:
    if model is None:
        return []
    smoothers = {OWN[0]: Smoother.of(model, "ema", tick_s)}
    if model.densities is not None:
        smoothers[OWN[1]] = Smoother.of(model, "likelihood", tick_s)
    smoothers[OWN[2]] = Smoother(*LARGEST_Z_TAUS, interval_s=tick_s)
    return [_Own(name, smoother, racks, tick_s) for name, smoother in smoothers.items()]


class Referee:
    """Judges the runs of one server's hall, one after another."""

    def __init__(self, store: Store, stream: Stream, *, reveal: bool) -> None:
        self.case: Case | None = None
        self._store, self._stream, self._reveal = store, stream, reveal
        self._told_at = float("-inf")

    def open(self, run: HallRun, model: Model | None) -> Case:
        """Begin with a run that starts now."""
        self.case = Case(run, model, self._tell)
        return self.case

    def board(self) -> dict[str, Any]:
        """Return how the contestants stand."""
        case = self.case
        if case is None:
            return self._kept()
        message = (
            None if case.own else "no model was active when the hall started, so no built-in contestant takes part"
        )
        return {**self._figures(case), "message": message}

    def _figures(self, case: Case) -> dict[str, Any]:
        return {"ts": case.run.instant(case.run.now_s), **case.board(reveal=self._reveal)}

    def _kept(self) -> dict[str, Any]:
        """Return how the contestants stood when that was last kept, before the server started."""
        query = sa.select(HALL_RUNS.c.figures).order_by(HALL_RUNS.c.run_id.desc()).limit(1)
        with self._store.reading() as connection:
            text = connection.scalar(query)
        if text is None:
            return {
                "ts": None, "truth_until": None, "contestants": [], "incidents": [],
                "message": "no hall has run since the server started; POST /hall/start starts one",
            }  # fmt: skip
        return {**json.loads(text), "message": "of the latest run, which ended before the server started"}

    def keep(self, run_id: int) -> None:
        """Keep how the contestants of a run stand, and the alarms of our own; others' are kept as they come."""
        case = self.case
        if case is None:
            return
        figures = json.dumps(self._figures(case))
        rows = [row for one in case.own for row in _rows(run_id, [(one.name, a) for a in list(one.alarms)], case)]
        with self._store.writing(lasting=False) as connection:
            connection.execute(HALL_RUNS.update().where(HALL_RUNS.c.run_id == run_id).values(figures=figures))
            self._store.upsert(connection, REFEREE_ALARMS, rows)

    def post(self, run_id: int, asked: Sequence[tuple[str, Alarm]]) -> int:
        """Take alarms of contestants; return how many. Raises Problem."""
        case = self._running()
        if case.count() + len(asked) > MOST_ALARMS:
            raise Problem(409, f"the run has {MOST_ALARMS:,} alarms already; start another run")
        unique = {(r["contestant"], r["rack_id"], r["start_us"]): r for r in _rows(run_id, asked, case)}
        with self._store.writing() as connection:
            self._store.upsert(connection, REFEREE_ALARMS, list(unique.values()))
        for contestant in dict.fromkeys(name for name, _ in asked):
            case.post(contestant, [a for name, a in asked if name == contestant])
        self._tell(case)
        return len(asked)

    def _running(self) -> Case:
        if self.case is None:
            raise Problem(409, "no hall has run since the server started; POST /hall/start starts one")
        return self.case

    def racks_of(self, place: str, alarm: Mapping[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
        """Return the racks that an alarm is of, and what is wrong with how it names them."""
        case = self._running()
        f = case.run.hall.facility
        given = [name for name in ("rack_id", "row", "loop") if alarm.get(name) is not None]
        if len(given) != 1:
            return [], [{"place": place, "why": "give one of rack_id, row, loop"}]
        level, name = given[0], alarm[given[0]]
        known = {"rack_id": f.racks, "row": f.rows, "loop": f.loops}[level]
        if not isinstance(name, str) or name not in known:
            why = f"{name!r:.80} is not in the hall; GET /hall/layout lists its {level.removesuffix('_id')}s"
            return [], [{"place": f"{place}{level}", "why": why}]
        if level == "rack_id":
            return [name], []
        of = f.row_of_rack if level == "row" else f.loop_of_rack
        return [rack for i, rack in enumerate(f.racks) if of[i] == known.index(name)], []

    def logged(self, run_id: int) -> dict[str, list[Alarm]]:
        """Return the alarms of the latest run; after a restart as they were kept."""
        if self.case is not None:
            return self.case.alarms()
        found: dict[str, list[Alarm]] = {}
        query = sa.select(REFEREE_ALARMS).where(REFEREE_ALARMS.c.run_id == run_id)
        with self._store.reading() as connection:
            for row in connection.execute(query.order_by(REFEREE_ALARMS.c.start_us)).mappings():
                end_s = None if row["end_us"] is None else row["end_us"] / 1e6
                alarm = Alarm(row["rack_id"], row["start_us"] / 1e6, end_s, row["cause"], row["transient"])
                found.setdefault(row["contestant"], []).append(alarm)
        return found

    def _tell(self, case: Case) -> None:
        """Tell the stream how the contestants stand, now and then."""
        clock = time.monotonic()
        if self._stream.listeners and clock - self._told_at >= _TOLD_EVERY_S:
            self._told_at = clock
            self._stream.tell("referee", case.board(reveal=self._reveal))


def _rows(run_id: int, alarms: Sequence[tuple[str, Alarm]], case: Case) -> list[dict[str, Any]]:
    """Return alarms of contestants as the store has them."""
    return [
        {
            "run_id": run_id, "contestant": contestant, "rack_id": a.rack, "start_us": round(a.start_s * 1e6),
            "end_us": None if a.end_s is None else round(a.end_s * 1e6), "cause": a.cause,
            "transient": a.transient, "reached_us": round(case.now_s * 1e6),
        }
        for contestant, a in alarms
    ]  # fmt: skip


def alarm_documents(contestants: Mapping[str, Sequence[Alarm]]) -> list[dict[str, Any]]:
    """Return alarms as clients read them."""
    return [
        {
            "contestant": name, "rack_id": a.rack, "start": format_instant_us(round(a.start_s * 1e6)),
            "end": None if a.end_s is None else format_instant_us(round(a.end_s * 1e6)), "cause": a.cause or None,
            "kind": KINDS[a.transient],
        }
        for name, alarms in contestants.items()
        for a in alarms
    ]  # fmt: skip
