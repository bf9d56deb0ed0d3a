"""The live hall: a run of a scenario in a thread of its own, paced by the clock, struck by commands between ticks."""

import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, Literal, TypeVar

from api.hall_log import HallLog, document_of, scenario_text, ts_us
from api.hall_run import HallRun, Judge
from api.ingest import Ingest
from api.problems import RETRY_AFTER_S, Problem, StoreUnavailable
from api.stream import Stream
from sim.common.errors import InputError
from sim.incidents.schema import IncidentSpec
from sim.scenario.checks import parse_scenario
from sim.scenario.files import load_scenario, shipped_scenarios
from sim.scenario.schema import Scenario

_LOG = logging.getLogger(__name__)

State = Literal["idle", "running", "paused", "finished", "failed"]
Result = TypeVar("Result")

MOST_RACKS = 2000
MOST_ENTRY_BYTES = 20_000
MOST_INCIDENTS = 1000
SLOWEST, FASTEST = 1.0, 3600.0
_TOLD_EVERY_S = 0.25
_KEPT_EVERY_S = 60.0
_OBEYED_WITHIN_S = 20.0
_RETRY_S, _LONGEST_RETRY_S = 0.1, 5.0
_NOT_RUNNING = "the hall is not running; POST /hall/start starts it"
_PLACE = re.compile(
    r"^(?:(?:\S+, )?line \d+: )?(?:\w+: )?(?:incidents\[\d+\]\.?|endings\[\d+\]\.?)?(?P<place>[\w.\[\]]*): (?P<why>.*)$"
)


@dataclass(frozen=True, slots=True)
class _Order:
    """Something that the hall's thread is to do between two ticks, and where its result goes."""

    work: Callable[[], Any]
    result: "Future[Any]"


class _Pace:
    """Which wall-clock instant each instant of the run is due at. speed: simulated seconds in a second, None: at once.

    It counts from where the pace was last changed, so that what was late or paused before does not have to be made up.
    """

    def __init__(self, speed: float | None) -> None:
        self.speed = speed
        self.restart(0.0)

    def restart(self, now_s: float) -> None:
        """Count from here on: an instant of the run [s]."""
        self._since, self._since_s = time.monotonic(), now_s

    def wait_s(self, until_s: float) -> float:
        """Return how long to wait for an instant of the run [s]; negative where it is late."""
        if self.speed is None:
            return 0.0
        return self._since + (until_s - self._since_s) / self.speed - time.monotonic()


