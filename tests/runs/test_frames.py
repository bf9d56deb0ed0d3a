"""The frames that a run makes of its parts, its pictures, and what it says of itself."""

import hashlib

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

import sim
from sim.common.errors import InputError
from sim.engine.build import resolve
from sim.runs.files import run_paths
from sim.runs.simulate import simulate_to_files

KEYS = {
    "duration": "2h",
    "seed": 3,
    "facility": {"rows": 2, "racks_per_row": 3},
    "occupancy": {"rows": {}},
    "incidents": [{"kind": "fan_failure", "target": "rack:R-A-02", "at": "30m", "duration": "20m"}],
}
CALM = {**KEYS, "incidents": []}


@pytest.fixture(scope="module")
def run():
    return sim.run("week", **KEYS)


def test_readings_and_truth_stand_side_by_side_row_by_row(run):
    both = run.joined()
    assert list(both) == [*run.telemetry, *list(run.labels)[2:]]
    pd.testing.assert_frame_equal(both[list(run.telemetry)], run.telemetry)
    assert (both.groupby("rack_id", observed=True)["observed_id"].count() > 0).loc["R-A-02"]


def test_labels_of_other_rows_are_not_joined(run, tmp_path):
    path, *_ = run.write(tmp_path / "a.csv", labels="csv")
    labels = path.with_name("a.labels.csv")
    lines = labels.read_text().splitlines()
    lines[1:3] = [lines[2], lines[1]]
    labels.write_text("\n".join(lines) + "\n")
    path.with_name("a.manifest.json").unlink()
    with pytest.raises(InputError, match=r"a\.csv: labels of other rows than the telemetry's: not one run"):
        sim.read(path).joined()


def test_a_rack_is_its_rows_by_time(run):
    rack = run.rack("R-B-03")
    rows = run.telemetry[run.telemetry["rack_id"] == "R-B-03"]
    assert rack.index.name == "ts"
    assert (rack.index == rows["ts"]).all()
    assert (rack["inlet_c"].to_numpy() == rows["inlet_c"].to_numpy()).all()


def test_a_rack_or_channel_that_is_not_there_is_an_error_that_names_those_that_are(run):
    with pytest.raises(InputError, match="no rack 'R-C-01'; there are R-A-01, R-A-02"):
        run.rack("R-C-01")
    with pytest.raises(InputError, match="no channel 'inlet'; there are inlet_c, outlet_c"):
        run.wide("inlet")
    with pytest.raises(InputError, match="no channel 'ts'"):
        run.readings("ts")


def test_a_channel_is_a_table_of_ticks_by_racks(run):
    wide = run.wide("pdu_kw")
    assert wide.shape == (120, 6)
    pivoted = run.telemetry.assign(rack_id=run.telemetry["rack_id"].astype(str)).pivot_table(
        index="ts", columns="rack_id", values="pdu_kw"
    )
    assert (wide.to_numpy() == pivoted.to_numpy()).all()
    assert list(wide) == list(pivoted)
    assert (wide.index == pivoted.index).all()


def test_incidents_are_the_events_that_are_no_episodes(run):
    assert list(run.incidents["kind"]) == ["fan_failure"]
    assert set(run.events["type"]) == {"episode", "incident"}


