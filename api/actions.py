"""Actions: the reference's six, as levers of the live hall, with what they saved measured against its twin."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np
import sqlalchemy as sa

from api.hall import LiveHall
from api.hall_log import ts_us
from api.hall_run import Energy, HallRun
from api.problems import Problem
from api.settings import Mode, Settings
from api.store import ACTIONS, HALL_RUNS, Store
from sim.common.time_units import format_instant_us
from sim.common.worlds import ACTUAL
from sim.incidents.selectors import SelectorError, fixed_assets

LEAST_FAN_PCT, WARMEST_SUPPLY_C, MOST_PUMP_PCT = 45.0, 24.0, 85.0
"""Limits of the reference: no action turns a fan slower, sets supply water warmer or a pump faster than these."""

ENERGY_PER_MS, CAPACITY_PER_MS = 0.0015, 0.002
"""What a millisecond of batch window saves of the energy per token and costs of the capacity; assumed."""

_LONGEST_REASON = 500
_SETTLES_S = 300.0
"""How long a fan or a pump takes to show what it was asked for; assumed, some of its time constants."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that an action takes."""

    default: float
    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class Lever:
    """An action: the numbers that it takes, whether it names racks, and the incident entry that it becomes.

    entry: called with the run and the numbers, and the racks or rows that were named. Raises _Refused.
    """

    numbers: Mapping[str, Parameter]
    entry: Callable[[HallRun, Mapping[str, float], Sequence[str]], dict[str, Any]]
    names_racks: bool = False


class _RefusedError(Exception):
    """An action that limits leave nothing of."""


def _wider_batches(_run: HallRun, p: Mapping[str, float], _to: Sequence[str]) -> dict[str, Any]:
    ms = p["delta_ms"]
    return {
        "target": "plant",
        "parameters": {"energy_left": 1 - ENERGY_PER_MS * ms, "capacity_left": 1 - CAPACITY_PER_MS * ms},
    }


def _slower_fans(run: HallRun, p: Mapping[str, float], _to: Sequence[str]) -> dict[str, Any]:
    fan_pct = run.simulation.plant.state.fan_pct[ACTUAL] + _to_come(run, "decrease_fan_rpm", "fan_bias_pct", _SETTLES_S)
    free = np.flatnonzero(fan_pct - p["delta_pct"] >= LEAST_FAN_PCT)
    racks = _racks(
        run, free, f"no fan would stay at {LEAST_FAN_PCT:g} % or more; the slowest turns at {fan_pct.min():.0f} %"
    )
    return {"target": racks, "parameters": {"fan_bias_pct": -p["delta_pct"]}}


def _warmer_supply(run: HallRun, p: Mapping[str, float], _to: Sequence[str]) -> dict[str, Any]:
    setpoint_c = run.simulation.plant.condition.loop_setpoint_c[ACTUAL] + _to_come(
        run, "increase_supply_temp", "shift_k", 0.0, loops=True
    )
    loops = [
        f"loop:{name}"
        for name, set_c in zip(run.hall.facility.loops, setpoint_c.tolist(), strict=True)
        if set_c + p["delta_c"] <= WARMEST_SUPPLY_C
    ]
    if not loops:
        raise _RefusedError(f"supply would pass {WARMEST_SUPPLY_C:g} degC; it is set to {setpoint_c.max():g} degC")
    return {"target": loops, "parameters": {"shift_k": p["delta_c"]}}


def _shifted_traffic(run: HallRun, p: Mapping[str, float], to: Sequence[str]) -> dict[str, Any]:
    f, inlet_c = run.hall.facility, run.simulation.plant.state.inlet_c[ACTUAL]
    rows_c = [float(inlet_c[f.racks_of_row(i)].mean()) for i in range(len(f.rows))]
    taking = list(to) or [f"row:{f.rows[int(np.argmin(rows_c))]}"]
    takers = set(f.racks_under([a for text in taking for a in fixed_assets(text, f)]).tolist())
    giving = [i for i in np.argsort(rows_c)[::-1].tolist() if takers.isdisjoint(f.racks_of_row(i).tolist())]
    if not giving:
        raise _RefusedError("no row is left whose load could move to the racks that take it")
    return {"target": f"row:{f.rows[giving[0]]}", "parameters": {"share": p["traffic_pct"] / 100, "to": taking}}


