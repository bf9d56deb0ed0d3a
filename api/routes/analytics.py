"""Routes that clients of the reference use: the monitor's heat map, and the hall's days."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query

from api import figures
from api.aggregates import DAY_US
from api.openapi import answers
from api.problems import Problem
from api.routes.parts import BackendOf
from api.scoring import NO_MODEL
from api.settings import Settings
from api.store import SCORES
from sim.common.time_units import EPOCH, format_instant_us
from training.model import HIGH, NORMAL, WATCH, Model

router = APIRouter(tags=["reference"])

COLD_C = 20.0
_NINE = (
    "inlet_c", "outlet_c", "pdu_kw", "gpu_energy_j", "tokens_ps", "latency_p95_ms", "queue_depth", "fan_rpm_pct",
    "pump_rpm_pct",
)  # fmt: skip
_STATUS = {NORMAL: "nominal", WATCH: "warning", HIGH: "critical"}
_PLACE = re.compile(r"R-([A-Za-z0-9]+)-(\d{1,6})")
_RACK_EXAMPLE = {
    "id": "R-A-01", "row": "A", "col": 1, "temp": 22.4, "deviation": 0.84, "status": "nominal", "load": 0.67,
    "metrics": {
        "inlet_c": 22.4, "outlet_c": 35.1, "pdu_kw": 8.02, "gpu_energy_j": 336_000.0, "tokens_ps": 8200.0,
        "latency_p95_ms": 190.0, "queue_depth": 38, "fan_rpm_pct": 64.0, "pump_rpm_pct": 57.0, "delta_t": 12.7,
    },
}  # fmt: skip
_MAP_EXAMPLE = {
    "timestamp": "2025-01-06T09:00:00Z",
    "model_info": {"model_id": "ims-0123456789ab", "algorithm": "kmeans", "n_clusters": 8, "training_samples": 46_000},
    "racks": [_RACK_EXAMPLE],
    "stats": {
        "avg_temp": 22.4, "min_temp": 22.4, "max_temp": 22.4, "avg_deviation": 0.84, "min_deviation": 0.84,
        "max_deviation": 0.84, "hotspots": 0, "coolzones": 0, "total_racks": 1,
        "status_distribution": {"nominal": 1, "warning": 0, "critical": 0},
    },
    "thresholds": {"tau_fast": 1.9, "tau_persist": 2.4},
}  # fmt: skip


@router.get("/ml-heatmap/ims-anomaly", responses=answers(_MAP_EXAMPLE, s409="no model is active"))
def get_anomaly_map(backend: BackendOf) -> dict[str, Any]:
    """Return every rack's latest sample and what the active model says of it."""
    model, model_id = backend.scoring.model, backend.scoring.model_id
    if model is None:
        raise Problem(409, NO_MODEL)
    with backend.store.reading() as connection:
        newest = figures.newest_us(connection)
        columns = (SCORES.c.deviation, SCORES.c.level, SCORES.c.model_id)
        rows = [] if newest is None else figures.latest_samples(connection, newest, *columns)
    racks = [_rack(row, model_id, backend.settings) for row in rows]
    return {
        "timestamp": None if newest is None else format_instant_us(newest),
        "model_info": model_info(str(model_id), model),
        "racks": racks,
        "stats": _map_stats(racks),
        "thresholds": {"tau_fast": model.tau_fast, "tau_persist": model.tau_persist},
    }


def model_info(model_id: str, model: Model) -> dict[str, Any]:
    """Return what a model is."""
    return {
        "model_id": model_id,
        "algorithm": model.algorithm,
        "n_clusters": len(model.lo),
        "training_samples": model.card.get("rows_trained"),
    }


def _rack(row: sa.RowMapping, model_id: str | None, settings: Settings) -> dict[str, Any]:
    """Return a rack; a score of another model than the active one is none."""
    place = _PLACE.fullmatch(row["rack_id"])
    own = row["model_id"] == model_id
    return {
        "id": row["rack_id"],
        "row": place[1] if place else None,
        "col": int(place[2]) if place else None,
        "temp": row["inlet_c"],
        "deviation": row["deviation"] if own else None,
        "status": _STATUS.get(row["level"]) if own else None,
        "load": None if row["pdu_kw"] is None else round(row["pdu_kw"] / settings.rack_kw_cap, 6),
        "metrics": {**{name: row[name] for name in _NINE}, "delta_t": figures.rise_k(row)},
    }


