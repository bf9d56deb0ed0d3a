"""Scores, models, alarms."""

from collections.abc import Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query

from api.backend import Backend, alarm_document
from api.problems import Problem
from api.routes.alarms import AlarmId
from api.routes.parts import BackendOf, Limit, us_of
from api.scoring import NO_MODEL, causes_of, score_document
from api.store import ALARMS, SCORE_COLUMNS, SCORE_OF_SAMPLE, SCORES, TELEMETRY
from sim.common.time_units import format_instant_us

router = APIRouter(tags=["monitor"])


@router.get("/ims/scores")
def get_scores(
    backend: BackendOf,
    limit: Limit = 100,
    rack_id: Annotated[str | None, Query(max_length=64)] = None,
    after: Annotated[str | None, Query(max_length=64, description="an instant; scores of later samples")] = None,
) -> dict[str, Any]:
    """Return the newest scores, newest first, with the channels that explain each."""
    query = sa.select(TELEMETRY, *SCORE_COLUMNS).join(SCORES, SCORE_OF_SAMPLE)
    if rack_id is not None:
        query = query.where(SCORES.c.rack_id == rack_id)
    after_us = us_of(after, "after")
    if after_us is not None:
        query = query.where(SCORES.c.ts_us > after_us)
    with backend.store.reading() as connection:
        rows = connection.execute(query.order_by(SCORES.c.ts_us.desc(), SCORES.c.rack_id).limit(limit)).mappings().all()
    return {"scores": _with_causes(backend, rows), "message": None if backend.scoring.model else NO_MODEL}


def _with_causes(backend: Backend, rows: Sequence[sa.RowMapping]) -> list[dict[str, Any]]:
    """Return scores as clients read them; those of another model than the active one go without causes."""
    model, model_id = backend.scoring.model, backend.scoring.model_id
    own = [row for row in rows if row["model_id"] == model_id]
    causes = iter(causes_of(model, own)) if model else iter(())
    return [
        {
            "ts": format_instant_us(row["ts_us"]),
            "rack_id": row["rack_id"],
            **score_document(row),
            "causes": [c.document() for c in next(causes)] if model and row["model_id"] == model_id else None,
        }
        for row in rows
    ]


@router.get("/alarms")
def get_alarms(
    backend: BackendOf,
    limit: Limit = 100,
    open: Annotated[bool | None, Query(description="only those that are open, or only those that are not")] = None,  # noqa: A002
) -> dict[str, Any]:
    """Return alarms, the latest first. One opens when a rack is PERSISTENT and closes when it has recovered."""
    query = sa.select(ALARMS).order_by(ALARMS.c.opened_us.desc(), ALARMS.c.alarm_id.desc()).limit(limit)
    if open is not None:
        query = query.where(ALARMS.c.end_us.is_(None) if open else ALARMS.c.end_us.is_not(None))
    with backend.store.reading() as connection:
        return {"alarms": [alarm_document(dict(row)) for row in connection.execute(query).mappings()]}


@router.get("/alarms/{alarm_id}")
def get_alarm(backend: BackendOf, alarm_id: AlarmId) -> dict[str, Any]:
    """Return one alarm."""
    with backend.store.reading() as connection:
        row = connection.execute(sa.select(ALARMS).where(ALARMS.c.alarm_id == alarm_id)).mappings().first()
    if row is None:
        raise Problem(404, f"alarms: {alarm_id} is not there; GET /alarms lists them")
    return alarm_document(dict(row))
