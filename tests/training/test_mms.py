import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.common.errors import InputError
from tests.examples import examples
from training.mms import NOMINAL, PERSISTENT, RECOVERING, STATES, TRANSIENT, Smoother
from training.model import ScoreDensities
from training.monitor import smooth

STEPS_UP_DOWN = [0.5] * 3 + [5.0] * 12 + [0.5] * 20
EDGES = np.linspace(0, 3, 4)
DENSITIES = ScoreDensities(EDGES, np.log([0.8, 0.15, 0.05]), np.log([0.05, 0.15, 0.8]), "labels")


def follow(deviations, spacing_s=60.0, ts_s=None, **options):
    d = np.array(deviations, dtype=float)
    ts_s = np.arange(d.size) * spacing_s if ts_s is None else np.array(ts_s, dtype=float)
    return smooth(Smoother(1.0, 2.0, **options), np.zeros(d.size, dtype=int), ts_s, d)


def test_six_ticks_above_are_persistent_and_six_below_end_it():
    state = follow(STEPS_UP_DOWN).state
    assert state[8] == TRANSIENT
    assert state[9] == PERSISTENT
    assert state[25] == RECOVERING
    assert state[26] == TRANSIENT


@pytest.mark.parametrize(("kind", "ticks"), [("ema", 3), ("likelihood", 3), ("ema", 9)])
def test_so_many_ticks_as_are_asked_for_are_persistent(kind, ticks):
    densities = DENSITIES if kind == "likelihood" else None
    state = follow([0.5] * 3 + [50.0] * 12, kind=kind, densities=densities, persist_ticks=ticks).state
    assert np.flatnonzero(state == PERSISTENT)[0] == 3 + ticks - 1


def test_the_weight_of_a_minute_is_alpha_whatever_the_interval():
    # after a step from 0 to 1 the average is 1 - (1 - alpha)^minutes
    for spacing_s in (30.0, 60.0):
        ema = follow([0.0] * 10 + [1.0] * 10, spacing_s, alpha=0.5).ema
        minutes = np.arange(1, 11) * spacing_s / 60
        assert ema[10:] == pytest.approx(1 - 0.5**minutes)


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1.5}, {"alpha": float("nan")}, {"persist_ticks": 0}])
def test_what_cannot_smooth_is_refused(options):
    with pytest.raises(InputError, match=r"alpha .* has to be in"):
        Smoother(1.0, 2.0, **options)


def test_the_states_of_a_fault_in_order():
    names = [STATES[s] for s in follow(STEPS_UP_DOWN).state]
    seen = [name for k, name in enumerate(names) if k == 0 or name != names[k - 1]]
    assert seen == ["NOMINAL", "TRANSIENT", "PERSISTENT", "RECOVERING", "TRANSIENT"]


def test_after_twelve_quiet_ticks_a_rack_is_nominal_again():
    state = follow(STEPS_UP_DOWN + [0.5] * 20).state
    assert state[37] == TRANSIENT
    assert state[38] == NOMINAL


def test_the_average_starts_at_the_first_deviation_even_when_it_is_zero():
    assert follow([0, 0, 0, 10]).ema == pytest.approx([0, 0, 0, 3])


def test_a_deviation_that_is_not_finite_holds_the_state_and_the_average():
    step = follow([1.0, np.nan, np.inf, 1.0])
    assert np.isfinite(step.ema).all()
    assert step.ema[1] == step.ema[2] == 1.0


def test_a_leading_nan_leaves_the_average_unset_and_does_not_stick():
    ema = follow([np.nan, 4.0, 4.0]).ema
    assert np.isnan(ema[0])
    assert ema[1:].tolist() == [4.0, 4.0]


def test_lost_deviations_do_not_count_towards_persistence():
    state = follow([5, 5, 5, np.nan, np.nan, 5, 5, 5]).state
    assert state[6] == TRANSIENT
    assert state[7] == PERSISTENT


def test_a_gap_over_three_intervals_restarts_the_average_and_keeps_the_state():
    ts_s = [*range(0, 480, 60), 480 + 240]
    step = follow([5.0] * 8 + [0.5], ts_s=ts_s)
    assert step.ema[-1] == 0.5
    assert step.state[-1] == RECOVERING


def test_a_gap_of_three_intervals_does_not_restart_it():
    ts_s = [0, 60, 120, 300]
    assert follow([4.0, 4.0, 4.0, 0.0], ts_s=ts_s).ema[-1] == pytest.approx(4 * 0.7**3)


@pytest.mark.parametrize("interval_s", [10.0, 30.0, 60.0])
def test_persistence_takes_six_minutes_at_any_interval(interval_s):
    state = follow([5.0] * 60, interval_s, interval_s=interval_s).state
    first = int(np.argmax(state == PERSISTENT))
    assert (first + 1) * interval_s == 360.0


@pytest.mark.parametrize("interval_s", [10.0, 30.0, 120.0])
def test_a_gap_is_three_of_the_racks_own_intervals(interval_s):
    ts_s = np.array([0, 1, 2, 3, 6, 7, 8, 12.0]) * interval_s
    ema = follow([4.0] * 4 + [0.0, 4.0, 4.0, 0.0], ts_s=ts_s, interval_s=interval_s).ema
    assert ema[4] == pytest.approx(4 * 0.7 ** (3 * interval_s / 60))
    assert ema[7] == 0.0


def test_time_before_a_gap_does_not_count_towards_persistence():
    ts_s = np.array([0, 1, 2, 3, 4, *range(9, 17)]) * 60.0
    state = follow([5.0] * 13, ts_s=ts_s).state
    assert np.flatnonzero(state == PERSISTENT)[0] == 5 + 6 - 1