def _paused_jobs(_run: HallRun, p: Mapping[str, float], _to: Sequence[str]) -> dict[str, Any]:
    return {"target": "plant", "parameters": {"load_left": 1 - p["max_pause_pct"] / 100}}


def _faster_pumps(run: HallRun, p: Mapping[str, float], _to: Sequence[str]) -> dict[str, Any]:
    pump_pct = run.simulation.plant.state.pump_pct[ACTUAL] + _to_come(
        run, "increase_cdu_pump", "pump_bias_pct", _SETTLES_S
    )
    free = np.flatnonzero(pump_pct + p["delta_pct"] <= MOST_PUMP_PCT)
    racks = _racks(
        run, free, f"no pump would stay at {MOST_PUMP_PCT:g} % or less; the slowest turns at {pump_pct.min():.0f} %"
    )
    return {"target": racks, "parameters": {"pump_bias_pct": p["delta_pct"]}}


def _to_come(run: HallRun, action: str, parameter: str, settles_s: float, *, loops: bool = False) -> Any:
    """Return by rack, or by loop, what actions have asked for that the hall does not show yet."""
    f, since_s = run.hall.facility, run.now_s - run.tick_s - settles_s
    asked_for = np.zeros(len(f.loops if loops else f.racks))
    ended = {ending.incident for ending in run.scenario.endings}
    for name, incident in run.simulation.planned.items():
        if incident.kind.name == action and name not in ended and incident.at_s is not None:
            where = incident.loops if loops else incident.racks
            asked_for[where] += incident.parameter(parameter) * (since_s <= incident.at_s <= run.now_s)
    return asked_for


def _racks(run: HallRun, free: Sequence[int] | Any, why: str) -> list[str]:
    racks = run.hall.facility.racks
    if not len(free):
        raise _RefusedError(why)
    return ["plant"] if len(free) == len(racks) else [f"rack:{racks[i]}" for i in free]


LEVERS: dict[str, Lever] = {
    "increase_batch_window": Lever({"delta_ms": Parameter(10.0, 0.0, 200.0, "ms")}, _wider_batches),
    "decrease_fan_rpm": Lever({"delta_pct": Parameter(5.0, 0.0, 55.0, "% of speed")}, _slower_fans),
    "increase_supply_temp": Lever({"delta_c": Parameter(0.5, 0.0, 10.0, "K")}, _warmer_supply),
    "shift_traffic_to_cool_row": Lever(
        {"traffic_pct": Parameter(10.0, 0.0, 100.0, "% of the row's load")}, _shifted_traffic, names_racks=True
    ),
    "pause_low_priority_jobs": Lever(
        {
            "priority_threshold": Parameter(3.0, 0.0, 100.0, "kept; the hall's load has no priorities"),
            "max_pause_pct": Parameter(10.0, 0.0, 50.0, "% of the load"),
        },
        _paused_jobs,
    ),
    "increase_cdu_pump": Lever({"delta_pct": Parameter(5.0, 0.0, 60.0, "% of speed")}, _faster_pumps),
}
"""By name, which is also that of the kind of planned work that it becomes in the hall's scenario."""

_RACKS = "target_racks"


