"""The referee: post alarms of a monitor of your own, learn what it missed, how late, how often wrong."""

import csv
import io
import re
import time
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from fastapi.responses import PlainTextResponse

from api.problems import Problem
from api.referee import OWN, Case, alarm_documents
from api.routes.parts import BackendOf
from sim.common.text import printable
from sim.common.time_units import instant_us, parse_instant
from training.alarms import KINDS, Alarm, alarm_rows

router = APIRouter(prefix="/referee", tags=["referee"])

MOST_AT_ONCE = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_LONGEST_CAUSE = 200
_EXAMPLE = {
    "contestant": "my-monitor", "rack_id": "R-C-07", "start": "2025-01-06T14:03:00Z", "end": None, "cause": "pump_trip",
    "kind": "persistent",
}  # fmt: skip

Wrong = list[dict[str, Any]]


@router.get("")
def get_referee(backend: BackendOf) -> dict[str, Any]:
    """Return how every contestant stands, and of each incident that is over who found it when."""
    return backend.referee.board()


@router.get("/alarms", response_model=None, responses={200: {"content": {"text/csv": {}}}})
def get_alarms(
    backend: BackendOf, to: Annotated[Literal["json", "csv"], Query(alias="format")] = "json"
) -> dict[str, Any] | PlainTextResponse:
    """Return all alarms of the latest run; as CSV they are what `python -m training.evaluate --alarms` reads."""
    latest = backend.hall.log.latest()
    alarms = backend.referee.logged(0 if latest is None else latest["run_id"])
    if to == "json":
        return {"alarms": alarm_documents(alarms)}
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(alarm_rows(alarms))
    return PlainTextResponse(text.getvalue(), media_type="text/csv; charset=utf-8")


@router.post("/alarms")
def post_alarms(backend: BackendOf, body: Annotated[Any, Body(examples=[_EXAMPLE])]) -> dict[str, Any]:
    """Take an alarm, or {"alarms": [..]}: of a rack, a row or a loop. The same rack and start again may tell its end.

    kind: `transient` for what the monitor says will pass by itself, which is no alarm.
    """
    given = body.get("alarms") if isinstance(body, dict) and "alarms" in body else [body]
    if not isinstance(given, list) or not 1 <= len(given) <= MOST_AT_ONCE:
        raise Problem(422, f"alarms: give a list of 1 to {MOST_AT_ONCE:,} alarms")
    wrong: Wrong = []
    asked: list[tuple[str, Alarm]] = []
    for i, alarm in enumerate(given):
        place = f"alarms[{i}]." if len(given) > 1 else ""
        found, problems = _asked(backend, place, alarm)
        asked, wrong = asked + found, wrong + problems
    if wrong:
        raise Problem(422, "; ".join(f"{e['place']}: {e['why']}" for e in wrong[:3]), wrong)
    return {"status": "ok", "alarms": backend.referee.post(backend.hall.current[0], asked)}


def _asked(backend: BackendOf, place: str, alarm: Any) -> tuple[list[tuple[str, Alarm]], Wrong]:
    """Return the alarms, rack by rack, that one of a client's means, and what is wrong with it."""
    if not isinstance(alarm, Mapping):
        return [], [{"place": place.rstrip(".") or "body", "why": f"an alarm is an object like {_EXAMPLE}"}]
    racks, wrong = backend.referee.racks_of(place, alarm)
    wrong += _name_problems(place, alarm.get("contestant"))
    start_s, end_s = (_seconds(place, name, alarm.get(name), wrong) for name in ("start", "end"))
    if start_s is None and not any(e["place"] == f"{place}start" for e in wrong):
        wrong.append({"place": f"{place}start", "why": "is missing; say since when, like 2025-01-06T14:03:00Z"})
    if start_s is not None and end_s is not None and end_s < start_s:
        wrong.append({"place": f"{place}end", "why": "is before the start"})
    kind, cause = alarm.get("kind") or KINDS[0], alarm.get("cause") or ""
    if kind not in KINDS:
        wrong.append({"place": f"{place}kind", "why": f"{kind!r:.80} is none of {', '.join(KINDS)}"})
    if not isinstance(cause, str) or len(cause) > _LONGEST_CAUSE or not cause.isprintable():
        wrong.append({"place": f"{place}cause", "why": f"a text of at most {_LONGEST_CAUSE} printable characters"})
    if wrong or start_s is None:
        return [], wrong
    transient = kind == KINDS[1]
    return [(alarm["contestant"], Alarm(rack, start_s, end_s, cause, transient)) for rack in racks], []


def _name_problems(place: str, name: Any) -> Wrong:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        why = f"{printable(f'{name!r:.60}')}: a contestant is named by 1 to 64 of A-Z a-z 0-9 - _ . :"
        return [{"place": f"{place}contestant", "why": why}]
    if name in OWN:
        return [{"place": f"{place}contestant", "why": f"{name!r} comes with the server; choose another name"}]
    return []


def _seconds(place: str, name: str, value: Any, wrong: Wrong) -> float | None:
    if value is None:
        return None
    try:
        return instant_us(parse_instant(value)) / 1e6
    except ValueError as error:
        wrong.append({"place": f"{place}{name}", "why": f"{printable(f'{value!r:.60}')}: {error}"})
        return None


@router.post("/alertmanager")
def post_alertmanager(backend: BackendOf, body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
    """Take the webhook of an Alertmanager: label `rack` (or `row`, `loop`); the contestant is label or receiver.

    Its instants are those of the wall clock unless they lie within the hall's own time; cause: label `cause`.
    """
    alerts = body.get("alerts")
    if not isinstance(alerts, list) or len(alerts) > MOST_AT_ONCE:
        raise Problem(422, f"alerts: a webhook of Alertmanager has a list of at most {MOST_AT_ONCE:,} alerts")
    case = backend.referee.case
    if case is None:
        raise Problem(409, "no hall has run since the server started; POST /hall/start starts one")
    found = [alarm for alert in alerts if isinstance(alert, Mapping) for alarm in _from_alert(case, body, alert)]
    if not found:
        raise Problem(422, "alerts: none has a label rack, row or loop; add it to the alerting rule")
    return {**post_alarms(backend, {"alarms": found}), "ignored": len(alerts) - len(found)}


def _from_alert(case: Case, body: Mapping[str, Any], alert: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    labels = alert.get("labels")
    if not isinstance(labels, Mapping):
        return
    where = {
        "rack_id": labels.get("rack") or labels.get("rack_id"),
        "row": labels.get("row"),
        "loop": labels.get("loop"),
    }
    named = next(((key, value) for key, value in where.items() if value), None)
    if named is None:
        return
    ended = alert.get("status") == "resolved"
    yield {
        "contestant": labels.get("contestant") or body.get("receiver") or "alertmanager", named[0]: named[1],
        "start": _in_hall(case, alert.get("startsAt")), "end": _in_hall(case, alert.get("endsAt")) if ended else None,
        "cause": labels.get("cause"),
    }  # fmt: skip


def _in_hall(case: Case, text: Any) -> Any:
    """Return an instant in the hall's time; what is none goes on to be told."""
    try:
        at_s = instant_us(parse_instant(text)) / 1e6
    except ValueError:
        return text
    if case.start_s <= at_s <= case.now_s and not abs(at_s - time.time()) < 1:
        return text
    of_wall = case.instant_s(at_s)
    return case.run.instant((case.start_s if of_wall is None else of_wall) - case.start_s)
