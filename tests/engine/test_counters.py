"""Counters of GPUs: each follows from what racks do, and the telemetry stays what it is."""

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.engine.build import build, resolve
from sim.engine.counters import COUNTERS, FULL_MHZ, HW_THERMAL, IDLE_MHZ, SW_THERMAL, XID_SHARES, GpuCounters
from sim.incidents.kinds import HW_SLOWDOWN, IDLE, POWER_BRAKE, SW_POWER_CAP
from sim.model.facility import FacilitySpec, build_facility
from sim.plant import constants as k
from sim.runs.memory import MemorySink
from sim.scenario.checks import parse_scenario

DCGM = {"counters": "dcgm"}
HALL = {"facility": {"rows": 6, "racks_per_row": 2}, "duration": "3h", "start": "2025-01-06T09:00:00Z"}
LASTING = {"at": "1h", "duration": "1h"}
STRUCK = [
    {"kind": "power_cap", "target": "row:A", **LASTING},
    {"kind": "gpu_throttle", "target": "row:B", **LASTING},
    {"kind": "ups_transfer", "target": "ups:UPS-1", "parameters": {"clock_left": 0.9}, **LASTING},
    {"kind": "breaker_trip", "target": "rack:R-D-01", **LASTING},
    {"kind": "job_drain", "target": "row:F", "parameters": {"load_left": 0}, "shape": "step", **LASTING},
]
DURING = slice(62, 118)


def lived(block_ticks=None, **scenario):
    hall = resolve(parse_scenario({"name": "counted", **HALL, "telemetry": DCGM, **scenario}, "counted"))
    kept = MemorySink(hall)
    build(hall, [kept], block_ticks=block_ticks).run()
    blocks = kept.telemetry_blocks
    return kept, {name: np.concatenate([b.counters[name] for b in blocks]) for name in COUNTERS}


@pytest.fixture(scope="module")
def struck():
    return lived(incidents=STRUCK)


def of_row(values, row):
    return values[DURING, 2 * "ABCDEF".index(row) : 2 * "ABCDEF".index(row) + 2]


def test_each_incident_that_lowers_clocks_says_why_and_by_how_much(struck):
    """Rows A, C and E hang on the first UPS; a row has the lowest of its clocks and what set that."""
    _, counters = struck
    for row, bits, clock in (("A", SW_POWER_CAP, 0.77), ("B", HW_SLOWDOWN, 0.6), ("C", HW_SLOWDOWN | POWER_BRAKE, 0.9)):
        reasons = of_row(counters["CLOCKS_EVENT_REASONS"], row).astype(int)
        assert (reasons & bits == bits).all()
        assert np.abs(of_row(counters["SM_CLOCK"], row) / FULL_MHZ - clock).max() < 0.01
    assert (of_row(counters["CLOCKS_EVENT_REASONS"], "D")[:, 1] == 0).all()
    assert (of_row(counters["SM_CLOCK"], "D")[:, 1] == FULL_MHZ).all()


def test_gpus_without_work_are_idle_and_say_so(struck):
    _, counters = struck
    assert (of_row(counters["CLOCKS_EVENT_REASONS"], "F") == IDLE).all()
    assert (of_row(counters["SM_CLOCK"], "F") == IDLE_MHZ).all()
    assert (of_row(counters["GPU_UTIL"], "F") == 0).all()


def test_a_dark_rack_tells_nothing(struck):
    _, counters = struck
    for name in COUNTERS:
        assert np.isnan(of_row(counters[name], "D")[:, 0]).all(), name
        assert np.isfinite(counters[name][:60]).all(), name


def test_power_of_all_gpus_is_what_the_rack_gives_them(struck):
    kept, counters = struck
    truth = np.concatenate([block.truth["gpu_power_kw"] for block in kept.telemetry_blocks])
    known = np.isfinite(counters["POWER_USAGE"])
    gpus = kept.hall.facility.gpus_of_rack
    np.testing.assert_allclose((counters["POWER_USAGE"] * gpus / 1000)[known], truth[known], rtol=1e-12)


