"""The report as users ask for it: beside a run, of files of any origin, and what they are told when it cannot be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sim.cli.commands import report
from sim.common.atomic_files import HashedFile
from sim.common.errors import OutputError
from sim.reports.page import MARK
from tests.contract.conftest import digests

ROOT = Path(__file__).parents[2]
SMALL = ("--duration", "1h", "--set", "facility.racks_per_row=1", "--output", "a.csv")


@pytest.fixture
def reported(run):
    """Call the report command with arguments."""
    return lambda *args: run(*args, command=report)


def test_a_run_writes_its_report_beside_it_and_says_so(run):
    code, text = run("--scenario", "week", *SMALL, "--report")
    assert code == 0
    assert "report: a.report.html" in text
    assert Path("a.report.html").read_text().startswith(MARK)
    assert "a.report.html" not in json.loads(Path("a.manifest.json").read_text())["files"]


def test_quiet_writes_it_and_says_nothing(run):
    assert run("--scenario", "week", *SMALL, "--report", "--quiet") == (0, "")
    assert Path("a.report.html").is_file()


def test_a_run_without_it_writes_none(run):
    assert run("--scenario", "week", *SMALL, "--quiet")[0] == 0
    assert not list(Path().glob("*.html"))


def test_training_data_get_theirs(generate):
    assert generate("--duration", "1", "--output", "custom.csv", "--report", "--quiet") == (0, "")
    assert "<title>custom: report</title>" in Path("custom.report.html").read_text()


def test_the_command_gives_the_report_that_the_run_gave(run, reported):
    run("--scenario", "week", *SMALL, "--report", "--quiet")
    given = Path("a.report.html").read_bytes()
    Path("a.report.html").unlink()
    code, text = reported("a.csv")
    assert code == 0
    assert text.startswith("report: a.report.html")
    assert Path("a.report.html").read_bytes() == given


def test_a_report_may_go_elsewhere_and_replaces_the_one_that_is_there(run, reported):
    run("--scenario", "week", *SMALL, "--quiet")
    for _ in range(2):
        assert reported("a.csv", "--output", "out/deep/mine.html", "--quiet") == (0, "")
    assert [p.name for p in Path("out/deep").iterdir()] == ["mine.html"]


def test_live_runs_have_no_files_to_report_on(run):
    code, text = run("--live", "--to", "http://127.0.0.1:1", "--report")
    assert code == 2
    assert "--report" in text


BAD = [
    (["none.csv"], "none.csv: no such file; give telemetry, .csv or .parquet"),
    (["."], ".: holds no runs.parquet, the index of a fleet; give one run's telemetry, or a fleet's folder"),
    ([".", "--labels", "a.csv"], "a.csv: labels are of one run, and . is a folder"),
    (["a.csv", "--output", "a.csv"], "a.csv: a report is an .html file"),
    (["a.csv", "--output", "notes.html"], "notes.html: is no report of ours; move it away or give another --output"),
    (["a.csv", "--output", "folder.html"], "folder.html: is a folder"),
    (["a.csv", "--labels", "none.csv"], "none.csv: cannot be read"),
    (["a.csv", "--labels", "a.csv"], "a.csv: columns missing: profile or is_anomaly"),
    (["notes.csv"], "notes.csv: columns missing: ts, rack_id, any of inlet_c"),
    (["changed.csv"], "changed.csv: changed since the run"),
]


@pytest.fixture
def laid_out(run):
    """Lay out a run, one that was changed since, and what is no run."""
    run("--scenario", "week", *SMALL, "--quiet")
    run("--scenario", "week", *SMALL[:-1], "changed.csv", "--quiet")
    with Path("changed.csv").open("a") as file:
        file.write("2025-01-06T00:59:00Z,R-A-01" + ",1" * 11 + "\n")
    Path("notes.html").write_text("mine")
    Path("notes.csv").write_text("a,b\n1,2\n")
    Path("folder.html").mkdir()


@pytest.mark.usefixtures("laid_out")
@pytest.mark.parametrize(("args", "said"), BAD, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_what_cannot_be_reported_on_is_one_message_and_exit_2_and_writes_nothing(reported, args, said):
    before = sorted(Path().rglob("*"))
    code, text = reported(*args)
    assert code == 2
    assert said in text
    assert text.count("error:") == 1
    assert sorted(Path().rglob("*")) == before


SPOILT = [
    {"scenario": 3},
    {"scenario": {"name": "x", "of": "tomorrow"}},
    {"incident_acceleration": "fast"},
    {"seed": []},
]


@pytest.mark.parametrize("changes", SPOILT, ids=str)
def test_a_manifest_of_another_version_is_told_and_no_obstacle(run, reported, changes):
    run("--scenario", "week", *SMALL, "--quiet")
    manifest = Path("a.manifest.json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))
    assert reported("a.csv", "--quiet") == (0, "")
    assert ("of another version" in Path("a.report.html").read_text()) == ("scenario" in changes)


def test_a_full_disk_is_exit_1_and_leaves_the_report_that_was_there_and_the_run_whole(run, monkeypatch):
    run("--scenario", "week", *SMALL, "--report", "--quiet")
    before, real = digests(Path()), HashedFile.write

    def full(self, data):
        if self.path.suffix == ".html":
            raise OutputError(f"{self.path}: cannot be written: No space left on device")
        return real(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(HashedFile, "write", full)
        code, text = run("--scenario", "week", *SMALL, "--report", "--quiet")
    assert code == 1
    assert text == "error: a.report.html: cannot be written: No space left on device\n"
    assert digests(Path()) == before  # the same run again, and nothing beside it


def test_a_run_without_a_report_imports_nothing_of_it():
    code = "import sys, sim.cli.commands; print('sim.reports.page' in sys.modules, 'jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)  # noqa: S603
    assert done.stdout.split() == ["False", "False"]
