import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.common.errors import InputError
from sim.model.channels import CHANNELS
from training.features import FEATURES, GROUPS, RESOLUTION, UNITS, feature_matrix, feature_vector, missing_channels

SAMPLE = {
    "inlet_c": 22.4, "outlet_c": 35.0, "delta_t": 12.6, "pdu_kw": 7.9, "gpu_power_kw": 5.5, "tokens_ps": 8350.0,
    "latency_p95_ms": 187.0, "queue_depth": 37.0, "fan_rpm_pct": 65.0, "pump_rpm_pct": 57.5,
}  # fmt: skip


def test_features_units_and_groups_speak_of_the_same_channels():
    assert set(FEATURES) <= set(CHANNELS)
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(FEATURES)
    assert len(UNITS) == len(RESOLUTION) == len(FEATURES) == 10


def test_a_whole_sample_is_taken_as_it_is():
    assert feature_vector(SAMPLE).tolist() == list(SAMPLE.values())


def test_delta_t_is_derived_when_absent():
    assert feature_vector({k: v for k, v in SAMPLE.items() if k != "delta_t"})[2] == 35.0 - 22.4


def test_gpu_power_is_derived_from_the_energy_of_one_interval():
    sample = {k: v for k, v in SAMPLE.items() if k != "gpu_power_kw"} | {"gpu_energy_j": 330_000.0}
    assert feature_vector(sample, interval_s=60.0)[4] == 5.5
    assert feature_vector(sample, interval_s=30.0)[4] == 11.0


def test_gpu_power_that_cannot_be_derived_is_missing_and_never_zero():
    sample = {k: v for k, v in SAMPLE.items() if k != "gpu_power_kw"}
    assert np.isnan(feature_vector(sample)[4])
    assert np.isnan(feature_vector(sample | {"gpu_energy_j": 330_000.0})[4])


@pytest.mark.parametrize("value", [None, float("nan"), "", " ", "nan", "NaN"])
def test_a_value_that_is_not_there_is_missing(value):
    assert np.isnan(feature_vector(SAMPLE | {"queue_depth": value})[7])


def test_a_given_value_is_not_replaced_by_its_derivation():
    assert feature_vector(SAMPLE | {"delta_t": 1.0})[2] == 1.0


def test_channels_that_are_no_feature_are_ignored():
    assert feature_vector(SAMPLE | {"rack_id": "R-A-01", "humidity": 40.0}).tolist() == list(SAMPLE.values())


def test_what_cannot_be_made_is_named_with_what_would_do():
    assert missing_channels(CHANNELS) == []
    assert missing_channels(["inlet_c"])[:3] == ["outlet_c", "delta_t (or inlet_c and outlet_c)", "pdu_kw"]


@given(st.lists(st.tuples(st.floats(15, 30), st.floats(30, 50), st.floats(1e4, 1e6)), min_size=1, max_size=20))
def test_one_sample_and_a_matrix_of_them_agree(rows):
    columns = dict(zip(("inlet_c", "outlet_c", "gpu_energy_j"), np.array(rows).T, strict=True))
    matrix = feature_matrix(columns, len(rows), np.full(len(rows), 60.0))
    for k in range(len(rows)):
        vector = feature_vector({name: column[k] for name, column in columns.items()}, 60.0)
        assert np.array_equal(vector, matrix[k], equal_nan=True)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("inf"), "queue_depth is inf, outside"),
        (float("-inf"), "queue_depth is -inf, outside"),
        (-1.0, "queue_depth is -1, outside"),
        (10**400, "queue_depth is inf, outside"),
        ("many", "queue_depth: 'many' is no number"),
        (True, "queue_depth: True is no number"),
        ([44], "queue_depth: .44. is no number"),
    ],
)
def test_a_value_that_no_rack_reports_is_refused(value, said):
    with pytest.raises(InputError, match=said):
        feature_vector(SAMPLE | {"queue_depth": value})


def test_text_that_is_a_number_is_read():
    assert feature_vector(SAMPLE | {"queue_depth": " 44.0 "})[7] == 44.0


def test_a_derived_value_that_no_rack_reports_is_refused_with_its_source():
    sample = {k: v for k, v in SAMPLE.items() if k != "gpu_power_kw"} | {"gpu_energy_j": 383_279_900.0}
    with pytest.raises(InputError, match=r"gpu_power_kw \(from gpu_energy_j\) is 6388, outside 0 to 1000 kW; .* unit"):
        feature_vector(sample, interval_s=60.0)


def test_every_offender_of_a_sample_is_named():
    with pytest.raises(InputError, match="inlet_c: 'warm' is no number; pdu_kw: 'hot' is no number"):
        feature_vector(SAMPLE | {"inlet_c": "warm", "pdu_kw": "hot"})
