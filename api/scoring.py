"""Scoring: each rack's monitor over what is stored, going on after a restart as if there had been none."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from api.problems import Problem
from api.samples import Sample, columns_of
from api.store import ALARMS, BATCHES, MODELS, RACKS, SCORES, TELEMETRY, Store
from sim.model.channels import TELEMETRY_CHANNELS
from training import artifact
from training.context import Context
from training.features import FEATURES, Floats, feature_matrix
from training.mms import ALPHA, PERSIST_TICKS, STATES
from training.model import LEVELS, Cause, Model, Scores, explain_batch, explain_vector, score_batch
from training.model import nominal_ranges as ranges_beside
from training.monitor import Monitor, learning
from training.sensors import code_of, parts_of

NO_MODEL = "no model is active; train one with POST /ims/train, or put an artifact into the artifacts folder"
_MEMORY = np.dtype("<f8")
_CAUSES = 3


@dataclass(frozen=True, slots=True)
class Scored:
    """Samples in order of time with what the monitor says of each, arrays (samples,); x: their vectors (samples, 10).

    late: older than the rack's latest, so that the monitor's memory stays and `ema`, `state`, `event` are not told.
    rise_s: since when the rack's deviations have been rising [s]. interval_s: that power was taken from energy by.
    sensors: what is silent or frozen, as a code. states: of the racks after each, None without context.
    """

    samples: Sequence[Sample]
    x: Floats
    deviation: Floats
    level: NDArray[np.int8]
    degraded: NDArray[np.bool_]
    late: NDArray[np.bool_]
    ema: Floats
    state: NDArray[np.int8]
    event: NDArray[np.int64]
    rise_s: Floats
    interval_s: Floats
    sensors: NDArray[np.int64]
    states: Floats | None

    @classmethod
    def empty(cls, samples: Sequence[Sample], late: NDArray[np.bool_], context: Context | None) -> "Scored":
        n = len(samples)
        return cls(
            samples, np.empty((n, len(FEATURES))), np.empty(n), np.empty(n, np.int8), np.empty(n, np.bool_), late,
            np.full(n, np.nan), np.zeros(n, np.int8), np.zeros(n, np.int64), np.full(n, np.nan), np.full(n, np.nan),
            np.zeros(n, np.int64), None if context is None else np.full((n, context.state_size), np.nan),
        )  # fmt: skip

    def note(
        self, rows: NDArray[np.intp], x: Floats, interval_s: Floats, scores: Scores, states: Floats | None
    ) -> None:  # fmt: skip
        """Take down vectors of rows, their scores and their racks' states."""
        if self.states is not None and states is not None:
            self.states[rows] = states
        self.x[rows], self.interval_s[rows] = x, interval_s
        self.deviation[rows], self.level[rows], self.degraded[rows] = scores.deviation, scores.level, scores.degraded


