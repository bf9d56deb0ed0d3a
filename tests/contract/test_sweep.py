"""A sweep: its runs are what single runs would be, whoever computes them and however often it is broken off."""

import hashlib
import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from sim.cli.commands import run_sim
from sim.cli.sweeping import sweep as sweep_command
from sim.common.streams import derived_seed
from tests.contract.sweeps import (
    LONG,
    TINY,
    at_work,
    complete,
    digests,
    ended,
    hidden,
    interrupt,
    runs,
    sweep,
    wait_for,
    workers_at_work,
)

SITES = """\
scenarios:
  north: {scenario: cold_site, set: {facility.outdoor_c: -3}}
  south: hot_site
seeds: 0-1
grid:
  tick: [5m, 10m]
keep: [telemetry, labels]
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Four runs of a tiny week, and what was said of them."""
    folder = tmp_path_factory.mktemp("fleet")
    code, said = sweep("--scenario", "week", "--seeds", "0-3", *TINY, "--output", "fleet", cwd=folder)
    assert code == 0, said
    return folder / "fleet", said


def refused(*args):
    """Return what a command says that is refused for its input, in this process."""
    done = CliRunner().invoke(sweep_command, [str(a) for a in args])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return done.output


def single(*args):
    """Return the hash of the telemetry of a single run."""
    done = CliRunner().invoke(run_sim, [*args, "--output", "single/x.parquet", "--quiet"])
    assert done.exit_code == 0, done.output
    return hashlib.sha256(Path("single/x.parquet").read_bytes()).hexdigest()


def test_every_run_has_the_files_and_the_bytes_of_a_single_run(fleet):
    folder, _ = fleet
    assert list(digests(folder)) == [f"scenario=week/site=S1/seed={seed}" for seed in range(4)]
    for seed in range(4):
        run = folder / f"scenario=week/site=S1/seed={seed}"
        assert {p.name for p in run.iterdir()} == {
            "telemetry.parquet", "labels.parquet", "events.csv", "manifest.json"
        }  # fmt: skip
        manifest = json.loads((run / "manifest.json").read_text())
        assert manifest["files"]["telemetry.parquet"]["sha256"] == single("--seed", str(seed), *TINY)


def test_the_index_has_a_line_for_each_run_with_what_it_amounts_to(fleet):
    folder, said = fleet
    lines = runs(folder)
    assert [line["seed"] for line in lines] == [0, 1, 2, 3]
    for line in lines:
        files = digests(folder)[f"scenario=week/site=S1/seed={line['seed']}"]
        assert line["telemetry_sha256"] == files["telemetry.parquet"]["sha256"]
        assert line["labels_sha256"] == files["labels.parquet"]["sha256"]
        assert (line["status"], line["rows"], line["racks"], line["ticks"]) == ("complete", 40, 2, 20)
        assert line["inlet_c_min"] <= line["inlet_c_mean"] <= line["inlet_c_max"]
        assert sum(line[name] for name in line if name.startswith("share_")) == pytest.approx(1)
        assert line["seconds"] > 0
        assert line["worker"]
    assert "4 of 4 runs complete, 4 computed now: 160 rows" in said
    described = json.loads((folder / "sweep.json").read_text())
    assert (described["runs"], described["sweep"]["seeds"]) == (4, [0, 1, 2, 3])
    assert {"python", "numpy"} <= described["versions"].keys()


def test_the_number_of_processes_changes_no_byte(fleet, tmp_path):
    folder, _ = fleet
    code, _ = sweep("--scenario", "week", "--seeds", "0-3", *TINY, "--output", "x", "--workers", "1", cwd=tmp_path)
    assert code == 0
    assert digests(tmp_path / "x") == digests(folder)


def test_a_site_has_its_own_name_climate_and_draws_and_the_grid_its_own_folders(tmp_path):
    Path("sites.yaml").write_text(SITES)
    code, said = sweep("sites.yaml", *TINY, "--output", "fleet", cwd=tmp_path)
    assert code == 0, said
    lines = runs(tmp_path / "fleet")
    assert len(lines) == 8
    assert {(line["scenario"], line["site"], line["tick"], line["seed"]) for line in lines} == {
        (scenario, site, tick, seed)
        for scenario, site in (("cold_site", "north"), ("hot_site", "south"))
        for tick in ("5m", "10m")
        for seed in (0, 1)
    }
    for line in lines:
        assert line["run_seed"] == derived_seed(line["seed"], line["site"])
        same = ("--scenario", line["scenario"], "--seed", str(line["run_seed"]), *TINY, "--set", f"tick={line['tick']}")
        climate = ("--set", "facility.outdoor_c=-3") if line["site"] == "north" else ()
        assert line["telemetry_sha256"] == single(*same, *climate)
    north = json.loads(Path("fleet/scenario=cold_site/site=north/tick=5m/seed=0/manifest.json").read_text())
    assert (north["scenario"]["facility"]["site"], north["scenario"]["facility"]["outdoor_c"]) == ("north", -3)


