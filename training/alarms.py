"""Alarms that any monitor raised, measured by the definitions of events.py: a scoreboard, and who found what when."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, nan, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from sim.common.text import join_lines, short_repr
from sim.common.time_units import format_instant_us, instant_us, parse_instant
from sim.model.episodes import PERSISTENT_S
from training.events import Rows, Spans, Truth, alarm_figures, begun_in, false_alarms, overlapping
from training.text_files import UNREADABLE, open_text

COLUMNS = ("contestant", "rack_id", "start", "end", "cause", "kind")
KINDS = ("persistent", "transient")
_SIGMAS = 1.959964
"""Of a 95 % interval."""

_FEWEST = 6
"""So many values give a 95 % interval of their median by order; of fewer none is told."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of one rack. end_s: None while it is open. transient: said to pass by itself, so no alarm at all."""

    rack: str
    start_s: float
    end_s: float | None = None
    cause: str = ""
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an incident that is over."""

    kind: str
    group: str
    assets: tuple[str, ...]

    def is_meant_by(self, cause: str) -> bool:
        """Return whether a cause names its kind, its group or what it struck."""
        return cause.strip().lower() in {self.kind, self.group, *(asset.lower() for asset in self.assets)}


@dataclass(frozen=True, slots=True)
class _Incident:
    """An incident in the truth: its stretches of rows, by number among the truth's events."""

    name: str
    known: Known
    events: NDArray[np.intp]
    begin_s: float
    end_s: float
    observable: bool


def scoreboard(
    truth: Truth, racks: Sequence[str], incidents: Mapping[str, Known], contestants: Mapping[str, Sequence[Alarm]]
) -> dict[str, Any]:
    """Return how each contestant's alarms meet the truth, and of each incident who found it when.

    racks: names by the truth's numbers. incidents: by the truth's keys. An incident is observable if a rack shows it
    for 360 s, and found if an alarm meets one of these stretches before the hall has settled after it; its delay runs
    from its first stretch to the first such alarm. Everything else is of stretches, rack by rack.
    """
    events = truth.events()
    known = [i for name, of in incidents.items() if (i := _incident(name, of, events)) is not None]
    known.sort(key=lambda i: (i.begin_s, i.name))
    number = {name: k for k, name in enumerate(racks)}
    board: list[dict[str, Any]] = []
    found_by: dict[str, list[dict[str, Any]]] = {i.name: [] for i in known}
    for name, alarms in contestants.items():
        mine = _Measured(truth, events, [a for a in alarms if a.rack in number], number)
        board.append({"name": name, **mine.figures(known)})
        for incident in known:
            first = mine.first(incident)
            if first is not None:
                found_by[incident.name].append({"contestant": name, **first})
    return {"contestants": board, "incidents": [_told(i, events, racks, found_by[i.name]) for i in known]}


def _incident(name: str, known: Known, events: Spans) -> _Incident | None:
    mine = np.flatnonzero(events.key == name)
    if not mine.size:
        return None
    observable = bool((events.length_s[mine] >= PERSISTENT_S).any())
    return _Incident(name, known, mine, float(events.begin_s[mine].min()), float(events.end_s[mine].max()), observable)


def _told(i: _Incident, events: Spans, racks: Sequence[str], found_by: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "incident_id": i.name, "kind": i.known.kind, "target": list(i.known.assets), "observable": i.observable,
        "onset": _instant(i.begin_s), "end": _instant(i.end_s),
        "racks": [racks[r] for r in sorted(set(events.rack[i.events].tolist()))], "found_by": found_by,
    }  # fmt: skip


