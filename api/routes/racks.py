"""The racks as they stand, and over time."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query

from api.openapi import answers
from api.problems import Problem
from api.routes.parts import BackendOf, us_of
from api.scoring import nominal_ranges, score_document
from api.store import RACKS, SCORE_COLUMNS, SCORE_OF_SAMPLE, SCORES, TELEMETRY
from sim.common.time_units import format_instant_us
from sim.model.channels import TELEMETRY_CHANNELS
from training.model import Model

router = APIRouter(tags=["racks"])
_LONGEST = 20_000


_SAMPLE = {
    "ts": "2025-01-06T09:00:00Z", "inlet_c": 22.4, "outlet_c": 35.1, "pdu_kw": 8.02, "gpu_energy_j": 336_000.0,
    "tokens_ps": 8200.0, "latency_p95_ms": 190.0, "queue_depth": 38.0, "fan_rpm_pct": 64.0, "pump_rpm_pct": 57.0,
    "delta_t": 12.7, "gpu_power_kw": 5.6, "deviation": 0.84, "level": "normal", "ema": 0.81, "mms_state": "NOMINAL",
    "event": None, "degraded": False, "late": False, "learning": False,
    "sensors": [], "model_id": "ims-839cb8a0de02",
}  # fmt: skip
_LIMITS = {"tau_fast": 1.31, "tau_persist": 1.75}
_RACKS = {"ts": _SAMPLE["ts"], "limits": _LIMITS, "racks": [{"rack_id": "R-C-07", **_SAMPLE}]}
_SERIES = {
    "rack_id": "R-C-07", "series": {name: [_SAMPLE[name]] for name in ("ts", "inlet_c", "deviation", "mms_state")},
    "limits": _LIMITS, "nominal": {"inlet_c": {"low": [21.6], "high": [23.1]}},
}  # fmt: skip


@router.get("/racks", responses=answers(_RACKS))
def get_racks(backend: BackendOf) -> dict[str, Any]:
    """Return the latest sample and score of every rack."""
    newest = sa.and_(RACKS.c.rack_id == TELEMETRY.c.rack_id, RACKS.c.newest_us == TELEMETRY.c.ts_us)
    query = sa.select(TELEMETRY, *SCORE_COLUMNS).join(RACKS, newest).join(SCORES, SCORE_OF_SAMPLE, isouter=True)
    with backend.store.reading() as connection:
        # by the short table's column: SQLite would else go through all samples to have them in order
        rows = connection.execute(query.order_by(RACKS.c.rack_id)).mappings().all()
    newest_us = max((row["ts_us"] for row in rows), default=None)
    return {
        "ts": None if newest_us is None else format_instant_us(newest_us),
        "limits": _limits(backend.scoring.model),
        "racks": [{"rack_id": row["rack_id"], **_sample(row)} for row in rows],
    }


@router.get("/racks/{rack_id}/series", responses=answers(_SERIES, s404="no sample of this rack is stored"))
def get_series(
    backend: BackendOf,
    rack_id: Annotated[str, Path(max_length=64)],
    start: Annotated[str | None, Query(alias="from", max_length=64)] = None,
    end: Annotated[str | None, Query(alias="to", max_length=64)] = None,
    points: Annotated[int, Query(ge=1, le=_LONGEST, description="the latest so many samples")] = 720,
) -> dict[str, Any]:
    """Return a rack's latest samples and scores in a stretch of time, oldest first, channel by channel.

    nominal: of each feature, the range that the active model expects beside the sample's other features.
    """
    query = (
        sa.select(TELEMETRY, *SCORE_COLUMNS)
        .join(SCORES, SCORE_OF_SAMPLE, isouter=True)
        .where(TELEMETRY.c.rack_id == rack_id)
    )
    start_us, end_us = us_of(start, "from"), us_of(end, "to")
    if start_us is not None:
        query = query.where(TELEMETRY.c.ts_us >= start_us)
    if end_us is not None:
        query = query.where(TELEMETRY.c.ts_us <= end_us)
    with backend.store.reading() as connection:
        rows = connection.execute(query.order_by(TELEMETRY.c.ts_us.desc()).limit(points)).mappings().all()[::-1]
        known = rows or connection.execute(sa.select(RACKS.c.rack_id).where(RACKS.c.rack_id == rack_id)).first()
    if not known:
        raise Problem(404, "racks: no sample of this rack is stored; GET /racks lists them")
    samples = [_sample(row) for row in rows]
    names = ("ts", *TELEMETRY_CHANNELS, "deviation", "ema", "mms_state")
    model, model_id = backend.scoring.model, backend.scoring.model_id
    return {
        "rack_id": rack_id,
        "series": {name: [sample[name] for sample in samples] for name in names},
        "limits": _limits(model),
        "nominal": nominal_ranges(model, model_id, rows) if rows and model else None,
    }


def _limits(model: Model | None) -> dict[str, float] | None:
    return None if model is None else {"tau_fast": model.tau_fast, "tau_persist": model.tau_persist}


def _sample(row: sa.RowMapping) -> dict[str, Any]:
    channels = {name: row[name] for name in TELEMETRY_CHANNELS}
    return {"ts": format_instant_us(row["ts_us"]), **channels, **score_document(row)}