def test_exact_numbers_are_those_that_pandas_reads_from_the_csv_file(run, tmp_path):
    path, *_ = run.write(tmp_path / "a.csv")
    text = pd.read_csv(path, parse_dates=["ts"])
    exact = run.exact()
    pd.testing.assert_frame_equal(exact.drop(columns=["ts", "rack_id"]), text.drop(columns=["ts", "rack_id"]))
    assert list(exact["rack_id"]) == list(text["rack_id"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_run_in_memory_writes_the_bytes_that_it_would_have_written_under_way(run, tmp_path, kind):
    at = [tmp_path / where / f"a.{kind}" for where in ("kept", "under_way")]
    written = run.write(at[0], labels="parquet")
    hall = resolve(sim.load_scenario("week", **KEYS))
    simulate_to_files(hall, run_paths("week", str(at[1]), None, "parquet", twin=True))
    endings = [kind, f"twin.{kind}", "labels.parquet", "events.csv", "manifest.json"]
    assert [path.name for path in written] == [f"a.{ending}" for ending in endings]
    hashes = [{p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in a.parent.iterdir()} for a in at]
    assert hashes[0] == hashes[1]
    pd.testing.assert_frame_equal(sim.read(at[0], check=True).labels, run.labels, check_categorical=False)


def test_what_a_run_is_not_written_as_is_one_message(run, tmp_path):
    with pytest.raises(InputError, match=r"a\.txt: ends in '\.txt'; telemetry is written as \.csv or \.parquet"):
        run.write(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"labels: 'xml' is none of parquet, csv, csv\.gz, join, none"):
        run.write(tmp_path / "a.csv", labels="xml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "other"), [("csv", "parquet"), ("parquet", "csv")])
def test_a_run_that_was_read_is_written_again_in_another_format_as_it_would_have_been_at_once(
    run, tmp_path, kind, other
):
    first, *_ = run.write(tmp_path / "one" / f"a.{kind}", labels=kind)
    again = sim.read(first).write(tmp_path / "again" / f"a.{other}", labels=other)
    endings = [other, f"twin.{other}", f"labels.{other}", "events.csv", "manifest.json"]
    assert [p.name for p in again] == [f"a.{ending}" for ending in endings]
    copy = sim.read(again[0], check=True)
    for part in ("telemetry", "twin", "labels", "events"):
        pd.testing.assert_frame_equal(getattr(copy, part), getattr(run, part), check_categorical=False)
    at_once, *_ = run.write(tmp_path / "once" / f"a.{other}", labels=other)
    for name in (f"a.{other}", f"a.twin.{other}", f"a.labels.{other}") if other == "csv" else ():
        assert (again[0].parent / name).read_bytes() == (at_once.parent / name).read_bytes(), name
    assert {**copy.manifest, "files": {}} == {**sim.read(at_once).manifest, "files": {}}


def test_a_run_is_not_written_over_its_own_files(run, tmp_path):
    path, *_ = run.write(tmp_path / "a.csv")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"a\.csv: is what this run reads"):
        sim.read(path).write(path)
    assert path.read_bytes() == before


def test_a_run_with_an_empty_cell_is_written_again_with_it(tmp_path):
    gap = {"kind": "sensor_dropout", "target": "rack:R-A-01", "at": "10m", "parameters": {"channel": "queue_depth"}}
    first, *_ = sim.run("week", **KEYS | {"incidents": [gap]}).write(tmp_path / "a.parquet")
    again, *_ = sim.read(first).write(tmp_path / "b.csv")
    assert ",," in again.read_text()
    pd.testing.assert_frame_equal(sim.read(again).telemetry, sim.read(first).telemetry, check_categorical=False)


def test_columns_of_labels_have_their_types_whether_a_run_has_incidents_or_not(run, tmp_path):
    schemas = []
    for name, each in (("struck", run), ("calm", sim.run("week", **CALM))):
        each.write(tmp_path / f"{name}.csv")
        schemas.append(pyarrow.parquet.read_schema(tmp_path / f"{name}.labels.parquet"))
        names = ["incident_id", "observed_id", "phase", "sensor_fault"]
        assert {each.labels[column].dtype.name for column in names} == {"category"}
        assert each.labels["severity"].dtype == np.float32
    assert schemas[0].equals(schemas[1])


def test_a_run_says_what_it_is_in_a_line_and_as_a_table_for_notebooks(run, tmp_path):
    said = "scenario week, seed 3, size 6 racks x 120 ticks of 1m = 720 rows, from 2025-01-06T00:00:00Z for 2h"
    assert repr(run) == f"<Run week: {said}, incidents 1 scripted>"
    assert "<td>6 racks x 120 ticks of 1m = 720 rows</td>" in run._repr_html_()
    path, *_ = run.write(tmp_path / "mine.csv")
    assert repr(sim.read(path)) == f"<Run mine: {said}, incidents 1 scripted>"
    path.with_name("mine.manifest.json").unlink()
    assert repr(sim.read(path)) == f"<Run mine: file {path}, without the manifest of a run>"


def test_the_name_of_a_run_is_text_in_a_notebook(run, tmp_path):
    path, *_ = run.write(tmp_path / "<b>.csv")
    assert "<b>&lt;b&gt;</b>" in sim.read(path)._repr_html_()


def test_pictures_show_a_rack_with_its_twin_and_all_racks(run):
    rack, hall = run.plot.rack("R-A-02", ["inlet_c", "fan_rpm_pct"]), run.plot.hall("pdu_kw")
    twin, own = rack.axes[0].lines
    assert np.allclose(own.get_ydata(), run.wide("inlet_c")["R-A-02"])
    assert np.allclose(twin.get_ydata(), run.twin.loc[run.twin["rack_id"] == "R-A-02", "inlet_c"])
    assert "fan_failure" in rack.axes[0].get_title()
    [drawn] = hall.axes[0].images
    assert np.allclose(drawn.get_array(), run.wide("pdu_kw").to_numpy().T)
    assert rack._repr_png_().startswith(b"\x89PNG")


def test_a_picture_of_what_is_not_there_is_an_error(run):
    with pytest.raises(InputError, match="no rack 'R-Z-01'"):
        run.plot.rack("R-Z-01")
    with pytest.raises(InputError, match="no channel 'heat'"):
        run.plot.hall("heat")


def test_a_rack_without_truth_is_drawn_without_it(run, tmp_path):
    path, *_ = run.write(tmp_path / "bare.csv", labels="none", twin=False)
    figure = sim.read(path).plot.rack("R-A-02", ["inlet_c"])
    assert len(figure.axes[0].lines) == 1
