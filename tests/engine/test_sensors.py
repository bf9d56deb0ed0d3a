"""Sensors: unbiased, as noisy as data/channels.csv says, and blind beyond what they can show."""

import numpy as np
import pytest

from sim.common.streams import Streams
from sim.engine.sensors import Sensors, rounded
from sim.model.channels import CHANNELS, MEASURED
from sim.model.channels import Sensors as SensorSpec

READINGS = 20_000
ERRORS = 3.5
TRUTH = {
    "inlet_c": 22.0,
    "outlet_c": 35.0,
    "pdu_kw": 8.0,
    "tokens_ps": 8000.0,
    "latency_p95_ms": 190.0,
    "queue_depth": 40.0,
    "fan_rpm_pct": 60.0,
    "pump_rpm_pct": 60.0,
    "gpu_power_kw": 5.5,
}
RELATIVE = [c for c in MEASURED if CHANNELS[c].noise_kind == "relative"]
ABSOLUTE = [c for c in MEASURED if CHANNELS[c].noise_kind == "absolute"]


def errors(channel, factor=1.0, **spec):
    """Return what readings of a channel at a multiple of its usual value are off by, and that value."""
    truth = {c: np.full((READINGS, 1), value * (factor if c == channel else 1)) for c, value in TRUTH.items()}
    [read] = Sensors(SensorSpec(**spec), Streams(1)).read([truth])
    return read[channel] - truth[channel], truth[channel][0, 0]


def has_deviation(values, sd):
    """Tell whether values have mean 0 and a deviation, within 3.5 standard errors: sd / sqrt(n) and sd / sqrt(2 n)."""
    n = values.size
    return abs(values.mean()) <= ERRORS * sd / n**0.5 and abs(values.std() - sd) <= ERRORS * sd / (2 * n) ** 0.5


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("channel", RELATIVE)
def test_a_relative_error_is_in_proportion_to_what_is_read(channel, factor):
    off, value = errors(channel, factor)
    assert has_deviation(off, CHANNELS[channel].noise * value)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("channel", ABSOLUTE)
def test_an_absolute_error_is_the_same_whatever_is_read(channel, factor):
    off, _ = errors(channel, factor)
    assert has_deviation(off, CHANNELS[channel].noise)


@pytest.mark.parametrize("channel", ["pdu_kw", "inlet_c"])
def test_a_scenario_scales_all_noise_and_sets_that_of_a_channel(channel):
    unit = TRUTH[channel] if channel in RELATIVE else 1.0
    assert has_deviation(errors(channel, noise_scale=3)[0], 3 * CHANNELS[channel].noise * unit)
    assert has_deviation(errors(channel, noise={channel: 0.02}, noise_scale=2)[0], 0.04 * unit)
    assert not errors(channel, noise_scale=0)[0].any()


@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize("channel", MEASURED)
def test_a_healthy_readings_sigma_is_that_of_what_is_written(channel, factor):
    """Noise and rounding together: the noise is more than half a digit, so rounding is as good as independent of it."""
    factor = 1.0 if channel in ABSOLUTE else factor  # fans end at 100 %
    truth = {c: np.full((READINGS, 1), value * (factor if c == channel else 1)) for c, value in TRUTH.items()}
    sensors = Sensors(SensorSpec(), Streams(1))
    [values] = sensors.read([truth])
    written = rounded(values, 60.0)[channel] * 10.0 ** -CHANNELS[channel].decimals
    assert has_deviation(written - truth[channel], np.max(sensors.sigma(channel, truth[channel])))


@pytest.mark.parametrize("channel", MEASURED)
def test_a_reading_without_noise_is_uncertain_by_its_rounding(channel):
    silent = Sensors(SensorSpec(noise_scale=0), Streams(1))
    assert silent.sigma(channel, np.array(50.0)) == pytest.approx(10.0 ** -CHANNELS[channel].decimals / 12**0.5)


def test_temperatures_alone_are_negative_and_speeds_end_at_full_speed():
    truth = {c: np.full((READINGS, 1), 1e-9) for c in MEASURED}
    truth |= {"inlet_c": np.full((READINGS, 1), 0.0), "fan_rpm_pct": np.full((READINGS, 1), 100.0)}
    [read] = Sensors(SensorSpec(noise_scale=50), Streams(1)).read([truth])
    assert read["inlet_c"].min() < 0
    assert all(read[c].min() >= 0 for c in MEASURED if c not in ("inlet_c", "outlet_c"))
    assert read["fan_rpm_pct"].max() == 100


def test_both_worlds_are_read_with_the_same_errors():
    truth = {c: np.full((100, 3), value) for c, value in TRUTH.items()}
    other = {c: values * 1.1 for c, values in truth.items()}
    one, two = Sensors(SensorSpec(), Streams(1)).read([truth, other])
    for channel in MEASURED:
        by = (lambda read, there: read / there) if channel in RELATIVE else (lambda read, there: read - there)
        np.testing.assert_allclose(by(one[channel], truth[channel]), by(two[channel], other[channel]), rtol=1e-9)


def test_energy_is_the_power_over_the_tick_and_delta_t_the_difference_of_what_is_written():
    values = {c: np.full((1, 1), value) for c, value in TRUTH.items()}
    values |= {"gpu_power_kw": np.array([[5.0004]]), "inlet_c": np.array([[22.004]]), "outlet_c": np.array([[35.006]])}
    readings = rounded(values, 30.0)
    assert readings["gpu_energy_j"] == 1_500_120  # 150,012.0 J in tenths: 5.0004 kW over 30 s, not 5.00 kW
    assert (readings["inlet_c"], readings["outlet_c"], readings["delta_t"]) == (2200, 3501, 1301)