def test_counters_change_no_reading_and_do_not_depend_on_blocks(struck):
    kept, counters = struck
    hall = resolve(parse_scenario({"name": "counted", **HALL, "incidents": STRUCK}, "counted"))
    without = MemorySink(hall)
    build(hall, [without]).run()
    for name, values in without.arrays.readings.items():
        np.testing.assert_array_equal(kept.arrays.readings[name], values, err_msg=name)
    assert without.telemetry_blocks[0].counters is None
    _, again = lived(block_ticks=7, incidents=STRUCK)
    for name, values in counters.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)


def test_heat_slows_gpus_by_software_first_and_by_hardware_at_the_last():
    rows = [{"name": "A", "racks": 2, "rack_type": "dlc"}]
    flow = {"kind": "loss_of_flow", "target": "rack:R-A-01", "at": "10m"}
    _, counters = lived(facility={"rows": rows}, duration="20m", tick=10, incidents=[flow])
    reasons = counters["CLOCKS_EVENT_REASONS"][60:, 0]
    told = reasons[np.isfinite(reasons)].astype(int)
    soft, hard = np.flatnonzero(told & SW_THERMAL), np.flatnonzero(told & HW_THERMAL)
    assert len(soft)
    assert len(hard)
    assert soft.max() < hard.min()
    assert (told[hard] & HW_SLOWDOWN).all()
    clock = counters["SM_CLOCK"][60:, 0]
    assert np.nanmin(clock[clock > IDLE_MHZ]) == pytest.approx(k.CLOCK_MIN * FULL_MHZ, abs=8)


def test_racks_at_their_breakers_are_capped_by_power():
    _, counters = lived(incidents=[{"kind": "flash_crowd", "parameters": {"load": 2.5}, **LASTING}])
    capped = counters["SM_CLOCK"][DURING] < FULL_MHZ
    reasons = counters["CLOCKS_EVENT_REASONS"][DURING].astype(int)
    assert capped.mean() > 0.2
    assert ((reasons & (SW_POWER_CAP | SW_THERMAL) > 0) >= capped).all()
    assert (reasons & SW_POWER_CAP).any()


def test_a_job_that_crashes_loses_the_gpu_of_the_rack_that_was_struck():
    job = {"racks": "row:C", "gpu_hours_per_failure": None}
    crash = {"kind": "job_crash", "target": "rack:R-C-02", "at": "1h"}
    quiet = {"telemetry": {**DCGM, "gpu_hours_per_xid": 1e12}}
    _, counters = lived(training_job=job, incidents=[crash], **quiet)
    assert [tuple(cell) for cell in np.argwhere(counters["XID_ERRORS"] > 0)] == [(60, 5)]
    assert (counters["CLOCKS_EVENT_REASONS"][62:69, 4:6] == IDLE).all()
    assert (counters["GPU_UTIL"][5:25, 4:6] == 95).all()


def test_errors_come_as_often_as_the_rate_says():
    """Poisson: within 3.5 standard deviations, of a rack of 16 GPUs and one of 72; a tick tells one at most."""
    facility = build_facility(
        FacilitySpec(rows=[{"name": "A", "racks": 1}, {"name": "B", "racks": 1, "rack_type": "dlc"}])
    )
    assert facility.gpus_of_rack.tolist() == [16, 72]
    counters, ticks = GpuCounters(facility, Streams(3), 60.0, gpu_hours_per_xid=100.0), 40_000
    xids = np.array([counters._xids(()) for _ in range(ticks)])
    expected = ticks * -np.expm1(-facility.gpus_of_rack / 60 / 100)
    assert (np.abs((xids > 0).sum(axis=0) - expected) <= 3.5 * expected**0.5).all()
    assert set(np.unique(xids)) == {0, *XID_SHARES}
