import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sim.common.errors import InputError
from tests.training.halls import make_hall
from training.labels import find_labels, read_labels
from training.telemetry import TelemetryFile, read_telemetry
from training.timeline import SAME_SPACING_RUN


@pytest.fixture(scope="module")
def small():
    return make_hall(racks=5, ticks=80, seed=3)


def rows_where(table, keep):
    return table.filter(pa.array(keep))


def test_csv_and_parquet_give_the_same_vectors(small, tmp_path):
    csv, parquet = (read_telemetry(small.write(tmp_path / f"run.{kind}")) for kind in ("csv", "parquet"))
    assert np.array_equal(csv.x, parquet.x)
    assert np.array_equal(csv.ts_s, parquet.ts_s)
    assert csv.racks == parquet.racks == small.racks
    assert csv.interval_s == 60.0


def test_parquet_with_typed_timestamps_and_dictionaries_reads_the_same(small, tmp_path):
    table = small.table()
    plain = read_telemetry(small.write(tmp_path / "plain.parquet"))
    stamps = table["ts"].cast(pa.timestamp("ms", tz="UTC"))
    typed = table.set_column(0, "ts", stamps).set_column(1, "rack_id", table["rack_id"].dictionary_encode())
    pq.write_table(typed, tmp_path / "typed.parquet")
    assert np.array_equal(read_telemetry(tmp_path / "typed.parquet").ts_s, plain.ts_s)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_blocks_of_any_size_hold_the_same_rows(small, tmp_path, kind):
    path = small.write(tmp_path / f"run.{kind}", small.table().drop_columns(["gpu_power_kw", "delta_t"]))
    whole = read_telemetry(path)
    for rows in (7, 64, 100_000):
        blocks = list(TelemetryFile(path, rows).blocks())
        assert np.array_equal(np.concatenate([b.x for b in blocks]), whole.x)
        assert [b.start for b in blocks] == np.cumsum([0] + [b.ts_s.size for b in blocks[:-1]]).tolist()
    assert np.isfinite(whole.x).all()


def test_power_from_energy_uses_the_racks_own_interval(small, tmp_path):
    path = small.write(tmp_path / "run.csv", small.table().drop_columns(["gpu_power_kw"]))
    assert read_telemetry(path).x[:, 4] == pytest.approx(small.columns["gpu_power_kw"], abs=1e-5)


def test_empty_cells_and_nan_are_missing(small, tmp_path):
    lines = small.write(tmp_path / "run.csv").read_text().splitlines()
    cells = lines[1].split(",")
    lines[1] = ",".join([*cells[:2], "", "NaN", *cells[4:]])
    (tmp_path / "run.csv").write_text("\n".join(lines) + "\n")
    assert np.isnan(read_telemetry(tmp_path / "run.csv").x[0, :2]).all()


