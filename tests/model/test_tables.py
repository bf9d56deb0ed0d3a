"""The shipped tables say what the training document and the file contract say."""

from math import inf

import pytest

from sim.common.streams import Streams
from sim.engine.channel_values import DERIVED, RELATIONS
from sim.incidents.catalogue import SENSOR_FAULTS
from sim.incidents.sensor_faults import SensorFaults
from sim.model.channels import CHANNELS, MEASURED, TELEMETRY_CHANNELS, TELEMETRY_COLUMNS
from sim.model.profiles import ANOMALY_KIND, PROFILE_CHANNELS, Profile, Range, shipped_profiles

RANGES = {
    "nominal": {
        "inlet_c": (21, 24),
        "outlet_c": (33, 38),
        "pdu_kw": (6, 10),
        "tokens_ps": (7000, 10_000),
        "latency_p95_ms": (150, 220),
        "queue_depth": (15, 60),
        "fan_rpm_pct": (55, 75),
        "pump_rpm_pct": (50, 65),
    },
    "high_load": {
        "inlet_c": (23, 27),
        "outlet_c": (38, 45),
        "pdu_kw": (9, 11.5),
        "tokens_ps": (10_000, 14_000),
        "latency_p95_ms": (200, 280),
        "queue_depth": (60, 120),
        "fan_rpm_pct": (70, 90),
        "pump_rpm_pct": (60, 80),
    },
    "thermal_event": {
        "inlet_c": (26, 30),
        "outlet_c": (42, 52),
        "pdu_kw": (10, 12.5),
        "tokens_ps": (9000, 12_000),
        "latency_p95_ms": (220, 350),
        "queue_depth": (80, 150),
        "fan_rpm_pct": (85, 100),
        "pump_rpm_pct": (75, 90),
    },
    "under_utilized": {
        "inlet_c": (19, 22),
        "outlet_c": (28, 33),
        "pdu_kw": (3, 6),
        "tokens_ps": (2000, 5000),
        "latency_p95_ms": (120, 180),
        "queue_depth": (5, 25),
        "fan_rpm_pct": (45, 60),
        "pump_rpm_pct": (40, 55),
    },
    "overcooled": {
        "inlet_c": (17, 20),
        "outlet_c": (30, 35),
        "pdu_kw": (6.5, 9.5),
        "tokens_ps": (6000, 9000),
        "latency_p95_ms": (160, 210),
        "queue_depth": (20, 50),
        "fan_rpm_pct": (75, 95),
        "pump_rpm_pct": (65, 85),
    },
}
"""The training document's ranges; queue, fan and pump from the generator it describes."""


def test_the_five_profiles_come_in_their_order_nominal_first():
    assert list(shipped_profiles()) == list(RANGES)


@pytest.mark.parametrize("profile", RANGES)
def test_a_shipped_profile_has_the_documents_ranges_and_no_others(profile):
    shipped = shipped_profiles()[profile].ranges
    assert {channel: (r.low, r.high) for channel, r in shipped.items()} == RANGES[profile]


def test_every_typical_value_lies_strictly_inside_its_range():
    ranges = [r for profile in shipped_profiles().values() for r in profile.ranges.values()]
    assert all(r.low < r.typical < r.high for r in ranges)


def test_the_half_width_of_a_range_reaches_to_its_nearer_end():
    assert Range.of(20, 30).half_width == 5
    assert Range.of(20, 30, 28).half_width == 2


def test_each_shipped_profile_has_a_kind_and_a_custom_one_is_custom():
    assert ANOMALY_KIND == {
        "nominal": "normal",
        "high_load": "load",
        "under_utilized": "load",
        "thermal_event": "cooling",
        "overcooled": "cooling",
    }
    assert Profile("night_shift").anomaly_kind == "custom"


def test_the_columns_are_those_of_the_contract_in_its_order():
    assert (
        *("ts", "rack_id", "inlet_c", "outlet_c", "pdu_kw", "gpu_energy_j", "tokens_ps", "latency_p95_ms"),
        *("queue_depth", "fan_rpm_pct", "pump_rpm_pct", "delta_t", "gpu_power_kw"),
    ) == TELEMETRY_COLUMNS


def test_temperatures_and_powers_have_two_decimals_the_queue_none_and_the_rest_one():
    decimals = {name: CHANNELS[name].decimals for name in TELEMETRY_CHANNELS}
    two = {"inlet_c", "outlet_c", "delta_t", "pdu_kw", "gpu_power_kw"}
    assert decimals == {name: 2 if name in two else 0 if name == "queue_depth" else 1 for name in decimals}


def test_only_energy_and_delta_t_are_derived():
    assert set(TELEMETRY_CHANNELS) - set(MEASURED) == {"gpu_energy_j", "delta_t"}


def test_powers_and_energy_are_means_over_the_tick_and_all_else_is_read_at_its_instant():
    means = {name for name in TELEMETRY_CHANNELS if CHANNELS[name].reading == "mean"}
    assert means == {"pdu_kw", "gpu_power_kw", "gpu_energy_j"}


def test_a_profile_states_measured_channels_only():
    assert set(PROFILE_CHANNELS) < set(MEASURED)


def test_a_power_meter_is_as_exact_as_real_ones_are():
    assert 0.003 <= CHANNELS["pdu_kw"].noise <= 0.015
    assert CHANNELS["pdu_kw"].noise_kind == "relative"


def test_every_channel_has_one_relation_or_one_derivation_and_channels_that_it_needs_stand_before_it():
    assert {name: name in RELATIONS for name in CHANNELS} == {
        name: channel.noise_kind != "derived" for name, channel in CHANNELS.items()
    }
    assert DERIVED.keys() == {name for name, channel in CHANNELS.items() if channel.noise_kind == "derived"}
    order = list(RELATIONS)
    for name, relation in RELATIONS.items():
        assert all(order.index(needed) < order.index(name) for needed in relation.channels)


def test_the_documents_channels_are_the_first_that_are_defined():
    assert tuple(CHANNELS)[: len(TELEMETRY_CHANNELS)] == TELEMETRY_CHANNELS


def test_every_channel_is_plausible_where_a_profile_may_put_it_and_a_sensor_shows_all_of_that():
    for channel in CHANNELS.values():
        low, high = channel.profile_limits or channel.plausible
        assert channel.plausible[0] <= low < high <= channel.plausible[1]
        assert channel.profile_limits is None or (channel.limits[0] <= low and high <= channel.limits[1])


def test_only_temperatures_have_no_end_and_speeds_end_at_100_pct():
    limits = {name: CHANNELS[name].limits for name in MEASURED}
    temperatures = ("inlet_c", "outlet_c")
    assert all(limits[name] == (-inf, inf) for name in temperatures)
    assert all(
        limits[name] == (0, 100 if name.endswith("_pct") else inf) for name in limits if name not in temperatures
    )


def test_every_sensor_fault_of_the_catalogue_is_one_that_can_be_applied():
    faults = SensorFaults(lambda _name, truth: truth, lambda name, truth, _cells: truth(name), Streams(0), 60.0, 0)
    assert {kind.sensor for kind in SENSOR_FAULTS} == faults._laws.keys()
