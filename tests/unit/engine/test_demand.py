"""A trace as load: its rates as deviations, later by each rack's lag, again and again."""

import numpy as np
import pytest

from sim.engine.demand import LIMIT_SD, TraceDemand
from sim.scenario.request_trace import RequestTrace

BIN_S = 30.0


def demand(rates_ps, *lags_s):
    return TraceDemand(RequestTrace(np.asarray(rates_ps, dtype=float), BIN_S, 1, "trace.csv", ""), np.array(lags_s))


def test_a_rack_reads_the_trace_later_by_its_lag():
    rising = demand(np.geomspace(100, 1000, 50), 0.0, 60.0, 300.0)
    now = rising(900.0)
    assert now[0] > now[1] > now[2]
    assert now.tolist() == [rising(900.0)[0], rising(840.0)[0], rising(600.0)[0]]


def test_a_burst_reaches_racks_in_the_order_of_their_lags():
    rates = np.full(40, 100.0)
    rates[10] = 200
    lags_s = (0.0, 45.0, 90.0, 600.0)
    bursting = demand(rates, *lags_s)
    seen = np.array([bursting(float(t)) for t in range(1200)])
    assert np.argmax(seen, axis=0).tolist() == [10 * BIN_S + lag_s for lag_s in lags_s]


def test_a_trace_is_repeated_when_it_is_over_and_stands_before_its_start_for_those_who_lag():
    tiled = demand(np.geomspace(100, 1000, 8), 0.0, 60.0)
    assert tiled(8 * BIN_S + 35)[0] == tiled(35.0)[0]
    assert tiled(0.0)[1] == tiled(6 * BIN_S)[0]


def test_the_logarithm_of_the_rate_is_the_load_in_deviations():
    rates = np.random.default_rng(1).lognormal(5, 0.5, 5000)
    levels = np.array([demand(rates, 0.0)(i * BIN_S)[0] for i in range(500)])
    expected = (np.log(rates[:500]) - np.log(rates).mean()) / np.log(rates).std()
    np.testing.assert_allclose(levels, np.clip(expected, -LIMIT_SD, LIMIT_SD), rtol=1e-9)


def test_a_lull_without_requests_and_a_burst_are_cut_off():
    rates = np.full(100, 100.0)
    rates[[10, 20]] = 0.0, 1e6
    levels = np.array([demand(rates, 0.0)(i * BIN_S)[0] for i in range(100)])
    assert levels.max() == LIMIT_SD
    assert levels.min() >= -LIMIT_SD


def test_an_even_trace_is_load_without_deviation():
    assert demand([70.0, 70.0, 70.0], 0.0)(10.0) == pytest.approx(0.0)
