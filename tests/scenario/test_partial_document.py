"""What is broken in a scenario hides nothing that is wrong with the rest, and puts no blame on it."""

import pytest

from sim.common.errors import InputError
from sim.scenario.checks import parse_scenario

ROWS = ["A", "B", "C", "D", "E", "F"]


def problems(**data):
    """Return the lines that say what is wrong with a scenario."""
    with pytest.raises(InputError) as caught:
        parse_scenario({"name": "hall", **data}, "hall.yaml")
    return str(caught.value).split("\n  ")[1:]


@pytest.mark.parametrize(
    ("broken", "also"),
    [
        (
            {"facility": {"supply_water_c": "cold", "loops": [{"name": "CL-1", "feeds": ROWS[:5]}]}},
            ["facility.loops: no loop feeds row 'F'"],
        ),
        (
            {"facility": {"rows": ["A", {"name": "B", "racks": "x"}, {"name": "C", "rack_type": "dense"}]}},
            ["facility.rows[2].rack_type: 'dense' is not among the rack types (dlc, standard)"],
        ),
        (
            {"facility": {"rows": [5, "A", {"name": "C", "rack_type": "dense"}, "A"]}},
            [
                "facility.rows: row 'A' is named twice",
                "facility.rows[2].rack_type: 'dense' is not among the rack types (dlc, standard)",
            ],
        ),
        (
            {"facility": {"loops": [{"name": "CL-1"}, {"name": "CL-2", "feeds": "A"}, {"name": "S1", "feeds": ROWS}]}},
            [],
        ),
        (
            {"profiles": {"nominal": {"inlet_c": ["x", 24], "outlet_c": [38, 33]}}},
            ["profiles.nominal.outlet_c: [38, 33]: the low end must be below the high end"],
        ),
        (
            {"occupancy": {"row_share": "x", "business": {"high_load": 0.8, "siesta": 0.3}, "rows": {"Z": {}}}},
            ["occupancy.business: 'siesta'", "occupancy: in business", "occupancy.rows: 'Z' is not a row"],
        ),
        (
            {"dwell": {"law": "gamma", "mean": {"thermal_event": "5s"}}},
            ["dwell.mean.thermal_event: 5s must be between 30 s and 30 d"],
        ),
        ({"tick": "soon", "duration": -5}, ["duration: -5s must be longer than 0 s"]),
        ({"demand": {"tokens": "some", "bin": "2h"}}, ["demand.bin: 2h must be between 1 s and 1 h"]),
        ({"sensors": {"noise_scale": -1, "noise": {"delta_t": 0.1}}}, ["sensors.noise: 'delta_t'"]),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_a_broken_part_of_a_section_does_not_hide_what_is_wrong_with_the_rest(broken, also):
    lines = problems(**broken)
    assert all(any(line.startswith(start) for line in lines) for start in also), lines


@pytest.mark.parametrize(
    "broken",
    [
        {"duration": "soon", "tick": "7m"},
        {"facility": {"rows": ["A", 5], "loops": [{"name": "CL-1", "feeds": ["A", "B"]}]}},
        {"facility": {"rows": 20_000, "racks_per_row": "1"}},
        {"facility": {"rows": "six", "loops": [{"name": "CL-1", "feeds": ["X"]}]}, "occupancy": {"rows": {"X": {}}}},
        {"facility": {"rows": ["A"], "loops": [{"name": "CL-1", "feeds": 5}]}},
        {"facility": {"rows": [{"name": "A", "rack_type": "wide"}], "rack_types": {"wide": {"size": "big"}}}},
        {"profiles": {"siesta": 5}, "occupancy": {"anytime": {"siesta": 0.1}}, "dwell": {"mean": {"siesta": "1h"}}},
        {"profiles": {"siesta": {"inlet_c": {"low": "x", "high": 24}}}, "occupancy": {"anytime": {"siesta": 0.1}}},
        {"occupancy": {"anytime": {"thermal_event": "x", "overcooled": 0.96}}},
        {"occupancy": {"row_share": 0.9, "participation": 5}},
        {"demand": {"source": 5, "file": "azure.csv"}},
    ],
)
def test_a_broken_part_is_the_only_offender_where_the_rest_may_be_right_without_it(broken):
    assert len(problems(**broken)) == 1


@pytest.mark.parametrize(("pair", "wrong"), [([None, None], [0, 1]), ([None, 0.5], [0]), ([0.5, None], [1])])
def test_what_a_pair_lacks_after_a_broken_end_was_dropped_is_no_further_problem(pair, wrong):
    lines = problems(incident_rates={"kinds": {"added_ai_nodes": {"severity": pair}}})
    places = [line.split(": ")[0] for line in lines]
    assert places == [f"incident_rates.kinds.added_ai_nodes.severity[{i}]" for i in wrong]
