"""A trace as load: its mean does not depend on the step, the bins or the phase in which it is read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.engine.demand import LIMIT_SD, SIZE_SIGMA, Surges, TraceDemand, relative_load
from sim.scenario.request_trace import RequestTrace

RATES = st.lists(st.floats(1, 1e6), min_size=2, max_size=60).map(np.array)


def demand_of(rates_ps, bin_s=30.0, lags_s=(0.0,), step_s=60.0):
    return TraceDemand(RequestTrace(rates_ps, bin_s, len(rates_ps), "trace", ""), np.array(lags_s), step_s)


@given(RATES, st.floats(1, 300), st.integers(1, 90), st.floats(0, 1e5))
def test_the_mean_over_a_whole_trace_is_0_whatever_the_step_the_bin_and_the_phase(rates_ps, bin_s, steps, begun_s):
    step_s = len(rates_ps) * bin_s / steps
    demand = demand_of(rates_ps, bin_s, (0.0, 17.0), step_s)
    levels = [demand(begun_s + k * step_s) for k in range(1, steps + 1)]
    assert np.mean(levels, axis=0) == pytest.approx(0.0, abs=1e-6)


@given(RATES)
def test_a_step_of_one_bin_reads_the_bins_themselves(rates_ps):
    demand = demand_of(rates_ps, 30.0, step_s=30.0)
    read = [demand(30.0 * (k + 1))[0] for k in range(len(rates_ps))]
    assert read == pytest.approx(relative_load(rates_ps).tolist(), abs=1e-9)


def test_a_step_over_several_bins_reads_their_mean():
    rates_ps = np.array([1e3, 8e3, 2e3, 9e3, 3e3, 5e3])
    level = relative_load(rates_ps)
    assert demand_of(rates_ps)(60.0)[0] == pytest.approx(level[:2].mean())
    assert demand_of(rates_ps)(75.0)[0] == pytest.approx((level[0] / 2 + level[1] + level[2] / 2) / 2)


def test_a_rack_reads_the_trace_later_by_its_lag():
    demand = demand_of(np.array([1e3, 8e3, 2e3, 9e3, 3e3, 5e3]), lags_s=(0.0, 40.0, 180.0))
    now, earlier, before = demand(300.0)
    assert earlier == pytest.approx(demand(260.0)[0])
    assert before == pytest.approx(demand(120.0)[0])
    assert now != pytest.approx(earlier)


@given(st.floats(1e-3, 1e9), st.integers(2, 50))
def test_a_constant_rate_is_a_constant_load_whatever_its_value(rate_ps, bins):
    rates_ps = rate_ps * (1 + 4e-16 * np.arange(bins))
    assert (demand_of(rates_ps)(60.0) == 0).all()


def test_load_has_mean_0_and_bursts_are_cut_off():
    rates_ps = np.exp(np.random.default_rng(5).standard_t(2, 5000))
    level = relative_load(rates_ps)
    assert level.mean() == pytest.approx(0.0, abs=1e-12)
    assert np.abs(level).max() < LIMIT_SD + 0.1  # what the cut leaves is brought back to mean 0


def test_a_burst_reaches_racks_in_the_order_of_their_lags():
    rates_ps = np.full(40, 100.0)
    rates_ps[10] = 200
    lags_s = (0.0, 45.0, 90.0, 600.0)
    bursting = demand_of(rates_ps, 30.0, lags_s, step_s=30.0)
    seen = np.array([bursting(float(t)) for t in range(1300)])
    # a step that covers the whole bin ends with it
    assert np.argmax(seen, axis=0).tolist() == [11 * 30 + lag_s for lag_s in lags_s]


def test_the_logarithm_of_the_rate_is_the_load_in_deviations():
    rates_ps = np.random.default_rng(1).lognormal(5, 0.5, 5000)
    expected = (np.log(rates_ps) - np.log(rates_ps).mean()) / np.log(rates_ps).std()
    # what the cut takes from both ends is nearly the same
    np.testing.assert_allclose(relative_load(rates_ps), np.clip(expected, -LIMIT_SD, LIMIT_SD), atol=0.01)


def test_read_by_rate_a_trace_keeps_its_own_swings_around_the_mean():
    """A trace with a variation of 1 gives load with one of 1, and a calm one a calm load."""
    rates_ps = np.array([0.0, 4e3, 1e3, 0.0, 9e3, 4e3])
    demand = TraceDemand(RequestTrace(rates_ps, 30.0, 6, "trace", ""), np.zeros(1), 30.0, by_rate=True)
    load = 1 + np.array([demand(30.0 * (k + 1))[0] for k in range(6)])
    np.testing.assert_allclose(load, rates_ps / rates_ps.mean(), atol=1e-12)


def test_a_trace_from_drawn_places_begins_as_it_is_and_has_no_period_later():
    rng = np.random.default_rng(7)
    rates_ps = np.exp(rng.standard_normal(40))
    trace = RequestTrace(rates_ps, 30.0, 40, "trace", "")
    tiled = TraceDemand(trace, np.zeros(1), 30.0)
    drawn = TraceDemand(trace, np.zeros(1), 30.0, places=np.random.default_rng(1))
    one, other = (np.array([d(30.0 * (k + 1))[0] for k in range(2000)]) for d in (tiled, drawn))
    np.testing.assert_allclose(other[:40], one[:40], atol=1e-9)
    assert np.corrcoef(one[:-40], one[40:])[0, 1] > 0.99
    # 1,960 readings of 50 turns, one place each: 3.5 / sqrt(50)
    assert abs(np.corrcoef(other[:-40], other[40:])[0, 1]) < 0.5
    assert other[40:].mean() == pytest.approx(0, abs=0.1)


def test_bursts_add_as_much_as_their_law_says_whatever_the_step():
    """The mean over a run is 1 + n size e^(s^2/2) duration; of 2,000 bursts it is known to a few per cent."""
    run_s = 200 * 86_400.0
    surges = [Surges(10, 0.3, 300.0, run_s, np.random.default_rng(3)) for _ in range(2)]
    fine = np.mean([surges[0].mean(t, t + 600) for t in np.arange(0, run_s, 600)])
    assert surges[1].mean(0.0, run_s) == pytest.approx(fine, rel=1e-9)
    added = 10 / 86_400 * 300 * 0.3 * np.exp(SIZE_SIGMA**2 / 2)
    assert fine - 1 == pytest.approx(added, rel=3.5 * np.sqrt(2 * np.exp(SIZE_SIGMA**2) / 2000))
