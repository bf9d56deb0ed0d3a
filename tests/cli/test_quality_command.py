"""Any run or scenario of a user can be judged; what it cannot be judged by is told with its reason."""

import json

import pyarrow.parquet
import pytest
from click.testing import CliRunner

import sim
from sim.cli.judging import quality

INCIDENTS = "incidents=[{kind: pump_trip, target: 'loop:CL-1', at: 1h}]"


def judged(*args):
    done = CliRunner().invoke(quality, args)
    return done.exit_code, done.stdout, done.stderr


def test_a_quiet_run_is_judged_by_realism_and_told_why_by_nothing_else():
    code, text, _ = judged("small")
    assert code == 0
    assert "R02" in text
    assert "density Q3: the scenario has no incidents" in text
    assert "pump trip R07: there is one cooling loop" in text


def test_a_run_with_incidents_is_judged_by_its_labels_too():
    code, text, _ = judged("calm", "--set", "facility.racks_per_row=3", "--set", INCIDENTS, "--json")
    told = json.loads(text)
    checks = {check["what"]: check for check in told["checks"]}
    assert checks["rack-ticks that differ before any cause"]["value"] == 0
    assert code == (not told["passed"]) == 1  # a single pump trip is no benchmark
    assert checks["longest over shortest incident, decades"]["low"] == 3
    assert checks["longest over shortest incident, decades"]["high"] is None
    assert any(reason.startswith("positions Q4") for reason in told["left_out"])


def test_a_finished_run_is_judged_as_its_scenario_is(tmp_path):
    sim.run("small", seed=7).write(tmp_path / "mine.parquet")
    assert judged(str(tmp_path / "mine.parquet"))[:2] == judged("small", "--set", "seed=7")[:2]


def test_a_file_that_is_not_as_its_run_wrote_it_is_refused(tmp_path):
    sim.run("small").write(tmp_path / "mine.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "mine.parquet")
    pyarrow.parquet.write_table(table.slice(1), tmp_path / "mine.parquet")
    code, _, said = judged(str(tmp_path / "mine.parquet"))
    assert code == 2
    assert "changed since the run" in said


@pytest.mark.parametrize(
    ("args", "message"),
    [(("nowhere.csv",), "nowhere.csv"), (("wek",), "did you mean 'week'"), (("small", "--set", "seeds=1"), "'seed'")],
)
def test_what_cannot_be_judged_is_a_message(args, message):
    code, _, said = judged(*args)
    assert code == 2
    assert message in said
