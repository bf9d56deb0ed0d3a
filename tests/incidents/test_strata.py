"""Incidents whose number is given: as many whatever the seed, each part of every range drawn from once."""

import json

import numpy as np
import pytest

import sim
from sim.common.errors import InputError
from sim.common.streams import Streams
from sim.incidents.planning import draw_incidents
from sim.incidents.strata import latin_hypercube
from sim.model.facility import build_facility
from sim.scenario.checks import parse_scenario

DAY_S = 86_400
SEEDS = range(12)


def drawn(kinds, seed=1, **rates):
    scenario = parse_scenario(
        {"name": "strata", "duration": "10d", "seed": seed, "incident_rates": {"kinds": kinds, **rates}}, "strata"
    )
    return list(draw_incidents(scenario, build_facility(scenario.facility), Streams(seed)).values())


def part_of(values, low, high, count):
    """Return in which of so many equal parts of a range each value lies, in order."""
    return sorted(np.floor((np.array(values) - low) / (high - low) * count).astype(int).tolist())


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_each_part_of_each_dimension_has_one_point(count):
    points = np.array(list(latin_hypercube(Streams(3), ("some",), count, 4)))
    assert points.shape == (count, 4)
    for dimension in points.T:
        assert sorted((dimension * count).astype(int)) == list(range(count))


def test_dimensions_are_dealt_out_apart_from_each_other():
    """Of independent ranks the correlation's standard error is 1 / sqrt(n - 1)."""
    points = np.array(list(latin_hypercube(Streams(3), ("some",), 400, 3)))
    apart = np.corrcoef(points.T)[np.triu_indices(3, 1)]
    assert np.abs(apart).max() <= 3.5 / 399**0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_every_seed_has_as_many_of_a_kind_spread_over_time_and_severity(seed):
    short = {"law": "fixed", "median": "1m"}  # none meets another, so that none moves on to the next rack
    kinds = {"power_cap": {"count": 24, "severity": [0.2, 0.6], "within": "rack:*", "duration": short}}
    found = drawn(kinds, seed, after="4d")
    assert len(found) == 24
    assert part_of([i.at_s for i in found], 4 * DAY_S, 10 * DAY_S, 24) == list(range(24))
    # severities are told to three digits, so that one may round into the next part
    assert np.abs(np.array(part_of([i.severity for i in found], 0.2, 0.6, 24)) - np.arange(24)).max() <= 1
    assert len({i.assets for i in found}) == 24, "each three racks have one"


def test_durations_take_one_value_from_each_quantile_of_their_law():
    law = {"law": "weibull", "shape": 1.0, "median": "1h", "shortest": "1s", "longest": "9d"}
    found = drawn({"sensor_offset": {"count": 40, "duration": law}})
    chances = [1 - 0.5 ** (i.duration_s / 3600) for i in found]
    assert np.abs(np.array(part_of(chances, 0, 1, 40)) - np.arange(40)).max() <= 1


def test_channels_are_spread_evenly():
    found = drawn({"sensor_offset": {"count": 12, "parameters": {"channel": ["inlet_c", "outlet_c", "pdu_kw"]}}})
    assert {name: [i.channel for i in found].count(name) for name in ("inlet_c", "outlet_c", "pdu_kw")} == {
        "inlet_c": 4,
        "outlet_c": 4,
        "pdu_kw": 4,
    }


def test_what_would_meet_an_earlier_one_of_its_kind_takes_the_next_asset_so_that_none_is_dropped():
    crowded = {"count": 60, "within": "row:*", "duration": {"law": "fixed", "median": "10h"}}
    found = drawn({"row_fan_fault": crowded})
    assert len(found) == 60
    for i, later in enumerate(found):
        for earlier in found[:i]:
            over_s = earlier.at_s + earlier.duration_s + earlier.recovery_s
            assert later.assets != earlier.assets or later.at_s >= over_s


