"""The export command refuses what it cannot export, in one message, and leaves nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import sim.runs.exports.tsb_ad
from tests.contract.exported import exported, sealed, simulated

ROOT = Path(__file__).parents[2]

BAD = [
    (["--anomalies", "cooling,heat,frost"], ["--anomalies: not known: 'heat', 'frost' (known: load, cooling"]),
    (["--anomalies", ""], ["'--anomalies': names nothing"]),
    (["--racks", ","], ["'--racks': names nothing"]),
    (["--racks", "R-A-01,R-Z-99"], ["--racks: not known: 'R-Z-99' (known: R-A-01, R-A-02)"]),
    (["--channels", "inlet"], ["--channels: not known: 'inlet'"]),
    (["--train", "soon"], ["neither a share of the rows, such as 0.3, nor an instant"]),
    (["--train", "1.5"], ["--train: 1.5 leaves no row"]),
    (["--train", "nan"], ["--train: nan leaves no row"]),
    (["--train", "-0.1"], ["--train: -0.1 leaves no row"]),
    (["--train", "2031-01-01"], ["--train: 2031-01-01T00:00:00Z leaves no row"]),
    (["--to", "csv"], ["'csv' is not one of"]),
    (["--to", "nab", "--train", "0.3"], ["--train: NAB's train rows are its probationary ones"]),
    (["--input", "none.csv"], ["not there: none.csv, none.manifest.json"]),
    (["--input", "run"], ["'run' is not telemetry"]),
    (["--output", "run"], ["'run' is not empty"]),
    (["--output", "run/short.csv"], ["'run/short.csv' is a file"]),
    (
        ["--racks", "X", "--channels", "y", "--anomalies", "z", "--output", "run", "--train", "2"],
        ["5 problems", "--racks", "--channels", "--anomalies", "--output", "--train"],
    ),
]


@pytest.mark.parametrize(("args", "said"), BAD, ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_bad_options_are_one_message_and_exit_2_and_write_nothing(copy, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    code, text = exported("timeeval", f"run/{copy.name}", "out", *args)
    assert code == 2
    assert all(part in text for part in said), text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def manifest_with(**changes):
    def change(copy):
        path = copy.with_name("short.manifest.json")
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


SPOILT = [
    (lambda run: run.with_name("short.labels.csv").unlink(), "short.labels.csv: not there, though the manifest"),
    (lambda run: run.with_name("short.manifest.json").unlink(), "not there: run/short.manifest.json"),
    (lambda run: run.with_name("short.manifest.json").write_text("[]"), "not the manifest of a complete run"),
    (lambda run: run.with_name("short.manifest.json").write_text("{"), "not a run's manifest"),
    (lambda run: run.with_name("short.manifest.json").write_bytes(b"\xff"), "not a run's manifest"),
    (manifest_with(status="running"), "status is 'running'; only a complete run"),
    (manifest_with(files={}), "run/short.csv: the manifest beside it"),
    (manifest_with(files=3), "not the manifest of a complete run"),
    (lambda run: run.write_text("a,b\n1,2\n"), "short.csv: changed since the run"),
    (lambda run: sealed(run, run, lambda _: "a,b\n1,2\n"), "short.csv: cannot be read"),
    (lambda run: sealed(run, run, lambda text: text.replace("-06T", "-06X", 1)), "short.csv: cannot be read"),
    (lambda run: sealed(run, run, lambda text: text[: text.rindex("2025")]), "short.csv: 119 rows, labels of 120"),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT, ids=[said for _, said in SPOILT])
def test_a_run_that_is_not_whole_is_one_message_and_exit_2(copy, tmp_path, monkeypatch, spoil, said):
    monkeypatch.chdir(tmp_path)
    spoil(Path("run") / copy.name)
    code, text = exported("timeeval", f"run/{copy.name}", "out")
    assert code == 2
    assert said in text
    assert not Path("out").exists()


def test_a_run_without_labels_is_refused(tmp_path):
    args = ["--duration", "10m", "--set", "facility.racks_per_row=1", "--labels", "none"]
    code, text = exported("nab", simulated(tmp_path / "x.csv", *args), tmp_path / "out")
    assert code == 2
    assert "x.labels.parquet: the run was written without labels; run it again with --labels parquet or csv" in text


def test_output_that_cannot_be_written_is_exit_1(calm, tmp_path):
    (tmp_path / "file").write_text("")
    code, text = exported("nab", calm, tmp_path / "file" / "out")
    assert code == 1
    assert "cannot be written" in text


def test_a_disk_that_fills_up_leaves_nothing(calm, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sim.runs.exports.tsb_ad, "write_file_list", full)
    code, text = exported("tsb-ad", calm, tmp_path / "out")
    assert code == 1
    assert text == f"error: {tmp_path}/out: cannot be written: No space left on device\n"
    assert not list(tmp_path.iterdir())


def test_no_series_left_to_export_is_an_error_and_leaves_nothing(calm, tmp_path):
    code, text = exported("tsb-ad", calm, tmp_path / "out", "--train", "0.9999")
    assert code == 2
    assert "no series has an anomaly after its train rows" in text
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_taken_and_the_module_is_a_command(calm, tmp_path):
    (tmp_path / "out").mkdir()
    args = ["--to", "nab", "--input", str(calm), "--output", str(tmp_path / "out"), "--quiet"]
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "sim.export", *args], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "out" / "labels" / "combined_windows.json").is_file()
