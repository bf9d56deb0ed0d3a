"""NAME.gpu.parquet as users see it: one of the run's files, row by row like the telemetry."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import sim
from sim.cli.commands import run_sim
from sim.common.errors import InputError
from sim.engine.counters import COUNTERS

DCGM = ["--set", "telemetry.counters=dcgm"]


def simulated(folder, *args):
    given = ["--scenario", "small", "--quiet", "--output", f"{folder}/", *args]
    result = CliRunner().invoke(run_sim, given, catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("counted")
    simulated(made, *DCGM)
    return made


def test_the_counters_are_one_of_the_files_that_the_manifest_names(folder):
    files = json.loads((folder / "small.manifest.json").read_text())["files"]
    assert files.keys() == {"small.csv", "small.gpu.parquet", "small.labels.parquet", "small.events.csv"}
    assert files["small.gpu.parquet"]["bytes"] == (folder / "small.gpu.parquet").stat().st_size


def test_they_stand_row_by_row_like_the_telemetry_and_are_typed(folder):
    table, run = pq.read_table(folder / "small.gpu.parquet"), sim.read(folder / "small.csv")
    assert table.column_names == ["ts", "rack_id", *COUNTERS]
    types = {name: table.schema.field(name).type for name in COUNTERS}
    assert types.pop("POWER_USAGE") == pa.float32()
    assert set(types.values()) == {pa.int32()}
    assert (run.gpu["ts"].to_numpy() == run.telemetry["ts"].to_numpy()).all()
    assert (run.gpu["rack_id"].astype(str) == run.telemetry["rack_id"].astype(str)).all()


def test_the_telemetry_has_the_same_bytes_with_and_without(folder, tmp_path):
    simulated(tmp_path)
    assert (tmp_path / "small.csv").read_bytes() == (folder / "small.csv").read_bytes()
    assert not (tmp_path / "small.gpu.parquet").exists()


def test_a_run_without_them_says_how_to_get_them_and_takes_those_of_the_run_before_away(tmp_path):
    simulated(tmp_path, *DCGM)
    assert (tmp_path / "small.gpu.parquet").exists()
    simulated(tmp_path)
    assert not (tmp_path / "small.gpu.parquet").exists()
    with pytest.raises(InputError, match=r"small.gpu.parquet: .*telemetry.counters=dcgm"):
        _ = sim.read(tmp_path / "small.csv").gpu


def test_a_copy_of_a_run_has_them_too_and_one_in_memory_has_the_same(folder, tmp_path):
    run = sim.read(folder / "small.csv")
    run.write(tmp_path / "copy.parquet")
    assert sim.read(tmp_path / "copy.parquet").gpu.equals(run.gpu)
    made = sim.run(sim.scenario("small", telemetry={"counters": "dcgm"}))
    assert made.gpu.equals(run.gpu)
    made.write(tmp_path / "made.csv")
    assert sim.read(tmp_path / "made.csv").gpu.equals(run.gpu)
