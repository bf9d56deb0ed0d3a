"""Whatever is wrong with a scenario is said at once: the place, the value, and what would be right."""

import pytest

from sim.common.errors import InputError
from sim.model.facility import build_facility
from sim.scenario.checks import parse_scenario

ROWS = ["A", "B", "C", "D", "E", "F"]


def problems(**data):
    """Return the lines that say what is wrong with a scenario."""
    with pytest.raises(InputError) as caught:
        parse_scenario({"name": "hall", **data}, "hall.yaml")
    first, *lines = str(caught.value).split("\n  ")
    assert first == f"hall.yaml: {len(lines)} problem{'s' * (len(lines) != 1)}"
    return lines


def facility(**spec):
    return problems(facility=spec)


def test_a_scenario_needs_no_more_than_a_name():
    assert parse_scenario({"name": "hall"}, "hall.yaml").tick_count == 10_080


def test_a_scenario_without_a_name_is_refused():
    with pytest.raises(InputError, match="name: is missing"):
        parse_scenario({}, "hall.yaml")


@pytest.mark.parametrize("data", [None, 5, "hall", ["name"]])
def test_what_is_no_mapping_is_refused(data):
    with pytest.raises(InputError, match="a scenario is a mapping of keys to values, not"):
        parse_scenario(data, "hall.yaml")


@pytest.mark.parametrize("key", [1, None, True, (1, 2)])
def test_a_key_that_is_no_text_is_refused(key):
    with pytest.raises(InputError, match="a key is text"):
        parse_scenario({key: 1, "name": "hall"}, "hall.yaml")


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"colour": "red"}, "colour"),
        ({"facility": {"height": 2}}, "facility.height"),
        ({"facility": {"rows": [{"name": "A", "width": 3}]}}, "facility.rows[0].width"),
        ({"profiles": {"nominal": {"inlet_c": {"low": 21, "high": 24, "mean": 22}}}}, "profiles.nominal.inlet_c.mean"),
        ({"a[0]": 1}, "a[0]"),
    ],
)
def test_an_unknown_key_is_named_with_its_place(data, place):
    assert problems(**data) == [f"{place}: unknown key"]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"facility": [1]}, "facility: [1]: must be a mapping of keys to values"),
        ({"facility": {"rows": "six"}}, "facility.rows: 'six': must be a valid integer"),
        ({"facility": {"rows": 6.5}}, "facility.rows: 6.5: must be a valid integer"),
        ({"facility": {"rows": True}}, "facility.rows: True: must be a valid integer"),
        ({"facility": {"rows": [7]}}, "facility.rows[0]: 7: must be a mapping of keys to values"),
        ({"facility": {"racks_per_row": "12"}}, "facility.racks_per_row: '12': must be a valid integer"),
        ({"facility": {"loops": "three"}}, "facility.loops: 'three': must be a valid integer"),
        ({"occupancy": {"anytime": 0.5}}, "occupancy.anytime: 0.5: must be a mapping of keys to values"),
        ({"occupancy": {"rows": {"C": 5}}}, "occupancy.rows.C: 5: must be a mapping of keys to values"),
        ({"profiles": {"nominal": {"inlet_c": [1]}}}, "profiles.nominal.inlet_c: [1]: a range is [low, high]"),
        ({"description": 5}, "description: 5: must be a valid string"),
        ({"utc_offset": 99}, "utc_offset: 99: must be less than or equal to 14"),
        ({"name": "a b"}, "name: 'a b': must be a name of letters, digits and . _ -, with a letter or digit first"),
        ({"dwell": {"law": "gamma"}}, "dwell.law: 'gamma': must be 'exponential', 'lognormal' or 'weibull'"),
    ],
)
def test_a_wrong_type_is_named_with_its_place_and_what_would_be_right(data, line):
    assert problems(**data) == [line]


@pytest.mark.parametrize("seed", [1.5, "42", True, None, [1], -1, 2**63])
def test_a_seed_is_a_whole_number_of_63_bits(seed):
    (line,) = problems(seed=seed)
    assert line.startswith("seed: ")
    assert "must be" in line


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused_everywhere(number):
    lines = problems(
        duration=number,
        utc_offset=number,
        facility={"supply_water_c": number},
        profiles={"nominal": {"inlet_c": [number, 24]}},
        occupancy={"anytime": {"thermal_event": number}},
        sensors={"noise_scale": number},
    )
    assert len(lines) == 6
    assert all("must be" in line for line in lines)


