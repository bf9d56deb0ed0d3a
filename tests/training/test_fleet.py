"""Training, scoring and evaluation on a fleet: its runs as one hall, one after the other, or as repetitions."""

import csv
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from sim.common.errors import InputError
from sim.sweeps.computing import Place, compute
from sim.sweeps.sweep import read_sweep
from training import load
from training.evaluate import main as evaluate_command
from training.fitting import deviations_in, fit
from training.fleet import read_fleet, runs_of
from training.score import main as score_command
from training.telemetry import read_telemetry
from training.train_ims import main as train_command

SWEEP = """\
scenarios: [faulty.yaml]
seeds: 0-2
"""
FAULTY = """\
extends: week
duration: 10h
facility: {rows: 1, racks_per_row: 3}
incidents:
  - {kind: fan_failure, target: "rack:R-A-02", at: 8h, duration: 1h}
"""
RUNS = [f"scenario=faulty/site=S1/seed={seed}" for seed in range(3)]


def swept(folder, sweep):
    """Compute the runs of a sweep in this process, and return their fleet."""
    (folder / "faulty.yaml").write_text(FAULTY)
    (folder / "sweep.yaml").write_text(sweep)
    place = Place(folder / "fleet", folder, frozenset({"telemetry", "labels"}))
    for each in read_sweep(folder / "sweep.yaml").runs():
        compute(each, place)
    return place.output


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("fleet"), SWEEP)


@pytest.fixture(scope="module")
def model(fleet):
    path = fleet.parent / "m.json"
    done = CliRunner().invoke(train_command, ["--data", str(fleet), "--output", str(path), "--n-clusters", "4"])
    assert done.exit_code == 0, done.output
    assert "5,400 rows of 9 racks" in done.output
    return path


def test_a_fleet_is_one_hall_whose_racks_are_those_of_all_runs_in_the_order_of_time(fleet):
    together, labels = read_fleet(fleet, lambda _: None)
    assert (np.diff(together.ts_s) >= 0).all()
    assert list(runs_of(fleet)) == RUNS
    for name, path in runs_of(fleet).items():
        alone = read_telemetry(path)
        for number, rack in enumerate(alone.racks):
            here = together.rack == together.racks.index(f"{name}/{rack}")
            assert np.array_equal(together.x[here], alone.x[alone.rack == number], equal_nan=True)
    struck = np.array([name.endswith("R-A-02") for name in together.racks])[together.rack]
    assert set(labels.kind[labels.profile == "incident"].tolist()) == {"incident"}
    assert struck[labels.profile == "incident"].any()


def test_what_a_killed_run_left_is_no_run_of_a_fleet(tmp_path):
    whole = swept(tmp_path, "scenarios: [faulty.yaml]\nseeds: 1\n")
    [run] = runs_of(whole).values()
    shutil.copytree(run.parent, run.parent / f".telemetry.{'0' * 16}.partial" / "new")
    (whole / "scenario=faulty" / "site=S1" / "seed=1").mkdir()
    assert list(runs_of(whole).values()) == [run]


def test_a_model_learns_from_all_runs_of_a_fleet(model):
    card = load(model).card
    assert (card["rows_in"], card["racks"], card["data"]) == (5400, 9, "fleet")


def test_a_score_of_a_fleet_is_that_of_each_of_its_runs(fleet, model, tmp_path, run):
    code, text = run(score_command, "--model", model, "--data", fleet, "--output", tmp_path / "scores")
    assert code == 0, text
    assert "5,400 rows" in text
    code, _ = run(
        score_command, "--model", model, "--data", runs_of(fleet)[RUNS[1]], "--output", tmp_path / "s.parquet"
    )
    assert code == 0
    alone = pq.read_table(tmp_path / "s.parquet")
    assert pq.ParquetFile(tmp_path / "scores" / RUNS[1] / "scores.parquet").read().equals(alone)
    assert sorted(p.name for p in (tmp_path / "scores").rglob("*.parquet")) == ["scores.parquet"] * 3


def test_an_evaluation_takes_the_runs_of_a_fleet_as_repetitions(fleet, model, tmp_path, run):
    options = ["--models", model, "--against", "pca,random", "--truth", "incident", "--ignore", "load,cooling,custom"]
    code, text = run(evaluate_command, "--data", fleet, *options, "--output", tmp_path / "e")
    assert code == 0, text
    assert "+-" in text
    with (tmp_path / "e.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["detector"], row["seed"]) for row in rows if row["detector"] == "pca"] == [
        (name, "pca", str(seed)) for seed, name in enumerate(RUNS)
    ]
    assert sum(row["detector"] == "m" for row in rows) == 3
    page = (tmp_path / "e.html").read_text()
    assert "3 runs; tables of detectors are of all" in page
    assert "the mean over 3 runs, each with a seed of its own" in page


def test_a_folder_that_is_no_fleet_and_what_is_of_one_run_only_are_refused(fleet, model, tmp_path, run):
    for command, more in (
        (train_command, []),
        (score_command, ["--model", model]),
        (evaluate_command, ["--models", model]),
    ):
        code, text = run(command, "--data", tmp_path, "--output", tmp_path / "x", *more)
        assert code == 2
        assert "no complete run with telemetry in it" in text
    code, text = run(evaluate_command, "--data", fleet, "--models", model, "--racks", "R-A-01", "--twin", model)
    assert code == 2
    assert "--twin, --racks: of one run; --data is a fleet" in text
    code, text = run(train_command, "--data", fleet, "--labels", model)
    assert code == 2
    assert "--labels: a fleet's runs have their labels beside them" in text


def test_runs_of_different_ticks_teach_nothing_together(tmp_path):
    mixed = swept(tmp_path, "scenarios: [faulty.yaml]\nseeds: 1\ngrid: {tick: [60, 120]}\n")
    with pytest.raises(InputError, match="runs are sampled every 60 s, 120 s; learn from those of one tick"):
        read_fleet(mixed, lambda _: None)


def test_racks_of_two_sites_have_each_their_own_level(tmp_path):
    """A monitor of racks' own levels says of a fleet what it says of each of its sites, though names of racks meet."""
    site = "{scenario: faulty.yaml, set: {facility.climate: cold}}"
    fleet = swept(tmp_path, f"scenarios:\n  north: {site}\n  south: faulty.yaml\nseeds: 1\n")
    together, _ = read_fleet(fleet, lambda _: None)
    assert len(together.racks) == 6
    model = fit(fleet, n_clusters=4)
    deviations = deviations_in(model, together)
    for name, path in runs_of(fleet).items():
        alone = read_telemetry(path)
        apart = deviations_in(model, alone)
        for number, rack in enumerate(alone.racks):
            here = together.rack == together.racks.index(f"{name}/{rack}")
            assert np.array_equal(deviations[here], apart[alone.rack == number], equal_nan=True)


def test_a_table_in_which_two_sites_share_a_rack_is_refused(fleet, tmp_path):
    """What becomes of a fleet when its sites are dropped: two samples of R-A-01 at each instant."""
    parts = [pq.ParquetFile(path).read() for path in runs_of(fleet).values()]
    mixed = pa.concat_tables(parts[:2]).sort_by("ts")
    pq.write_table(mixed, tmp_path / "mixed.parquet")
    with pytest.raises(InputError, match="R-A-01"):
        read_telemetry(tmp_path / "mixed.parquet")
