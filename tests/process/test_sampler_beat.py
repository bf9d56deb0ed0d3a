"""The sampler's beat: when it samples, what it has seen by then, and where the run ends."""

import numpy as np
import pytest

from sim.engine.build import build
from sim.engine.sampler import PROGRESS_PARTS
from tests.process.conftest import NAMES
from tests.process.stage import busy_hall, episodes_told, quiet_hall, run

THERMAL = NAMES.index("thermal_event")


def test_a_chain_of_zero_delays_at_a_ticks_instant_is_seen_by_that_tick():
    def story(env, truth_log):
        yield env.timeout(120)
        for _ in range(10):
            yield env.timeout(0)
        truth_log.rack_enters(env.now, 3, THERMAL, None)

    seen = run(quiet_hall(), story=story).profile[:, 3]
    assert np.flatnonzero(seen == THERMAL)[0] == 2


def test_a_process_begun_at_a_ticks_instant_is_seen_by_that_tick():
    def child(env, truth_log):
        yield env.timeout(0)
        truth_log.rack_enters(env.now, 3, THERMAL, None)

    def story(env, truth_log):
        yield env.timeout(60)
        env.process(child(env, truth_log))

    assert np.flatnonzero(run(quiet_hall(), story=story).profile[:, 3])[0] == 1


@pytest.mark.parametrize("tick_s", [1, 7, 60, 130])
def test_tick_k_is_at_exactly_k_ticks(tick_s):
    ticks = PROGRESS_PARTS  # so that each is told
    beats = []
    hall = quiet_hall(tick=tick_s, duration=ticks * tick_s)
    simulation = build(hall, [], on_progress=lambda done: beats.append((done - 1, simulation.env.now)))
    simulation.run()
    assert beats == [(k, k * tick_s) for k in range(ticks)]


def test_the_run_covers_its_span_up_to_but_not_at_its_end():
    happened = []

    def story(env, _truth_log):
        for at_s in (3599.5, 3600.0):
            yield env.timeout(at_s - env.now)
            happened.append(at_s)

    assert len(run(quiet_hall(duration="1h", tick="1m"), story=story).profile) == 60
    assert happened == [3599.5]


def test_a_run_of_one_tick_samples_its_start():
    week = run(quiet_hall(duration="1m", tick="1m"))
    assert week.profile.shape == (1, 8)
    assert week.readings["inlet_c"].shape == (1, 8)


def test_progress_is_told_a_hundred_times_whatever_the_blocks_and_ends_at_the_number_of_ticks():
    told = []
    build(quiet_hall(tick=10, duration="1h"), [], block_ticks=360, on_progress=told.append).run()
    assert told == [*range(3, 361, 3)]


@pytest.mark.parametrize("tick_s", [60, 130, 190, 3600])
def test_a_change_at_any_instant_of_a_tick_reaches_the_plant(tick_s):
    """Ticks beyond a minute are made in several steps, whose length need not be a binary fraction."""
    for tick in (1, 3, 7, 11):
        at_s = tick * tick_s
        hall = quiet_hall(tick=tick_s, duration=(tick + 1) * tick_s + 3 * 3600 // tick_s * tick_s)
        warm = run(hall, story=episodes_told((at_s, None, "thermal_event")))
        assert warm.truth["inlet_c"][-1, 0] > 25, f"the change at {at_s} s was lost"
        assert warm.truth["inlet_c"][-1, 7] < 25


def test_power_is_the_mean_over_the_tick_before_and_temperature_a_reading_at_the_tick():
    """A change just before a tick is hardly in that tick's mean, and wholly in a later one's."""
    calm = run(quiet_hall(tick="1m"))
    told = run(quiet_hall(tick="1m"), story=episodes_told((30 * 60 + 59.9, None, "under_utilized")))
    same = slice(None, 31)
    for name in ("pdu_kw", "inlet_c", "outlet_c", "tokens_ps"):
        assert np.array_equal(calm.truth[name][same], told.truth[name][same])
    first, later = (calm.truth["pdu_kw"] - told.truth["pdu_kw"])[[31, 36], 0]
    assert 0 <= first < 0.02
    assert later > 1.0


@pytest.mark.parametrize("minutes", [2, 3])
@pytest.mark.parametrize("channel", ["pdu_kw", "gpu_power_kw"])
def test_a_long_ticks_power_is_the_mean_of_the_minutes_in_it(minutes, channel):
    """Ticks of whole minutes make the same steps, so that only the meter's span differs."""
    by_minute = run(busy_hall(duration="1h", tick="1m")).truth[channel][1:]
    longer = run(busy_hall(duration="1h", tick=60 * minutes)).truth[channel][1:]
    means = by_minute[: len(longer) * minutes].reshape(len(longer), minutes, -1).mean(axis=1)
    np.testing.assert_allclose(longer, means, rtol=1e-12)
