"""Readings and truth join in four libraries by what docs/data.md says, and side by side in one file."""

import re
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import sim
from sim.cli.commands import run_sim

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Joining readings and truth\n")[2].partition("\n## ")[0]
SNIPPETS = dict(re.findall(r"^(pandas|polars|DuckDB|pyarrow):\n\n((?:(?: {4}.*)?\n)+)", SECTION, re.MULTILINE))

INCIDENTS = [
    {"kind": "pump_trip", "target": "loop:CL-1", "at": "40m", "duration": "20m"},
    {"kind": "sensor_dropout", "target": "rack:R-A-02", "at": "1h"},
]
KEYS = {"duration": "3h", "facility": {"rows": 2, "racks_per_row": 3}, "incidents": INCIDENTS}


@pytest.fixture(scope="module")
def run():
    return sim.run("calm", seed=3, **KEYS)


def as_pandas(joined):
    """Return whatever a library joined as a frame by ts and rack."""
    frame = joined.to_pandas() if isinstance(joined, pa.Table) else joined
    frame = frame.df() if isinstance(frame, duckdb.DuckDBPyRelation) else frame
    frame = frame.to_arrow().to_pandas() if isinstance(frame, pl.DataFrame) else frame
    frame["ts"] = pd.to_datetime(frame["ts"], utc=True).astype("datetime64[ms, UTC]")
    return frame.astype({"rack_id": str}).sort_values(["ts", "rack_id"]).reset_index(drop=True)


def check(joined, run):
    """Hold a join to the run's own."""
    ours, theirs = as_pandas(run.joined()), as_pandas(joined)
    assert list(theirs.columns) == list(ours.columns)
    for name in ("ts", "rack_id"):
        assert (theirs[name] == ours[name]).all()
    assert theirs["inlet_c"].to_numpy(float) == pytest.approx(ours["inlet_c"].to_numpy(float), abs=1e-4, nan_ok=True)
    for name in ("observed_id", "is_anomaly", "phase", "sensor_fault"):
        assert (theirs[name].astype("string").fillna("") == ours[name].astype("string").fillna("")).all(), name


@pytest.mark.parametrize("library", ["pandas", "polars", "DuckDB", "pyarrow"])
def test_a_snippet_of_the_page_joins_a_csv_file_and_its_labels(library, run, tmp_path, monkeypatch):
    run.write(tmp_path / "data" / "week.csv")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(re.sub(r"^ {4}", "", SNIPPETS[library], flags=re.MULTILINE), names)  # noqa: S102 - our own page
    check(names["joined"], run)


def test_two_parquet_files_join_in_all_of_them_as_they_are(run, tmp_path):
    readings, labels = (str(tmp_path / name) for name in ("a.parquet", "a.labels.parquet"))
    run.write(readings)
    keys = ["ts", "rack_id"]
    check(pd.read_parquet(readings).merge(pd.read_parquet(labels), on=keys), run)
    check(pl.read_parquet(readings).join(pl.read_parquet(labels), on=keys), run)
    check(duckdb.sql(f"FROM '{readings}' AS r JOIN '{labels}' AS l USING (ts, rack_id)"), run)
    tables = [pyarrow.parquet.read_table(path) for path in (readings, labels)]
    check(tables[0].join(tables[1], keys, join_type="inner"), run)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_joined_file_has_every_row_once_with_its_truth(form, run, tmp_path):
    paths = run.write(tmp_path / f"a.{form}", labels="join")
    made = tmp_path / f"a.joined.{form}"
    assert made in paths
    assert made.name in sim.read(tmp_path / f"a.{form}", check=True).manifest["files"]
    check(pyarrow.parquet.read_table(made) if form == "parquet" else pyarrow.csv.read_csv(made), run)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_copy_of_a_run_has_the_same_joined_file(form, run, tmp_path):
    run.write(tmp_path / f"a.{form}", labels="join")
    sim.read(tmp_path / f"a.{form}").write(tmp_path / f"b.{form}", labels="join")
    if form == "csv":
        assert (tmp_path / "b.joined.csv").read_bytes() == (tmp_path / "a.joined.csv").read_bytes()
    else:
        check(pyarrow.parquet.read_table(tmp_path / "b.joined.parquet"), run)


def test_a_later_run_without_it_removes_the_joined_file(run, tmp_path):
    run.write(tmp_path / "a.csv", labels="join")
    run.write(tmp_path / "a.csv")
    assert not (tmp_path / "a.joined.csv").exists()


def test_readings_wait_for_a_truth_that_comes_in_other_blocks(tmp_path):
    """While a run is under way labels come late, and in blocks of their own."""
    from sim.engine.build import build, resolve  # noqa: PLC0415 - of this test alone
    from sim.runs.files import RunFiles, run_paths  # noqa: PLC0415 - as above
    from sim.scenario.files import scenario_of  # noqa: PLC0415 - as above

    hall = resolve(scenario_of("calm", {"seed": 3, **KEYS}))
    paths = run_paths("a", str(tmp_path / "a.csv"), None, "join")
    with RunFiles(paths, hall) as files:
        simulation = build(hall, [files], block_ticks=7)
        simulation.run()
    check(pyarrow.csv.read_csv(paths.joined), sim.read(paths.telemetry))


def test_runs_with_counters_and_a_job_have_a_card_and_their_jobs_state_beside_the_readings(tmp_path):
    path = tmp_path / "job.csv"
    short = ["--scenario", "training_job", "--set", "incidents=[]", "--set", "telemetry.counters=dcgm"]
    options = ["--duration", "30m", "--labels", "join", "--card", "--quiet", "--output", str(path)]
    done = CliRunner().invoke(run_sim, [*short, *options])
    assert done.exit_code == 0, done.output
    joined = pd.read_csv(tmp_path / "job.joined.csv")
    assert set(joined["job_state"].dropna()) >= {"running"}
    assert "job.gpu.parquet" in (tmp_path / "job.croissant.json").read_text(encoding="utf-8")