class LiveHall:
    """The one hall of a server. Its samples come in through the same ingest as anybody's.

    Commands raise Problem: 409 where the hall's state does not allow them, 422 for what cannot be, 503 while the hall
    waits for a store that does not answer.
    """

    def __init__(
        self, log: HallLog, ingest: Ingest, stream: Stream, judged: Callable[[HallRun], Judge],
        kept: Callable[[int], None], *, reveal: bool,
    ) -> None:  # fmt: skip
        """Make a hall that is idle.

        judged: called with each run that starts, returns its judge. kept: called with a run's number now and then and
        at its end, keeps what its judge has found.
        """
        self.log = log
        self.reveal = reveal
        self.run: HallRun | None = None
        self._ingest, self._stream, self._judged, self._kept = ingest, stream, judged, kept
        self._changed = threading.Condition()
        self._changing = threading.Lock()
        self._orders: deque[_Order] = deque()
        self._thread: threading.Thread | None = None
        self._state: State = "idle"
        self._message: str | None = None
        self._pace = _Pace(60.0)
        self._lag_s = 0.0
        self._stopping = False
        self._obeys = False
        self._run_id = 0
        self._unwritten: list[dict[str, Any]] = []
        self._ending: list[str] = []
        self._told_at = self._kept_at = -inf

    @property
    def failure(self) -> str | None:
        """Why the hall's thread died, None where it did not."""
        return self._message if self._state == "failed" else None

    @property
    def current(self) -> tuple[int, HallRun | None]:
        """The number of the latest run, and the run while it is there."""
        return self._run_id, self.run

    def document(self) -> dict[str, Any]:
        """Return the hall as clients read it; what is not known is None."""
        run, state = self.run, self._state
        power = None if run is None else run.power
        return {
            "state": state,
            "scenario": None if run is None else run.scenario.name,
            "seed": None if run is None else run.scenario.seed,
            "start": None if run is None else run.instant(0.0),
            "ts": None if run is None else run.instant(run.now_s),
            "tick_s": None if run is None else run.tick_s,
            "duration_s": None if run is None else run.scenario.duration,
            "speed": None if run is None else self._pace.speed,
            "lag_s": None if run is None else round(self._lag_s, 3),
            "pue": None if power is None or power.pue is None else round(power.pue, 4),
            "it_kw": None if power is None else round(power.it_kw, 3),
            "cooling_kw": None if power is None else round(power.cooling_kw, 3),
            "tokens_ps": None if power is None else round(power.tokens_ps, 1),
            "racks": None if run is None else len(run.hall.facility.racks),
            "reveal": self.reveal,
            "message": self._message,
        }

    def start(self, scenario: Scenario, speed: float | None, *, paused: bool, keep_start: bool) -> dict[str, Any]:
        """Start a run; keep_start: at the scenario's own instant, else past all that is stored of its racks."""
        with self._alone():
            if self._obeys:
                raise Problem(409, "the hall is running; POST /hall/stop ends it")
            self.close()
            run = self._prepared(scenario, keep_start=keep_start)
            run.judge = self._judged(run)
            self._run_id, self._unwritten, self._ending = self.log.begin(run.scenario), [], []
            self._stopping, self._message, self._lag_s = False, None, 0.0
            self._pace, self._kept_at = _Pace(speed), time.monotonic()
            self.run, self._state = run, "paused" if paused else "running"
            self._note("start", {"scenario": scenario.name, "seed": scenario.seed, "speed": speed, "paused": paused})
            self._obeys = True
            self._thread = threading.Thread(target=self._live, name="live hall", daemon=True)
            self._thread.start()
        self._tell(now=True)
        return self.document()

    def _prepared(self, scenario: Scenario, *, keep_start: bool) -> HallRun:
        run = HallRun(scenario)
        racks = run.hall.facility.racks
        if len(racks) > MOST_RACKS:
            raise Problem(422, f"scenario: {len(racks):,} racks; a live hall has at most {MOST_RACKS:,}")
        moved = self.log.start_after(scenario, racks)
        if moved.start == scenario.start:
            return run
        if keep_start:
            raise Problem(422, "start: later telemetry of these racks is stored; give a later start, or leave it out")
        return HallRun(parse_scenario(moved.model_dump(exclude_unset=True), "scenario"))

    def stop(self) -> dict[str, Any]:
        """End the run where it is; what it was told stays in the store."""
        with self._alone():
            if self.run is None:
                raise Problem(409, _NOT_RUNNING)
            self.close()
            self._note("stop", {})
            self.run, self._state, self._message = None, "idle", None
        self._tell(now=True)
        return self.document()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Start or stop while nobody else does. Raises Problem 409 where somebody does."""
        if not self._changing.acquire(blocking=False):
            raise Problem(409, "the hall is being started or stopped")
        try:
            yield
        finally:
            self._changing.release()

    def close(self) -> None:
        """End the thread, if there is one."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def pause(self) -> dict[str, Any]:
        """Stand still after the tick that is under way."""
        return self._command("pause", {}, self._pause)

    def _pause(self) -> None:
        self._state, self._lag_s = "paused", 0.0

    def resume(self) -> dict[str, Any]:
        """Go on at the pace that is set."""
        return self._command("resume", {}, self._resume)

    def _resume(self) -> None:
        self._state = "running"
        self._restart_pace()

    def set_speed(self, speed: float | None) -> dict[str, Any]:
        """Go on at another pace: simulated seconds in a second, None as fast as it goes."""
        return self._command("speed", {"speed": speed}, lambda: self._set_speed(speed))

    def _set_speed(self, speed: float | None) -> None:
        self._pace.speed = speed
        self._restart_pace()

    def step(self, ticks: int) -> dict[str, Any]:
        """Move a hall that is paused by some ticks, as fast as it goes."""
        return self._command("step", {"ticks": ticks}, lambda: self._step(ticks))

    def _step(self, ticks: int) -> None:
        if self._state != "paused":
            raise Problem(409, "the hall is running; POST /hall/pause first")
        for _ in range(ticks):
            if self._stopping or self._state != "paused":
                return
            self._tick()

    def add_incident(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Plan an incident, now unless it says when; return its id and when it begins."""
        return self.strike(lambda _run: entry)

    def strike(self, entry: Callable[[HallRun], Mapping[str, Any]]) -> dict[str, Any]:
        """Plan the incident that an entry becomes of the run as it stands."""
        return self._do(lambda: self._add_incident(entry(self._running()), "incident"))

    def _add_incident(self, entry: Mapping[str, Any], command: str) -> dict[str, Any]:
        run = self._running()
        if len(run.commanded) >= MOST_INCIDENTS:
            raise Problem(409, f"the run has {MOST_INCIDENTS:,} incidents of its users; start another run")
        with told_as_problem():
            name = run.add_incident(entry)
        begins = run.instant(run.simulation.planned[name].at_s or 0.0)
        self._note(command, {"incident_id": name, **entry})
        return {"incident_id": name, "ts": begins}

    def act(self, entry: Callable[[HallRun], Mapping[str, Any]], action: str) -> dict[str, Any]:
        """Take up an action as planned work; return what a log keeps of it. entry: called with the run as it stands."""
        return self._do(lambda: self._act(entry, action))

    def _act(self, entry: Callable[[HallRun], Mapping[str, Any]], action: str) -> dict[str, Any]:
        run = self._running()
        before, made = run.energy, entry(run)
        done = self._add_incident(made, "action")
        result = {"applied": True, "incident_id": done["incident_id"], **made, "message": f"{action} is under way"}
        return {
            "status": "applied", "result": json.dumps(result), "run_id": self._run_id,
            "incident_id": done["incident_id"], "energy_before": json.dumps(asdict(before)),
        }  # fmt: skip

    def end_incident(self, name: str) -> dict[str, Any]:
        """End an incident that is under way, now; one that begins now, with the next tick, which shows it."""
        return self._do(lambda: self._end_incident(name))

    def _end_incident(self, name: str) -> dict[str, Any]:
        run = self._running()
        if name not in run.commanded and not self.reveal:
            raise Problem(404, "incidents: there is none of this id; GET /hall/incidents lists them")
        if run.begins_now(name) and name not in self._ending:
            self._ending.append(name)
            return {"incident_id": name, "ts": run.instant(run.now_s + run.tick_s)}
        with told_as_problem(409):
            run.simulation.end_incident(name)
        self._note("end", {"incident_id": name})
        return {"incident_id": name, "ts": run.instant(run.now_s)}

    def _end_what_has_begun(self) -> None:
        """End what was to end before a tick had shown it, now that one has."""
        for name in self._ending:
            try:
                self._end_incident(name)
            except Problem as error:
                _LOG.warning("%s is not ended: %s", name, error.detail)
        self._ending = []

    def incidents(self) -> list[dict[str, Any]]:
        """Return the incidents that may be told."""
        run = self.run
        return [] if run is None else self._do(lambda: run.incidents(reveal=self.reveal), also_after=True)

    def twin(self, rack: str, points: int) -> dict[str, list[Any]]:
        """Return the latest readings of a rack's twin, channel by channel."""
        run = self.run
        if run is None:
            raise Problem(409, _NOT_RUNNING)
        try:
            return self._do(lambda: run.twin_series(rack, points), also_after=True)
        except KeyError:
            raise Problem(404, "rack_id: the hall has no such rack; GET /hall/layout lists them") from None

    def scenario_yaml(self) -> str:
        """Return the scenario that gives the telemetry of the latest run."""
        run = self.run
        if run is not None:
            return self._do(lambda: scenario_text(document_of(run.scenario), run.now_s), also_after=True)
        latest = self.log.latest()
        if latest is None:
            raise Problem(404, "no hall has been run; POST /hall/start starts one")
        return scenario_text(json.loads(latest["document"]), latest["reached_s"])

    def _command(self, name: str, details: Mapping[str, Any], work: Callable[[], None]) -> dict[str, Any]:
        def obey() -> None:
            work()
            self._note(name, details)

        self._do(obey)
        self._tell(now=True)
        return self.document()

    def _do(self, work: Callable[[], Result], *, also_after: bool = False) -> Result:
        """Let the hall's thread do something between two ticks and return what comes of it.

        also_after: it may be done once the thread has ended.
        """
        order = _Order(work, Future())
        with self._changed:
            if self._obeys:
                self._orders.append(order)
                self._changed.notify_all()
            elif also_after:
                return work()
            else:
                self._running()
                raise Problem(409, "the hall is ending")
        try:
            result: Result = order.result.result(_OBEYED_WITHIN_S)
        except FutureTimeoutError:
            if order.result.cancel():
                raise Problem(
                    503, self._message or "the hall is busy; try again", retry_after_s=RETRY_AFTER_S
                ) from None
            result = order.result.result()
        return result

    def _live(self) -> None:
        """Tick until the end, a stop or a failure, which is told and never silent."""
        try:
            while self._its_time_has_come():
                self._tick()
        except Exception as error:  # noqa: BLE001 - whatever it is: somebody has to know
            _LOG.exception("the live hall failed")
            self._state, self._message = "failed", f"the hall's thread ended: {type(error).__name__}: {error}"
        finally:
            self._refuse_what_is_left()
            self._tell(now=True)
            self._keep_figures()

    def _keep_figures(self) -> None:
        """Keep what the judge has found, so that it outlives the server; where the store is away, some other time."""
        self._kept_at = time.monotonic()
        try:
            self._kept(self._run_id)
        except StoreUnavailable as error:
            _LOG.warning("%s; the referee's figures will be kept later", error.detail)

    def _its_time_has_come(self) -> bool:
        """Obey and wait until the next tick is due; return False where there is none."""
        while True:
            self._obey()
            with self._changed:
                if self._stopping or self._state not in ("running", "paused"):
                    return False
                if self._orders:
                    continue
                wait_s = inf if self._state == "paused" else self._pace.wait_s(self._next_s())
                if wait_s <= 0:
                    return True
                self._changed.wait(None if wait_s == inf else wait_s)

    def _obey(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            if not order.result.set_running_or_notify_cancel():
                continue
            try:
                order.result.set_result(order.work())
            except Exception as error:  # noqa: BLE001 - it is the caller's
                order.result.set_exception(error)

    def _refuse_what_is_left(self) -> None:
        with self._changed:
            self._obeys = False
            left = list(self._orders)
            self._orders.clear()
        for order in left:
            if order.result.set_running_or_notify_cancel():
                order.result.set_exception(Problem(409, self._over()))

    def _tick(self) -> None:
        run = self._running()
        samples = run.next_tick()
        self._lag_s = max(0.0, -self._pace.wait_s(run.now_s)) if self._state == "running" else 0.0
        self._deliver(samples)
        self._end_what_has_begun()
        if run.is_over:
            run.finish()
            self._state = "finished"
            self._write_down()
        elif self._unwritten:
            self._write_down()
        if time.monotonic() - self._kept_at >= _KEPT_EVERY_S:
            self._keep_figures()
        self._tell(now=run.is_over)

    def _deliver(self, samples: list[dict[str, Any]]) -> None:
        """Hand samples to ingest as often as it takes; a store that is away stops the hall, not its samples."""
        pause_s = _RETRY_S
        while not self._stopping:
            try:
                answer = self._ingest.take(samples)
            except StoreUnavailable as error:
                self._message = f"waits: {error.detail}"
                self._tell()
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, pause_s)
                pause_s = min(2 * pause_s, _LONGEST_RETRY_S)
                continue
            except Problem as error:
                self._message = f"samples of the latest tick were not taken: {error.detail}"
                return
            refused = answer["rejected"]
            self._message = f"{len(refused)} samples of the latest tick were not taken" if refused else None
            return

    def _running(self) -> HallRun:
        if self.run is None or self._state not in ("running", "paused"):
            raise Problem(409, self._over())
        return self.run

    def _over(self) -> str:
        """Return why the hall obeys nothing."""
        return f"the hall has {self._state}; start another" if self._state in ("finished", "failed") else _NOT_RUNNING

    def _next_s(self) -> float:
        run = self._running()
        return float((run.ticks + 1) * run.tick_s)

    def _restart_pace(self) -> None:
        self._pace.restart(self._running().now_s)
        self._lag_s = 0.0

    def _note(self, command: str, details: Mapping[str, Any]) -> None:
        """Tell a command and write it down; where the store is away, with the next tick."""
        run = self.run
        if run is None:
            return
        self._unwritten.append({
            "ts_us": ts_us(run.scenario, run.now_s), "received_us": time.time_ns() // 1000, "command": command,
            "details": json.dumps(details),
        })  # fmt: skip
        self._stream.tell("command", {"ts": run.instant(run.now_s), "command": command, **details})
        self._write_down()

    def _write_down(self) -> None:
        run = self.run
        if run is None:
            return
        try:
            self.log.note(self._run_id, run, self._unwritten)
        except StoreUnavailable as error:
            _LOG.warning("%s; it will be written down with the next tick", error.detail)
        else:
            self._unwritten = []

    def _tell(self, *, now: bool = False) -> None:
        """Tell the stream how the hall is, a few times in a second at most."""
        clock = time.monotonic()
        if now or clock - self._told_at >= _TOLD_EVERY_S:
            self._told_at = clock
            self._stream.tell("hall", self.document())


@contextmanager
def told_as_problem(status: int = 422) -> Iterator[None]:
    """Turn InputError into a Problem with a place and a reason for each offender."""
    try:
        yield
    except InputError as error:
        raise problem_of(error, status) from None


def problem_of(error: InputError, status: int = 422) -> Problem:
    """Return what is wrong with what was asked, place by place."""
    first, *rest = str(error).splitlines()
    found = [match.groupdict() for line in rest or [first] if (match := _PLACE.match(line.strip()))]
    detail = "; ".join(f"{e['place']}: {e['why']}" for e in found[:3]) if found else first
    return Problem(status, detail, [{"place": e["place"], "why": e["why"]} for e in found])


def scenario_to_run(given: str | Mapping[str, Any], overrides: dict[str, Any]) -> Scenario:
    """Return a shipped scenario, or one that came as a document. Raises Problem 422."""
    if isinstance(given, str):
        if given not in shipped_scenarios():
            raise Problem(422, f"scenario: {given!r:.80} is not shipped; GET /hall/scenarios lists those that are")
        with told_as_problem():
            return load_scenario(given, (), overrides)
    demand = given.get("demand")
    if isinstance(demand, Mapping) and "file" in demand:
        raise Problem(422, "scenario.demand.file: files of the server are not for its clients; leave it out")
    with told_as_problem():
        return parse_scenario({"name": "hall", **given, **overrides}, "scenario")


def incident_entry(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of a scenario's incidents; what is no key of one is a parameter of the kind. Raises Problem."""
    if len(json.dumps(body, default=str)) > MOST_ENTRY_BYTES:
        raise Problem(422, f"the incident is described by more than {MOST_ENTRY_BYTES:,} bytes; shorten it")
    given = {key: value for key, value in body.items() if value is not None}
    entry = {key: value for key, value in given.items() if key in IncidentSpec.model_fields}
    own = {key: value for key, value in given.items() if key not in IncidentSpec.model_fields}
    parameters = entry.get("parameters", {})
    if own and isinstance(parameters, Mapping):
        entry["parameters"] = {**parameters, **own}
    return entry