def test_a_lost_sample_is_no_change_of_tick(small, tmp_path):
    lost = (small.rack == 2) & (np.arange(small.rack.size) // 5 % 7 == 3)
    assert read_telemetry(small.write(tmp_path / "run.csv", rows_where(small.table(), ~lost))).rows == (~lost).sum()


def test_a_rack_that_stops_for_a_while_is_no_change_of_tick(small, tmp_path):
    tick = np.arange(small.rack.size) // 5
    away = (small.rack == 1) & (tick > 20) & (tick < 60)
    assert read_telemetry(small.write(tmp_path / "run.csv", rows_where(small.table(), ~away))).rows == (~away).sum()


@pytest.mark.parametrize("block_rows", [16, 65_536])
def test_a_tick_that_grows_midway_is_refused(small, tmp_path, block_rows):
    tick = np.arange(small.rack.size) // 5
    path = small.write(tmp_path / "run.csv", rows_where(small.table(), (tick < 30) | (tick % 2 == 0)))
    with pytest.raises(
        InputError, match=r"the tick changes midway: rack R-A-01 is sampled after 120 s .* every 60 s elsewhere"
    ):
        list(TelemetryFile(path, block_rows).blocks())
    assert SAME_SPACING_RUN == 10


def test_a_tick_that_shrinks_midway_is_refused(small, tmp_path):
    table = small.table()
    stamps = table["ts"].to_pylist()
    for k in range(200, len(stamps)):
        stamps[k] = str(np.datetime64(stamps[200][:-1]) + np.timedelta64(30 * ((k - 200) // 5), "s")) + "Z"
    path = small.write(tmp_path / "run.csv", table.set_column(0, "ts", pa.array(stamps)))
    with pytest.raises(
        InputError, match=r"the tick changes midway: rack R-A-01 is sampled after 30 s .* and every 60 s elsewhere"
    ):
        read_telemetry(path)


def test_unsorted_rows_are_refused_with_the_row(small, tmp_path):
    table = small.table()
    path = small.write(tmp_path / "run.csv", pa.concat_tables([table.slice(5), table.slice(0, 5)]))
    with pytest.raises(InputError, match=r"row 396: ts goes back from .* sort the file by ts, then rack_id"):
        read_telemetry(path)


def test_a_row_twice_is_refused(small, tmp_path):
    table = small.table()
    path = small.write(tmp_path / "run.csv", pa.concat_tables([table.slice(0, 5), table.slice(4)]))
    with pytest.raises(InputError, match=r"row 6: rack R-A-05 is there twice at 2025-01-06T00:00:00Z"):
        read_telemetry(path)


def test_labels_of_the_same_run_are_found_and_lined_up(small, tmp_path):
    path = small.write(tmp_path / "run.csv")
    labels = read_labels(find_labels(path), read_telemetry(path))
    assert labels.profile.tolist() == small.truth["profile"].tolist()
    assert np.array_equal(labels.anomaly, small.truth["is_anomaly"])
    assert np.array_equal(labels.episode, small.truth["episode_id"].astype(str))


def test_text_labels_read_like_parquet(small, tmp_path):
    import pyarrow.csv as pc  # noqa: PLC0415

    path = small.write(tmp_path / "run.csv")
    telemetry = read_telemetry(path)
    binary = read_labels(find_labels(path), telemetry)
    pc.write_csv(pq.read_table(tmp_path / "run.labels.parquet"), tmp_path / "run.labels.csv")
    (tmp_path / "run.labels.parquet").unlink()
    text = read_labels(find_labels(path), telemetry)
    for name in ("profile", "kind", "episode", "anomaly", "persistent"):
        assert np.array_equal(getattr(text, name), getattr(binary, name))


def test_labels_of_another_run_are_refused(small, tmp_path):
    telemetry = read_telemetry(small.write(tmp_path / "run.csv"))
    other = make_hall(racks=5, ticks=60, seed=3)
    other.write(tmp_path / "other.csv")
    with pytest.raises(InputError, match=r"has 300 rows, .* has 400; give the labels of this run"):
        read_labels(tmp_path / "other.labels.parquet", telemetry)


def not_utf8(rows):
    return pa.array([b"\xff"] * rows, pa.binary()).view(pa.string())


UNFIT_LABELS = {
    "racks that are missing": ("rack_id", pa.nulls, "row 1 is of None"),
    "racks that are lists": ("rack_id", lambda n: pa.array([["a"]] * n), "rack_id is of type list"),
    "profiles that are mappings": ("profile", lambda n: pa.array([{"a": 1}] * n), "profile is of type struct"),
    "flags in words": ("is_anomaly", lambda n: pa.array(["false"] * n), "is_anomaly is of type string"),
    "flags that are missing": ("is_persistent", lambda n: pa.nulls(n, pa.bool_()), "row 1: is_persistent is empty"),
    "texts that are none": ("anomaly_kind", not_utf8, "UTF8"),
}


@pytest.mark.parametrize(("name", "make", "said"), UNFIT_LABELS.values(), ids=UNFIT_LABELS)
def test_a_column_of_labels_that_is_no_truth_is_refused(small, tmp_path, name, make, said):
    telemetry = read_telemetry(small.write(tmp_path / "run.csv"))
    path = tmp_path / "run.labels.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(name), name, make(table.num_rows)), path)
    with pytest.raises(InputError, match=said):
        read_labels(path, telemetry)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_of_labels_that_stands_twice_is_refused(small, tmp_path, kind):
    telemetry = read_telemetry(small.write(tmp_path / "run.csv"))
    table = pq.read_table(tmp_path / "run.labels.parquet")
    path = small.write(tmp_path / f"twice.labels.{kind}", table.append_column("ts", table["ts"]), labels=False)
    with pytest.raises(InputError, match="columns that stand more than once: ts"):
        read_labels(path, telemetry)


@pytest.mark.parametrize(("name", "said"), [("rack_id", "rack_id: .*UTF8"), ("ts", "row 1: ts: .* not UTF-8")])
def test_names_and_instants_that_are_not_utf_8_are_refused(small, tmp_path, name, said):
    table = small.table()
    odd = table.set_column(table.column_names.index(name), name, not_utf8(table.num_rows))
    with pytest.raises(InputError, match=said):
        read_telemetry(small.write(tmp_path / "run.parquet", odd, labels=False))


@pytest.mark.parametrize("column", [1, 2])
def test_a_huge_cell_is_one_short_message(small, tmp_path, column):
    lines = [line.split(",") for line in small.write(tmp_path / "run.csv").read_text().splitlines()]
    for cells in lines[1:]:
        cells[column] = "x" * 5000
    (tmp_path / "run.csv").write_text("\n".join(map(",".join, lines)))
    with pytest.raises(InputError) as caught:
        read_telemetry(tmp_path / "run.csv")
    assert len(str(caught.value)) < 600


def test_labels_in_another_order_are_refused_with_the_row(small, tmp_path):
    telemetry = read_telemetry(small.write(tmp_path / "run.csv"))
    table = pq.read_table(tmp_path / "run.labels.parquet")
    pq.write_table(pa.concat_tables([table.slice(1), table.slice(0, 1)]), tmp_path / "run.labels.parquet")
    with pytest.raises(InputError, match=r"row 1 is of R-A-02 .* the telemetry's is of R-A-01"):
        read_labels(tmp_path / "run.labels.parquet", telemetry)