def test_a_run_keeps_what_it_is_asked_to_keep():
    Path("s.yaml").write_text("scenarios: [week]\nkeep: [labels, twin]\nseeds: 1\n")
    faulty = ["--set", "incidents=[{kind: fan_failure, target: 'rack:R-A-01', at: 5m}]"]
    done = CliRunner().invoke(
        sweep_command, ["s.yaml", *TINY, *faulty, "--output", "fleet", "--quiet", "--workers", "1"]
    )
    assert (done.exit_code, done.output) == (0, "")
    [folder] = Path("fleet/scenario=week/site=S1").iterdir()
    assert {p.name for p in folder.iterdir()} == {"labels.parquet", "twin.parquet", "events.csv", "manifest.json"}


def test_a_plan_lists_every_run_and_computes_nothing():
    Path("sites.yaml").write_text(SITES)
    done = CliRunner().invoke(sweep_command, ["sites.yaml", *TINY, "--output", "fleet", "--plan"])
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0].startswith("scenario=cold_site/site=north/tick=5m/seed=0  8 rows")
    assert len(lines) == 9
    assert lines[-1].startswith("8 runs: 48 rows, about 0.0 MB")
    assert not Path("fleet").exists()


# bad input


BAD = [
    ("scenarios: [week]\ngrid: {facility.rowz: [1, 2]}\n", "facility.rowz: unknown key"),
    ("scenarios: [week]\ngrid: {facility.rows: []}\n", "grid.facility.rows"),
    ("scenarios: [week]\ngrid: {facility.rows: [0]}\n", "week with facility.rows=0"),
    ("scenarios: [week]\ngrid: {seed: [1, 2]}\n", "give it as seeds"),
    ("scenarios: [week]\ngrid: {occupancy.anytime: [{thermal_event: 0}]}\n", "values are numbers"),
    ("scenarios: []\n", "scenarios"),
    ("scenarios: {}\n", "scenarios"),
    ("seeds: 3\n", "scenarios: is missing"),
    ("", "the sweep file is empty"),
    ("scenarios: [week]\nseeds: 0\n", "0 seeds; a sweep has 1"),
    ("scenarios: [week]\nseeds: []\n", "0 seeds; a sweep has 1"),
    ("scenarios: [week]\nseeds: 9-3\n", "ends before it begins"),
    ("scenarios: [week]\nseeds: [1, 1]\n", "stand more than once: 1"),
    ("scenarios: [week]\nseeds: all\n", "a count, a range"),
    ("scenarios: [week]\nseeds: 0-99999999999\n", "a sweep has 1 to 100,000 runs"),
    ("scenarios: [week, week]\n", "two runs into one folder"),
    ("scenarios: [week]\ngrid: {tick: [60, '60']}\n", "two runs into one folder"),
    ("scenarios: [nosuch]\n", "not shipped"),
    ("scenarios: {a: {scenario: week, set: {facility.rowz: 1}}}\n", "facility.rowz: unknown key"),
    ("scenarios: {a: {scenario: week, sett: {}}}\n", "sett: unknown key"),
    ("scenarios: [week]\nkeep: [everything]\n", "keep"),
    ("scenarios: [week]\nworkers: 3\n", "workers: unknown key"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_sweep_file_that_is_wrong_is_one_message_and_nothing_is_written(text, said):
    Path("s.yaml").write_text(text)
    told = refused("s.yaml", "--output", "fleet")
    assert told.count("error: ") == 1
    assert said in told
    assert not Path("fleet").exists()


def test_all_that_is_wrong_with_the_scenarios_of_a_sweep_is_told_at_once():
    Path("s.yaml").write_text("scenarios: [week, small]\ngrid: {facility.rowz: [1], tik: [2]}\n")
    told = refused("s.yaml", "--output", "fleet")
    assert told.count("facility.rowz: unknown key") == told.count("tik: unknown key") == 2


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "give a sweep file, or --scenario"),
        (["--scenario", "week", "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"], "leave one out"),
        (["--scenario", "week", "--seeds", "x"], "a count, a range"),
        (["--scenario", "week", "--set", "foo=1"], "foo: unknown key"),
        (["nosuch.yaml"], "nosuch.yaml: the sweep file cannot be read"),
        (["."], "cannot be read"),
    ],
)
def test_options_that_make_no_sweep_are_one_message(args, said):
    assert said in refused(*args, "--output", "fleet")


