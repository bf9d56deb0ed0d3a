"""Telemetry as others write it: every spelling, spacing and type gives the right states, or one message."""

import csv
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from sim.cli.commands import run_sim
from sim.common.errors import InputError
from training.explain import row_of
from training.fitting import fit
from training.monitor import Monitor
from training.scoring import score_file
from training.telemetry import read_telemetry

HOT = Path(__file__).parents[1] / "data" / "hot.csv"
"""Two racks for two hours, of which one gets hot."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of a small healthy hall."""
    path = tmp_path_factory.mktemp("hall") / "hall.csv"
    rows = ["--set", "facility.rows=2", "--set", "facility.racks_per_row=3"]
    args = ["--scenario", "week", "--duration", "1d12h", *rows, "--seed", "7", "--quiet", "--output", str(path)]
    run_sim(args, standalone_mode=False)
    return fit(path)


@pytest.fixture(scope="module")
def rows():
    with HOT.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def scored(model, tmp_path):
    """Write rows, or a table, as a file; score it and return what the score file says."""

    def score(content, suffix=".csv"):
        path = tmp_path / f"data{suffix}"
        if isinstance(content, pa.Table):
            pq.write_table(content, path) if suffix == ".parquet" else pc.write_csv(content, path)
        else:
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(content[0]))
                writer.writeheader()
                writer.writerows(content)
        score_file(model, path, tmp_path / "scores.csv")
        return pc.read_csv(tmp_path / "scores.csv").to_pylist()

    return score


def states(scores):
    return [(row["rack_id"], row["mms_state"], row["event"]) for row in scores]


def at(text, seconds=0.0):
    return datetime.fromisoformat(text) + timedelta(seconds=seconds)


@pytest.fixture
def even(scored, rows):
    return states(scored(rows))


def test_the_file_as_it_is_has_two_events(even):
    # one of the two racks gets hot for most of the two hours of 120 samples each
    assert 60 < sum(state in ("PERSISTENT", "RECOVERING") for _, state, _ in even) < 120
    assert len({(rack, event) for rack, _, event in even if event}) == 2


SPELL = {
    "naive": lambda t, _: t[:-1],
    "with a blank": lambda t, _: t.replace("T", " "),
    "fractions": lambda t, _: t.replace("Z", ".000000Z"),
    "an offset": lambda t, _: at(t).astimezone(at("2025-01-06T00:00:00+05:30").tzinfo).isoformat(),
    "several in one file": lambda t, k: [t, t[:-1], at(t).isoformat(), t.replace("Z", ".0Z")][k % 4],
}


@pytest.mark.parametrize("spell", SPELL.values(), ids=SPELL)
def test_any_spelling_of_the_same_instants_gives_the_same_states(scored, rows, even, spell):
    assert states(scored([row | {"ts": spell(row["ts"], k)} for k, row in enumerate(rows)])) == even


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_any_unit_give_the_same_states_and_bare_integers_are_refused(scored, rows, even, unit):
    table = pa.Table.from_pylist([{k: v if k in ("ts", "rack_id") else float(v) for k, v in r.items()} for r in rows])
    instants = pa.array([at(r["ts"]) for r in rows], pa.timestamp(unit, "UTC"))
    typed = table.set_column(0, "ts", instants)
    assert states(scored(typed, ".parquet")) == even
    bare = table.set_column(0, "ts", instants.cast(pa.int64()))
    with pytest.raises(InputError, match="row 1: ts: is of type int64, which does not say a unit of time"):
        scored(bare, ".parquet")


def test_scrapes_half_a_second_early_or_late_have_the_events_of_an_even_series(scored, rows, even):
    """The average forgets by the time that passed, so each change of state may come a tick earlier or later."""
    rng = np.random.default_rng(7)
    late = [r | {"ts": at(r["ts"], rng.uniform(-0.5, 0.5)).isoformat()} for r in rows]
    order = sorted(range(len(rows)), key=lambda k: late[k]["ts"])
    found, expected = states(scored([late[k] for k in order])), [even[k] for k in order]
    for rack in ("R-A-01", "R-B-02"):
        mine, right = ([s for name, *s in series if name == rack] for series in (found, expected))
        changes = sum(one != other for one, other in pairwise(right))
        assert sum(one != other for one, other in zip(mine, right, strict=True)) <= changes
        assert {event for _, event in mine} == {event for _, event in right}


@pytest.mark.parametrize("k", [1, 3, 60, 121, 150, 230])
def test_an_extra_row_changes_no_state_but_its_own(scored, rows, even, k):
    extra = rows[k] | {"ts": at(rows[k]["ts"], 5.0).isoformat()}
    place = next((i for i, r in enumerate(rows) if at(r["ts"]) > at(extra["ts"])), len(rows))
    found = states(scored([*rows[:place], extra, *rows[place:]]))
    del found[place]
    assert sum(one[1] != other[1] for one, other in zip(found, even, strict=True)) <= 1


def test_one_sample_soon_after_another_does_not_blind_the_live_monitor(model, rows):
    """What lasts six minutes is persistent, whatever one odd sample did before."""
    mine = [r for r in rows if r["rack_id"] == "R-A-01"]

    def live(samples):
        monitor = Monitor(model)
        return [(r["ts"], monitor.update("R-A-01", r["ts"], r).mms_state) for r in samples]

    plain = live(mine)
    odd = live([mine[0], mine[0] | {"ts": at(mine[0]["ts"], 5.0).isoformat()}, *mine[1:]])
    del odd[1]
    assert sum(one != other for one, other in zip(plain, odd, strict=True)) <= 1
    assert "PERSISTENT" in {state for _, state in odd}