@dataclass(frozen=True, slots=True)
class Asked:
    """An action as a client asks for it, its numbers sound."""

    name: str
    numbers: Mapping[str, float]
    racks: tuple[str, ...]
    target: str
    reason: str
    pred_saving_pct: float

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as the log has them."""
        return {**self.numbers, **({_RACKS: list(self.racks)} if self.racks else {})}


def asked(name: str, params: Mapping[str, Any], target: str, reason: str, pred_saving_pct: float) -> Asked:
    """Return an action that can be meant. Raises Problem 422 that names every offender."""
    lever = LEVERS.get(name)
    if lever is None:
        why = f"{name!r:.80} is not an action ({', '.join(LEVERS)})"
        raise Problem(422, f"action: {why}", [{"place": "action", "why": why}])
    wrong: list[dict[str, Any]] = []
    racks = params.get(_RACKS) if lever.names_racks else None
    if racks is not None and not _is_texts(racks):
        wrong.append({"place": f"params.{_RACKS}", "why": "name racks or rows in a list of texts"})
    for given in params:
        if given not in lever.numbers and not (given == _RACKS and lever.names_racks):
            known = ", ".join([*lever.numbers, *([_RACKS] if lever.names_racks else [])])
            wrong.append({"place": f"params.{given:.64}", "why": f"{name} takes {known}"})
    numbers = {}
    for key, parameter in lever.numbers.items():
        value = params.get(key, parameter.default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _within(value, parameter):
            why = f"must be a number from {parameter.low:g} to {parameter.high:g} ({parameter.unit})"
            wrong.append({"place": f"params.{key}", "why": why})
        else:
            numbers[key] = float(value)
    if wrong:
        raise Problem(422, "; ".join(f"{e['place']}: {e['why']}" for e in wrong[:3]), wrong)
    named = tuple(text if ":" in text else f"rack:{text}" for text in racks or ())
    return Asked(name, numbers, named, target, reason[:_LONGEST_REASON], pred_saving_pct)


def _within(value: float, parameter: Parameter) -> bool:
    return parameter.low <= value <= parameter.high and isfinite(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 2000 and all(isinstance(t, str) and len(t) <= 64 for t in value)  # noqa: PLR2004


_LOGGED = sa.select(ACTIONS, HALL_RUNS.c.energy).join(HALL_RUNS, HALL_RUNS.c.run_id == ACTIONS.c.run_id, isouter=True)


class Actions:
    """Mode, levers and log of one server. Raises Problem and StoreUnavailable."""

    def __init__(self, store: Store, hall: LiveHall, settings: Settings) -> None:
        self.mode: Mode = settings.default_mode
        self.kill_switch = settings.global_kill_switch
        self._store, self._hall = store, hall
        self._rate_s = settings.write_rate_limit_s
        self._last = -np.inf
        self._lock = threading.Lock()

    def set_mode(self, mode: Mode) -> Mode:
        """Change the mode and return the one before."""
        before, self.mode = self.mode, mode
        return before

    def apply(self, action: Asked) -> dict[str, Any]:
        """Move a lever in closed loop, note it in advisory mode, and return what became of it."""
        if self.kill_switch:
            raise Problem(403, "the kill switch is on: no action is taken")
        self._wait_its_turn()
        mode = self.mode
        row = (
            self._in_hall(action) if mode == "closed_loop" else _nothing_moved("advisory", "advisory mode: only logged")
        )
        return self._log(action, mode, row)

    def _wait_its_turn(self) -> None:
        with self._lock:
            left_s = self._last + self._rate_s - time.monotonic()
            if left_s > 0:
                raise Problem(
                    429,
                    f"actions are {self._rate_s:g} s apart at least; wait {left_s:.1f} s",
                    retry_after_s=ceil(left_s),
                )
            self._last = time.monotonic()

    def _in_hall(self, action: Asked) -> dict[str, Any]:
        """Let the hall take up an action as planned work to the run's end; what limits leave nothing of is refused."""
        try:
            return self._hall.act(lambda run: self._moved(run, action), action.name)
        except _RefusedError as error:
            return _nothing_moved("rejected", str(error))
        except SelectorError as error:
            raise Problem(
                422, f"params.{_RACKS}: {error}", [{"place": f"params.{_RACKS}", "why": str(error)}]
            ) from None
        except Problem as error:
            if error.status != 409:  # noqa: PLR2004 - no hall that runs
                raise
            return _nothing_moved("rejected", error.detail)

    def _moved(self, run: HallRun, action: Asked) -> dict[str, Any]:
        entry = LEVERS[action.name].entry(run, action.numbers, action.racks)
        left_s = run.scenario.duration - run.now_s
        return {"kind": action.name, "duration": max(1.0, left_s), **entry}

    def _log(self, action: Asked, mode: Mode, row: Mapping[str, Any]) -> dict[str, Any]:
        now_us = time.time_ns() // 1000
        run = self._hall.run
        values = {
            "ts_us": now_us if run is None else ts_us(run.scenario, run.now_s),
            "received_us": now_us,
            "action": action.name,
            "params": json.dumps(action.params),
            "target": action.target,
            "reason": action.reason,
            "pred_saving_pct": action.pred_saving_pct,
            "mode": mode,
            **row,
        }
        with self._store.writing() as connection:
            number = connection.execute(ACTIONS.insert().values(values)).inserted_primary_key[0]  # type: ignore[index]
        return {
            "action_id": number, "action": action.name, "mode": mode, "status": row["status"],
            "execution_result": json.loads(row["result"]), "ts": format_instant_us(values["ts_us"]),
        }  # fmt: skip

    def logged(self, limit: int) -> list[dict[str, Any]]:
        """Return the latest actions, newest first, with what each was measured to have saved."""
        return self._documents(_LOGGED.order_by(ACTIONS.c.action_id.desc()).limit(limit))

    def during(self, start_us: int, end_us: int) -> list[dict[str, Any]]:
        """Return the actions of a stretch of event time [us], in order of time."""
        of_stretch = _LOGGED.where(ACTIONS.c.ts_us >= start_us, ACTIONS.c.ts_us <= end_us)
        return self._documents(of_stretch.order_by(ACTIONS.c.ts_us, ACTIONS.c.action_id))

    def _documents(self, query: "sa.Select[Any]") -> list[dict[str, Any]]:
        with self._store.reading() as connection:
            return [self._document(row) for row in connection.execute(query).mappings().all()]

    def _document(self, row: sa.RowMapping) -> dict[str, Any]:
        saved = self._saved(row)
        return {
            "id": row["action_id"], "ts": format_instant_us(row["ts_us"]), "action": row["action"],
            "params": json.loads(row["params"]), "reason": row["reason"], "pred_saving_pct": row["pred_saving_pct"],
            "realized_saving_pct": None if saved is None else saved["saving_pct"], "realized": saved,
            "status": row["status"], "mode": row["mode"], "target": row["target"], "incident_id": row["incident_id"],
        }  # fmt: skip

    def _saved(self, row: sa.RowMapping) -> dict[str, float] | None:
        if row["energy_before"] is None:
            return None
        run_id, run = self._hall.current
        now = run.energy if run is not None and run_id == row["run_id"] else Energy(**json.loads(row["energy"]))
        return saving(Energy(**json.loads(row["energy_before"])), now)


def saving(before: Energy, now: Energy) -> dict[str, float] | None:
    """Return what the hall saved against its twin since an earlier state, in percent of the twin and in kWh."""
    since = {name: value - getattr(before, name) for name, value in asdict(now).items()}
    it, cooling = since["twin_it_kwh"], since["twin_cooling_kwh"]
    if it + cooling <= 0:
        return None
    saved_it, saved_cooling = it - since["it_kwh"], cooling - since["cooling_kwh"]
    return {
        "saving_pct": round(100 * (saved_it + saved_cooling) / (it + cooling), 4),
        "it_saving_pct": round(100 * saved_it / it, 4) if it > 0 else 0.0,
        "cooling_saving_pct": round(100 * saved_cooling / cooling, 4) if cooling > 0 else 0.0,
        "saved_kwh": round(saved_it + saved_cooling, 4),
    }


def _nothing_moved(status: str, why: str) -> dict[str, Any]:
    return {
        "status": status, "result": json.dumps({"applied": False, "message": why}), "run_id": None,
        "incident_id": None, "energy_before": None,
    }  # fmt: skip
