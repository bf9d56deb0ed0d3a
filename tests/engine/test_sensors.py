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


def lost_cells(days, **missing):
    """Return which readings of ten racks are missing, by channel, (ticks, racks)."""
    truth = {c: np.full((len(days), 10), value) for c, value in TRUTH.items()}
    [read] = Sensors(SensorSpec(missing=missing), Streams(1)).read([truth], days)
    return {c: np.isnan(values) for c, values in read.items()}


def test_single_readings_are_lost_channel_by_channel_in_the_part_that_is_asked_for():
    lost = lost_cells([0] * 2000, single=0.01)
    shares = np.array([cells.mean() for cells in lost.values()])
    # of 20,000 readings a share p is known to sqrt(p (1 - p) / n)
    assert np.abs(shares - 0.01).max() <= ERRORS * (0.01 * 0.99 / READINGS) ** 0.5
    assert not np.array_equal(lost["inlet_c"], lost["outlet_c"])


def test_a_silent_rack_says_nothing_in_any_channel_for_a_whole_day():
    days = np.repeat(np.arange(200), 3)
    lost = lost_cells(days.tolist(), silent=0.1)
    by_day = lost["inlet_c"].reshape(200, 3, 10)
    assert (by_day == by_day[:, :1]).all()
    assert all(np.array_equal(cells, lost["inlet_c"]) for cells in lost.values())
    assert abs(by_day.mean() - 0.1) <= ERRORS * (0.1 * 0.9 / 2000) ** 0.5


def test_what_is_lost_does_not_depend_on_the_blocks_that_are_read():
    truth = {c: np.full((20, 10), value) for c, value in TRUTH.items()}
    spec = SensorSpec(missing={"single": 0.1, "silent": 0.1})
    days = [tick // 8 for tick in range(20)]
    [whole] = Sensors(spec, Streams(1)).read([truth], days)
    sensors, parts = Sensors(spec, Streams(1)), []
    for begin, end in ((0, 3), (3, 11), (11, 20)):
        parts += sensors.read([{c: values[begin:end] for c, values in truth.items()}], days[begin:end])
    for name, values in whole.items():
        np.testing.assert_array_equal(values, np.concatenate([part[name] for part in parts]))


def test_a_coarse_sensor_shows_whole_steps_and_is_off_by_no_more_than_half_of_one_besides_its_noise():
    truth = {c: np.linspace(0.9, 1.1, READINGS)[:, None] * value for c, value in TRUTH.items()}
    sensors = Sensors(SensorSpec(noise_scale=0, resolution={"inlet_c": 1.0}), Streams(1))
    [read] = sensors.read([truth])
    np.testing.assert_array_equal(read["inlet_c"], np.rint(read["inlet_c"]))
    assert np.abs(read["inlet_c"] - truth["inlet_c"]).max() <= 0.5
    # a uniform error over a step has its width over sqrt(12)
    assert float(sensors.sigma("inlet_c", truth["inlet_c"])) == pytest.approx(1 / 12**0.5)


def test_a_rack_that_serves_nothing_has_no_latency_to_read():
    truth = {c: np.full((10, 1), value) for c, value in TRUTH.items()}
    truth["tokens_ps"][4:6] = truth["latency_p95_ms"][4:6] = 0.0
    [read] = Sensors(SensorSpec(), Streams(1)).read([truth])
    assert np.flatnonzero(np.isnan(read["latency_p95_ms"][:, 0])).tolist() == [4, 5]
    assert not read["tokens_ps"][4:6].any()