@pytest.mark.parametrize(
    ("clock", "line"),
    [
        ({"duration": -5}, "duration: -5s must be longer than 0 s"),
        ({"duration": 0}, "duration: 0s must be longer than 0 s"),
        ({"tick": "0s"}, "tick: 0s must be longer than 0 s"),
        ({"tick": 0.5, "duration": 60}, "tick: 0.5 s must be a whole number of seconds"),
        ({"tick": "2h", "duration": "1d"}, "tick: 2h is longer than the longest tick, 1h"),
        ({"tick": "7m", "duration": "1h"}, "tick: 7m does not divide the duration 1h"),
        ({"tick": "1h", "duration": "30m"}, "tick: 1h does not divide the duration 30m"),
        (
            {"tick": 1, "duration": "1000d"},
            "duration: 8.64e+07 ticks are more than 50,000,000; shorten it or lengthen the tick",
        ),
        ({"duration": "soon"}, "duration: 'soon': a duration is a number of seconds or text like 90m or 2d14h"),
        ({"start": "now"}, "start: 'now': an instant is ISO 8601 text like 2025-01-06T00:00:00Z"),
    ],
)
def test_a_clock_that_cannot_run_is_refused(clock, line):
    assert problems(**clock) == [line]


def test_a_tick_longer_than_the_run_and_a_negative_one_are_both_told():
    assert problems(duration=-60, tick=-60) == [
        "duration: -1m must be longer than 0 s",
        "tick: -1m must be longer than 0 s",
    ]


def test_a_loop_that_feeds_nothing_is_refused():
    lines = facility(loops=[{"name": "CL-1", "feeds": ROWS}, {"name": "CL-2", "feeds": []}])
    assert lines == ["facility.loops[1].feeds: loop 'CL-2' feeds nothing; name the rows it cools"]


def test_a_row_that_no_loop_feeds_is_refused():
    assert facility(loops=[{"name": "CL-1", "feeds": ROWS[:5]}]) == ["facility.loops: no loop feeds row 'F'"]


def test_a_row_that_two_loops_feed_is_refused():
    lines = facility(loops=[{"name": "CL-1", "feeds": ROWS}, {"name": "CL-2", "feeds": ["C"]}])
    assert lines == ["facility.loops[1].feeds: row 'C' is fed by CL-1 already; one loop feeds a row"]


def test_a_loop_that_feeds_an_unknown_row_is_refused_with_the_rows_there_are():
    lines = facility(loops=[{"name": "CL-1", "feeds": [*ROWS, "Z"]}])
    assert lines == ["facility.loops[0].feeds: 'Z' is not a row of the hall (rows: A, B, C, D, E, F)"]


def test_an_empty_list_of_loops_is_refused():
    assert facility(loops=[]) == ["facility.loops: the list is empty; at least one loop must feed the rows"]


def test_duplicate_names_of_rows_and_of_loops_are_refused():
    loops = [{"name": "CL-1", "feeds": ["A"]}, {"name": "CL-1", "feeds": ["B"]}]
    assert facility(rows=["A", "B", "A"], loops=loops) == [
        "facility.rows: row 'A' is named twice",
        "facility.loops: loop 'CL-1' is named twice",
    ]


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("UPS-1", "a UPS"),
        ("PDU-C", "a PDU"),
        ("R-C-07", "a rack"),
        ("CH-1", "the chiller plant"),
        ("S1", "site"),
        ("H1", "hall"),
    ],
)
def test_a_loop_may_not_have_the_name_of_another_asset(name, whose):
    (line,) = facility(loops=[{"name": name, "feeds": ROWS}])
    assert line == f"facility.loops[0].name: {name!r} is the name of {whose} as well; choose another"


def test_site_and_hall_may_not_share_a_name():
    (line,) = facility(site="X", hall="X")
    assert line == "facility.hall: 'X' is the name of site as well; choose another"


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ({"rows": 0}, "facility.rows: 0: must be greater than or equal to 1"),
        ({"rows": []}, "facility.rows: 0 rows; a hall has 1 to 100,000 racks"),
        ({"racks_per_row": 0}, "facility.racks_per_row: 0: must be greater than or equal to 1"),
        ({"racks_per_row": -3}, "facility.racks_per_row: -3: must be greater than or equal to 1"),
        ({"rows": 100_001}, "facility.rows: 100001 rows; a hall has 1 to 100,000 racks"),
        ({"rows": 2500, "racks_per_row": 41}, "facility: 102,500 racks are more than 100,000; split the site into"),
        ({"racks_per_row": 10**9}, "facility.racks_per_row: 1000000000: must be less than or equal to 1000000"),
    ],
)
def test_an_empty_and_a_huge_facility_are_refused(spec, line):
    (found,) = facility(**spec)
    assert found.startswith(line)


