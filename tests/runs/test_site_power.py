"""PUE by hand: what the site draws for what its racks draw."""

import numpy as np
import pytest

from sim.engine.blocks import Telemetry
from sim.engine.build import resolve
from sim.model.channels import CHANNELS
from sim.runs.statistics import Statistics, site_power_kw
from sim.scenario.checks import parse_scenario

RACKS = 10


def site(racks=RACKS, **scenario):
    facility = {"rows": 1, "racks_per_row": racks, **scenario.pop("facility", {})}
    return resolve(parse_scenario({"name": "site", "tick": "1h", "facility": facility, **scenario}, "site"))


def block(ticks=24, first_tick=0, racks=RACKS, *, pdu_kw=8.0, fan_pct=80.0, pump_pct=50.0):
    """Return racks that all do the same, or each its own."""
    each = {"pdu_kw": pdu_kw, "fan_rpm_pct": fan_pct, "pump_rpm_pct": pump_pct, "inlet_c": 22.0}
    truth = {name: np.broadcast_to(np.asarray(value, dtype=float), (ticks, racks)) for name, value in each.items()}
    return Telemetry(first_tick, {name: np.zeros((ticks, racks), dtype=np.int64) for name in CHANNELS}, truth)


def overhead_kw(hall, seen):
    """Return what is drawn beside the racks, tick by tick."""
    it_kw, facility_kw = site_power_kw(hall, seen)
    return facility_kw - it_kw


def test_pue_of_ten_racks_is_the_one_worked_out_by_hand():
    """80 kW of racks behind a PDU (98 %) take 81.63 kW of a UPS for 125 kW, which loses 1.09 % of that and 1.9 kW.

    So 84.42 kW go in; lights and controls 1.20 kW.

    Fans at 80 % take 10 x 0.25 kW x 0.512 = 1.28 kW, pumps at half speed 10 x 0.12 kW / 8 = 0.15 kW. The chiller
    carries 81.43 kW: at 17 degC in the afternoon with a COP of 5.9 for 13.80 kW, at 7 degC in the night with 7.1 for
    11.47 kW, at 12 degC in the morning with 6.5 for 12.53 kW.
    """
    it_kw, facility_kw = site_power_kw(site(), block())
    assert it_kw.tolist() == [80.0] * 24
    pue = facility_kw / it_kw
    assert pue[15] == pytest.approx((84.4224 + 1.2 + 1.28 + 0.15 + 13.8017) / 80, abs=1e-5)
    assert pue[3] == pytest.approx((84.4224 + 1.2 + 1.28 + 0.15 + 11.4690) / 80, abs=1e-5)
    assert pue[9] == pytest.approx((84.4224 + 1.2 + 1.28 + 0.15 + 12.5277) / 80, abs=1e-5)


def test_pue_is_highest_at_three_in_the_afternoon_and_lowest_at_three_at_night():
    pue = overhead_kw(site(), block())
    assert (np.argmax(pue), np.argmin(pue)) == (15, 3)


def test_pue_follows_the_sites_own_clock_from_the_first_tick_of_the_run_on():
    east = site(utc_offset=9, start="2025-01-06T02:00:00Z")  # 11:00 of its clock
    assert np.argmax(overhead_kw(east, block())) == 4
    later = block(ticks=3, first_tick=48)
    np.testing.assert_allclose(overhead_kw(east, later), overhead_kw(east, block())[:3])


def test_pue_has_a_worst_coefficient_of_performance_however_hot_it_is():
    """At 50 degC the slope would give 1.94; the chiller still moves 2.5 kW for each that it draws."""
    hot = site(facility={"outdoor_c": 50, "outdoor_swing_c": 0})
    assert overhead_kw(hot, block(ticks=1))[0] == pytest.approx(84.4224 - 80 + 1.2 + 1.43 + 81.43 / 2.5, abs=1e-3)


def test_pue_counts_the_fans_by_the_cube_of_each_ones_speed_and_of_its_racks_size():
    """Half of the fans at full speed and half at half: 9/16 of full power, not (3/4)^3. A chiller of COP 6.5 adds."""
    plain, at_12 = site(facility={"outdoor_swing_c": 0}), 1 + 1 / 6.5
    still = overhead_kw(plain, block(fan_pct=0.0))[0]
    mixed = overhead_kw(plain, block(fan_pct=[100.0] * 5 + [50.0] * 5))[0]
    assert mixed - still == pytest.approx(10 * 0.25 * 9 / 16 * at_12)
    rows = [{"name": "A", "racks": 1}, {"name": "B", "racks": 1, "rack_type": "dense"}]
    dense = site(facility={"rows": rows, "rack_types": {"dense": {"size": 3}}, "outdoor_swing_c": 0})
    still, mixed = (overhead_kw(dense, block(racks=2, fan_pct=fans))[0] for fans in (0.0, [0.0, 100.0]))
    assert mixed - still == pytest.approx(3 * 0.25 * at_12)


def test_pue_counts_the_pumps_by_the_cube_of_the_flow_that_all_racks_ask_for():
    """A rack of three times the size asks for three times the water: (0 + 3) / 4 of full speed."""
    rows = [{"name": "A", "racks": 1}, {"name": "B", "racks": 1, "rack_type": "dense"}]
    dense = site(facility={"rows": rows, "rack_types": {"dense": {"size": 3}}, "outdoor_swing_c": 0})
    still, mixed = (overhead_kw(dense, block(racks=2, pump_pct=pumps))[0] for pumps in (0.0, [0.0, 100.0]))
    assert mixed - still == pytest.approx(4 * 0.12 * 0.75**3 * (1 + 1 / 6.5))


def test_pue_of_a_run_is_all_energy_over_the_racks_energy_not_a_mean_of_ratios():
    hall, busy, idle = site(), block(ticks=2), block(ticks=1, first_tick=2, pdu_kw=2.0)
    statistics = Statistics(hall)
    for seen in (busy, idle):
        statistics.telemetry(seen)
    drawn = [site_power_kw(hall, seen) for seen in (busy, idle)]
    assert statistics.pue == pytest.approx(sum(f.sum() for _, f in drawn) / sum(it.sum() for it, _ in drawn))
    assert sum(it.sum() for it, _ in drawn) == 2 * 80 + 20
