"""Figures of the hall from the sums by the minute: every one from what was stored, in event time, null if not measured.

How each is computed stands in docs/backend.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from api.aggregates import DAY_US, LATENCY_STEP, MINUTE_US
from api.store import LATENCIES, MINUTES, RACKS, SCORES, TELEMETRY
from sim.common.time_units import format_instant_us
from sim.model.channels import CHANNELS
from training.features import delta_t
from training.mms import NOMINAL, PERSISTENT, RECOVERING, STATES, TRANSIENT

NOW_US = 5 * MINUTE_US
"""What counts as now: the five minutes of event time up to the newest sample."""

FRESH_US = 15 * MINUTE_US
"""A rack without a sample for so long is not in a picture of the hall."""

WARM_C = 27.0
"""Inlets over it are a warning: the upper end of what ASHRAE recommends."""

MOST_POINTS = 1000
PERCENTILES = (50.0, 95.0, 99.0)
_WH_J = 3600.0
_WORST = (PERSISTENT, RECOVERING, TRANSIENT, NOMINAL)

Sums = sa.RowMapping


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of event time [us], whole minutes from `start_us` up to `end_us`, which is in it."""

    start_us: int
    end_us: int

    @property
    def span_us(self) -> int:
        """Return how long it is."""
        return self.end_us - self.start_us

    def document(self) -> dict[str, str]:
        """Return it as clients read it."""
        return {"from": format_instant_us(self.start_us), "to": format_instant_us(self.end_us)}


def newest_us(connection: sa.Connection) -> int | None:
    """Return the instant of the newest sample, if there is one."""
    newest: int | None = connection.scalar(sa.select(sa.func.max(RACKS.c.newest_us)))
    return newest


def _during(period: Period) -> "sa.ColumnElement[bool]":
    first = period.start_us // MINUTE_US * MINUTE_US
    return sa.and_(MINUTES.c.minute_us >= first, MINUTES.c.minute_us <= period.end_us)


def _totals() -> list[sa.ColumnElement[Any]]:
    names = [c.name for c in MINUTES.c if c.name not in ("minute_us", "racks")]
    return [*(sa.func.sum(MINUTES.c[n]).label(n) for n in names), sa.func.max(MINUTES.c.racks).label("racks")]


def sums_of(connection: sa.Connection, period: Period) -> Sums:
    """Return the sums of a period; null each where nothing was sampled."""
    return connection.execute(sa.select(*_totals()).where(_during(period))).mappings().one()


def sums_by(connection: sa.Connection, period: Period, each_us: int) -> Sequence[Sums]:
    """Return the sums of the stretches of a period that were sampled, in order of time; each under `at_us`."""
    at = (MINUTES.c.minute_us - MINUTES.c.minute_us % sa.literal_column(str(each_us))).label("at_us")
    query = sa.select(at, *_totals()).where(_during(period)).group_by(at).order_by(at)
    return connection.execute(query).mappings().all()


def ratio(sums: Sums, above: str, below: str, factor: float = 1.0) -> float | None:
    """Return the quotient of two sums, null where what it is of was not measured."""
    return round(factor * float(sums[above]) / float(sums[below]), 6) if sums[below] else None


def j_per_prompt(sums: Sums) -> float | None:
    """Return energy per request [J]: of the racks, over requests by Little's law, queue depth / latency."""
    return ratio(sums, "prompt_kj", "prompts", 1e3)


def of_hall(sums: Sums, per_second: str, seconds: str) -> float | None:
    """Return a mean over the hall: a rack's own, times the racks that reported in the fullest minute."""
    mean = ratio(sums, per_second, seconds)
    return None if mean is None else round(mean * sums["racks"], 6)


def kpis(sums: Sums) -> dict[str, float | None]:
    """Return the key figures of a stretch of time."""
    energy_j = j_per_prompt(sums)
    return {
        "j_per_prompt_wh": None if energy_j is None else round(energy_j / _WH_J, 6),
        "latency_p95_ms": ratio(sums, "latency_ms", "latency_n"),
        "inlet_compliance_pct": ratio(sums, "inlet_within", "inlet_n", 100.0),
    }


def monitor_now(connection: sa.Connection, now_us: int) -> dict[str, Any]:
    """Return the largest deviation and the worst state among the racks' latest scores, null without any."""
    latest = sa.and_(SCORES.c.rack_id == RACKS.c.rack_id, SCORES.c.ts_us == RACKS.c.newest_us)
    query = (
        sa.select(sa.func.max(SCORES.c.deviation).label("deviation"), SCORES.c.state)
        .select_from(RACKS).join(SCORES, latest).where(RACKS.c.newest_us > now_us - FRESH_US).group_by(SCORES.c.state)
    )  # fmt: skip
    found = connection.execute(query).all()
    states = {row.state for row in found}
    worst = next((STATES[state] for state in _WORST if state in states), None)
    largest = max((row.deviation for row in found if row.deviation is not None), default=None)
    return {"ims_deviation": largest, "mms_state": worst}


