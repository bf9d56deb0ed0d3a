"""Telemetry in."""

from typing import Any

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool

from api.openapi import answers
from api.problems import Problem
from api.routes.parts import BackendOf
from api.samples import parse_json, samples_of, unzip
from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS

router = APIRouter(tags=["telemetry"])

_EXAMPLE: dict[str, Any] = {
    "ts": "2025-01-06T00:00:00Z", "rack_id": "R-C-07", "inlet_c": 22.4, "outlet_c": 35.1, "pdu_kw": 8.02,
    "gpu_energy_j": 336_000.0, "tokens_ps": 8200.0, "latency_p95_ms": 190.0, "queue_depth": 38, "fan_rpm_pct": 64.0,
    "pump_rpm_pct": 57.0,
}  # fmt: skip
_SAMPLE: dict[str, Any] = {
    "type": "object",
    "required": ["ts", "rack_id"],
    "properties": {
        "ts": {"type": "string", "description": "ISO 8601 with Z or an offset; without either it is UTC"},
        "rack_id": {"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$"},
        **{
            name: {"type": ["number", "null"], "description": f"{CHANNELS[name].description} [{CHANNELS[name].unit}]"}
            for name in TELEMETRY_CHANNELS
        },
    },
    "example": _EXAMPLE,
}
_BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["samples"],
    "properties": {"samples": {"type": "array", "minItems": 1, "items": _SAMPLE, "description": "at most 10,000"}},
    "example": {"samples": [_EXAMPLE]},
}
_ANSWER: dict[str, Any] = {
    "status": "ok", "ingested": 1, "duplicates": 0, "rejected": [], "ignored_fields": 0, "scored": 1,
    "why_not_scored": None,
}  # fmt: skip


def _body(schema: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


_RESPONSES = answers(
    _ANSWER, s400="no JSON, or no gzip", s413="over 10,000 samples or 16 MiB", s422="no sample can be used"
)

IdempotencyKey = Header(default=None, alias="Idempotency-Key", min_length=1, max_length=128)


@router.post("/telemetry/batch", openapi_extra=_body(_BATCH), responses=_RESPONSES)
@router.post("/telemetry", openapi_extra=_body(_BATCH), responses=_RESPONSES)
async def post_batch(request: Request, backend: BackendOf, key: str | None = IdempotencyKey) -> dict[str, Any]:
    """Take up to 10,000 samples; also gzip. A retry is safe: a sample that is stored is counted as a duplicate."""
    body = await _read(request)
    return await run_in_threadpool(lambda: backend.ingest.take(samples_of(parse_json(body)), key, body))


@router.post("/telemetry/single", openapi_extra=_body(_SAMPLE), responses=_RESPONSES)
async def post_single(request: Request, backend: BackendOf, key: str | None = IdempotencyKey) -> dict[str, Any]:
    """Take one sample."""
    body = await _read(request)
    return await run_in_threadpool(lambda: backend.ingest.take([parse_json(body)], key, body))


async def _read(request: Request) -> bytes:
    body = await request.body()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        return await run_in_threadpool(unzip, body)
    if encoding != "identity":
        raise Problem(415, f"Content-Encoding: {encoding!r:.40} is not known; send gzip, or none")
    return body
