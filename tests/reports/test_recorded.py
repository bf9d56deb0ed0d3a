"""Telemetry of any origin is laid on a grid, and what does not lie on one is told."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from sim.common.errors import InputError
from sim.reports.page import report, write_report
from sim.reports.recorded import read_recorded
from sim.reports.thinned import shown


def written(path, rows, columns="ts,rack_id,inlet_c"):
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


def ticks(count, racks=("a", "b")):
    """Return lines of a reading each minute, 20 + rack + tick / 100."""
    return [
        f"2025-01-06T00:{tick:02}:00Z,{rack},{20 + k + tick / 100:.2f}"
        for tick in range(count)
        for k, rack in enumerate(racks)
    ]


def test_rows_lie_on_the_ticks_and_racks_that_they_name(tmp_path):
    own = read_recorded(written(tmp_path / "a.csv", ticks(5)))
    assert own.grid.racks == ("a", "b")
    assert (own.grid.tick_s, own.grid.ticks) == (60, 5)
    assert own.readings["inlet_c"] == pytest.approx(20 + np.arange(2) + np.arange(5)[:, None] / 100)
    assert (own.truth, own.events, own.manifest, own.twin) == (None, None, None, None)


def test_missing_duplicated_unordered_and_uneven_rows_are_counted(tmp_path):
    rows = ticks(10)
    del rows[7]  # one missing
    rows.append("2025-01-06T00:02:00Z,a,99")  # one twice, and out of order
    rows.append("2025-01-06T00:09:20Z,a,99")  # one between ticks, whose cell is taken
    own = read_recorded(written(tmp_path / "a.csv", rows))
    assert (own.rows.count, own.rows.missing, own.rows.twice, own.rows.unordered, own.rows.uneven) == (21, 1, 2, 1, 1)
    assert own.readings["inlet_c"][2, 0] == 20.02  # the first row of a cell counts
    assert np.isnan(own.readings["inlet_c"][3, 1])


def test_names_with_numbers_are_in_the_order_of_their_numbers(tmp_path):
    own = read_recorded(written(tmp_path / "a.csv", ticks(2, ("R-B-1", "R-A-10", "R-A-2"))))
    assert own.grid.racks == ("R-A-2", "R-A-10", "R-B-1")
    assert own.grid.rows == ("A", "A", "B")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_of_other_libraries_is_read_in_any_unit_of_time(tmp_path, unit):
    ts = pa.array(pd.date_range("2025-01-06", periods=4, freq="30s"), pa.timestamp(unit))
    pyarrow.parquet.write_table(
        pa.table({"ts": ts, "rack_id": ["x"] * 4, "pdu_kw": [5.25] * 4}), tmp_path / "a.parquet"
    )
    own = read_recorded(tmp_path / "a.parquet")
    assert (own.grid.tick_s, own.grid.ticks, own.readings["pdu_kw"].tolist()) == (30, 4, [[5.25]] * 4)


def test_a_file_that_is_not_ours_gets_a_report_that_says_what_is_not_known(tmp_path):
    page = report(read_recorded(written(tmp_path / "theirs.csv", ticks(30))))
    assert "no manifest of a run beside it: telemetry of any origin" in page
    assert "No labels with profiles" in page
    assert "No events file beside the telemetry" in page
    assert "nothing says which rows are anomalous" in page


def test_labels_of_others_need_no_more_than_whether_a_row_is_anomalous(tmp_path):
    path = written(tmp_path / "theirs.csv", ticks(30))
    rows = [f"{','.join(row.split(',')[:2])},{'true' if k > 40 else 'false'}" for k, row in enumerate(ticks(30))]
    labels = written(tmp_path / "truth.csv", rows, "ts,rack_id,is_anomaly")
    own = read_recorded(path, labels)
    assert own.truth.flags["is_anomaly"].sum() == 60 - 41
    assert "The first anomaly comes after 20m" in report(own)


def test_columns_that_are_no_channels_are_told_as_what_may_leak(tmp_path):
    rows = [f"{row},1" for row in ticks(30)]
    own = read_recorded(written(tmp_path / "a.csv", rows, "ts,rack_id,inlet_c,is_anomaly"))
    assert own.others == ["is_anomaly"]
    assert "The file has columns beside the channels: is_anomaly" in report(own)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_few_rows_are_enough_for_a_report(tmp_path, count):
    assert "<title>a: report</title>" in report(read_recorded(written(tmp_path / "a.csv", ticks(count)[:count])))


def test_a_channel_without_any_reading_is_no_obstacle(tmp_path):
    rows = [f"{row}," for row in ticks(20)]
    page = report(read_recorded(written(tmp_path / "a.csv", rows, "ts,rack_id,inlet_c,pdu_kw")))
    assert "Channels that never change: pdu_kw" in page


@pytest.mark.parametrize(
    ("columns", "rows", "said"),
    [
        ("ts,rack_id,heat", ["2025-01-06T00:00:00Z,a,1"], "columns missing: any of inlet_c, outlet_c"),
        ("time,rack,inlet_c", ["2025-01-06T00:00:00Z,a,1"], "columns missing: ts, rack_id"),
        ("ts,rack_id,inlet_c", [], "has a header and no rows"),
        ("ts,rack_id,inlet_c", ["2025-01-06T00:00:00Z,a,1", "soon,a,1"], "row 2: ts: 'soon'"),
        ("ts,rack_id,inlet_c", ["2025-01-06T00:00:00Z,,1"], "row 1: rack_id is empty"),
        ("ts,rack_id,inlet_c", ["2025-01-06T00:00:00Z,a,warm"], "cannot be read"),
        ("ts,rack_id,inlet_c,inlet_c", ["2025-01-06T00:00:00Z,a,1,2"], "columns that stand more than once: inlet_c"),
    ],
)
def test_what_is_no_telemetry_is_one_message_and_leaves_nothing(tmp_path, columns, rows, said):
    path = written(tmp_path / "a.csv", rows, columns)
    with pytest.raises(InputError, match=said):
        write_report(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_instants_that_no_grid_holds_are_one_message(tmp_path):
    rows = [f"20{year}-01-06T00:00:{second:02}Z,{rack},1" for year in (20, 25) for second in range(9) for rack in "ab"]
    with pytest.raises(InputError, match="too few for one hall's telemetry; split the file"):
        read_recorded(written(tmp_path / "a.csv", rows))


def test_labels_that_are_of_another_run_are_refused(telemetry, tmp_path):
    other = written(tmp_path / "a.csv", ticks(5))
    labels = telemetry.with_name("small.labels.parquet")
    with pytest.raises(InputError, match=r"a\.csv: not the telemetry of .*small\.labels\.parquet"):
        write_report(other, labels=labels)


def test_labels_of_racks_that_are_not_there_are_refused(tmp_path):
    path = written(tmp_path / "a.csv", ticks(5))
    labels = written(tmp_path / "truth.csv", ["2025-01-06T00:00:00Z,c,true"], "ts,rack_id,is_anomaly")
    with pytest.raises(InputError, match=r"truth\.csv: racks that the telemetry has not: c"):
        write_report(path, labels=labels)


def test_a_file_that_is_no_report_is_never_replaced(telemetry, tmp_path):
    notes = tmp_path / "notes.html"
    notes.write_text("<!doctype html>mine")
    with pytest.raises(InputError, match=r"notes\.html: is no report of ours; move it away"):
        write_report(telemetry, notes)
    assert notes.read_text() == "<!doctype html>mine"
    with pytest.raises(InputError, match=r"small\.csv: a report is an \.html file"):
        write_report(telemetry, telemetry)
    assert write_report(telemetry, tmp_path / "own.html") == write_report(telemetry, tmp_path / "own.html")


def test_the_same_run_gives_the_same_report_to_the_byte(telemetry):
    assert report(read_recorded(telemetry)) == report(read_recorded(telemetry))


def test_energy_alone_is_shown_though_it_is_left_out_beside_the_power_that_it_follows(tmp_path, telemetry):
    alone = read_recorded(written(tmp_path / "a.csv", ticks(5), "ts,rack_id,gpu_energy_j"))
    assert shown(alone) == ["gpu_energy_j"]
    assert set(read_recorded(telemetry).channels) - set(shown(read_recorded(telemetry))) == {"gpu_energy_j"}
