"""What commands say to programs: JSON, and what shells complete."""

import json

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from sim.cli.commands import export, generate_training_data, report, run_sim
from sim.cli.explanations import dotted_keys
from sim.cli.summary import timeline
from sim.cli.sweeping import sweep
from sim.common.json_text import json_text
from sim.engine.build import resolve
from sim.incidents.catalogue import CATALOGUE
from sim.scenario.files import scenario_of, shipped_scenarios


def said(*args):
    done = CliRunner().invoke(run_sim, args)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_run_tells_its_files_and_what_they_replaced(tmp_path):
    args = "--scenario", "small", "--duration", "1h", "--output", str(tmp_path / "a.csv"), "--json"
    first, second = said(*args), said(*args)
    assert [name.rpartition("/")[2] for name in first["files"]] == [
        "a.csv", "a.labels.parquet", "a.events.csv", "a.manifest.json",
    ]  # fmt: skip
    assert first["rows"] == first["racks"] * first["ticks"] == 36
    assert first["replaced"] == []
    assert set(second["replaced"]) == set(first["files"])


def test_a_check_tells_what_the_run_would_be():
    assert said("--scenario", "week", "--check", "--json")["rows"] == 72 * 10_080


def test_a_description_is_the_scenario_and_its_incidents():
    told = said("--scenario", "pump_trip", "--describe", "--json")
    assert told["scenario"]["name"] == "pump_trip"
    assert len(told["racks"]) == 72
    assert [line["kind"] for line in told["incidents"]] == ["pump_trip"]


def test_training_sets_and_exports_tell_what_they_wrote(tmp_path):
    output = tmp_path / "main.csv"
    args = ["--output", str(output), "--duration", "26", "--tick", "600", "--json"]
    [made] = json.loads(CliRunner().invoke(generate_training_data, args).stdout)
    assert made["files"][0] == str(output)
    args = ["--to", "nab", "--input", str(output), "--output", str(tmp_path / "nab"), "--racks", "R-C-07", "--json"]
    told = json.loads(CliRunner().invoke(export, args).stdout)
    assert (told["format"], [of["rack_id"] for of in told["series"]]) == ("nab", ["R-C-07"])


def test_lists_hold_every_scenario_and_kind():
    assert [of["scenario"] for of in said("--list", "--json")] == list(shipped_scenarios())
    assert [of["kind"] for of in said("--json", "--incidents")] == list(CATALOGUE)
    told = said("--explain", "pump_trip", "--json")
    assert (told["kind"], told["group"]) == ("pump_trip", "cooling")
    assert any(fact.startswith("target: ") for fact in told["facts"])


def test_the_timeline_is_in_order_of_the_sites_clock_with_consequences_under_their_cause():
    causes = [{"kind": "gpu_throttle", "target": "row:C", "after": "8m", "probability": 0.5, "duration": "30m"}]
    incidents = [
        {"id": "late", "kind": "fan_failure", "target": "rack:R-A-01", "at": "3h"},
        {"id": "early", "kind": "pump_trip", "target": "loop:CL-2", "at": "1h", "causes": causes},
    ]
    lines = timeline(resolve(scenario_of("calm", {"utc_offset": 2, "incidents": incidents})))
    assert [(line["at"], line["depth"], line["id"]) for line in lines] == [
        ("2025-01-06 11:00:00", 0, "early"),  # 08:00 UTC is 10:00 there
        ("2025-01-06 11:08:00", 1, "early.gpu_throttle"),
        ("2025-01-06 13:00:00", 0, "late"),
    ]
    assert (lines[1]["after_s"], lines[1]["probability"]) == (480, 0.5)


@pytest.mark.parametrize(
    ("option", "begun", "one"),
    [
        ("--scenario", "pump_t", "pump_trip"),
        ("--explain", "sensor_st", "sensor_stuck"),
        ("--set", "facility.out", "facility.outdoor_c="),
        ("--labels", "jo", "join"),
    ],
)
def test_a_shell_completes_values(option, begun, one):
    found = ShellComplete(run_sim, {}, "skadi-sim", "_SKADI_SIM_COMPLETE").get_completions([option], begun)
    assert one in [item.value for item in found]


def test_a_scenario_that_is_not_shipped_is_completed_as_a_file():
    [item] = ShellComplete(run_sim, {}, "skadi-sim", "_SKADI_SIM_COMPLETE").get_completions(["--scenario"], "halls/my")
    assert (item.type, item.value) == ("file", "halls/my")


def test_keys_that_are_completed_are_keys():
    assert {"seed", "facility.rows", "occupancy.anytime", "sensors.noise_scale"} <= set(dotted_keys())


def test_reports_and_cards_tell_what_they_wrote(tmp_path):
    args = "--scenario", "small", "--duration", "1h", "--output", str(tmp_path / "a.csv"), "--report", "--card"
    made = said(*args, "--json")
    assert made["report"] == str(tmp_path / "a.report.html")
    card = [str(tmp_path / name) for name in ("a.card.md", "a.croissant.json")]
    assert made["card"] == card
    told = [
        json.loads(CliRunner().invoke(report, [str(tmp_path / "a.csv"), *more, "--json"]).stdout)
        for more in ([], ["--card"])
    ]
    assert told[0] == {"report": made["report"], "bytes": (tmp_path / "a.report.html").stat().st_size}
    assert told[1] == {"card": card}


def test_a_sweep_tells_its_plan_and_what_became_of_it(tmp_path):
    short = "--scenario", "small", "--seeds", "2", "--set", "duration=1h", "--output", str(tmp_path / "fleet"), "--json"
    plan = json.loads(CliRunner().invoke(sweep, [*short, "--plan"]).stdout)
    assert plan["complete"] == 0
    assert [run["rows"] for run in plan["runs"]] == [36, 36]
    assert all(run["bytes"] > 0 and run["seconds"] > 0 for run in plan["runs"])
    told = json.loads(CliRunner().invoke(sweep, [*short, "--workers", "1"]).stdout)
    assert (told["runs"], told["complete"], told["computed"], told["failed"], told["rows"]) == (2, 2, 2, [], 72)
    assert told["index"] == str(tmp_path / "fleet" / "runs.parquet")
    done = json.loads(CliRunner().invoke(sweep, [*short, "--resume"]).stdout)
    assert (done["complete"], done["computed"], done["bytes"]) == (2, 0, told["bytes"])


def test_figures_that_are_no_numbers_are_null():
    assert json.loads(json_text({"a": [float("nan"), float("inf"), 1.5], "b": ("x", None)})) == {
        "a": [None, None, 1.5],
        "b": ["x", None],
    }


@pytest.mark.parametrize(
    ("command", "name"),
    [(run_sim, "skadi-sim"), (export, "skadi-export"), (report, "skadi-report"), (sweep, "skadi-sweep")],
)
def test_examples_of_an_installed_command_call_it_by_its_name(command, name):
    told = CliRunner().invoke(command, ["--help"], prog_name=name).stdout
    assert f"  {name} " in told
    assert "python" not in told
    assert "  python " in CliRunner().invoke(command, ["--help"], prog_name="python -m it").stdout
