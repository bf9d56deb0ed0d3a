"""Compressed CSV is read wherever CSV is, and says the same."""

import gzip
import shutil
from dataclasses import asdict

import numpy as np
import pytest

import sim
from training import load
from training.evaluate import main as evaluate_command
from training.explain import main as explain_command
from training.score import main as score_command
from training.train_ims import main as train_command


@pytest.fixture(scope="module")
def zipped(hall_csv, tmp_path_factory):
    """The hall's files, compressed."""
    folder = tmp_path_factory.mktemp("zipped")
    for path in hall_csv.parent.iterdir():
        if path.suffix == ".csv":
            (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        else:
            shutil.copy(path, folder)
    return folder / "hall.csv.gz"


def test_a_model_is_the_same_but_for_the_name_of_its_data(hall_csv, zipped, tmp_path, run):
    models = []
    for data in (hall_csv, zipped):
        code, text = run(train_command, "--data", data, "--output", tmp_path / f"{data.suffix}.json")
        assert code == 0, text
        told = asdict(load(tmp_path / f"{data.suffix}.json"))
        for name in ("data", "data_sha256", "calibration"):
            del told["card"][name]
        del told["densities"]["faults"]
        models.append(told)
    np.testing.assert_equal(*models)
    assert models[0]["name"] == "hall"


def test_files_are_named_after_the_run(zipped, tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(train_command, "--data", zipped)[0] == 0
    assert run(evaluate_command, "--data", zipped, "--against", "random")[0] == 0
    assert sorted(path.name for path in (tmp_path / "artifacts").iterdir()) == [
        "evaluation_hall.csv", "evaluation_hall.html", "evaluation_hall_profiles.csv", "ims_hall.json",
    ]  # fmt: skip


def test_scores_are_the_same_and_may_be_compressed_too(hall_csv, zipped, model_json, tmp_path, run):
    for data, name in ((hall_csv, "a.csv"), (zipped, "b.csv"), (zipped, "c.csv.gz"), (hall_csv, "d.csv.gz")):
        code, text = run(score_command, "--model", model_json, "--data", data, "--output", tmp_path / name)
        assert code == 0, text
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert gzip.decompress((tmp_path / "c.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()
    assert (tmp_path / "c.csv.gz").read_bytes() == (tmp_path / "d.csv.gz").read_bytes()


def test_a_row_is_explained_and_other_spellings_of_the_suffix_are_known(hall_csv, zipped, model_json, tmp_path, run):
    shutil.copy(zipped, tmp_path / "HALL.CSV.GZ")
    said = [
        run(explain_command, "--model", model_json, "--data", data, "--row", 7)
        for data in (hall_csv, zipped, tmp_path / "HALL.CSV.GZ")
    ]
    assert said[0] == said[1] == said[2]
    assert said[0][0] == 0


def test_alarms_are_judged_on_a_compressed_run(tmp_path, run):
    incidents = [{"kind": "pump_trip", "target": "loop:CL-1", "at": "2h", "duration": "20m"}]
    hall = sim.run("calm", duration="4h", facility={"rows": 2, "racks_per_row": 2}, incidents=incidents)
    hall.write(tmp_path / "run.csv.gz", labels="csv.gz")
    alarms = "contestant,rack_id,start,end,cause,kind\nme,R-A-01,2025-01-06T02:05:00Z,2025-01-06T02:30:00Z,,\n"
    (tmp_path / "alarms.csv").write_text(alarms)
    (tmp_path / "alarms.csv.gz").write_bytes(gzip.compress(alarms.encode()))
    boards = []
    for name in ("alarms.csv", "alarms.csv.gz"):
        options = ["--data", tmp_path / "run.csv.gz", "--alarms", tmp_path / name, "--output", tmp_path / "b.json"]
        code, text = run(evaluate_command, *options)
        assert code == 0, text
        boards.append((tmp_path / "b.json").read_bytes())
    assert boards[0] == boards[1]


@pytest.mark.parametrize("spoil", [lambda whole: whole[:-1000], lambda whole: whole[:5], lambda _: b"ts,rack_id\n"])
def test_a_broken_archive_is_one_message(zipped, model_json, tmp_path, run, spoil):
    (tmp_path / "broken.csv.gz").write_bytes(spoil(zipped.read_bytes()))
    code, text = run(
        score_command, "--model", model_json, "--data", tmp_path / "broken.csv.gz", "--output", tmp_path / "s.csv"
    )
    assert code == 2
    assert text.startswith(f"error: {tmp_path / 'broken.csv.gz'}: ")
    assert not (tmp_path / "s.csv").exists()
