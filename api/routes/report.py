"""The report on a period, for people who decide: JSON, and a PDF."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api import figures, report
from api.backend import Backend
from api.openapi import answers
from api.problems import Problem
from api.routes.parts import BackendOf
from api.routes.skadi import period_of
from sim.common.time_units import format_instant_us

router = APIRouter(tags=["reference"])

PDF = "application/pdf"
_AS_ASKED = "from and to: an instant each, both or neither; the last seven days of event time without"
Start = Annotated[str | None, Query(alias="from", max_length=64, description=_AS_ASKED)]
End = Annotated[str | None, Query(alias="to", max_length=64, description=_AS_ASKED)]
_EXAMPLE = {
    "generated_at": "2026-01-01T00:00:00Z",
    "period": {"from": "2025-01-06T00:00:00Z", "to": "2025-01-06T09:00:00Z"},
    "kpis": {
        "j_per_prompt_wh": 0.0102, "latency_p95_ms": 191.3, "inlet_compliance_pct": 100.0, "energy_saved_pct": None,
    },
    "savings_attribution": {
        "baseline_j_per_prompt": None, "current_j_per_prompt": 36.7, "reduction_pct": None,
        "total_predicted_savings_pct": None, "total_realized_savings_pct": None,
    },
    "actions": {"total_actions": 0, "applied": 0, "advisory": 0, "rejected": 0, "by_type": {}},
    "action_log": [],
    "system_performance": {"mode": "advisory", "kill_switch": False, "data_points": 4320, "actions_executed": 0},
    "charts": {"timeline_url": "/timeline?from=..", "heatmap_url": "/heatmap?type=inlet&ts=.."},
}  # fmt: skip


@router.post("/report/judges", responses=answers(_EXAMPLE, s413="the body is too large"))
@router.get("/report/judges", responses=answers(_EXAMPLE))
def get_report(backend: BackendOf, start: Start = None, end: End = None) -> dict[str, Any]:
    """Return the report on a stretch of event time: key figures, savings, actions."""
    return _report(backend, start, end)


@router.get(
    "/report/judges/pdf", response_class=Response, responses=answers(None, PDF, s406="Accept does not admit a PDF")
)
def get_pdf(request: Request, backend: BackendOf, start: Start = None, end: End = None) -> Response:
    """Return the report as a PDF."""
    if not admits(request.headers.get("accept") or "*/*", PDF):
        raise Problem(406, f"Accept: does not admit {PDF}, which is all that this route has; JSON is at /report/judges")
    headers = {"Content-Disposition": 'attachment; filename="skadi-report.pdf"'}
    return Response(report.pdf(_report(backend, start, end)), media_type=PDF, headers=headers)


def _report(backend: Backend, start: str | None, end: str | None) -> dict[str, Any]:
    if (start is None) != (end is None):
        raise Problem(422, "from and to: give both, or neither for the last seven days")
    asked = None if start is None or end is None else period_of(start, end)
    with backend.store.reading() as connection:
        period = asked or report.last_days(connection)
        sums = None if period is None else figures.sums_of(connection, period)
    actions = [] if period is None else backend.actions_during(period.start_us, period.end_us)
    settings = backend.settings
    system = {"mode": backend.actions.mode, "kill_switch": settings.global_kill_switch}
    return report.document(
        sums, period, actions, system, format_instant_us(time.time_ns() // 1_000_000_000 * 1_000_000)
    )


def admits(accept: str, media_type: str) -> bool:
    """Tell whether an Accept header admits a media type: by its most specific range, and not with q=0 (RFC 9110)."""
    wanted = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    found: dict[str, float] = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in wanted:
            found[name] = max(found.get(name, 0.0), _quality(parameters))
    return next((found[name] > 0 for name in wanted if name in found), False)


def _quality(parameters: list[str]) -> float:
    values = [value for name, _, value in (p.partition("=") for p in parameters) if name.strip() == "q"]
    try:
        return float(values[0]) if values else 1.0
    except ValueError:
        return 1.0
