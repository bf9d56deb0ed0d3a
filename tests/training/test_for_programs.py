"""What the commands of the monitors say to programs: one JSON object on standard output, and nothing else there."""

import json

import pytest
from click.testing import CliRunner

import sim
from training import load
from training.evaluate import main as evaluate_command
from training.explain import main as explain_command
from training.score import main as score_command
from training.train_ims import main as train_command


def said(command, *args):
    done = CliRunner().invoke(command, [*map(str, args), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_training_tells_the_model_its_thresholds_and_its_card(hall_csv, tmp_path):
    told = said(train_command, "--data", hall_csv, "--n-clusters", 5, "--output", tmp_path / "m.json")
    model = load(tmp_path / "m.json")
    assert (told["model"], told["clusters"]) == (str(tmp_path / "m.json"), len(model.lo))
    assert (told["tau_fast"], told["tau_persist"]) == pytest.approx((model.tau_fast, model.tau_persist))
    assert told["rows_in"] == told["rows_nominal"] + sum(told["rows_removed"].values())


def test_scoring_tells_rows_levels_states_and_files(hall_csv, model_json, tmp_path):
    output = tmp_path / "s.csv"
    told = said(score_command, "--model", model_json, "--data", hall_csv, "--output", output)
    assert told["files"] == [{"data": str(hall_csv), "scores": str(output)}]
    assert told["rows"] == sum(told["levels"].values()) == sum(told["mms_states"].values()) == 7200
    assert told["rows"] == len(output.read_text().splitlines()) - 1


def test_an_explanation_tells_causes_as_the_text_does(hall_csv, model_json):
    args = "--model", model_json, "--data", hall_csv, "--row", 4000
    told = said(explain_command, *args)
    text = CliRunner().invoke(explain_command, [*map(str, args)]).stdout
    assert text.startswith(f"deviation {told['deviation']:.4f}: {told['level']} (")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("  ")] == [
        cause["feature"] for cause in told["causes"]
    ]
    assert set(told["groups"]) <= {word.rstrip(",") for word in text.split()}


def test_an_evaluation_tells_the_rows_of_its_files_with_null_for_what_is_unknown(hall_csv, model_json, tmp_path):
    output = tmp_path / "e"
    args = "--data", hall_csv, "--models", model_json, "--against", "random", "--seeds", 2, "--output", output
    told = said(evaluate_command, *args)
    assert [(row["detector"], row["seed"]) for row in told["detectors"]] == [
        ("ims_hall", 42), ("random", 0), ("random", 1), ("largest-z", 0), ("largest-z", 1),
    ]  # fmt: skip
    assert told["files"] == [f"{output}{end}" for end in (".html", ".csv", "_profiles.csv")]
    assert len(told["profiles"]) == len((tmp_path / "e_profiles.csv").read_text().splitlines()) - 1


def test_judged_alarms_tell_the_scoreboard_that_is_written(tmp_path):
    incidents = [{"kind": "pump_trip", "target": "loop:CL-1", "at": "2h", "duration": "20m"}]
    hall = sim.run("calm", duration="4h", facility={"rows": 2, "racks_per_row": 2}, incidents=incidents)
    hall.write(tmp_path / "run.csv")
    (tmp_path / "alarms.csv").write_text("contestant,rack_id,start,end\nme,R-A-01,2025-01-06T02:05:00Z,\n")
    args = "--data", tmp_path / "run.csv", "--alarms", tmp_path / "alarms.csv", "--output", tmp_path / "b.json"
    told = said(evaluate_command, *args)
    assert told.pop("files") == [str(tmp_path / "b.json")]
    assert told == json.loads((tmp_path / "b.json").read_text())
    assert [of["name"] for of in told["contestants"]] == ["me"]


@pytest.mark.parametrize("command", [train_command, score_command, evaluate_command, explain_command])
def test_an_error_leaves_standard_output_empty(command, tmp_path):
    needs = {"score": ["--model", "m"], "evaluate": ["--models", "m"], "explain": ["--model", "m", "--row", "1"]}
    more = needs.get(command.callback.__module__.rpartition(".")[2], [])
    where = ["--output", str(tmp_path / "x")] if command is not explain_command else []
    done = CliRunner().invoke(command, ["--data", str(tmp_path / "gone.csv"), *more, *where, "--json"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
