"""Halls in trouble, under shared demand and at other ticks, against what was read or measured of real ones."""

import pytest

from sim.runs.checks import halls
from sim.runs.checks.realism import FINE_TICK_S


def failed(checks):
    return [str(check) for check in checks if not check.passed]


@pytest.fixture(scope="module")
def small():
    return halls.small_hall()


def test_a_rack_that_is_dark_answers_nobody_then_boots_and_draws_for_what_it_serves():
    assert failed(halls.darkness()) == []


def test_racks_that_heat_shuts_down_stay_down_while_the_cause_lasts(small):
    assert failed(halls.shut_downs(small)) == []


def test_coils_hold_the_inlets_back_when_water_returns(small):
    assert failed(halls.restart(small)) == []


def test_the_tick_changes_nothing_of_the_course_of_incidents(small):
    assert failed(halls.incident_curves(small)) == []


def test_the_tick_changes_nothing_of_the_signals_spectra(sampled):
    assert failed(halls.ticks(sampled[FINE_TICK_S], sampled[60])) == []


def test_load_at_its_limits_jumps_no_farther_at_a_minute_than_at_ten_seconds():
    assert failed(halls.see_saw()) == []


@pytest.mark.parametrize("measure", [halls.outlet_spectrum, halls.shared_demand, halls.latency])
def test_a_week_is_as_restless_and_as_alike_as_real_racks(week, measure):
    assert failed(measure(week)) == []


def test_heat_takes_power_from_gpus_and_adds_it_to_fans(small):
    assert failed([*halls.hot_gpus(small), *halls.warm_servers()]) == []