def test_one_kinds_number_moves_no_draw_of_another():
    alone = [(i.at_s, i.assets, i.severity) for i in drawn({"power_cap": {"count": 5}})]
    beside = drawn({"fan_failure": {"count": 30}, "power_cap": {"count": 5}})
    assert [(i.at_s, i.assets, i.severity) for i in beside if i.kind.name == "power_cap"] == alone


def test_no_fault_is_aimed_at_what_is_spared_which_another_seed_draws_otherwise_but_planned_work_is():
    kinds = {
        "row_fan_fault": {"count": 6},
        "setpoint_error": {"count": 4},
        "fan_failure": {"count": 60},
        "planned_maintenance": {"count": 60},
    }
    spared = []
    for seed in SEEDS:
        found = drawn(kinds, seed, spared="random(loop, 1)")
        touched = {int(rack) for i in found if not i.kind.is_normal for rack in i.racks}
        assert len(touched) == 48
        assert len({int(rack) for i in found if i.kind.is_normal for rack in i.racks}) > 48
        spared.append(frozenset(range(72)) - touched)
    assert len({*spared}) == 3


def test_a_fault_holds_no_more_than_its_limit_of_racks_times_duration_and_planned_work_goes_on():
    law = {"law": "fixed", "median": "5h"}
    kinds = {name: {"count": 3, "duration": law} for name in ("setpoint_error", "row_fan_fault", "fan_failure")}
    found = drawn({**kinds, "setpoint_tuning": {"count": 3, "duration": law}}, rack_time_limit="12h")
    lasts_h = {i.kind.name: i.duration_s / 3600 for i in found}
    assert lasts_h == {"setpoint_error": 0.5, "row_fan_fault": 1.0, "fan_failure": 5.0, "setpoint_tuning": 5.0}


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ({"kinds": {"power_cap": {"count": -1}}}, "incident_rates.kinds.power_cap.count"),
        ({"kinds": {"power_cap": {"count": 3, "per_year": 2}}}, "count 3 and per_year 2: give one of them"),
        ({"spared": []}, "incident_rates.spared: the list is empty"),
        ({"spared": "row:Z"}, "incident_rates.spared: 'row:Z' is not in the facility"),
        ({"rack_time_limit": "0s"}, "incident_rates.rack_time_limit: 0s must be between 1 s and"),
        (
            {"kinds": {"chiller_trip": {"count": 1}}, "spared": "row:A"},
            "incident_rates.kinds.chiller_trip.count: 1, but nothing is left that it can affect",
        ),
        (
            {"kinds": {"power_cap": {"count": 1}}, "spared": "random(loop, 3)"},
            "incident_rates.kinds.power_cap.count: 1, but nothing is left that it can affect",
        ),
        ({"kinds": {"power_cap": {"count": 20_000}, "sensor_spike": {"count": 1}}}, "more than 20,000 incidents"),
    ],
)
def test_what_cannot_be_is_told(rates, told):
    with pytest.raises(InputError, match=told.replace("(", "[(]").replace(")", "[)]")):
        drawn(**{"kinds": {}, **rates})


@pytest.mark.parametrize(
    ("kinds", "told"), [({}, 7), ({"power_cap": {"count": 2}}, None), ({"power_cap": {"count": 2}, "pump_trip": {}}, 7)]
)
def test_the_manifest_tells_an_acceleration_only_where_something_is_drawn_at_a_rate(kinds, told, tmp_path):
    scenario = {
        "name": "told",
        "duration": "10m",
        "facility": {"rows": 1, "racks_per_row": 2},
        "incident_rates": {"acceleration": 7, "kinds": kinds},
    }
    (tmp_path / "told.yaml").write_text(json.dumps(scenario))
    sim.run(tmp_path / "told.yaml").write(tmp_path / "told.csv")
    assert json.loads((tmp_path / "told.manifest.json").read_text())["incident_acceleration"] == told
