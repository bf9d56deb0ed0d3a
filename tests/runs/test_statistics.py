"""The summary by hand: points of a distribution, shares of time and what the law expects of the same hours."""

import numpy as np
import pytest

from sim.engine.blocks import Assets, Labels, Telemetry
from sim.engine.build import resolve
from sim.model.channels import CHANNELS, MISSING
from sim.runs.statistics import Statistics
from sim.scenario.checks import parse_scenario

RACKS = 4
HALL = {"facility": {"rows": 2, "racks_per_row": 2}, "tick": "1h"}


def hall(**scenario):
    return resolve(parse_scenario({"name": "figures", **HALL, **scenario}, "figures"))


def block(readings=0, ticks=1, inlet_c=22.0):
    """Return a block in which every channel reads the same numbers of last digits."""
    of_racks = np.broadcast_to(np.asarray(readings).reshape(-1, 1) if np.ndim(readings) else readings, (ticks, RACKS))
    truth = {name: np.full((ticks, RACKS), 50.0) for name in ("pdu_kw", "fan_rpm_pct", "pump_rpm_pct")}
    truth["inlet_c"] = np.broadcast_to(np.asarray(inlet_c, dtype=float), (ticks, RACKS))
    return Telemetry(0, dict.fromkeys(CHANNELS, of_racks), truth)


def labels(first_tick, profile):
    """Return the labels of racks in profiles, (ticks, racks)."""
    ticks = len(profile)
    racks = Assets(np.array(profile, dtype=np.int8), np.full((ticks, RACKS), -1, dtype=np.int32))
    nothing = Assets(np.zeros((ticks, 2), dtype=np.int8), np.full((ticks, 2), -1, dtype=np.int32))
    return Labels(first_tick, racks, nothing, nothing, {}, np.zeros((ticks, RACKS), dtype=bool))


def test_figures_are_extremes_thousandths_and_mean_of_all_readings():
    """Of 0.01 to 100.00, each read as often: a thousandth lies at or below 0.10 and at or above 99.90."""
    statistics = Statistics(hall())
    for part in np.split(np.random.default_rng(1).permutation(np.arange(1, 10_001)), 10):
        statistics.telemetry(block(part, len(part)))
    told = statistics.figures("inlet_c")
    assert (told.minimum, told.low, told.high, told.maximum) == pytest.approx((0.01, 0.10, 99.90, 100.0))
    assert told.mean == pytest.approx(50.005)


def test_figures_leave_out_what_was_not_read():
    statistics = Statistics(hall())
    statistics.telemetry(block([100, MISSING, 300], 3))
    statistics.telemetry(block([MISSING, -500], 2))
    told = statistics.figures("inlet_c")
    assert (told.minimum, told.mean, told.maximum) == pytest.approx((-5.0, -1 / 3, 3.0))
    assert np.isnan(Statistics(hall()).figures("inlet_c").mean)


def test_mean_inlets_are_of_the_rows_asked_for():
    statistics = Statistics(hall())
    statistics.telemetry(block(ticks=2, inlet_c=[20.0, 22.0, 24.0, 30.0]))
    statistics.telemetry(block(ticks=1, inlet_c=[26.0, 28.0, 24.0, 30.0]))
    assert statistics.mean_inlet_c() == pytest.approx((2 * 96 + 108) / 12)
    assert statistics.mean_inlet_c(["A"]) == pytest.approx((2 * 42 + 54) / 6)
    assert statistics.mean_inlet_c(["B"]) == pytest.approx(27.0)


def occupancy(*parts, **scenario):
    """Return what a summary says of racks in profiles, block by block, and of the law at that time."""
    statistics, tick = Statistics(hall(**scenario)), 0
    for part in parts:
        statistics.labels(labels(tick, part))
        tick += len(part)
    return statistics.occupancy()


def test_occupancy_is_the_share_of_all_samples():
    seen, _ = occupancy([[1, 0, 0, 0]] * 3, [[1, 0, 2, 2]] * 3)
    assert seen.tolist() == pytest.approx([12 / 24, 6 / 24, 6 / 24, 0, 0])


def test_the_law_beside_it_is_that_of_the_same_hours_of_the_sites_clock():
    """Six hours from noon or from midnight on, and across 16:00 to 19:00 with the ramp after 17:00 between."""
    nominal = [[0, 0, 0, 0]]
    _, noon = occupancy(nominal * 2, nominal * 4, start="2025-01-06T07:00:00Z", utc_offset=5)
    _, midnight = occupancy(nominal * 6, start="2025-01-06T07:00:00Z", utc_offset=-7)
    _, evening = occupancy(nominal * 4, start="2025-01-06T16:00:00Z")
    assert (noon[1], noon[3]) == pytest.approx((0.276, 0))
    assert (midnight[1], midnight[3]) == pytest.approx((0, 0.184))
    assert (evening[1], evening[3]) == pytest.approx((0.276 / 2, 0.184 / 2))
