"""What is wrong with a scenario file is told by its line, in the order of the file."""

import pytest

from sim.common.errors import InputError
from sim.scenario.files import load_scenario, scenario_of
from sim.sweeps.sweep import read_sweep


def problems(read, *args):
    """Return the lines that say what is wrong."""
    with pytest.raises(InputError) as caught:
        read(*args)
    return str(caught.value).split("\n  ")[1:]


def told(tmp_path, text, *settings, **files):
    """Return the places, with their lines, of what is wrong with a scenario; files: others beside it."""
    for name, beside in files.items():
        (tmp_path / f"{name}.yaml").write_text(beside)
    (tmp_path / "mine.yaml").write_text(text)
    found = problems(load_scenario, str(tmp_path / "mine.yaml"), settings)
    return [": ".join(p.split(": ")[: 2 if "line " in p else 1]) for p in found]


TEXT = """\
# a hall
sensors: {noise_scale: -1}
facility:

  racks_per_rov: 3
  rows:
    - A
    - name: B
      racks: x
seeed: 4
tick: soon
"""


def test_every_offender_has_its_line_in_the_order_of_the_file(tmp_path):
    assert told(tmp_path, TEXT) == [
        "line 2: sensors.noise_scale",
        "line 5: facility.racks_per_rov",
        "line 9: facility.rows[1].racks",
        "line 10: seeed",
        "line 11: tick",
    ]


def test_what_is_missing_has_the_line_of_what_lacks_it(tmp_path):
    assert told(tmp_path, "incidents:\n  - kind: pump_trip\n    target: loop:CL-1\n") == ["line 2: incidents[0].at"]


def test_a_key_or_an_element_that_a_check_across_fields_names_has_its_own_line(tmp_path):
    text = "facility:\n  rows: [A, B]\n  loops:\n    - name: CL-1\n      feeds: [A, B,\n              Z]\n"
    assert told(tmp_path, text) == ["line 6: facility.loops[0].feeds"]
    assert told(tmp_path, "occupancy:\n  anytime:\n    siesta: 0.1\n") == ["line 3: occupancy.anytime"]


def test_what_a_file_extends_is_told_by_its_name_behind_the_file_itself(tmp_path):
    beneath = (
        "tick: soon\nincidents:\n  - {kind: pump_trip, target: loop:CL-1}\nfacility: {ups_count: 0, racks_per_row: 0}\n"
    )
    above = "extends: base.yaml\nfacility:\n  ups_count: -1\nsees: 1\n"
    assert told(tmp_path, above, base=beneath) == [
        "line 3: facility.ups_count",
        "line 4: sees",
        "base.yaml, line 1: tick",
        "base.yaml, line 3: incidents[0].at",
        "base.yaml, line 4: facility.racks_per_row",
    ]


def test_a_list_that_replaces_another_has_nothing_of_its_lines(tmp_path):
    beneath = "incidents:\n  - kind: pump_trip\n    target: loop:CL-1\n    at: soon\n"
    text = "extends: base.yaml\nincidents:\n  - {kind: pump_trip, at: 1h}\n"
    assert told(tmp_path, text, base=beneath) == ["line 3: incidents[0].target"]


def test_what_comes_from_the_command_has_no_line(tmp_path):
    assert told(tmp_path, TEXT, "tick=7m7", "facility.rows.1.racks=y", "sensors.noise_scale=-2") == [
        "line 5: facility.racks_per_rov",
        "line 10: seeed",
        "tick",
        "facility.rows[1].racks",
        "sensors.noise_scale",
    ]


def test_keys_given_from_python_have_no_line_and_leave_others_theirs(tmp_path):
    (tmp_path / "mine.yaml").write_text("tick: soon\nfacility:\n  racks_per_row: 0\n  ups_count: 0\n")
    found = problems(scenario_of, tmp_path / "mine.yaml", {"facility": {"ups_count": -1}})
    assert [": ".join(p.split(": ")[:2]) for p in found[:2]] == ["line 1: tick", "line 3: facility.racks_per_row"]
    assert found[2].startswith("facility.ups_count: -1")


def test_an_alias_is_told_where_its_values_stand_and_a_merge_key_as_well(tmp_path):
    text = "profiles:\n  nominal: &n\n    inlet_d: [1, 2]\n  high_load: *n\n  overcooled:\n    <<: *n\n"
    assert told(tmp_path, text) == [
        f"line 3: profiles.{name}.inlet_d" for name in ("nominal", "high_load", "overcooled")
    ]


def test_keys_with_dots_and_numbers_for_keys_are_found(tmp_path):
    text = "facility:\n  rack_types:\n    a.b: {size: big}\nprofiles:\n  5: {}\n"
    assert told(tmp_path, text) == ["line 3: facility.rack_types.a.b.size", "line 5: profiles[5]"]


def test_a_scenario_that_is_not_there_is_told_by_the_line_that_extends_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\nextends: weak\n")
    with pytest.raises(InputError, match=r"line 2: extends: scenario 'weak' is not shipped .* mean 'week'"):
        load_scenario(str(tmp_path / "mine.yaml"))


def test_a_sweep_file_and_the_scenarios_in_it_are_told_by_their_lines(tmp_path):
    (tmp_path / "hall.yaml").write_text("extends: small\ntick: soon\n")
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("scenarios: [small]\nseedz: 4\ngrid:\n  seed: [1]\n")
    assert problems(read_sweep, sweep) == ["line 2: seedz: unknown key; did you mean 'seeds'?"]
    sweep.write_text("scenarios: [small]\ngrid:\n  tick: [1m]\n  seed: [1]\n")
    assert problems(read_sweep, sweep)[0].startswith("line 4: grid.seed: ")
    sweep.write_text("scenarios: [hall.yaml]\n")
    assert problems(read_sweep, sweep)[0].startswith("line 2: tick: 'soon'")


def test_what_set_puts_where_the_file_has_no_key_has_no_line(tmp_path):
    assert told(tmp_path, "facility:\n  racks_per_row: 3\n", "facility.rows=0") == ["facility.rows"]
