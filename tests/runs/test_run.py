"""A run says the same whether it is read from CSV, from Parquet, or kept in memory."""

import json

import numpy as np
import pandas as pd
import pytest

from sim.common.errors import InputError
from sim.engine.build import resolve
from sim.runs.files import run_paths
from sim.runs.run import Run
from sim.runs.simulate import simulate_in_memory, simulate_to_files
from sim.scenario.checks import parse_scenario

HALL = {
    "name": "read",
    "duration": "3h",
    "seed": 0,
    "facility": {"rows": 4, "racks_per_row": 2},
    "occupancy": {"anytime": {"thermal_event": 0.3}},
    "incidents": [
        {"kind": "pump_trip", "target": "loop:CL-1", "at": "30m", "duration": "20m"},
        {"kind": "sensor_dropout", "target": "rack:R-D-01", "at": "1h", "parameters": {"channel": "queue_depth"}},
    ],
}
PARTS = ("telemetry", "twin", "labels", "events")


@pytest.fixture(scope="module")
def scenario():
    return parse_scenario(HALL, "read")


@pytest.fixture(scope="module")
def folder(scenario, tmp_path_factory):
    where, hall = tmp_path_factory.mktemp("runs"), resolve(scenario)
    for kind in ("csv", "parquet"):
        simulate_to_files(hall, run_paths("read", str(where / f"{kind}.{kind}"), None, kind, twin=True, effects=True))
    return where


@pytest.fixture(scope="module")
def runs(scenario, folder):
    return [Run.open(folder / "csv.csv"), Run.open(folder / "parquet.parquet"), simulate_in_memory(scenario)]


@pytest.mark.parametrize("part", PARTS)
def test_files_and_memory_hold_the_same_frames_with_the_same_types(runs, part):
    csv, parquet, memory = (getattr(run, part) for run in runs)
    pd.testing.assert_frame_equal(csv, parquet, check_categorical=False)
    effects = [name for name in csv if name.startswith("effect_")]  # written where they were asked for
    pd.testing.assert_frame_equal(csv.drop(columns=effects), memory, check_categorical=False)


def test_frames_have_the_types_that_the_page_on_files_states(runs):
    for run in runs:
        types = run.telemetry.dtypes
        assert types["ts"] == "datetime64[ms, UTC]"
        assert types["rack_id"] == "category"
        assert set(types[2:].drop("queue_depth")) == {np.dtype("float32")}
        assert run.labels["is_anomaly"].dtype == run.events["is_persistent"].dtype == bool
        assert run.labels["severity"].dtype == np.float32
        assert {run.labels[n].dtype.name for n in ("profile", "anomaly_kind", "episode_id", "phase")} == {"category"}


def test_readings_are_what_a_csv_file_states_to_the_last_digit(runs, folder):
    text = pd.read_csv(folder / "csv.csv")
    for run in runs:
        assert run.channels == tuple(text.columns[2:])
        for name in run.channels:
            written = text[name].to_numpy().reshape(-1, len(run.racks))
            assert np.array_equal(run.readings(name), written, equal_nan=True), name


def test_racks_and_times_are_those_of_the_rows(runs):
    for run in runs:
        assert len(run.racks) == 8
        assert list(run.telemetry["rack_id"][:8]) == list(run.racks)
        assert (run.times == run.telemetry["ts"][::8].dt.tz_localize(None).to_numpy()).all()


def test_rows_of_a_kind_are_those_that_the_labels_call_so(runs):
    for run in runs:
        kind = run.labels["anomaly_kind"].astype(str).to_numpy().reshape(-1, 8)
        assert (run.has_kind(["incident", "cooling"]) == np.isin(kind, ["incident", "cooling"])).all()
        assert run.has_kind(["incident"]).any()


def test_a_run_in_memory_has_the_truth_before_sensors_and_files_say_that_they_have_not(runs):
    csv, _, memory = runs
    assert memory.arrays.truth["inlet_c"].shape == (180, 8)
    assert memory.arrays.truth["inlet_c"] == pytest.approx(memory.readings("inlet_c"), abs=1)
    with pytest.raises(InputError, match=r"csv\.csv: files hold no truth before sensors; run the scenario in memory"):
        _ = csv.arrays


def test_the_manifest_of_files_and_of_memory_tell_of_the_same_run(runs):
    csv, parquet, memory = (run.manifest for run in runs)
    for key in ("seed", "ticks", "racks", "scenario", "scenario_sha256"):
        assert csv[key] == parquet[key] == memory[key]


def test_a_run_without_incidents_is_its_own_twin(scenario):
    with pytest.raises(InputError, match="has no incidents or incident_rates, so it is its own twin"):
        _ = simulate_in_memory(scenario.model_copy(update={"incidents": []})).twin


@pytest.fixture
def spoilt(folder, tmp_path):
    """The run's files, to be spoilt."""
    for path in folder.glob("csv.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / "csv.csv"


def test_a_run_that_is_as_it_was_written_passes_its_check(spoilt):
    assert len(Run.open(spoilt, check=True).telemetry) == 180 * 8


def test_a_check_names_all_files_that_are_not_as_they_were_written(spoilt):
    spoilt.write_bytes(spoilt.read_bytes() + b"\n")
    spoilt.with_name("csv.labels.csv").unlink()
    with pytest.raises(InputError) as error:
        Run.open(spoilt, check=True)
    assert "csv.csv: changed since the run" in str(error.value)
    assert "csv.labels.csv: not there, though the manifest lists it" in str(error.value)


def test_without_a_manifest_the_frames_can_still_be_read(spoilt):
    spoilt.with_name("csv.manifest.json").unlink()
    run = Run.open(spoilt)
    assert len(run.telemetry) == len(run.labels) == 180 * 8
    with pytest.raises(InputError, match=r"not there: .*csv\.manifest\.json"):
        _ = run.manifest


def test_what_is_not_there_is_said_with_what_would_make_it(spoilt):
    for part in ("labels", "twin"):
        spoilt.with_name(f"csv.{part}.csv").unlink()
    manifest = spoilt.with_name("csv.manifest.json")
    content = json.loads(manifest.read_text())
    del content["files"]["csv.labels.csv"], content["files"]["csv.twin.csv"]
    manifest.write_text(json.dumps(content))
    with pytest.raises(InputError, match="run it again with --labels parquet or csv"):
        _ = Run.open(spoilt).labels
    with pytest.raises(InputError, match="run it again with --twin"):
        _ = Run.open(spoilt).twin
    with pytest.raises(InputError, match=r"not there: .*none\.csv"):
        Run.open(spoilt.with_name("none.csv"))
    with pytest.raises(InputError, match=r"is not telemetry; that ends in \.csv or \.parquet"):
        Run.open(spoilt.with_name("none.txt"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "columns missing: ts, rack_id, inlet_c"),
        ("ts,rack_id,inlet_c\nsoon,R-A-01,20\n", "cannot be read"),
    ],
)
def test_a_file_that_is_no_telemetry_is_an_error_that_names_it(tmp_path, text, said):
    (tmp_path / "odd.csv").write_text(text)
    with pytest.raises(InputError, match=rf"odd\.csv: cannot be read.*{said}" if "missing" in said else said):
        _ = Run.open(tmp_path / "odd.csv").telemetry


def test_rows_that_are_not_one_of_each_rack_per_tick_have_no_grid(spoilt):
    lines = spoilt.read_text().splitlines()
    spoilt.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(InputError, match=r"csv\.csv: 1,439 rows, not one of each rack at every tick"):
        Run.open(spoilt).readings("inlet_c")