class _Measured:
    """One contestant's alarms against the truth."""

    def __init__(self, truth: Truth, events: Spans, alarms: Sequence[Alarm], number: Mapping[str, int]) -> None:
        self._truth, self._events = truth, events
        begin_s, end_s = (truth.ts_s[0], truth.ts_s[-1] + truth.interval_s) if truth.ts_s.size else (0.0, 0.0)
        within = [a for a in alarms if a.start_s < end_s and _end_s(a, truth.interval_s) > begin_s]
        called = [a for a in within if not a.transient]
        self._causes = [a.cause for a in called]
        self._alarms = _spans(called, number, truth.interval_s, end_s)
        transients = _spans([a for a in within if a.transient], number, truth.interval_s, end_s)
        open_ = _covered(truth, self._alarms)
        self._figures = alarm_figures(truth, self._alarms, transients, open_)
        quiet = truth.quiet()
        early = begun_in(self._alarms, truth, quiet)
        self._hits = [overlapping(self._alarms, events, k, truth.grace_s, early) for k in range(events.rack.size)]
        self._false = false_alarms(self._alarms, truth, quiet) if truth.rack.size else 0
        self._quiet_days = float(quiet.sum()) * truth.interval_s / 86_400.0

    def first(self, incident: _Incident) -> dict[str, Any] | None:
        """Return the first alarm that found an incident, None where none did."""
        k = self._first(incident)
        if k is None:
            return None
        return {
            "start": _instant(float(self._alarms.begin_s[k])), "delay_s": self._delay_s(incident, k),
            "cause": self._causes[k] or None,
        }  # fmt: skip

    def _first(self, incident: _Incident) -> int | None:
        lasting = incident.events[self._events.length_s[incident.events] >= PERSISTENT_S]
        hits = [int(k) for event in lasting for k in self._hits[event]]
        return min(hits, key=lambda k: (self._alarms.begin_s[k], k), default=None)

    def _delay_s(self, incident: _Incident, k: int) -> float:
        return max(0.0, float(self._alarms.begin_s[k]) - incident.begin_s)

    def figures(self, known: Sequence[_Incident]) -> dict[str, Any]:
        """Return the contestant's figures; what cannot be told is None."""
        e, observable = self._figures, [i for i in known if i.observable]
        found = [(i, k) for i in observable if (k := self._first(i)) is not None]
        delays = sorted(self._delay_s(i, k) for i, k in found)
        caused = [i.known.is_meant_by(self._causes[k]) for i, k in found if self._causes[k]]
        transient = int(e.confusion[1].sum())
        per_day = [None if n is None or not self._quiet_days else n / self._quiet_days for n in _poisson(self._false)]
        return {
            "alarms": len(self._causes),
            "incidents_observable": len(observable),
            "incidents_found": len(found),
            "found_interval": _wilson(len(found), len(observable)),
            "delay_median_s": float(np.median(delays)) if delays else None,
            "delay_p90_s": float(np.percentile(delays, 90)) if delays else None,
            "delay_median_interval_s": _median_interval(delays),
            "false_alarms": self._false,
            "false_alarms_per_rack_day": _known(e.false_alarms_per_rack_day),
            "false_alarms_interval": per_day,
            "duplicates": e.duplicates,
            "cause_hit": sum(caused) / len(caused) if caused else None,
            "causes_told": len(caused),
            "cause_hit_interval": _wilson(sum(caused), len(caused)),
            "transient_called_persistent": int(e.confusion[1][0]) / transient if transient else None,
            "transients": transient,
            "transient_interval": _wilson(int(e.confusion[1][0]), transient),
            "precision": _known(e.precision),
            "recall": _known(e.recall),
            "f05": _known(e.f05),
        }


def _spans(alarms: Sequence[Alarm], number: Mapping[str, int], interval_s: float, end_s: float) -> Spans:
    return Spans(
        np.array([number[a.rack] for a in alarms], dtype=np.intp),
        np.array([a.start_s for a in alarms], dtype=np.float64),
        np.array([min(_end_s(a, interval_s), end_s) for a in alarms], dtype=np.float64),
        np.full(len(alarms), ""),
    )


def _end_s(alarm: Alarm, interval_s: float) -> float:
    """Return when an alarm ends: one that is open has not, and each lasts for a sample at least."""
    return float("inf") if alarm.end_s is None else max(alarm.end_s, alarm.start_s + interval_s)