def test_file_and_live_monitor_read_a_value_alike(model, scored, rows):
    """Numbers as text, missing cells and all: bit by bit the same deviation."""
    holes = [r | ({"latency_p95_ms": ""} if k % 7 == 0 else {}) for k, r in enumerate(rows)]
    monitor = Monitor(model)
    live = [monitor.update(r["rack_id"], r["ts"], r) for r in holes]
    for reading, row in zip(live, scored(holes), strict=True):
        assert round(reading.deviation, 6) == row["deviation"]
        assert (reading.mms_state, reading.degraded) == (row["mms_state"], row["degraded"])


UNFIT = {"infinite": "inf", "in another unit": "1e9", "no number": "slow"}


@pytest.mark.parametrize("value", UNFIT.values(), ids=UNFIT)
def test_what_a_file_refuses_the_live_monitor_refuses_and_forgets_nothing(model, scored, rows, value):
    bad = rows[100] | {"latency_p95_ms": value}
    with pytest.raises(InputError, match=r"latency_p95_ms|slow"):
        scored([*rows[:100], bad, *rows[101:]])
    monitor, healthy = Monitor(model), Monitor(model)
    for row in rows[:100]:
        monitor.update(row["rack_id"], row["ts"], row)
        healthy.update(row["rack_id"], row["ts"], row)
    with pytest.raises(InputError, match="latency_p95_ms"):
        monitor.update(bad["rack_id"], bad["ts"], bad)
    after = rows[100]
    readings = [repr(m.update(after["rack_id"], after["ts"], after)) for m in (monitor, healthy)]  # nan is not nan
    assert readings[0] == readings[1]


def test_energy_in_another_unit_is_refused_where_power_comes_from_it(scored, rows):
    """In millijoules it would be thousands of kW."""
    plain = [{k: v for k, v in r.items() if k != "gpu_power_kw"} for r in rows]
    milli = [r | {"gpu_energy_j": f"{float(r['gpu_energy_j']) * 1000:.1f}"} for r in plain]
    assert scored(plain)
    with pytest.raises(InputError, match=r"row 1 .*gpu_power_kw \(from gpu_energy_j\) is 6388"):
        scored(milli)


def test_a_column_that_stands_twice_is_refused_in_text_and_parquet(tmp_path):
    text = HOT.read_text().splitlines()
    doubled = [f"{line},{line.split(',')[2]}" for line in text]
    (tmp_path / "twice.csv").write_text("\n".join(doubled) + "\n")
    table = pc.read_csv(HOT)
    pq.write_table(table.append_column("inlet_c", table["inlet_c"]), tmp_path / "twice.parquet")
    for name in ("twice.csv", "twice.parquet"):
        with pytest.raises(InputError, match="columns that stand more than once: inlet_c"):
            read_telemetry(tmp_path / name)


COLUMNS = {
    "text that is no number": pa.array(["warm"] * 242),
    "lists": pa.array([[1.0]] * 242),
    "structs": pa.array([{"a": 1.0}] * 242),
    "truth values": pa.array([True] * 242),
    "integers beyond any reading": pa.array([2**62] * 242),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS)
def test_a_column_of_another_type_is_one_message(tmp_path, column):
    table = pc.read_csv(HOT)
    column = column.slice(0, len(table)) if len(column) >= len(table) else pa.concat_arrays([column] * 2)[: len(table)]
    pq.write_table(table.set_column(2, "inlet_c", column), tmp_path / "odd.parquet")
    with pytest.raises(InputError, match="inlet_c"):
        read_telemetry(tmp_path / "odd.parquet")


@pytest.mark.parametrize("kind", [pa.string(), pa.decimal128(30, 6)])
def test_text_and_decimals_are_read_in_parquet_as_the_same_numbers(tmp_path, kind):
    table = pc.read_csv(HOT)
    text = table.set_column(2, "inlet_c", table["inlet_c"].cast(kind, safe=False))
    pq.write_table(text, tmp_path / "text.parquet")
    assert np.array_equal(read_telemetry(tmp_path / "text.parquet").x, read_telemetry(HOT).x)


def test_categories_that_do_not_occur_do_not_count(tmp_path):
    table = pc.read_csv(HOT)
    mine = table.filter(pa.compute.equal(table["rack_id"], "R-A-01"))
    names = pa.DictionaryArray.from_arrays(pa.array([2] * len(mine)), pa.array(["x", "y", "R-A-01", "z"]))
    pq.write_table(mine.set_column(1, "rack_id", names), tmp_path / "one.parquet")
    assert read_telemetry(tmp_path / "one.parquet").racks == ("R-A-01",)
    with pytest.raises(InputError, match="R-A-01 is the only rack"):
        fit(tmp_path / "one.parquet")


def test_what_score_writes_explain_takes(model, scored, rows, tmp_path):
    quarter = [r | {"ts": r["ts"].replace("Z", ".250Z")} for r in rows]
    first = scored(quarter)[0]
    written = (tmp_path / "scores.csv").read_text().splitlines()[1].split(",")[0].strip('"')
    assert written == "2025-01-06T06:00:00.250Z"
    vector, _ = row_of(model, tmp_path / "data.csv", f"{first['rack_id']}@{written}")
    assert vector[0] == float(quarter[0]["inlet_c"])
