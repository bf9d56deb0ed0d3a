"""Silent and frozen sensors, told as what they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from training import Monitor
from training.features import FEATURES
from training.sensors import MOST_EQUAL, Sensors, code_of, frozen_after, longest_equal, parts_of, text_of

D = len(FEATURES)
AFTER = np.where([name == "delta_t" for name in FEATURES], 0, 5)
ANY = np.full(D, -np.inf), np.full(D, np.inf)
OUTLET = FEATURES.index("outlet_c")


def told(x, after=AFTER):
    """Return what is told of one rack's vectors."""
    sensors = Sensors(after, *ANY)
    sensors.know(1)
    return sensors.take(np.zeros(len(x), dtype=int), x)


def moving(ticks, seed=0):
    return 20.0 + np.random.default_rng(seed).random((ticks, D))


def test_a_reading_that_stays_the_same_is_frozen_after_so_many_samples_and_no_longer_once_it_moves():
    x = moving(12)
    x[2:9, OUTLET] = 33.0
    frozen = told(x).frozen
    assert np.flatnonzero(frozen[:, OUTLET]).tolist() == [6, 7, 8]
    assert not np.delete(frozen, OUTLET, axis=1).any()


def test_a_reading_at_a_limit_of_its_sensor_is_not_frozen():
    x = moving(12)
    x[:, FEATURES.index("fan_rpm_pct")] = 100.0
    x[:, FEATURES.index("tokens_ps")] = 0.0
    assert not told(x).frozen.any()


def test_equal_readings_far_from_nominal_ones_say_nothing():
    """A rack that draws next to nothing shows the same last digit for long: its noise is a part of it."""
    x = moving(12)
    x[:, FEATURES.index("pdu_kw")] = 0.31
    sensors = Sensors(AFTER, np.full(D, 1.0), np.full(D, 50.0))
    sensors.know(1)
    assert not sensors.take(np.zeros(12, dtype=int), x).frozen.any()
    assert told(x).frozen[5:, FEATURES.index("pdu_kw")].all()


def test_a_reading_that_is_missing_three_times_in_ten_is_silent_until_it_is_back():
    x = moving(30)
    x[[1, 4, 5, 8], OUTLET] = np.nan
    # three of the ten up to row 5 and up to row 13; up to row 14 there are two
    assert np.flatnonzero(told(x).silent[:, OUTLET]).tolist() == list(range(5, 14))
    x[8:, OUTLET] = np.nan
    assert told(x).silent[5:, OUTLET].all()


def test_a_sensor_that_was_never_heard_is_not_silent():
    x = moving(10)
    x[:, OUTLET] = np.nan
    assert not told(x).silent.any()


def test_a_rise_that_is_computed_has_no_sensor():
    x = moving(10)
    x[:, FEATURES.index("delta_t")] = 5.0
    x[5:, FEATURES.index("delta_t")] = np.nan
    found = told(x, np.full(D, 5))
    assert not (found.silent | found.frozen).any()


@given(st.integers(0, 99))
@examples(40)
def test_one_sample_at_a_time_tells_the_same_as_many(seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(20, 22, (60, D)).astype(float)
    x[rng.random(x.shape) < 0.4] = np.nan
    rack = np.tile(np.arange(3), 20)
    many, each = Sensors(np.full(D, 3), *ANY), Sensors(np.full(D, 3), *ANY)
    many.know(3), each.know(3)
    whole = code_of(many.take(rack, x))
    assert [code_of(each.take(rack[k : k + 1], x[k : k + 1]))[0] for k in range(60)] == whole.tolist()
    assert np.array_equal(many.remembered(np.arange(3)), each.remembered(np.arange(3)), equal_nan=True)


@given(st.integers(0, 2 ** (2 * D) - 1))
@examples(40)
def test_a_code_says_what_was_told(code):
    bits = [code >> k & 1 for k in range(2 * D)]
    assert parts_of(code) == [(FEATURES[k % D], "silent" if k < D else "frozen") for k, bit in enumerate(bits) if bit]
    assert text_of(code) == ", ".join(f"{name} {condition}" for name, condition in parts_of(code))


def test_the_longest_run_of_equal_readings_sets_when_a_sensor_is_frozen():
    x = np.arange(60.0 * D).reshape(60, D)
    x[10:14, OUTLET], x[20:60, 7] = 1.0, 0.0
    longest = longest_equal(np.zeros(60, dtype=int), x)
    assert (longest[OUTLET], longest[7], longest[0]) == (4, 40, 1)
    after = frozen_after(longest)
    assert (after[OUTLET], after[0]) == (6, 5)
    assert after[7] == 0, f"who repeats for {MOST_EQUAL} samples while all is well says nothing by it"


@pytest.mark.parametrize("spoil", ["silent", "frozen"])
def test_a_silent_or_frozen_sensor_opens_an_event_of_which_the_deviation_says_nothing(model, hall, spoil):
    t = hall.telemetry()
    x = t.x.copy()
    quiet = [r for r in range(len(t.racks)) if not hall.labels().anomaly[t.rack == r][-120:].any()]
    rows = np.flatnonzero(t.rack == quiet[0])[-60:]
    j = FEATURES.index("queue_depth")
    x[rows, j] = np.nan if spoil == "silent" else x[rows[0] - len(t.racks), j]
    readings = Monitor(model).update_batch(t.racks, t.rack, t.ts_s, x)
    assert text_of(code_of(readings.sensors)[rows[-1]]) == f"queue_depth {spoil}"
    assert (readings.event[rows[-40:]] > 0).all()
    # told within the samples it takes, the average's rise over tau_persist (2 ticks of 2 tau) and six minutes of it
    assert (readings.event[rows] > 0).argmax() <= max(5, model.frozen_after[j]) + 2 + 6
    healthy = Monitor(model).update_batch(t.racks, t.rack, t.ts_s, t.x)
    assert (healthy.event[rows] == 0).all()
