"""The files of a run change as one set, and never anybody else's: whatever ends a run, and whoever else is there."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.common.errors import InputError
from sim.common.file_set import COMMIT, FileSet, recover
from sim.runs.manifest import checked_companion
from tests.contract.conftest import TRACE, digests
from tests.contract.ended_runs import HALL
from training.evaluate import main as evaluate_command
from training.labels import find_labels
from training.train_ims import main as train_command

ROOT = Path(__file__).parents[2]
HERE = ("--output", "x.csv")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="ends processes as POSIX systems do")


@pytest.fixture
def make(run):
    """Make a small run of a seed, named x unless told otherwise; return the exit code and what it said."""
    return lambda seed, *args: run(*HALL, "--seed", seed, *(args if "--output" in args else (*HERE, *args)))


def hidden():
    return [p.name for p in Path().iterdir() if p.name.startswith(".")]


def ended(folder, what, when):
    """Return what became of runs that ended at each call in turn, that of the last one, which got through, apart."""
    script = str(Path(__file__).with_name("ended_runs.py"))
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, script, str(folder), what, when],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *findings, last = json.loads(done.stdout)
    assert (last["status"], last["read"], last["hidden"]) == (0, "new", [])
    assert {f["read"] for f in findings} == {"old", "new"}  # some ended before the commit, some after
    return findings


def test_a_run_killed_at_any_call_leaves_one_whole_set_and_the_next_run_clears_the_rest(tmp_path):
    for finding in ended(tmp_path, "SIGKILL", "before"):
        assert finding["status"] == -9
        assert (finding["then"], finding["hidden_then"]) == (0, [])


@pytest.mark.parametrize(("what", "when", "code"), [("SIGTERM", "before", 143), ("SIGINT", "after", 130)])
def test_a_run_interrupted_at_any_call_leaves_one_whole_set_and_says_which(tmp_path, what, when, code):
    for finding in ended(tmp_path, what, when):
        assert finding["status"] == code
        assert ("nothing was written" in finding["said"]) == (finding["read"] == "old")
        assert ("; complete: " in finding["said"]) == (finding["read"] == "new")
        assert not set(finding["hidden"]) - {".x.lock"}  # a signal may hit the moment in which that goes


def test_a_disk_that_is_full_at_any_call_leaves_one_whole_set_and_the_exit_code_says_which(tmp_path):
    for finding in ended(tmp_path, "ENOSPC", "before"):
        assert finding["status"] == (1 if finding["read"] == "old" else 0)
        assert ("cannot be written: No space left" in finding["said"]) == (finding["read"] == "old")
        assert not set(finding["hidden"]) - {".x.lock"}


def test_of_two_runs_into_one_place_the_second_says_so_and_ends(make):
    assert make(1)[0] == 0
    before = digests(".")
    first = FileSet(Path(), "x")
    code, text = make(2)
    assert code == 1
    assert text == "error: x: another process is writing it; wait for its end\n"
    first.close()
    assert digests(".") == before
    assert make(2)[0] == 0


def test_a_lock_ends_with_its_process(make):
    assert python("import os, pathlib, sim.common.file_set as f; f.FileSet(pathlib.Path(), 'x'); os._exit(9)") == 9
    assert len(hidden()) == 2
    assert make(1)[0] == 0
    assert not hidden()


def test_a_link_in_place_of_the_lock_is_not_followed(make):
    Path("victim").write_text("mine")
    Path(".x.lock").symlink_to("victim")
    code, text = make(1)
    assert code == 1
    assert "cannot be written" in text
    assert Path("victim").read_text() == "mine"


def test_names_of_files_that_are_not_complete_cannot_be_guessed():
    places = []
    for _ in range(2):
        files = FileSet(Path("somewhere"), "x")
        places += [p for p in Path("somewhere").iterdir() if p.is_dir()]
        files.close()
    assert len(set(places)) == 2
    assert all(len(p.name) == len(".x.") + 16 + len(".partial") for p in places)
    Path("somewhere").rmdir()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


FOREIGN = ["x.csv", "x.labels.parquet", "x.events.csv", "x.manifest.json", "x.twin.csv"]


def test_a_run_replaces_nothing_that_no_manifest_of_a_run_names(make):
    for name in FOREIGN:
        Path(name).write_text("{}")
    before = digests(".")
    twin = ("--twin", "--set", "incident_rates.acceleration=1")
    code, text = make(1, *twin)
    assert code == 2
    assert all(f"{name}: is no file of a run that a manifest names" in text for name in FOREIGN)
    assert digests(".") == before


def test_a_file_that_has_a_companions_name_by_chance_stays(make):
    Path("x.twin.csv").write_text("a trace of mine")
    Path("x.labels.csv").write_text("notes")
    for seed in (1, 2):
        assert make(seed)[0] == 0
    assert Path("x.twin.csv").read_text() == "a trace of mine"
    assert Path("x.labels.csv").read_text() == "notes"


def test_a_manifest_disposes_of_no_file_that_is_not_of_its_run(make):
    assert make(1)[0] == 0
    Path("y.csv").write_text("mine")
    manifest = json.loads(Path("x.manifest.json").read_text())
    manifest["files"] |= {name: {"sha256": ""} for name in ("y.csv", "../x.csv", "x.txt")}
    Path("x.manifest.json").write_text(json.dumps(manifest))
    Path("x.txt").write_text("mine")
    assert make(2)[0] == 0
    assert Path("y.csv").read_text() == Path("x.txt").read_text() == "mine"


def test_a_run_does_not_replace_its_own_scenario_or_one_that_this_extends_or_its_trace(make, run):
    assert make(1)[0] == 0
    Path("x.events.csv").write_text("extends: small\n")
    Path("above.yaml").write_text("extends: ./x.events.csv\n")
    shutil.copy(TRACE, "x.csv")
    before = digests(".")
    trace = ("--set", "demand.source=trace", "--set", "demand.file=./x.csv")
    code, text = run("--scenario", "above.yaml", *trace, *HERE)
    assert code == 2
    assert "x.csv: is what this run reads; give another --output" in text
    assert "x.events.csv: is what this run reads" in text
    assert digests(".") == before


@pytest.mark.parametrize("name", ["x.labels.parquet", "x.events.csv", "x.manifest.json"])
def test_a_folder_in_the_place_of_a_companion_is_one_message(make, name):
    assert make(1)[0] == 0
    Path(name).unlink()
    Path(name).mkdir()
    code, text = make(2)
    assert code == 2
    assert f"{name}: is a folder; give another --output\n" in text
    assert "Traceback" not in text


def test_another_format_of_a_name_replaces_the_set_and_says_what_went(make):
    assert make(1)[0] == 0
    code, text = make(2, "--output", "x.parquet")
    assert code == 0
    assert "x.csv  removed with the run that was there" in text
    assert sorted(digests(".")) == ["x.events.csv", "x.labels.parquet", "x.manifest.json", "x.parquet"]


def test_readers_refuse_telemetry_whose_manifest_is_of_another_run(make):
    assert make(1)[0] == 0
    kept = Path("x.csv").read_bytes()
    assert make(2, "--output", "x.parquet")[0] == 0
    Path("x.csv").write_bytes(kept)
    with pytest.raises(InputError, match=r"x\.csv: the manifest beside it is of other files: x\.events\.csv"):
        find_labels(Path("x.csv"))


def test_readers_refuse_labels_that_changed_since_the_run_and_say_how_to_use_them_all_the_same(make):
    assert make(1, "--labels", "csv")[0] == 0
    with Path("x.labels.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(InputError, match=r"x\.labels\.csv: changed since the run") as raised:
        find_labels(Path("x.csv"))
    assert "move its manifest away" in str(raised.value)
    Path("x.manifest.json").unlink()
    assert find_labels(Path("x.csv")) == Path("x.labels.csv")


def test_labels_given_by_hand_are_those_of_the_telemetry_by_the_manifest_beside_them(make):
    assert make(1)[0] == 0
    assert make(2, "--output", "y.csv")[0] == 0
    given = Path("x.labels.parquet")
    shutil.copy("x.csv", "copy.csv")
    assert find_labels(Path("copy.csv"), given) == given  # the same bytes, wherever they stand
    with pytest.raises(InputError, match=r"y\.csv: not the telemetry of x\.labels\.parquet") as raised:
        find_labels(Path("y.csv"), given)
    assert "they belong to x.csv as the run wrote it" in str(raised.value)
    with Path("x.csv").open("a") as file:
        file.write("2025-01-06T00:20:00Z,R-A-01\n")
    with pytest.raises(InputError, match=r"x\.csv: not the telemetry"):
        find_labels(Path("x.csv"), given)
    given.write_bytes(given.read_bytes() + b"\0")
    with pytest.raises(InputError, match=r"x\.labels\.parquet: changed since the run"):
        find_labels(Path("copy.csv"), given)
    Path("x.manifest.json").unlink()
    assert find_labels(Path("copy.csv"), given) == given


def test_training_and_evaluation_refuse_labels_of_another_run_given_by_hand(make):
    for seed, name in ((1, "x"), (2, "y")):
        assert make(seed, "--output", f"{name}.csv")[0] == 0
    for command, *more in ((train_command,), (evaluate_command, "--against", "pca")):
        done = CliRunner().invoke(command, ["--data", "y.csv", "--labels", "x.labels.parquet", *more])
        assert done.exit_code == 2
        assert "y.csv: not the telemetry of x.labels.parquet" in done.output
        assert not Path("artifacts").exists()


def test_telemetry_without_a_manifest_has_the_labels_that_stand_beside_it(make):
    assert make(1)[0] == 0
    Path("x.manifest.json").unlink()
    assert find_labels(Path("x.csv")) == Path("x.labels.parquet")
    Path("x.labels.parquet").unlink()
    assert find_labels(Path("x.csv")) is None


def test_a_run_without_labels_has_none_even_if_a_file_has_their_name(make):
    assert make(1, "--labels", "none")[0] == 0
    assert checked_companion(Path("x.csv"), "labels") is None
    Path("x.labels.csv").write_text("ts\n")
    with pytest.raises(InputError, match="the manifest beside it is of other files"):
        checked_companion(Path("x.csv"), "labels")


KILLED_WHILE_FILES_GET_THEIR_NAMES = """
import itertools, os, pathlib
from sim.common.file_set import FileSet
calls, real = itertools.count(), os.replace
os.replace = lambda *paths: real(*paths) if next(calls) < 2 else os._exit(9)
files = FileSet(pathlib.Path(), "x")
for name in ("x.csv", "x.events.csv"):
    file = files.file(name)
    file.write(b"new")
    file.seal()
