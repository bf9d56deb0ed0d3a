"""Documents made to cost time or memory: each is told in a few lines, and its reading is linear in its size."""

import pytest

from sim.cli.commands import run_sim
from sim.common.errors import InputError
from sim.scenario.checks import parse_scenario
from sim.scenario.files import load_scenario, parse_yaml


def refused(data):
    with pytest.raises(InputError) as caught:
        parse_scenario({"name": "x", **data}, "x.yaml")
    return str(caught.value)


@pytest.mark.parametrize("entry", [1, {"a": 1}, {"kind": "nope", "at": 1}], ids=str)
def test_of_thousands_of_problems_the_first_twenty_are_told_and_how_many_more_there_are(entry):
    said = refused({"incidents": [entry] * 9000}).splitlines()
    assert len(said) == 22
    assert said[1].startswith("  incidents[0]")
    assert said[-1].endswith(" more")


def test_problems_are_told_at_their_place_in_the_file_after_others_were_dropped():
    incidents = [1, {"kind": "nope", "at": 1}, 2, {"kind": "pump_trip", "at": "1h", "target": "loop:CL-9"}, 3]
    said = refused({"incidents": incidents})
    for place in (
        "incidents[0]: 1:",
        "incidents[1].kind: 'nope'",
        "incidents[2]: 2:",
        "incidents[3].target: 'loop:CL-9'",
    ):
        assert place in said


def test_merge_keys_that_explode_are_refused_before_they_are_written_out():
    lines = ["k0: &k0 {a: 1, b: 2, c: 3}"]
    lines += [f"k{i}: &k{i}\n  <<: [{', '.join([f'*k{i - 1}'] * 9)}]\n  z{i}: 1" for i in range(1, 13)]
    with pytest.raises(InputError, match="write out to more than 100,000 values"):
        parse_yaml("\n".join(lines))
    assert parse_yaml("a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n") == {"a": {"x": 1}, "b": {"x": 1, "y": 2}}


def test_an_anchor_may_be_used_again_and_an_alias_is_of_the_one_before_it():
    assert parse_yaml("[&a 1, *a, &a 2, *a]") == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "text", ["%YAML 1.3\n---\na: 1\n", "!!int ''", "a: 2025-13-45", "a: &a [*a]", "{" * 5000, "a: !!set 1"]
)
def test_yaml_that_no_scenario_can_be_is_one_message(text):
    with pytest.raises(InputError):
        parse_yaml(text)


def all_to_all(count, **trigger):
    names = [f"i{k}" for k in range(count)]
    target = {"kind": "fan_failure", "target": "rack:R-A-01", "at": "1h"}
    return [{**target, "id": n, "causes": [{"incident": m, **trigger} for m in names if m != n]} for n in names]


def test_of_incidents_that_all_set_each_other_off_one_circle_is_named():
    said = refused({"incidents": all_to_all(12)})
    assert said.count("without delay") == 1
    assert "1 problem\n" in said


def test_a_circle_that_surely_turns_for_ever_is_refused_when_it_is_read():
    again = {"kind": "fan_failure", "target": "rack:R-A-01", "at": "1h", "duration": "1s", "id": "again"}
    said = refused({"duration": "7d", "incidents": [{**again, "causes": [{"incident": "again", "after": "2s"}]}]})
    assert "incidents: again -> again: set each other off every 2s, 302,400 times in the run; at most 20,000" in said


def test_one_that_holds_its_asset_until_it_would_begin_again_is_no_circle():
    again = {"kind": "fan_failure", "target": "rack:R-A-01", "at": "1h", "duration": "1h", "id": "again"}
    entry = {**again, "causes": [{"incident": "again", "after": "2s"}]}
    assert len(parse_scenario({"name": "x", "incidents": [entry]}, "x").incidents) == 1


def test_a_circle_that_perhaps_turns_for_ever_ends_the_run_cleanly(tmp_path, capsys):
    path = tmp_path / "loop.yaml"
    path.write_text(
        "extends: small\ntick: 1h\nduration: 2d\nincidents:\n"
        "- {id: a, kind: sensor_spike, target: 'rack:R-A-01', at: 1s, duration: 1s, recovery: 0, causes: "
        "[{incident: a, after: 2s, probability: 0.9999}, {incident: a, after: 3s, probability: 0.9999}]}\n"
    )
    with pytest.raises(SystemExit) as ended:
        run_sim(["--scenario", str(path), "--quiet", "--output", f"{tmp_path}/out/"], standalone_mode=False)
    assert ended.value.code == 2
    assert "20,000 have begun" in capsys.readouterr().err
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file() and not p.name.startswith(".")]


def test_overlaps_of_thousands_that_hold_all_racks_are_found_by_asset():
    trips = [{"kind": "breaker_trip", "target": "rack:*", "at": f"{k}m", "duration": "1m"} for k in range(1500)]
    parse_scenario({"name": "x", "duration": "3d", "incidents": trips}, "x")
    trips[700]["duration"] = "90s"
    said = refused({"duration": "3d", "incidents": trips})
    assert "incidents[701]: a breaker_trip of R-A-01, " in said
    assert "and 60 more while incidents[700] still holds it" in said


def test_noise_beyond_any_sensor_is_refused_and_the_most_that_is_not_runs(tmp_path):
    said = refused({"sensors": {"noise_scale": 100, "noise": {"inlet_c": 1000}}})
    assert "sensors.noise.inlet_c: 1000 times noise_scale 100 is more than 55 degC; no sensor is that bad" in said
    args = ["--scenario", "small", "--set", "sensors.noise_scale=100", "--quiet", "--output", f"{tmp_path}/"]
    run_sim(args, standalone_mode=False)
    assert (tmp_path / "small.csv").is_file()


def test_keys_are_shown_without_control_characters_and_short():
    said = refused({"a\x1b[31mb": 1, "z" * 5000: 2})
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) < 120


LONG = "x" * 5000
BAD_NAMES = [LONG, f"{LONG}.yaml", "a\0b", "a\0b.yaml", "/".join(["x"] * 3000)]


@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_a_name_that_no_file_can_have_is_one_message(tmp_path, name):
    with pytest.raises(InputError):
        load_scenario(name)
    base = tmp_path / "base.yaml"
    base.write_text(f'extends: "{name}"\n'.replace("\0", "\\0"))
    with pytest.raises(InputError):
        load_scenario(str(base))


@pytest.mark.parametrize("option", ["--output", "--set"])
@pytest.mark.parametrize("name", BAD_NAMES, ids=range(len(BAD_NAMES)))
def test_an_output_or_a_trace_of_such_a_name_is_one_message(option, name, capsys):
    value = name if option == "--output" else f"demand={{source: trace, file: {name!r}}}"
    with pytest.raises(SystemExit) as ended:
        run_sim(["--scenario", "small", "--quiet", option, value], standalone_mode=False)
    assert ended.value.code in (1, 2)
    assert "Traceback" not in capsys.readouterr().err
