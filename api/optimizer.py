"""The optimizer: actions that the hall's state suggests, each with an estimate of what it would save."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from api.actions import ENERGY_PER_MS, LEAST_FAN_PCT
from api.settings import Settings
from api.store import RACKS, TELEMETRY, Store
from sim.plant import constants as k

_SPARE_K = 3.0
"""How far below the limit every inlet has to be before a fan may turn slower; assumed."""
_SPARE_LATENCY = 0.7
"""Part of the promised latency below which requests may wait for larger batches; assumed."""
_FAN_STEP_PCT, _BATCH_STEP_MS, _PAUSE_PCT, _SHIFT_PCT = 5.0, 10.0, 10.0, 10.0
_APART_K = 2.0


def proposals(store: Store, settings: Settings) -> list[dict[str, Any]]:
    """Return what could be done now, the largest estimated saving first; none where nothing is stored or to be gained.

    Estimates are in percent of the racks' power with their cooling, from the latest sample of each rack.
    """
    newest = sa.and_(RACKS.c.rack_id == TELEMETRY.c.rack_id, RACKS.c.newest_us == TELEMETRY.c.ts_us)
    with store.reading() as connection:
        rows = connection.execute(sa.select(TELEMETRY).join(RACKS, newest)).mappings().all()
    racks = [row for row in rows if None not in (row["inlet_c"], row["fan_rpm_pct"], row["pdu_kw"])]
    if not racks:
        return []
    found = [*_fans(racks, settings), *_batches(racks, settings), *_jobs(racks, settings), *_traffic(racks, settings)]
    return sorted(found, key=lambda p: (-p["pred_saving_pct"], p["risk_score"]))


def _fans(racks: list[sa.RowMapping], settings: Settings) -> Iterator[dict[str, Any]]:
    hottest_c = max(row["inlet_c"] for row in racks)
    free = [row for row in racks if row["fan_rpm_pct"] - _FAN_STEP_PCT >= LEAST_FAN_PCT]
    if hottest_c > settings.inlet_max_c - _SPARE_K or not free:
        return
    saved_kw = sum(k.RACK_FAN_KW * _cubes(row["fan_rpm_pct"], _FAN_STEP_PCT) for row in free)
    yield _proposal(
        "decrease_fan_rpm", {"delta_pct": _FAN_STEP_PCT}, 100 * saved_kw / _drawn_kw(racks),
        f"the hottest inlet is {hottest_c:.1f} degC, {settings.inlet_max_c - hottest_c:.1f} K below its limit", 0.3,
    )  # fmt: skip


def _cubes(fan_pct: float, less_pct: float) -> float:
    """Return the part of full power that a slower fan saves: power goes with the cube of the speed."""
    return (fan_pct / 100) ** 3 - ((fan_pct - less_pct) / 100) ** 3


def _batches(racks: list[sa.RowMapping], settings: Settings) -> Iterator[dict[str, Any]]:
    latencies = [row["latency_p95_ms"] for row in racks if row["latency_p95_ms"] is not None]
    if not latencies or max(latencies) > _SPARE_LATENCY * settings.sla_latency_ms:
        return
    gpus_kw = sum(row["gpu_power_kw"] or 0.0 for row in racks)
    yield _proposal(
        "increase_batch_window", {"delta_ms": _BATCH_STEP_MS},
        100 * ENERGY_PER_MS * _BATCH_STEP_MS * gpus_kw / _drawn_kw(racks),
        f"p95 latency is {max(latencies):.0f} ms at most, {settings.sla_latency_ms:g} ms are promised", 0.2,
    )  # fmt: skip


def _jobs(racks: list[sa.RowMapping], settings: Settings) -> Iterator[dict[str, Any]]:
    late = [row for row in racks if (row["latency_p95_ms"] or 0.0) > settings.sla_latency_ms]
    if 2 * len(late) <= len(racks):
        return
    gpus_kw = sum(row["gpu_power_kw"] or 0.0 for row in racks)
    yield _proposal(
        "pause_low_priority_jobs", {"priority_threshold": 3.0, "max_pause_pct": _PAUSE_PCT},
        _PAUSE_PCT * gpus_kw / _drawn_kw(racks),
        f"{len(late)} of {len(racks)} racks answer later than the {settings.sla_latency_ms:g} ms promised", 0.5,
    )  # fmt: skip


def _traffic(racks: list[sa.RowMapping], settings: Settings) -> Iterator[dict[str, Any]]:
    hottest = max(racks, key=lambda row: row["inlet_c"])
    coolest = min(racks, key=lambda row: row["inlet_c"])
    if hottest["inlet_c"] < settings.inlet_max_c - 1 or hottest["inlet_c"] - coolest["inlet_c"] < _APART_K:
        return
    yield _proposal(
        "shift_traffic_to_cool_row", {"traffic_pct": _SHIFT_PCT, "target_racks": [coolest["rack_id"]]}, 0.0,
        f"{hottest['rack_id']} takes in {hottest['inlet_c']:.1f} degC, {coolest['rack_id']} "
        f"{coolest['inlet_c']:.1f} degC; it spares heat, not power", 0.4,
    )  # fmt: skip


def _drawn_kw(racks: list[sa.RowMapping]) -> float:
    """Return what racks draw with their cooling [kW], at the chillers' usual coefficient of performance."""
    return float(max(1e-9, sum(row["pdu_kw"] for row in racks) * (1 + 1 / k.CHILLER_COP)))


def _proposal(action: str, params: dict[str, Any], saving_pct: float, reason: str, risk: float) -> dict[str, Any]:
    return {
        "action": action, "params": params, "pred_saving_pct": round(saving_pct, 3), "is_estimate": True,
        "reason": reason, "risk_score": risk,
    }  # fmt: skip
