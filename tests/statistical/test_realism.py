"""A healthy week against real halls, the profiles' ranges and the training document's table."""

import numpy as np
import pytest

from benchmarks import realism
from benchmarks.recorded import record
from sim.domain.profiles import shipped_profiles

PROFILES = shipped_profiles()
RANGES = [(name, channel) for name, profile in PROFILES.items() for channel in profile.ranges]

DOCUMENT = {
    "inlet_c": (17, 30, 22),
    "outlet_c": (28, 52, 36),
    "pdu_kw": (3, 12.5, 8),
    "tokens_ps": (2000, 14000, 8000),
    "latency_p95_ms": (120, 350, 200),
}
"""The training document's lowest, highest and mean reading."""


@pytest.fixture(scope="module")
def day_at_10_s():
    return record({"duration": "1d", "tick": realism.FINE_TICK_S})


@pytest.mark.parametrize(
    "measure", [realism.airflow, realism.heat_balance, realism.memory, realism.meter, realism.places, realism.day_shape]
)
def test_week_keeps_the_bounds_read_of_real_halls(week, measure):
    assert [str(check) for check in measure(week) if not check.passed] == []


def test_outlet_takes_minutes_to_follow_load_and_fan(week):
    assert [str(check) for check in realism.outlet_response(week.hall) if not check.passed] == []


def test_power_leads_the_outlet(day_at_10_s):
    assert [str(check) for check in realism.power_leads_outlet(day_at_10_s) if not check.passed] == []


@pytest.mark.parametrize(("profile", "channel"), RANGES)
def test_settled_readings_stay_in_the_range_of_their_profile(week, profile, channel):
    allowed = PROFILES[profile].ranges[channel]
    seen = week.readings[channel][week.settled & week.is_in(profile)]
    assert len(seen) > 1000
    assert ((seen >= allowed.low) & (seen <= allowed.high)).mean() >= 0.95


@pytest.mark.parametrize(("one", "other", "least"), [("tokens_ps", "pdu_kw", 0.8), ("pdu_kw", "delta_t", 0.6)])
def test_channels_move_together_while_nominal(week, one, other, least):
    nominal = week.is_in("nominal")
    assert np.corrcoef(week.readings[one][nominal], week.readings[other][nominal])[0, 1] >= least


@pytest.mark.parametrize("channel", DOCUMENT)
def test_week_spans_the_document_s_table(week, channel):
    low, high, mean = DOCUMENT[channel]
    seen = week.readings[channel]
    assert np.quantile(seen, [0.001, 0.999]) == pytest.approx([low, high], abs=0.1 * (high - low))
    assert seen.mean() == pytest.approx(mean, rel=0.05)


def test_delta_t_is_near_the_document_s(week):
    seen = week.readings["delta_t"]
    assert seen.mean() == pytest.approx(12, rel=0.10)
    assert ((seen >= 6) & (seen <= 20)).mean() >= 0.99