def _covered(truth: Truth, alarms: Spans) -> Rows:
    """Mark the rows at which an alarm is open."""
    open_ = np.zeros(truth.rack.size, dtype=np.bool_)
    for rack, begin_s, end_s in zip(alarms.rack, alarms.begin_s, alarms.end_s, strict=True):
        first, stop = np.searchsorted(truth.ts_s, (begin_s, end_s))
        open_[first:stop] |= truth.rack[first:stop] == rack
    return open_


def _wilson(hits: int, of: int) -> list[float] | None:
    """Return the 95 % interval of a share (Wilson), None of nothing."""
    if not of:
        return None
    share, z2 = hits / of, _SIGMAS**2
    middle = share + z2 / (2 * of)
    half = _SIGMAS * sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return [max(0.0, (middle - half) / (1 + z2 / of)), min(1.0, (middle + half) / (1 + z2 / of))]


def _poisson(count: int) -> list[float | None]:
    """Return the 95 % interval of the mean of a count (Byar's approximation of the exact one)."""
    low = 0.0 if not count else count * (1 - 1 / (9 * count) - _SIGMAS / (3 * sqrt(count))) ** 3
    more = count + 1
    return [max(0.0, low), more * (1 - 1 / (9 * more) + _SIGMAS / (3 * sqrt(more))) ** 3]


def _median_interval(values: Sequence[float]) -> list[float] | None:
    """Return the 95 % interval of a median from the order of sorted values, None where they are too few."""
    n = len(values)
    if n < _FEWEST:
        return None
    half = _SIGMAS * sqrt(n) / 2
    return [values[max(0, floor(n / 2 - half))], values[min(n - 1, ceil(n / 2 + half) - 1)]]


def _known(value: float) -> float | None:
    return value if isfinite(value) else None


def _instant(time_s: float) -> str:
    return format_instant_us(round(time_s * 1e6))


def read_alarms(path: Path) -> dict[str, list[Alarm]]:
    """Return the alarms of a CSV file by contestant. Raises InputError that names every line that is wrong."""
    try:
        with open_text(path, "utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS[:3] if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path}: columns missing: {', '.join(missing)}; an alarms file has {', '.join(COLUMNS)}"
                )
            lines = list(enumerate(reader, start=2))
    except (*UNREADABLE, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    wrong = [line for number, row in lines for line in _problems(number, row)]
    if wrong:
        raise InputError(f"{path}: {len(wrong):,} problem{'s' * (len(wrong) != 1)}{join_lines(wrong)}")
    found: dict[str, list[Alarm]] = {}
    for _, row in lines:
        end = row.get("end")
        alarm = Alarm(
            row["rack_id"], _seconds(row["start"]), _seconds(end) if end else None, row.get("cause") or "",
            row.get("kind") == "transient",
        )  # fmt: skip
        found.setdefault(row["contestant"], []).append(alarm)
    return found


def _problems(number: int, row: Mapping[str, Any]) -> Iterator[str]:
    for name in ("contestant", "rack_id"):
        if not row.get(name):
            yield f"line {number}: {name} is empty"
    start_s = end_s = nan
    for name in ("start", "end"):
        if name == "end" and not row.get("end"):
            continue
        try:
            at_s = _seconds(row.get(name))
        except ValueError as error:
            yield f"line {number}: {name}: {short_repr(row.get(name))}: {error}"
            continue
        start_s, end_s = (at_s, end_s) if name == "start" else (start_s, at_s)
    if end_s < start_s:
        yield f"line {number}: end: {row['end']} is before the start"
    if row.get("kind") not in (None, "", *KINDS):
        yield f"line {number}: kind: {short_repr(row.get('kind'))} is none of {', '.join(KINDS)}"


def _seconds(text: Any) -> float:
    return instant_us(parse_instant(text)) / 1e6


def alarm_rows(contestants: Mapping[str, Sequence[Alarm]]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of an alarms file, header first, as `read_alarms` reads it."""
    yield COLUMNS
    for name, alarms in contestants.items():
        for a in alarms:
            end = "" if a.end_s is None else _instant(a.end_s)
            yield (name, a.rack, _instant(a.start_s), end, a.cause, KINDS[a.transient])