def test_a_folder_of_another_sweep_or_of_other_files_is_left_alone(fleet):
    folder, _ = fleet
    before = digests(folder)
    same = ["--scenario", "week", "--seeds", "0-3", *TINY, "--output", folder]
    assert "holds this sweep already; --resume" in refused(*same)
    for more in ([], ["--resume"]):
        assert "holds another sweep" in refused(
            "--scenario", "week", "--seeds", "0-4", *TINY, "--output", folder, *more
        )
    assert digests(folder) == before
    Path("notes").mkdir()
    Path("notes/mine.txt").write_text("mine")
    for more in ([], ["--resume"]):
        assert "holds other files" in refused("--scenario", "week", "--output", "notes", *more)
    assert "is not a folder" in refused("--scenario", "week", "--output", "notes/mine.txt")
    assert Path("notes/mine.txt").read_text() == "mine"
    Path("notes/sweep.json").write_text("{")
    assert "not the description of a sweep" in refused("--scenario", "week", "--output", "notes")


def test_of_two_sweeps_into_one_folder_at_a_time_the_second_says_so_and_ends(started, tmp_path):
    args = ["--scenario", "week", "--seeds", "2", *LONG, "--output", "fleet", "--workers", "1"]
    first = started(*args, cwd=tmp_path)
    try:
        workers_at_work(first, tmp_path / "fleet")
        assert "is being computed into fleet already; wait for its end" in refused(*args, "--resume")
    finally:
        interrupt(first)
        ended(first)


# what ends a sweep before its time


def test_ctrl_c_leaves_whole_runs_only_and_a_resume_computes_the_rest_of_them(started, tmp_path):
    args = ["--scenario", "week", "--seeds", "3", *LONG, "--output", "fleet", "--workers", "2"]
    process = started(*args, cwd=tmp_path)
    wait_for(lambda: complete(tmp_path / "fleet"))
    workers = workers_at_work(process, tmp_path / "fleet")
    interrupt(process)
    code, said = ended(process)
    assert code == 130
    assert "interrupted; " in said
    assert "of 3 runs are complete in " in said
    assert "Traceback" not in said
    wait_for(lambda: not any(worker.is_running() for worker in workers))
    assert not hidden(tmp_path / "fleet")
    whole = digests(tmp_path / "fleet")
    assert 1 <= len(whole) < 3
    assert [line["seed"] for line in runs(tmp_path / "fleet")] == [int(name[-1]) for name in whole]
    code, said = sweep(*args, "--resume", cwd=tmp_path)
    assert code == 0
    assert f"3 of 3 runs complete, {3 - len(whole)} computed now" in said
    assert digests(tmp_path / "fleet").items() >= whole.items()


def test_a_sweep_that_is_told_to_terminate_ends_as_by_ctrl_c_with_its_own_code(started, tmp_path):
    args = ["--scenario", "week", "--seeds", "2", *LONG, "--output", "fleet", "--workers", "1"]
    process = started(*args, cwd=tmp_path)
    workers_at_work(process, tmp_path / "fleet")
    process.terminate()
    code, said = ended(process)
    assert code == 143
    assert "terminated; 0 of 2 runs are complete" in said
    assert not hidden(tmp_path / "fleet")


def test_a_worker_that_is_killed_costs_its_run_which_is_tried_again(started, tmp_path):
    args = ["--scenario", "week", "--seeds", "2", *LONG, "--output", "fleet", "--workers", "2"]
    process = started(*args, cwd=tmp_path)
    workers_at_work(process, tmp_path / "fleet")[0].kill()
    code, said = ended(process)
    assert code == 0, said
    assert "2 of 2 runs complete, 2 computed now" in said
    assert not hidden(tmp_path / "fleet")
    assert [line["status"] for line in runs(tmp_path / "fleet")] == ["complete"] * 2