files.publish("x.manifest.json", "running", "complete", ["x.csv", "x.events.csv", "x.labels.parquet"])
"""


def python(code):
    """Run some code in a process of its own and return its exit status."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode  # noqa: S603


def test_whoever_reads_next_finishes_what_a_killed_run_left(make):
    assert make(1)[0] == 0
    assert python(KILLED_WHILE_FILES_GET_THEIR_NAMES) == 9
    assert Path("x.manifest.json").read_text() == "running"
    assert Path("x.labels.parquet").exists()
    recover(Path(), "x")
    whole = {"x.csv": "new", "x.events.csv": "new", "x.manifest.json": "complete"}
    assert {p.name: p.read_text() for p in Path().iterdir()} == whole


def test_files_that_another_user_committed_do_not_become_ours(make, monkeypatch):
    assert make(1)[0] == 0
    planted = Path(f".x.{'0' * 16}.{COMMIT}")
    (planted / "new").mkdir(parents=True)
    (planted / "new" / "x.csv").write_text("planted")
    before = digests_of_files()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert find_labels(Path("x.csv")) == Path("x.labels.parquet")
    assert digests_of_files() == before


def digests_of_files():
    return {p.name: p.read_bytes() for p in Path().iterdir() if p.is_file()}


def test_a_summary_that_nobody_reads_changes_no_exit_status():
    command = [sys.executable, str(ROOT / "run_sim.py"), *HALL, *HERE]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stdout=full, check=False).returncode == 0  # noqa: S603
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 0
    process.stderr.close()


def test_a_hall_that_draws_no_power_has_a_summary(make):
    dark = "incidents=[{kind: breaker_trip, target: 'rack:*', at: 0s, duration: 1h}]"
    assert make(1, "--tick", "20m", "--set", dark)[0] == 0
