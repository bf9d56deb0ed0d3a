"""A run may report more channels than the training document's: one definition and one relation are all it takes."""

from dataclasses import replace

import numpy as np
import pytest

from sim.engine import channel_values
from sim.engine.channel_values import Relation
from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS
from tests.process.stage import quiet_hall, run

DEW_POINT_C = 12.0


def vapour_kpa(air_c):
    """Return saturation pressure over water; Magnus formula."""
    return 0.6112 * np.exp(17.62 * air_c / (243.12 + air_c))


@pytest.fixture
def humid_hall(monkeypatch):
    """A hall that also reports the relative humidity of the inlet air, always at the same dew point."""
    channel = replace(CHANNELS["fan_rpm_pct"], name="humidity_pct", noise=1.5, profile_limits=None)
    relation = Relation(lambda inlet_c: 100 * vapour_kpa(DEW_POINT_C) / vapour_kpa(inlet_c), ("inlet_c",))
    monkeypatch.setitem(CHANNELS, "humidity_pct", channel)
    monkeypatch.setitem(channel_values.RELATIONS, "humidity_pct", relation)
    incident = {"kind": "pump_trip", "target": "loop:CL-1", "at": "10m"}
    return replace(quiet_hall(incidents=[incident]), channels=(*TELEMETRY_CHANNELS, "humidity_pct"))


def test_the_channel_is_true_to_its_relation_and_read_by_a_sensor_of_its_own(humid_hall):
    seen = run(humid_hall)
    truth = seen.truth["humidity_pct"]
    assert truth == pytest.approx(100 * vapour_kpa(DEW_POINT_C) / vapour_kpa(seen.truth["inlet_c"]))
    error = seen.readings["humidity_pct"] - truth
    # 480 readings: their standard deviation is known to 1/sqrt(2 x 480) = 3.2 %, five of which are 16 %
    assert error.std() == pytest.approx(1.5, rel=0.16)


def test_the_other_channels_read_what_they_read_without_it(humid_hall):
    usual = run(replace(humid_hall, channels=TELEMETRY_CHANNELS))
    more = run(humid_hall)
    for name in TELEMETRY_CHANNELS:
        assert np.array_equal(usual.readings[name], more.readings[name], equal_nan=True)
    assert list(more.readings) == [*TELEMETRY_CHANNELS, "humidity_pct"]
