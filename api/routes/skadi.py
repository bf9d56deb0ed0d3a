"""Routes that clients of the reference use, with its fields: the hall as it stands, and over time."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from api import figures
from api.aggregates import DAY_US, MINUTE_US
from api.openapi import answers
from api.problems import Problem
from api.routes.page import page
from api.routes.parts import BackendOf, us_of
from api.settings import Settings
from sim import __version__
from sim.common.time_units import format_instant_us

router = APIRouter(tags=["reference"])

NO_DATA = "no sample is stored; send some with POST /telemetry/batch"
_NEAR_CAP = 0.9
_LONGEST_US = 366 * 1440 * MINUTE_US
_SERVICE = {
    "service": "skadi-sim", "version": __version__, "status": "running", "mode": "advisory", "kill_switch": False,
}  # fmt: skip

Shown = Literal["inlet", "outlet", "delta_t", "power"]
_VALUES: dict[Shown, Callable[[sa.RowMapping], float | None]] = {
    "inlet": lambda row: row["inlet_c"],
    "outlet": lambda row: row["outlet_c"],
    "delta_t": figures.rise_k,
    "power": lambda row: row["pdu_kw"],
}


@router.get("/", response_class=Response, responses=answers(_SERVICE))
async def root(request: Request, backend: BackendOf) -> Response:
    """Return the page, or what this service is where JSON is asked for."""
    accepts = request.headers.get("accept", "*/*")
    if "text/html" in accepts:
        return page()
    settings = backend.settings
    return JSONResponse(_SERVICE | {"mode": backend.actions.mode, "kill_switch": settings.global_kill_switch})


@router.get("/health", responses=answers({"status": "healthy"}))
async def health() -> dict[str, Any]:
    """Answer as the reference does."""
    return {"status": "healthy"}


@router.get("/state/overview", responses=answers({
    "j_per_prompt_wh": 0.0102, "latency_p95_ms": 191.3, "ims_deviation": 0.84, "mms_state": "NOMINAL",
    "inlet_compliance_pct": 100.0, "energy_saved_pct": None, "ts": "2025-01-06T09:00:00Z",
}))  # fmt: skip
def get_overview(backend: BackendOf) -> dict[str, Any]:
    """Return the hall's figures over the five minutes of event time up to the newest sample."""
    with backend.store.reading() as connection:
        found = figures.overview(connection)
    if found is None:
        return {"status": "no_data", "message": NO_DATA}
    newest, told = found
    saved = figures.saved_pct(backend.actions_during(newest - DAY_US, newest))
    return {**told, "energy_saved_pct": saved, "ts": format_instant_us(newest)}


@router.get("/heatmap", responses=answers({
    "type": "inlet", "ts": "2025-01-06T09:00:00Z", "grid": {"R-A-01": {"value": 22.4, "status": "nominal"}},
    "stats": {"min": 22.4, "max": 22.4, "avg": 22.4},
}))  # fmt: skip
def get_heatmap(
    backend: BackendOf,
    type: Shown = "inlet",  # noqa: A002 - the reference's name
    ts: Annotated[
        str, Query(max_length=64, description="an instant of event time; now is the newest sample's")
    ] = "now",
) -> dict[str, Any]:
    """Return a value of each rack, from its latest sample in the 15 minutes up to an instant."""
    with backend.store.reading() as connection:
        at_us = figures.newest_us(connection) if ts == "now" else us_of(ts, "ts")
        if at_us is None:
            return {"type": type, "ts": None, "grid": {}, "stats": figures.stats_of([]), "message": NO_DATA}
        rows = figures.latest_samples(connection, at_us)
    values = {row["rack_id"]: _VALUES[type](row) for row in rows}
    grid = {
        row["rack_id"]: {"value": values[row["rack_id"]], "status": _status(type, row, backend.settings)}
        for row in rows
    }
    answer = {
        "type": type,
        "ts": format_instant_us(at_us),
        "grid": grid,
        "stats": figures.stats_of(list(values.values())),
    }
    return answer if rows else {**answer, "message": "no rack was sampled in the 15 minutes before"}


def _status(shown: Shown, row: sa.RowMapping, settings: Settings) -> str | None:
    """Return what a rack's power says of it, or for the other maps its inlet; null without a reading."""
    if shown == "power":
        return status_of(row["pdu_kw"], _NEAR_CAP * settings.rack_kw_cap, settings.rack_kw_cap)
    return status_of(row["inlet_c"], figures.WARM_C, settings.inlet_max_c)


def status_of(value: float | None, warning: float, critical: float) -> str | None:
    """Return critical over one limit, warning over the other, else nominal; null without a value."""
    if value is None:
        return None
    return "critical" if value > critical else "warning" if value > warning else "nominal"


@router.get("/timeline", responses=answers({
    "from": "2025-01-06T00:00:00Z", "to": "2025-01-06T09:00:00Z",
    "series": {
        "j_per_prompt": [["2025-01-06T00:00:00Z", 36.7]], "latency_p95": [["2025-01-06T00:00:00Z", 191.3]],
        "aux_kw": [["2025-01-06T00:00:00Z", 19.4]],
    },
    "actions": [],
}))  # fmt: skip
def get_timeline(
    backend: BackendOf,
    start: Annotated[str, Query(alias="from", max_length=64, examples=["2025-01-06T00:00:00Z"])],
    end: Annotated[str, Query(alias="to", max_length=64, examples=["2025-01-06T09:00:00Z"])],
) -> dict[str, Any]:
    """Return the hall's figures over a stretch of at most 366 days, in up to 1,000 points, and what was done in it."""
    period = period_of(start, end)
    with backend.store.reading() as connection:
        parts = figures.sums_by(connection, period, figures.spacing_us(period))
    at = [format_instant_us(part["at_us"]) for part in parts]
    series = {
        "j_per_prompt": [figures.j_per_prompt(part) for part in parts],
        "latency_p95": [figures.ratio(part, "latency_ms", "latency_n") for part in parts],
        "aux_kw": [figures.of_hall(part, "aux_kj", "aux_s") for part in parts],
    }
    done = backend.actions_during(period.start_us, period.end_us)
    names = ("ts", "action", "reason", "pred_saving_pct", "status")
    return {
        **period.document(),
        "series": {name: [list(pair) for pair in zip(at, values, strict=True)] for name, values in series.items()},
        "actions": [{name: action[name] for name in names} for action in done],
    }


def period_of(start: str, end: str) -> figures.Period:
    """Return a stretch of time from two instants of a query. Raises Problem 422."""
    start_us, end_us = us_of(start, "from"), us_of(end, "to")
    assert start_us is not None  # noqa: S101 - it was given
    assert end_us is not None  # noqa: S101 - it was given
    if end_us < start_us:
        raise Problem(422, f"to: {end!r:.60} is before from, {start!r:.60}")
    if end_us - start_us > _LONGEST_US:
        raise Problem(422, "to: is more than 366 days after from; ask for less at a time")
    return figures.Period(start_us, end_us)