def _map_stats(racks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    temps = [rack["temp"] for rack in racks]
    known = [t for t in temps if t is not None]
    found = Counter(rack["status"] for rack in racks)
    sets = {"temp": figures.stats_of(temps), "deviation": figures.stats_of([rack["deviation"] for rack in racks])}
    return {
        **{f"{which}_{what}": sets[what][which] for what in sets for which in ("avg", "min", "max")},
        "hotspots": sum(t > figures.WARM_C for t in known),
        "coolzones": sum(t < COLD_C for t in known),
        "total_racks": len(racks),
        "status_distribution": {name: found[name] for name in _STATUS.values()},
    }


@router.get("/ml-heatmap/health", responses=answers({"status": "healthy", "model_id": "ims-0123456789ab"}))
def get_map_health(backend: BackendOf) -> dict[str, Any]:
    """Answer which model the heat map is made with, null without one."""
    return {"status": "healthy", "model_id": backend.scoring.model_id}


@router.get("/ml-analytics/health", responses=answers({"status": "healthy"}))
async def get_analytics_health() -> dict[str, str]:
    """Answer as the reference does."""
    return {"status": "healthy"}


_DAY_EXAMPLE = {
    "day": "Mon", "date": "2025-01-06", "energyBaseline": None, "energyOptimized": 1388.2, "energySaved": None,
    "avgLatency": 191.3, "avgThroughput": 590_400.0, "totalCost": None, "totalCostOptimized": None, "savings": None,
    "avgInletTemp": 22.4, "avgOutletTemp": 35.1, "p50": 189.0, "p95": 214.0, "p99": 231.0, "pue": None,
}  # fmt: skip
_SUMMARY_EXAMPLE = {
    "total_savings": None, "avg_energy_reduction_pct": None, "avg_latency_ms": 191.3, "avg_throughput": 590_400.0,
    "avg_pue": None, "annual_savings_projection": None, "cost_reduction_pct": None, "uptime_pct": 100.0,
    "slo_compliance_pct": 99.1, "cooling_efficiency_improvement_pct": None,
}  # fmt: skip


@router.get("/ml-analytics/performance-metrics", responses=answers(
    {"timestamp": "2025-01-06T09:00:00Z", "days": 7, "daily_data": [_DAY_EXAMPLE], "summary": _SUMMARY_EXAMPLE}
))  # fmt: skip
def get_performance(
    backend: BackendOf,
    days: Annotated[int, Query(ge=1, le=30, description="days in UTC up to the newest sample's, its own included")] = 7,
) -> dict[str, Any]:
    """Return the hall's figures of each day of event time that has samples, and of all of them."""
    with backend.store.reading() as connection:
        newest = figures.newest_us(connection)
        if newest is None:
            return {"timestamp": None, "days": days, "daily_data": [], "summary": dict.fromkeys(_SUMMARY_EXAMPLE)}
        period = figures.days_up_to(newest, days)
        parts = figures.sums_by(connection, period, DAY_US)
        whole = figures.sums_of(connection, period)
        percentiles = figures.latency_percentiles(connection, period)
    price = backend.settings.energy_price_per_kwh
    saved = figures.saved_pct(backend.actions_during(period.start_us, period.end_us))
    return {
        "timestamp": format_instant_us(newest),
        "days": days,
        "daily_data": [_day(part, percentiles.get(part["at_us"]), price) for part in parts],
        "summary": dict.fromkeys(_SUMMARY_EXAMPLE) | {
            "avg_energy_reduction_pct": saved,
            "avg_latency_ms": figures.ratio(whole, "latency_ms", "latency_n"),
            "avg_throughput": figures.of_hall(whole, "tokens", "tokens_s"),
            "uptime_pct": figures.ratio(whole, "serving", "serving_n", 100.0),
            "slo_compliance_pct": figures.ratio(whole, "latency_within", "latency_n", 100.0),
        },
    }  # fmt: skip


def _day(sums: figures.Sums, percentiles: list[float] | None, price: float | None) -> dict[str, Any]:
    """Return the figures of a day; what needs a baseline or a meter of the plant was not measured."""
    at = (EPOCH + timedelta(microseconds=sums["at_us"])).astimezone(UTC)
    energy_kwh = round(sums["it_kj"] / 3600, 6) if sums["it_s"] else None
    p50, p95, p99 = percentiles or (None, None, None)
    return dict.fromkeys(_DAY_EXAMPLE) | {
        "day": _weekday(at),
        "date": at.date().isoformat(),
        "energyOptimized": energy_kwh,
        "avgLatency": figures.ratio(sums, "latency_ms", "latency_n"),
        "avgThroughput": figures.of_hall(sums, "tokens", "tokens_s"),
        "totalCostOptimized": None if price is None or energy_kwh is None else round(price * energy_kwh, 6),
        "avgInletTemp": figures.ratio(sums, "inlet_c", "inlet_n"),
        "avgOutletTemp": figures.ratio(sums, "outlet_c", "outlet_n"),
        "p50": p50,
        "p95": p95,
        "p99": p99,
    }


def _weekday(at: datetime) -> str:
    """Return the day's short name in English, whatever the process's language."""
    return ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.weekday()]