def test_two_halves_of_a_tick_average_like_one():
    whole = follow([0.0, 5.0, 5.0]).ema
    halves = follow([0.0, 5.0, 5.0, 5.0, 5.0], 30.0).ema
    assert halves[::2] == pytest.approx(whole)


def test_a_recurrence_within_twelve_ticks_reopens_the_same_event():
    again = follow([5.0] * 10 + [0.0] * 15 + [5.0] * 12)
    assert again.event[9] == 1
    assert again.event[24] == 0
    assert again.event[-1] == 1
    later = follow([5.0] * 10 + [0.0] * 40 + [5.0] * 12)
    assert later.event[-1] == 2


def test_racks_do_not_share_memory():
    d = np.array([[5.0] * 10, [0.0] * 10]).T.ravel()
    step = smooth(Smoother(1.0, 2.0), np.tile([0, 1], 10), np.repeat(np.arange(10) * 60.0, 2), d)
    assert step.state[-2:].tolist() == [PERSISTENT, NOMINAL]


def test_a_sample_older_than_the_last_is_refused():
    smoother = Smoother(1.0, 2.0)
    smoother.know(1)
    smoother.step(np.array([0]), 60.0, np.array([1.0]))
    with pytest.raises(InputError, match="older than the rack's last"):
        smoother.step(np.array([0]), 0.0, np.array([1.0]))


def test_likelihood_needs_densities():
    with pytest.raises(InputError, match="needs the densities"):
        Smoother(1.0, 2.0, "likelihood")


def test_likelihood_finds_a_lasting_fault_in_six_ticks_and_its_end_in_six():
    faulty, nominal = np.expm1(2.5), np.expm1(0.5)
    step = follow([nominal] * 5 + [faulty] * 10 + [nominal] * 10, kind="likelihood", densities=DENSITIES)
    assert int(np.argmax(step.state == PERSISTENT)) == 10
    assert step.state[19] == RECOVERING
    assert step.state[20] == TRANSIENT
    assert step.posterior[4] < 0.05
    assert step.posterior[14] > 0.95


def test_a_rack_that_was_well_for_days_is_found_faulty_as_fast_and_one_long_faulty_well():
    """The log odds stay within 3 of even, so that six ticks of full evidence turn them about, from 5 % to 95 %."""
    faulty, nominal = np.expm1(2.5), np.expm1(0.5)
    step = follow([nominal] * 3000 + [faulty] * 3000 + [nominal] * 6, kind="likelihood", densities=DENSITIES)
    odds = np.log(step.posterior / (1 - step.posterior))
    assert odds[[2999, 3005, 5999, 6005]] == pytest.approx([-3, 3, 3, -3])
    assert odds[3000] == pytest.approx(-2)


def test_likelihood_ignores_a_spike_that_the_average_remembers():
    spike = [0.5] * 5 + [1e6] + [0.5] * 12
    assert PERSISTENT in follow(spike).state
    assert PERSISTENT not in follow(spike, kind="likelihood", densities=DENSITIES).state


@given(
    st.lists(st.floats(0, 10) | st.just(np.nan), min_size=1, max_size=60),
    st.sampled_from(["ema", "likelihood"]),
    st.integers(0, 9),
)
@examples(60)
def test_racks_together_equal_racks_one_at_a_time(values, kind, seed):
    rng = np.random.default_rng(seed)
    present = rng.random((len(values), 3)) < 0.8
    ticks, rack = np.nonzero(present)
    d = np.array(values)[ticks] * (1 + rack)
    ts_s = ticks * 60.0
    together = smooth(Smoother(1.0, 2.0, kind, DENSITIES), rack, ts_s, d)
    alone = Smoother(1.0, 2.0, kind, DENSITIES)
    alone.know(3)
    for k in range(rack.size):
        step = alone.step(rack[k : k + 1], ts_s[k], d[k : k + 1])
        assert np.array_equal(step.ema, together.ema[k : k + 1], equal_nan=True)
        assert step.state[0] == together.state[k]
        assert step.event[0] == together.event[k]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=80))
@examples(60)
def test_the_average_stays_between_the_least_and_the_greatest_deviation(values):
    ema = follow(values).ema
    assert (ema >= min(values) - 1e-12).all()
    assert (ema <= max(values) + 1e-12).all()


MILD = ScoreDensities(EDGES, np.log([0.5, 0.3, 0.2]), np.log([0.3, 0.3, 0.4]), "labels")
"""Log likelihood ratios of -0.51, 0 and 0.69, which no clipping touches."""


@pytest.mark.parametrize("densities", [DENSITIES, MILD], ids=["clipped", "as they are"])
@pytest.mark.parametrize("parts", [2, 6])
def test_likelihood_weighs_evidence_by_its_time_however_finely_it_is_sampled(densities, parts):
    """A minute's deviation, read once or several times over that minute, says the same of the rack."""
    levels = np.expm1([0.5, 1.5, 2.5])
    minutes = np.repeat(levels[[0, 2, 0, 2, 1, 2, 0]], [7, 4, 3, 14, 2, 5, 17])
    options = {"kind": "likelihood", "densities": densities}
    whole = follow(minutes, interval_s=60.0, **options)
    fine = follow(np.repeat(minutes, parts), 60.0 / parts, interval_s=60.0 / parts, **options)
    at_the_minutes_end = slice(parts - 1, None, parts)
    assert fine.posterior[at_the_minutes_end] == pytest.approx(whole.posterior)
    assert fine.state[at_the_minutes_end].tolist() == whole.state.tolist()
    assert {NOMINAL, TRANSIENT, PERSISTENT, RECOVERING} <= set(whole.state.tolist())
