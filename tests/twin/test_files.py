"""The files of a run with incidents: the twin's bytes, missing cells, and what events and labels say of each other."""

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from sim.cli.commands import run_sim
from sim.model.channels import TELEMETRY_COLUMNS

HALL = {"name": "files", "duration": "3h", "seed": 0, "facility": {"rows": 4, "racks_per_row": 2}}
INCIDENTS = [
    {"kind": "pump_trip", "target": "loop:CL-1", "at": "30m", "duration": "20m"},
    {"kind": "sensor_dropout", "target": "rack:R-C-01", "at": "1h", "duration": "30m"},
    {"kind": "sensor_dropout", "target": "rack:R-C-02", "at": "1h", "parameters": {"channel": "gpu_power_kw"}},
    {"kind": "sensor_dropout", "target": "rack:R-D-01", "at": "1h", "parameters": {"channel": "queue_depth"}},
    {"kind": "sensor_swap", "target": "rack:R-D-02", "at": "90m", "duration": "1h"},
]
SURGE = {"kind": "added_ai_nodes", "target": "row:C", "at": "30m", "duration": "1h", "id": "surge"}
SURGE["parameters"] = {"load": 3, "capacity": 3, "idle_kw": 5}


def ran(folder, output, *args, **scenario):
    """Run a scenario into a folder and return the path of its telemetry."""
    given = folder / f"{output}.json.yaml"
    given.write_text(json.dumps({**HALL, **scenario}))
    call = ["--scenario", str(given), "--output", str(folder / output), "--quiet", *args]
    result = CliRunner().invoke(run_sim, call, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder / output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with incidents as CSV with its twin and as Parquet, and the same without them."""
    where = tmp_path_factory.mktemp("files")
    ran(where, "run.csv", "--twin", incidents=INCIDENTS)
    ran(where, "typed.parquet", "--twin", incidents=INCIDENTS)
    ran(where, "plain.csv")
    return where


def test_the_twin_file_is_byte_by_byte_the_run_without_incidents(folder):
    assert (folder / "run.twin.csv").read_bytes() == (folder / "plain.csv").read_bytes()
    assert (folder / "run.csv").read_bytes() != (folder / "plain.csv").read_bytes()


def test_the_twin_of_a_crowd_is_byte_by_byte_the_run_without_it(folder):
    crowd = ran(folder, "crowd.csv", "--twin", incident_rates={"acceleration": 8000})
    events = pd.read_csv(folder / "crowd.events.csv")
    assert (events["origin"] == "drawn").sum() >= 200
    assert crowd.with_suffix(".twin.csv").read_bytes() == (folder / "plain.csv").read_bytes()


@pytest.mark.parametrize("twin", ["", ".twin"])
def test_parquet_holds_the_csv_with_missing_cells_missing(folder, twin):
    text = pd.read_csv(folder / f"run{twin}.csv", parse_dates=["ts"])
    table = pq.read_table(folder / f"typed{twin}.parquet")
    assert tuple(table.column_names) == tuple(text.columns) == TELEMETRY_COLUMNS
    frame = table.to_pandas()
    for column in TELEMETRY_COLUMNS[2:]:
        missing = text[column].isna()
        assert (frame[column].isna() == missing).all(), column
        there = frame[column][~missing]
        assert (there.to_numpy() == text[column][~missing].to_numpy().astype(there.dtype)).all(), column


def test_a_lost_sample_is_an_empty_cell_and_so_is_what_is_derived_from_it(folder):
    frame = pd.read_csv(folder / "run.csv").set_index("rack_id")
    minutes = {"R-C-01": 30, "R-C-02": 60, "R-D-01": 60}
    lost = {"R-C-01": ["inlet_c", "delta_t"], "R-C-02": ["gpu_energy_j", "gpu_power_kw"], "R-D-01": ["queue_depth"]}
    for rack, columns in lost.items():
        count = frame.loc[rack].isna().sum()
        assert count[count > 0].to_dict() == dict.fromkeys(columns, minutes[rack])
    lines = (folder / "run.csv").read_text().splitlines()
    assert not any("nan" in line.lower() or str(-(2**63)) in line for line in lines)


def test_events_are_the_runs_of_the_labels(folder):
    labels = pq.read_table(folder / "run.labels.parquet").to_pandas()
    events = pd.read_csv(folder / "run.events.csv")
    events = events[events["type"] != "episode"].set_index("event_id")
    ids = labels["incident_id"].astype(object).dropna()
    named = {name for joined in ids.unique() for name in joined.split("|")}
    assert named == set(events.index)
    for name, event in events.iterrows():
        rows = labels[ids.reindex(labels.index).fillna("").map(lambda joined, n=name: n in joined.split("|"))]
        assert rows["ts"].nunique() == event["ticks"]
        assert rows["ts"].min() >= pd.Timestamp(event["planned_start"])
        assert set(event["affected_assets"].split("|")) <= set(rows["rack_id"].astype(str))


def test_events_name_the_chiller_plant_where_it_passed_the_fault_on(folder):
    facility = {**HALL["facility"], "chiller_capacity_kw": 70}
    ran(folder, "tight.csv", incidents=[SURGE], facility=facility)
    events = pd.read_csv(folder / "tight.events.csv").set_index("event_id")
    affected = events.loc["surge", "affected_assets"].split("|")
    assert affected[-1] == "CH-1"
    assert {"R-A-01", "R-B-01", "R-C-01"} <= set(affected)
    labels = pq.read_table(folder / "tight.labels.parquet").to_pandas()
    other = labels[labels["rack_id"].astype(str).str.match("R-[AB]")]
    assert set(other["incident_id"].astype(object).dropna()) == {"surge"}
    assert events.loc["surge", "root_asset"] == "row:C"


def test_what_affects_the_whole_hall_is_rooted_in_the_hall_unless_it_affects_the_chiller_plant(folder):
    kinds = {"flash_crowd": "H1", "power_cap": "H1", "utility_sag": "H1", "heat_wave": "CH-1", "chiller_trip": "CH-1"}
    whole = [{"kind": kind, "at": f"{20 * i}m", "duration": "1m", "causes": []} for i, kind in enumerate(kinds)]
    ran(folder, "whole.csv", incidents=whole)
    events = pd.read_csv(folder / "whole.events.csv")
    events = events[events["type"] == "incident"].set_index("kind")
    assert events["root_asset"].to_dict() == kinds