def test_a_number_of_thousands_of_digits_is_refused_by_its_size():
    lines = problems(seed=10**6000, facility={"racks_per_row": 10**6000})
    assert [line.split(": ")[:2] for line in lines] == [
        ["seed", "a number of 19932 bits"],
        ["facility.racks_per_row", "a number of 19932 bits"],
    ]


def test_the_largest_hall_is_accepted():
    assert parse_scenario({"name": "hall", "facility": {"rows": 100_000, "racks_per_row": 1}}, "hall.yaml")


def test_a_rack_type_that_is_not_described_is_refused_with_those_that_are():
    lines = facility(rows=[{"name": "A", "rack_type": "dense"}], rack_types={"wide": {"size": 2}})
    assert lines == ["facility.rows[0].rack_type: 'dense' is not among the rack types (dlc, standard, wide)"]


def test_shares_over_100_percent_are_refused_for_every_hour_and_row_they_overfill():
    lines = problems(occupancy={"anytime": {"thermal_event": 0.9, "overcooled": 0.2}})
    rack_variation = [line.split(" the shares")[0] for line in lines]
    assert rack_variation == [
        f"{where}: in {hours}" for where in ("occupancy", "occupancy.rows.E") for hours in ("business", "off_hours")
    ]  # row C's own 8 % takes the place of the 90 %
    assert "110 % of all time" in lines[0]
    assert "at least 1 % must be left for nominal" in lines[0]


def test_shares_of_the_rest_over_100_percent_are_refused_in_their_hours_only():
    lines = problems(occupancy={"business": {"high_load": 0.8, "under_utilized": 0.3}, "rows": {"C": {}, "E": {}}})
    assert all("in business" in line and "110 % of the rest" in line for line in lines)


def test_a_share_for_nominal_is_refused_because_it_is_what_the_others_leave():
    (line,) = problems(occupancy={"anytime": {"nominal": 0.5}})
    assert line == "occupancy.anytime.nominal: nominal is what the others leave; do not give it a share"


def test_shares_for_unknown_profiles_and_rows_are_refused_with_those_there_are():
    lines = problems(occupancy={"business": {"siesta": 0.1}, "rows": {"Z": {"overcooled": 0.1}}})
    assert lines == [
        "occupancy.business: 'siesta' is not a profile "
        "(profiles: high_load, nominal, overcooled, thermal_event, under_utilized)",
        "occupancy.rows: 'Z' is not a row of the hall (rows: A, B, C, D, E, F)",
    ]


def test_rows_and_loops_may_not_bring_more_than_the_whole_of_a_share():
    (line,) = problems(occupancy={"row_share": 0.9, "loop_share": 0.5})
    assert line.startswith("occupancy.row_share: with row_share 0.9, loop_share 0.5 and participation 0.8, rows and")
    assert line.endswith("bring 112 % of each share; at most 100 %")
    assert parse_scenario({"name": "hall", "occupancy": {"row_share": 0.75, "loop_share": 0.5}}, "hall.yaml")


def test_a_range_upside_down_and_a_typical_value_outside_are_refused():
    nominal = {"inlet_c": [24, 21], "outlet_c": [33, 33], "pdu_kw": {"low": 6, "high": 10, "typical": 11}}
    assert problems(profiles={"nominal": nominal}) == [
        "profiles.nominal.inlet_c: [24, 21]: the low end must be below the high end",
        "profiles.nominal.outlet_c: [33, 33]: the low end must be below the high end",
        "profiles.nominal.pdu_kw.typical: 11 is outside [6, 10]",
    ]


def test_a_range_beyond_what_any_rack_could_show_is_refused_with_the_limits():
    nominal = {"inlet_c": [-1e300, 24], "pdu_kw": [-1, 10], "fan_rpm_pct": [85, 105], "outlet_c": [33, 1000]}
    assert problems(profiles={"nominal": nominal}) == [
        "profiles.nominal.inlet_c: [-1e+300, 24] is not within -10 to 60 degC",
        "profiles.nominal.pdu_kw: [-1, 10] is not within 0.5 to 60 kW",
        "profiles.nominal.fan_rpm_pct: [85, 105] is not within 0 to 100 %",
        "profiles.nominal.outlet_c: [33, 1000] is not within -10 to 90 degC",
    ]