def overview(connection: sa.Connection) -> tuple[int, dict[str, Any]] | None:
    """Return the instant of the newest sample [us], with the key figures up to it and what the monitor says then."""
    newest = newest_us(connection)
    if newest is None:
        return None
    now = Period(max(0, newest - NOW_US + MINUTE_US), newest)
    return newest, kpis(sums_of(connection, now)) | monitor_now(connection, newest)


def latest_samples(connection: sa.Connection, at_us: int, *scores: sa.Column[Any]) -> Sequence[sa.RowMapping]:
    """Return each rack's latest sample up to an instant, in order of racks, those that are fresh then.

    scores: columns of its score to give as well, null where it has none.
    """
    fresh = TELEMETRY.c.ts_us.between(at_us - FRESH_US + 1, at_us)
    newest = sa.func.max(TELEMETRY.c.ts_us).label("newest_us")
    latest = sa.select(TELEMETRY.c.rack_id, newest).where(fresh).group_by(TELEMETRY.c.rack_id).subquery()
    its = sa.and_(TELEMETRY.c.rack_id == latest.c.rack_id, TELEMETRY.c.ts_us == latest.c.newest_us)
    query = sa.select(TELEMETRY, *scores).select_from(latest).join(TELEMETRY, its)
    if scores:
        scored = sa.and_(SCORES.c.rack_id == TELEMETRY.c.rack_id, SCORES.c.ts_us == TELEMETRY.c.ts_us)
        query = query.join(SCORES, scored, isouter=True)
    return connection.execute(query.order_by(TELEMETRY.c.rack_id)).mappings().all()


def spacing_us(period: Period) -> int:
    """Return the whole minutes that a period is cut into, so that it has at most MOST_POINTS of them [us]."""
    return max(1, -(-period.span_us // (MOST_POINTS * MINUTE_US))) * MINUTE_US


def latency_percentiles(connection: sa.Connection, period: Period) -> dict[int, list[float]]:
    """Return PERCENTILES of the readings of latency [ms] of each day, by the day's first instant [us]."""
    query = sa.select(LATENCIES).where(LATENCIES.c.day_us >= period.start_us, LATENCIES.c.day_us <= period.end_us)
    by_day: dict[int, list[tuple[int, int]]] = {}
    for row in connection.execute(query.order_by(LATENCIES.c.day_us, LATENCIES.c.step)):
        by_day.setdefault(row.day_us, []).append((row.step, row.readings))
    return {day: _percentiles(counts) for day, counts in by_day.items()}


def _percentiles(counts: Sequence[tuple[int, int]]) -> list[float]:
    """Return the nearest rank's value of each of PERCENTILES: the geometric middle of its step [ms]."""
    upto = np.cumsum([n for _, n in counts])
    ranks = np.ceil(np.array(PERCENTILES) / 100 * upto[-1])
    steps = np.array([step for step, _ in counts])[np.searchsorted(upto, ranks)]
    values: list[float] = np.round(LATENCY_STEP ** (steps - 0.5), 3).tolist()
    return values


def days_up_to(newest: int, days: int) -> Period:
    """Return so many days in UTC, the newest sample's the last of them."""
    last = newest // DAY_US * DAY_US
    return Period(last - (days - 1) * DAY_US, last + DAY_US - MINUTE_US)


def saved_pct(actions: Sequence[Mapping[str, Any]]) -> float | None:
    """Return what was saved since the first action that was measured [%], null where none was.

    Each action's saving is the hall's energy against its twin's since then, so that of the first holds the others'.
    """
    measured = [a["realized_saving_pct"] for a in actions if a["realized_saving_pct"] is not None]
    return round(measured[0], 6) if measured else None


def rise_k(row: sa.RowMapping) -> float | None:
    """Return the temperature rise over a rack [K] as sent, or from its temperatures."""
    sent: float | None = row["delta_t"]
    if sent is not None or row["inlet_c"] is None or row["outlet_c"] is None:
        return sent
    derived: float = delta_t(row["inlet_c"], row["outlet_c"])
    return round(derived, CHANNELS["delta_t"].decimals)


def stats_of(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return min, max and mean of those that there are, null each without any."""
    known = [value for value in values if value is not None]
    if not known:
        return {"min": None, "max": None, "avg": None}
    return {"min": min(known), "max": max(known), "avg": round(sum(known) / len(known), 4)}
