"""Every shipped scenario keeps the contract of the files."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sim.domain.channels import TELEMETRY_COLUMNS
from sim.io.scenario_files import first_line, load_scenario, shipped_scenarios
from sim.io.tables import LABEL_COLUMNS

SHORT = {"large": "10m", "week": "6h", "training_main": "6h", "training_ims": "3h"}


@pytest.fixture(scope="module", params=sorted(shipped_scenarios()))
def finished(request, tmp_path_factory):
    """A shipped scenario run to CSV, shortened where it is long, and the same to Parquet."""
    from click.testing import CliRunner  # noqa: PLC0415 - only here, module-wide

    from sim.cli import run_sim  # noqa: PLC0415

    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    short = ["--duration", SHORT[name]] if name in SHORT else []
    for suffix in ("csv", "parquet"):
        args = ["--scenario", name, *short, "--quiet", "--output", f"{folder}/{suffix}.{suffix}"]
        result = CliRunner().invoke(run_sim, args, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        assert not result.output
    return name, folder


def test_telemetry_has_the_columns_rows_and_order_of_the_contract(finished):
    name, folder = finished
    scenario = load_scenario(name)
    frame = pd.read_csv(folder / "csv.csv", parse_dates=["ts"])
    assert tuple(frame.columns) == TELEMETRY_COLUMNS
    assert frame.notna().all().all()
    assert frame["ts"].iloc[0] == pd.Timestamp(scenario.start)
    steps = frame["ts"].drop_duplicates().diff().dropna().dt.total_seconds().unique()
    assert steps.tolist() == [scenario.tick]
    racks = frame["rack_id"].nunique()
    assert (frame["rack_id"].to_numpy().reshape(-1, racks) == frame["rack_id"].to_numpy()[:racks]).all()
    assert all((frame[c] != frame[c].iloc[0]).any() for c in TELEMETRY_COLUMNS[2:])


def test_derived_columns_follow_from_what_is_written(finished):
    name, folder = finished
    frame = pd.read_csv(folder / "csv.csv")
    assert np.allclose(frame["delta_t"], frame["outlet_c"] - frame["inlet_c"], atol=1e-9)
    energy_j = frame["gpu_power_kw"] * 1000 * load_scenario(name).tick
    # power is rounded to 0.01 kW, energy to 0.1 J
    assert (frame["gpu_energy_j"] - energy_j).abs().max() <= 0.005 * 1000 * load_scenario(name).tick + 0.1


def test_parquet_holds_the_csv_after_a_cast(finished):
    _, folder = finished
    text = pd.read_csv(folder / "csv.csv", parse_dates=["ts"])
    table = pq.read_table(folder / "parquet.parquet").to_pandas()
    assert tuple(table.columns) == TELEMETRY_COLUMNS
    assert (table["ts"].to_numpy() == text["ts"].to_numpy()).all()
    assert (table["rack_id"].astype(str).to_numpy() == text["rack_id"].to_numpy()).all()
    for column in TELEMETRY_COLUMNS[2:]:
        assert (table[column].to_numpy() == text[column].to_numpy().astype(table[column].dtype)).all(), column


def test_labels_stand_beside_each_row_and_agree_with_the_events(finished):
    _, folder = finished
    text = pd.read_csv(folder / "csv.csv", parse_dates=["ts"])
    labels = pq.read_table(folder / "csv.labels.parquet").to_pandas()
    events = pd.read_csv(folder / "csv.events.csv")
    assert tuple(labels.columns) == LABEL_COLUMNS
    assert (labels["rack_id"].astype(str).to_numpy() == text["rack_id"].to_numpy()).all()
    assert (labels["ts"].to_numpy() == text["ts"].to_numpy()).all()
    assert (labels["is_anomaly"] == (labels["profile"] != "nominal")).all()
    assert (labels["episode_id"].notna() == labels["is_anomaly"]).all()
    rack_events = events[events["root_asset"].isin(text["rack_id"].unique())].set_index("event_id")
    counts = labels["episode_id"].astype(object).value_counts()
    assert counts.to_dict() == rack_events["ticks"].to_dict()
    seen = labels[labels["is_anomaly"]].astype({"episode_id": object, "profile": object})
    by_id = seen.groupby("episode_id").agg(
        profile=("profile", "first"), kinds=("profile", "nunique"), persistent=("is_persistent", "all")
    )
    assert (by_id["kinds"] == 1).all()
    assert (by_id["profile"] == rack_events["kind"].reindex(by_id.index)).all()
    assert (by_id["persistent"] == rack_events["is_persistent"].reindex(by_id.index)).all()


def test_the_manifest_is_complete_and_names_every_file(finished):
    _, folder = finished
    manifest = json.loads((folder / "csv.manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["rows"] == manifest["ticks"] * manifest["racks"]
    assert set(manifest["files"]) == {"csv.csv", "csv.labels.parquet", "csv.events.csv"}
    assert all((folder / name).stat().st_size == f["bytes"] for name, f in manifest["files"].items())


def test_the_first_line_says_what_to_see(finished):
    assert len(first_line(shipped_scenarios()[finished[0]])) > len("a few words")
