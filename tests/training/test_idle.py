"""A rack that serves nothing is told as idle: no nominal vector is like its own, so its ranges judge it."""

import numpy as np
import pytest

from training import Monitor, fit, score_batch
from training.features import FEATURES
from training.mms import STATES
from training.model import IDLE, LEVELS, top_causes
from training.sensors import Sensors

AT = {name: j for j, name in enumerate(FEATURES)}


def idle_vector(model, **other):
    """Return a drained rack beside the model's hall: nothing served, power at half of the least nominal one."""
    low = model.range_lo.min(axis=0)
    x = low.copy()
    x[[AT["tokens_ps"], AT["queue_depth"]]], x[AT["latency_p95_ms"]] = 0.0, np.nan
    x[[AT["pdu_kw"], AT["gpu_power_kw"]]] = low[[AT["pdu_kw"], AT["gpu_power_kw"]]] / 2.0
    for name, value in other.items():
        x[AT[name]] = value
    return x[None]


def test_a_rack_that_serves_nothing_is_idle_and_does_not_deviate(model):
    x = idle_vector(model)
    scores = score_batch(model, x)
    assert (LEVELS[scores.level[0]], scores.deviation[0]) == ("idle", 0.0)
    assert (top_causes(model, x).feature == -1).all()


@pytest.mark.parametrize("latency", [np.nan, 0.0])
def test_no_latency_and_one_of_zero_say_the_same(model, latency):
    assert score_batch(model, idle_vector(model, latency_p95_ms=latency)).level[0] == IDLE


@pytest.mark.parametrize(
    "other",
    [
        {"pdu_kw": 0.0, "gpu_power_kw": 0.0},  # off
        {"inlet_c": 35.0},  # hot
        {"fan_rpm_pct": 100.0},
        {"queue_depth": 3.0},  # somebody waits
        {"tokens_ps": 1.0},
        {"latency_p95_ms": 180.0},
        {"tokens_ps": np.nan},
    ],
)
def test_a_rack_that_is_off_hot_or_asked_for_something_is_not_idle(model, other):
    assert LEVELS[score_batch(model, idle_vector(model, **other)).level[0]] != "idle"


def test_as_they_are_read_features_know_no_idle_rack(hall):
    plain = fit(hall.telemetry(), features="plain")
    assert LEVELS[score_batch(plain, idle_vector(plain)).level[0]] != "idle"


def test_nothing_is_learnt_of_a_racks_level_while_it_is_idle(hall, model):
    t = hall.telemetry()
    rows = t.rack == 0
    monitors = Monitor(model), Monitor(model)
    for monitor in monitors:
        monitor.update_batch(t.racks[:1], t.rack[rows], t.ts_s[rows], t.x[rows])
    rest = np.repeat(idle_vector(model), 60, axis=0)
    rest *= 1.0 - 0.001 * np.arange(60)[:, None]  # sensors move, or they would be told as frozen
    later = t.ts_s[rows][-1] + 60.0 * np.arange(1, 61)
    readings = monitors[0].update_batch(t.racks[:1], np.zeros(60, dtype=int), later, rest)
    assert STATES[readings.state[-1]] == "NOMINAL"
    known = [monitor._levels.remembered(np.zeros(1, dtype=int)) for monitor in monitors]
    assert np.array_equal(*known)


def test_without_requests_a_missing_latency_is_no_silent_sensor(model):
    sensors = Sensors(model.frozen_after, *model.about_nominal)
    sensors.know(1)
    served = idle_vector(model, tokens_ps=8000.0, latency_p95_ms=180.0, queue_depth=40.0)
    unheard = idle_vector(model, tokens_ps=8000.0, queue_depth=40.0)
    for rest, silent in ((idle_vector(model), False), (unheard, True)):
        told = sensors.take(np.zeros(15, dtype=int), np.repeat([served[0], rest[0]], (5, 10), axis=0))
        assert told.silent[-1, AT["latency_p95_ms"]] == silent