def test_a_run_whose_worker_dies_four_times_is_reported_and_the_rest_goes_on(started, tmp_path):
    args = ["--scenario", "week", "--seeds", "2", *LONG, "--output", "fleet", "--workers", "1"]
    process = started(*args, cwd=tmp_path)
    for _ in range(4):
        [worker] = workers_at_work(process, tmp_path / "fleet")
        worker.kill()
        for left in (tmp_path / "fleet").rglob(".telemetry.*.partial"):
            left.rename(tmp_path / f"{left.name}.seen")
    code, said = ended(process)
    assert code == 1
    assert "error: 1 of 2 runs failed\n  scenario=week/site=S1/seed=0: its worker died each of 4 times" in said
    first, second = runs(tmp_path / "fleet")
    assert (first["status"], second["status"]) == ("failed", "complete")
    assert "its worker died" in first["error"]


def test_workers_end_with_the_sweep_that_is_killed(started, tmp_path):
    process = started("--scenario", "week", "--seeds", "4", *LONG, "--output", "fleet", "--workers", "2", cwd=tmp_path)
    workers = workers_at_work(process, tmp_path / "fleet")
    assert len(workers) == 2
    process.kill()
    ended(process)
    psutil.wait_procs(workers, timeout=200)
    assert not any(worker.is_running() for worker in workers)


def test_bad_input_that_only_a_run_finds_is_reported_at_once_and_the_rest_goes_on(tmp_path):
    hot = "scenarios: {a: week, b: {scenario: week, set: {profiles.nominal.inlet_c: [49, 50]}}}\nseeds: 1\n"
    Path("s.yaml").write_text(hot)
    code, said = sweep("s.yaml", *TINY, "--output", "fleet", cwd=tmp_path)
    assert code == 1
    assert "failed: scenario=week/site=b/seed=0: " in said
    assert "error: 1 of 2 runs failed\n  scenario=week/site=b/seed=0: " in said
    assert "Traceback" not in said
    assert [line["status"] for line in runs(tmp_path / "fleet")] == ["complete", "failed"]


def test_a_disk_that_fills_ends_the_sweep_and_more_room_resumes_it(started, tmp_path):
    import resource  # noqa: PLC0415 - not on Windows

    args = ["--scenario", "week", "--seeds", "3", *LONG, "--output", "fleet", "--workers", "1"]

    def nearly_full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    process = started(*args, cwd=tmp_path, preexec_fn=nearly_full)
    code, said = ended(process)
    assert code == 1
    assert "cannot be written: File too large" in said
    assert "0 of 3 runs are complete in" in said
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    assert not digests(tmp_path / "fleet")
    assert not hidden(tmp_path / "fleet")
    code, said = sweep(*args, "--resume", cwd=tmp_path)
    assert (code, len(digests(tmp_path / "fleet"))) == (0, 3)


def test_after_three_kills_a_resume_has_the_same_bytes_and_computed_nothing_twice(started, tmp_path):
    args = ["--scenario", "week", "--seeds", "5", *LONG, "--output", "fleet", "--workers", "2"]
    made, fleet = {}, tmp_path / "fleet"
    moments = random.Random(3)  # noqa: S311 - the same moments each time, as far as the machine is
    for kill in range(3):
        process = started(*args, *(["--resume"] if kill else []), cwd=tmp_path)
        wait_for(lambda: at_work(fleet) or len(complete(fleet)) == 5)
        time.sleep(moments.uniform(0, 4))
        os.killpg(process.pid, signal.SIGKILL)
        ended(process)
        for path in complete(fleet):
            made.setdefault(path, path.stat().st_mtime_ns)
    code, said = sweep(*args, "--resume", cwd=tmp_path)
    assert code == 0, said
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert f"5 of 5 runs complete, {5 - len(made)} computed now" in said
    assert {*hidden(fleet)} <= {".telemetry.lock"}  # a kill may hit the moment in which it goes
    code, _ = sweep(*args[:-4], "--output", "whole", cwd=tmp_path)
    assert digests(tmp_path / "whole") == digests(fleet)


def test_a_run_that_was_touched_or_is_of_another_version_is_computed_again(fleet, tmp_path):
    folder = tmp_path / "fleet"
    shutil.copytree(fleet[0], folder)
    names = [f"scenario=week/site=S1/seed={seed}" for seed in range(4)]
    before = digests(folder)
    (folder / names[0] / "labels.parquet").unlink()
    with (folder / names[1] / "telemetry.parquet").open("ab") as file:
        file.write(b"more")
    manifest = folder / names[2] / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"status": "complete"', '"status": "running"'))
    code, said = sweep("--scenario", "week", "--seeds", "0-3", *TINY, "--output", folder, "--resume", cwd=tmp_path)
    assert code == 0
    assert "3 computed now" in said
    assert digests(folder) == before