class Scoring:
    """The active model's monitor, and the rows of the store that it makes.

    told: called with each batch once its scores are safe, and with the alarms that it changed. alpha, persist_ticks:
    of the monitor's smoothing.
    """

    def __init__(
        self, store: Store, told: Callable[[Scored, list[dict[str, Any]]], None], alpha: float = ALPHA,
        persist_ticks: int = PERSIST_TICKS,
    ) -> None:  # fmt: skip
        self._store, self._told, self._alpha, self._persist_ticks = store, told, alpha, persist_ticks
        self._lock = threading.RLock()
        self._pending = True
        self._latest: dict[str, dict[str, Any]] = {}
        self.model_id: str | None = None
        self.model: Model | None = None
        self._monitor: Monitor | None = None

    def recover(self) -> None:
        """Take up the active model and the racks' memories, and score what was stored and not scored."""
        with self._lock:
            with self._store.reading() as connection:
                active = connection.execute(sa.select(MODELS).where(MODELS.c.active)).mappings().first()
                self._take_up(connection, active)
            self._pending = True
            self._catch_up()

    def _take_up(self, connection: sa.Connection, active: sa.RowMapping | None) -> None:
        self._latest, self.model_id, self.model, self._monitor = {}, None, None, None
        if active is None:
            return
        self.model_id = model_id = str(active["model_id"])
        self.model = artifact.from_bytes(active["artifact"].encode(), f"model {model_id}")
        self._monitor = Monitor(self.model, alpha=self._alpha, persist_ticks=self._persist_ticks)
        of_model = sa.select(RACKS.c.rack_id, RACKS.c.memory).where(RACKS.c.model_id == model_id)
        memories = {rack: np.frombuffer(memory, _MEMORY) for rack, memory in connection.execute(of_model)}
        if memories:
            self._monitor.recall(list(memories), np.array(list(memories.values())))
        own = sa.select(ALARMS).where(ALARMS.c.model_id == model_id).order_by(ALARMS.c.alarm_id)
        self._latest = {row["rack_id"]: dict(row) for row in connection.execute(own).mappings()}

    def add_model(self, model: Model, source: str, *, activate: bool) -> str:
        """Keep a model in the store and return its id, the same for the same model."""
        text = artifact.to_text(model)
        model_id = f"ims-{json.loads(text)['sha256'][:12]}"
        row = {
            "model_id": model_id, "created_us": time.time_ns() // 1000, "active": False, "source": source,
            "artifact": text,
        }  # fmt: skip
        with self._store.writing() as connection:
            self._store.insert_missing(connection, MODELS, [row])
        if activate:
            self.activate(model_id)
        return model_id

    def has_active(self) -> bool:
        """Tell whether a stored model is the active one."""
        with self._store.reading() as connection:
            return connection.execute(sa.select(MODELS.c.model_id).where(MODELS.c.active)).first() is not None

    def activate(self, model_id: str) -> None:
        """Score with another model from the next sample on. Raises Problem 404 for one that is not stored."""
        with self._lock:
            with self._store.writing() as connection:
                if (
                    connection.execute(sa.select(MODELS.c.model_id).where(MODELS.c.model_id == model_id)).first()
                    is None
                ):
                    raise Problem(404, f"models: {model_id!r} is not stored; GET /models lists them")
                connection.execute(MODELS.update().values(active=MODELS.c.model_id == model_id))
            if model_id != self.model_id:
                self.recover()

    def acknowledge(self, alarm_id: int, at_us: int) -> dict[str, Any]:
        """Note when an alarm was first seen [us], and return it. Raises Problem 404."""
        return self._note(alarm_id, {"acknowledged_us": sa.func.coalesce(ALARMS.c.acknowledged_us, at_us)})

    def comment(self, alarm_id: int, text: str) -> dict[str, Any]:
        """Write down what is known of an alarm, and return it. Raises Problem 404."""
        return self._note(alarm_id, {"comment": text})

    def _note(self, alarm_id: int, values: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            with self._store.writing() as connection:
                connection.execute(ALARMS.update().where(ALARMS.c.alarm_id == alarm_id).values(values))
                row = connection.execute(sa.select(ALARMS).where(ALARMS.c.alarm_id == alarm_id)).mappings().first()
            if row is None:
                raise Problem(404, f"alarms: {alarm_id} is not there; GET /alarms lists them")
            latest = self._latest.get(row["rack_id"])
            if latest is not None and latest["alarm_id"] == alarm_id:
                self._latest[row["rack_id"]] = dict(row)
            return dict(row)

    def take(self, batch_id: int, samples: Sequence[Sample]) -> tuple[int, str | None]:
        """Score a stored batch, what was left before it first; return how many, or why none.

        Raises StoreUnavailable; what was stored is then scored with the next batch.
        """
        with self._lock:
            if self._pending:
                self._catch_up()
            else:
                self._score(batch_id, samples)
            return (0, NO_MODEL) if self._monitor is None else (len(samples), None)

    def _catch_up(self) -> None:
        with self._store.reading() as connection:
            unscored = sa.select(BATCHES.c.batch_id).where(~BATCHES.c.scored).order_by(BATCHES.c.batch_id)
            left = list(connection.scalars(unscored))
        for batch_id in left:
            with self._store.reading() as connection:
                rows = connection.execute(sa.select(TELEMETRY).where(TELEMETRY.c.batch_id == batch_id)).mappings()
                samples = [_sample(row) for row in rows]
            self._score(batch_id, samples)
        self._pending = False

    def _score(self, batch_id: int, samples: Sequence[Sample]) -> None:
        """Score samples, keep it in one transaction, and tell; on failure everything is as before."""
        if self._monitor is None or not samples:
            with self._store.writing() as connection:
                _settle(connection, batch_id)
            return
        racks = sorted({s.rack_id for s in samples})
        memory, latest = self._monitor.remembered(racks), dict(self._latest)
        try:
            scored = self._run(self._monitor, sorted(samples, key=lambda s: (s.ts_us, s.rack_id)), racks)
            alarms = self._alarms(self._monitor.model, scored)
            self._keep(batch_id, scored, racks, alarms)
        except BaseException:
            self._monitor.recall(racks, memory)
            self._latest, self._pending = latest, True
            raise
        self._told(scored, alarms)

    def _run(self, monitor: Monitor, samples: Sequence[Sample], racks: Sequence[str]) -> Scored:
        """Return what the monitor makes of samples sorted by time."""
        number = {rack: i for i, rack in enumerate(racks)}
        rack = np.array([number[s.rack_id] for s in samples], dtype=np.intp)
        ts_s = np.array([s.ts_us for s in samples], dtype=np.int64) / 1e6
        columns = columns_of(samples)
        scored = Scored.empty(samples, ts_s <= monitor.last_seen_s(racks)[rack], monitor.model.context)
        late = np.flatnonzero(scored.late)
        if late.size:
            x, interval_s = _vectors(monitor, racks, rack, ts_s, columns, late)
            states = self._late_states(monitor.model, [samples[k] for k in late.tolist()], x)
            scored.note(late, x, interval_s, score_batch(monitor.model, x, states), states)
        for rows in _parts(np.flatnonzero(~scored.late), ts_s, columns):
            x, interval_s = _vectors(monitor, racks, rack, ts_s, columns, rows)
            out = monitor.update_batch(racks, rack[rows], ts_s[rows], x)
            scored.note(rows, x, interval_s, out.scores, out.states)
            scored.sensors[rows] = code_of(out.sensors)
            scored.ema[rows], scored.state[rows] = out.ema, out.state
            scored.event[rows], scored.rise_s[rows] = out.event, out.rise_s
        return scored

    def _late_states(self, model: Model, samples: Sequence[Sample], x: Floats) -> Floats | None:
        """Return the states after late samples in order of time, each from its rack's score before: those of a file."""
        if model.context is None:
            return None
        states, known = model.context.alone(model.scaled(x)), dict[str, tuple[int, Floats]]()
        with self._store.reading() as connection:
            for k, (sample, z) in enumerate(zip(samples, model.scaled(x), strict=True)):
                before = [known[sample.rack_id]] if sample.rack_id in known else []
                before += self._before(connection, sample)
                if before:
                    ts_us, state = max(before, key=lambda found: found[0])
                    states[k] = model.context.after(state, ts_us / 1e6, sample.ts_us / 1e6, z)
                if not np.isnan(states[k, -1]):
                    known[sample.rack_id] = sample.ts_us, states[k]
        return states

    def _before(self, connection: sa.Connection, sample: Sample) -> list[tuple[int, Floats]]:
        """Return when the rack was scored last before a sample [us], with its state then, if it was."""
        earlier = SCORES.c.rack_id == sample.rack_id, SCORES.c.ts_us < sample.ts_us
        own = SCORES.c.model_id == self.model_id, SCORES.c.context.is_not(None)
        query = sa.select(SCORES.c.ts_us, SCORES.c.context).where(*earlier, *own)
        row = connection.execute(query.order_by(SCORES.c.ts_us.desc()).limit(1)).first()
        return [] if row is None else [(row.ts_us, np.frombuffer(row.context, _MEMORY))]

    def _alarms(self, model: Model, scored: Scored) -> list[dict[str, Any]]:
        """Open, raise and close the racks' alarms, sample by sample, and return those that changed, as they are now."""
        changed: dict[tuple[str, int], dict[str, Any]] = {}
        for k in np.flatnonzero(~scored.late).tolist():
            rack, event = scored.samples[k].rack_id, int(scored.event[k])
            before = self._latest.get(rack)
            if not event and (before is None or before["end_us"] is not None):
                continue
            now = self._alarm(model, scored, k, before, event)
            if now != before:
                self._latest[rack] = changed[rack, now["event"]] = now
        return list(changed.values())

    def _alarm(self, model: Model, scored: Scored, k: int, before: dict[str, Any] | None, event: int) -> dict[str, Any]:
        """Return a rack's alarm after its sample k."""
        ts_us, deviation = scored.samples[k].ts_us, float(scored.deviation[k])
        if not event and before is not None:
            return {**before, "end_us": ts_us}
        if before is not None and before["event"] == event:
            peak = {} if not deviation > before["peak"] else _peak(model, scored, k)
            return {**before, "end_us": None, **peak, "sensors": before["sensors"] | int(scored.sensors[k])}
        rise_s = scored.rise_s[k]
        return {
            "alarm_id": None,
            "model_id": self.model_id,
            "rack_id": scored.samples[k].rack_id,
            "event": event,
            "onset_us": ts_us if np.isnan(rise_s) else round(rise_s * 1e6),
            "opened_us": ts_us,
            "end_us": None,
            **_peak(model, scored, k),
            "sensors": int(scored.sensors[k]),
            "acknowledged_us": None,
            "comment": None,
        }

    def _keep(self, batch_id: int, scored: Scored, racks: Sequence[str], alarms: Sequence[dict[str, Any]]) -> None:
        assert self._monitor is not None  # noqa: S101 - only called with one
        memory = self._monitor.remembered(racks).astype(_MEMORY)
        with self._store.adding(lasting=False) as connection:
            # a kill between storing and scoring leaves no score: there is nothing of this batch to replace
            connection.execute(SCORES.insert(), _rows(scored, batch_id, str(self.model_id)))
            self._store.update_racks(connection, [
                {"rack": rack, "model_id": self.model_id, "memory": row.tobytes()}
                for rack, row in zip(racks, memory, strict=True)
            ])  # fmt: skip
            for alarm in alarms:
                _keep_alarm(connection, alarm)
            _settle(connection, batch_id)


def _settle(connection: sa.Connection, batch_id: int) -> None:
    connection.execute(BATCHES.update().where(BATCHES.c.batch_id == batch_id).values(scored=True))


def _keep_alarm(connection: sa.Connection, alarm: dict[str, Any]) -> None:
    told = {name: alarm[name] for name in alarm if name not in ("alarm_id", "acknowledged_us", "comment")}
    if alarm["alarm_id"] is None:
        alarm["alarm_id"] = connection.execute(ALARMS.insert().values(told)).inserted_primary_key[0]  # type: ignore[index]
    else:
        connection.execute(ALARMS.update().where(ALARMS.c.alarm_id == alarm["alarm_id"]).values(told))


def _parts(rows: NDArray[np.intp], ts_s: Floats, columns: Mapping[str, Floats]) -> Iterator[NDArray[np.intp]]:
    """Give rows at once, or tick by tick where power has to be taken from energy by intervals that are still learnt."""
    if not rows.size:
        return
    if not (np.isnan(columns["gpu_power_kw"][rows]) & ~np.isnan(columns["gpu_energy_j"][rows])).any():
        yield rows
        return
    yield from np.split(rows, np.flatnonzero(np.diff(ts_s[rows])) + 1)


def _vectors(
    monitor: Monitor, racks: Sequence[str], rack: NDArray[np.intp], ts_s: Floats, columns: Mapping[str, Floats],
    rows: NDArray[np.intp],
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the vectors of rows (rows, 10), and the intervals [s] that their energy was read by."""
    part = {name: values[rows] for name, values in columns.items()}
    wanted = np.isnan(part["gpu_power_kw"]) & ~np.isnan(part["gpu_energy_j"])
    interval_s = np.full(rows.size, np.nan)
    if wanted.any():
        interval_s = np.where(wanted, monitor.intervals_at([racks[i] for i in rack[rows]], ts_s[rows]), np.nan)
    return feature_matrix(part, rows.size, interval_s), interval_s


def _peak(model: Model, scored: Scored, k: int) -> dict[str, Any]:
    causes = explain_vector(model, scored.x[k], _CAUSES, None if scored.states is None else scored.states[k])
    return {
        "peak": float(np.nan_to_num(scored.deviation[k])),  # refused, where silent sensors opened the alarm
        "peak_us": scored.samples[k].ts_us,
        "causes": json.dumps([cause.document() for cause in causes]),
    }


def _rows(scored: Scored, batch_id: int, model_id: str) -> list[dict[str, Any]]:
    """Return scores as rows of the store; what is not known is null."""
    told = ~scored.late
    columns = {
        "deviation": _nullable(scored.deviation),
        "level": scored.level.tolist(),
        "degraded": scored.degraded.tolist(),
        "late": scored.late.tolist(),
        "ema": _nullable(scored.ema),
        "state": [s if ok else None for s, ok in zip(scored.state.tolist(), told.tolist(), strict=True)],
        "event": [e if ok else None for e, ok in zip(scored.event.tolist(), told.tolist(), strict=True)],
        "interval_s": _nullable(scored.interval_s),
        "sensors": scored.sensors.tolist(),
        "context": _contexts(scored),
    }
    names = tuple(columns)
    return [
        {"rack_id": s.rack_id, "ts_us": s.ts_us, "batch_id": batch_id, "model_id": model_id}
        | dict(zip(names, values, strict=True))
        for s, values in zip(scored.samples, zip(*columns.values(), strict=True), strict=True)
    ]


def _contexts(scored: Scored) -> list[bytes | None]:
    """Return the racks' states as the store keeps them."""
    if scored.states is None:
        return [None] * len(scored.samples)
    return [None if state[-1] != state[-1] else state.tobytes() for state in scored.states.astype(_MEMORY)]


def _nullable(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - NaN


def _sample(row: sa.RowMapping) -> Sample:
    return Sample(0, row["rack_id"], row["ts_us"], tuple(row[name] for name in TELEMETRY_CHANNELS))


def score_document(row: sa.RowMapping) -> dict[str, Any]:
    """Return a stored score as clients read it, without its causes."""
    state = None if row["context"] is None else np.frombuffer(row["context"], _MEMORY)[None]
    return {
        "deviation": row["deviation"],
        "level": None if row["level"] is None else LEVELS[row["level"]],
        "ema": row["ema"],
        "mms_state": None if row["state"] is None else STATES[row["state"]],
        "event": row["event"] or None,
        "degraded": row["degraded"],
        "late": row["late"],
        "learning": None if row["level"] is None else bool(learning(state, 1)[0]),
        "sensors": None if row["sensors"] is None else sensors_of(row["sensors"]),
        "model_id": row["model_id"],
    }


def sensors_of(code: int) -> list[dict[str, str]]:
    """Return the sensors that are silent or frozen as clients read them."""
    return [{"feature": feature, "condition": condition} for feature, condition in parts_of(code)]


def causes_of(model: Model, rows: Sequence[sa.RowMapping], k: int = _CAUSES) -> list[list[Cause]]:
    """Return what explains the deviation of each stored sample, best first.

    rows: telemetry with its `interval_s` and `context`, of this model.
    """
    return explain_batch(model, _stored_vectors(rows), k, _stored_states(model, rows))


def nominal_ranges(
    model: Model, model_id: str | None, rows: Sequence[sa.RowMapping]
) -> dict[str, dict[str, list[float | None]]]:  # fmt: skip
    """Return low and high of each feature at stored samples: what is nominal beside the other features.

    None where a model in context did not score the sample itself.
    """
    own = [row if row["model_id"] == model_id else {"context": None} for row in rows]
    low, high = (of.round(4) for of in ranges_beside(model, _stored_vectors(rows), _stored_states(model, own)))
    return {name: {"low": _nullable(low[:, j]), "high": _nullable(high[:, j])} for j, name in enumerate(FEATURES)}


def _stored_states(model: Model, rows: Sequence[sa.RowMapping | dict[str, None]]) -> Floats | None:
    """Return the racks' states of stored scores (rows, state_size), NaN where there is none; None without context."""
    if model.context is None:
        return None
    none = np.full(model.context.state_size, np.nan)
    return np.array([none if row["context"] is None else np.frombuffer(row["context"], _MEMORY) for row in rows])


def _stored_vectors(rows: Sequence[sa.RowMapping]) -> Floats:
    """Return the vectors of stored samples (rows, 10). rows: telemetry with the `interval_s` that they were read by."""
    interval_s = np.array([np.nan if row["interval_s"] is None else row["interval_s"] for row in rows])
    return feature_matrix(columns_of([_sample(row) for row in rows]), len(rows), interval_s)


def newest_artifact(folder: Path) -> Path | None:
    """Return the artifact of a folder that was written last, if there is one."""
    found = [path for path in folder.glob("ims_*.json") if path.is_file()]
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)