def test_a_channel_that_profiles_do_not_state_is_refused_with_those_they_do():
    (line,) = problems(profiles={"nominal": {"delta_t": [8, 18]}})
    assert line.startswith("profiles.nominal.delta_t: ")
    assert "'inlet_c', 'outlet_c', 'pdu_kw'" in line


def test_a_dwell_that_no_chain_can_keep_is_refused():
    lines = problems(dwell={"mean": {"thermal_event": -5, "siesta": "1h", "overcooled": "31d"}})
    assert sorted(lines) == [
        "dwell.mean.overcooled: 31d must be between 30 s and 30 d",
        "dwell.mean.thermal_event: -5s must be between 30 s and 30 d",
        "dwell.mean: 'siesta' is not a profile one can leave "
        "(profiles: high_load, overcooled, thermal_event, under_utilized)",
    ]


def test_a_trace_without_a_file_and_a_file_without_a_trace_are_refused():
    assert problems(demand={"source": "trace"})[0].startswith("demand.file: is missing")
    assert problems(demand={"file": "azure.csv"})[0].startswith("demand.file: is given, but")


def test_noise_for_a_channel_without_a_sensor_is_refused():
    (line,) = problems(sensors={"noise": {"delta_t": 0.1}})
    assert line.startswith("sensors.noise: 'delta_t' has no sensor of its own (sensors: inlet_c, outlet_c,")


def test_noise_that_no_file_could_hold_is_refused():
    assert problems(sensors={"noise": {"inlet_c": 1e300}}) == [
        "sensors.noise.inlet_c: 1e+300: must be less than or equal to 1000"
    ]


def test_all_offenders_are_told_at_once():
    lines = problems(
        colour="red",
        duration=-5,
        seed="x",
        facility={"height": 2, "rows": [], "loops": []},
        occupancy={"anytime": {"thermal_event": 1.5}},
        profiles={"nominal": {"inlet_c": [24, 21]}},
        dwell={"mean": {"siesta": "1h"}},
        demand={"source": "trace"},
        sensors={"noise": {"delta_t": 0.1}},
    )
    rack_variation = {line.split(":")[0] for line in lines}
    assert rack_variation == {
        *("colour", "duration", "seed", "facility.height", "facility.rows", "occupancy.anytime.thermal_event"),
        *("profiles.nominal.inlet_c", "dwell.mean", "demand.file", "sensors.noise"),
    }


def test_what_is_given_is_not_changed_by_being_checked():
    data = {"name": "hall", "colour": "red", "facility": {"rows": [{"name": "A", "width": 3}]}}
    with pytest.raises(InputError):
        parse_scenario(data, "hall.yaml")
    assert data == {"name": "hall", "colour": "red", "facility": {"rows": [{"name": "A", "width": 3}]}}


def test_a_value_nested_without_end_or_a_million_wide_is_shown_in_one_line():
    circle, deep, wide = [], [], [1] * 10
    circle.append(circle)
    for _ in range(5000):
        deep = [deep]
    for _ in range(12):
        wide = [wide] * 10
    for value in (circle, deep, wide, "x" * 10**6, {i: i for i in range(10**4)}):
        (line,) = problems(seed=value)
        assert len(line) < 150


def test_of_thousands_of_offenders_the_first_are_named_with_their_place_and_all_are_counted():
    with pytest.raises(InputError) as caught:
        parse_scenario({"name": "hall", "facility": {"rows": [5] * 3000}}, "hall.yaml")
    first, *lines, last = str(caught.value).split("\n  ")
    assert first == "hall.yaml: 3,000 problems"
    assert last == f"and {3000 - len(lines):,} more"
    for i, line in enumerate(lines):
        assert line.startswith(f"facility.rows[{i}]: 5: ")


def test_loops_may_be_counted_up_to_the_rows_there_are():
    hall = {"name": "hall", "facility": {"rows": 6, "loops": 5}}
    assert build_facility(parse_scenario(hall, "hall.yaml").facility).loops == ("CL-1", "CL-2", "CL-3", "CL-4", "CL-5")
    [line] = problems(facility={"rows": 6, "loops": 7})
    assert line == "facility.loops: 7 loops are more than the rows, 6; a loop feeds one at least"


def test_names_are_explained_in_words_and_not_by_patterns():
    lines = problems(facility={"site": "a b"}, profiles={"Fine": {}})
    assert sorted(lines) == [
        "facility.site: 'a b': must be a name of letters, digits and . _ -, with a letter or digit first",
        "profiles.Fine: 'Fine': must be a name of small letters, digits and _, with a letter first",
    ]
