"""The lines of docs/scale.md that open a fleet."""

import glob
import re
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset
import pytest

import sim
from sim.sweeps.computing import Place, compute
from sim.sweeps.sweep import read_sweep

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
MODULES = {"pyarrow": pyarrow, "duckdb": duckdb, "polars": pl, "pandas": pd, "glob": glob}
LINES = re.findall(r"^    ((?:pyarrow|duckdb|polars|pandas)\..*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
TABLES, EVENTS = [line for line in LINES if "telemetry" in line], [line for line in LINES if "events" in line]
SWEEP = """\
scenarios: {north: cold_site, south: hot_site}
seeds: 2
grid: {facility.outdoor_c: [1.5, 20]}
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "s.yaml").write_text(SWEEP)
    settings = ("facility.rows=1", "facility.racks_per_row=2", "duration=20m")
    settings += ("incidents=[{kind: fan_failure, target: 'rack:R-A-01', at: 2m, duration: 15m}]",)
    place = Place(folder / "fleet", folder, frozenset({"telemetry", "labels"}))
    runs = list(read_sweep(folder / "s.yaml", settings=settings).runs())
    for run in runs:
        compute(run, place)
    return place, runs


def frame(opened):
    """Return what a line gives as a pandas frame."""
    if isinstance(opened, pyarrow.dataset.Dataset):
        return opened.to_table().to_pandas()
    if isinstance(opened, pl.LazyFrame):
        return opened.collect().to_pandas()
    return opened.df() if hasattr(opened, "df") else opened


def test_the_page_has_a_line_for_each_of_four_readers():
    assert [line.partition(".")[0] for line in TABLES] == ["pyarrow", "duckdb", "polars", "pandas"]
    assert [line.partition(".")[0] for line in EVENTS] == ["pyarrow", "duckdb"]


@pytest.mark.parametrize("file", ["telemetry", "labels"])
@pytest.mark.parametrize("line", TABLES, ids=lambda line: line.partition(".")[0])
def test_a_line_of_the_page_opens_a_fleet_with_every_row_under_its_parameters(fleet, line, file):
    place, runs = fleet
    there = line.replace("data/fleet", str(place.output)).replace("telemetry", file)
    whole = frame(eval(there, MODULES))  # noqa: S307 - the page's own line
    assert len(whole) == sum(run.rows for run in runs)
    for run in runs:
        p = run.parameters
        mine = whole[
            (whole["site"] == p["site"])
            & (whole["seed"].astype(int) == p["seed"])
            & (whole["facility.outdoor_c"].astype(float) == p["facility.outdoor_c"])
        ]
        alone = sim.read(place.paths(run).telemetry)
        expected = alone.telemetry["inlet_c"] if file == "telemetry" else alone.labels["is_anomaly"]
        assert mine[expected.name].tolist() == expected.tolist()
        assert set(mine["scenario"]) == {p["scenario"]}


@pytest.mark.parametrize("line", TABLES, ids=lambda line: line.partition(".")[0])
def test_two_sites_do_not_share_a_rack(fleet, line):
    place, _ = fleet
    whole = frame(eval(line.replace("data/fleet", str(place.output)), MODULES))  # noqa: S307 - as above
    whole = whole[(whole["seed"].astype(int) == 0) & (whole["facility.outdoor_c"].astype(float) == 20)]
    assert not whole.duplicated(["site", "rack_id", "ts"]).any()
    racks = whole[["site", "rack_id"]].astype(str).drop_duplicates().sort_values(["site", "rack_id"])
    assert racks.to_numpy().tolist() == [[site, rack] for site in ("north", "south") for rack in ("R-A-01", "R-A-02")]


@pytest.mark.parametrize("line", EVENTS, ids=lambda line: line.partition(".")[0])
def test_events_of_a_fleet_tell_their_site(fleet, line):
    place, runs = fleet
    whole = frame(eval(line.replace("data/fleet", str(place.output)), MODULES))  # noqa: S307 - as above
    struck = whole[whole["kind"] == "fan_failure"]
    assert len(struck) == len(runs)
    assert set(struck["site"]) == {"north", "south"}
    assert set(struck["root_asset"]) == {"R-A-01"}
