"""A run as compressed CSV: the same text, the same bytes each time, read by whatever reads runs."""

import gzip

import pandas as pd
import pytest
from click.testing import CliRunner

import sim
from sim.cli.commands import run_sim
from sim.common.errors import InputError
from sim.reports.card import write_card
from sim.reports.page import write_report

KEYS = {"duration": "2h", "facility": {"rows": 2, "racks_per_row": 3}}


@pytest.fixture(scope="module")
def run():
    incidents = [{"kind": "pump_trip", "target": "loop:CL-1", "at": "40m", "duration": "20m"}]
    return sim.run("calm", seed=3, incidents=incidents, **KEYS)


def test_it_holds_the_text_of_the_csv_file_and_has_the_same_bytes_each_time(run, tmp_path):
    for name in ("a.csv", "b.csv.gz", "c.csv.gz"):
        run.write(tmp_path / name)
    assert gzip.decompress((tmp_path / "b.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()
    assert (tmp_path / "b.csv.gz").read_bytes() == (tmp_path / "c.csv.gz").read_bytes()
    assert (tmp_path / "b.twin.csv.gz").is_file()


def test_its_companions_are_named_after_the_run(run, tmp_path):
    paths = run.write(tmp_path / "b.csv.gz", labels="csv.gz")
    assert [path.name for path in paths] == [
        "b.csv.gz", "b.twin.csv.gz", "b.labels.csv.gz", "b.events.csv", "b.manifest.json",
    ]  # fmt: skip


def test_it_is_read_as_any_run_is(run, tmp_path):
    run.write(tmp_path / "b.csv.gz")
    again = sim.read(tmp_path / "b.csv.gz", check=True)
    assert again.name == "b"
    pd.testing.assert_frame_equal(again.telemetry, run.telemetry)
    pd.testing.assert_frame_equal(again.labels.astype(str), run.labels.astype(str))
    assert write_report(tmp_path / "b.csv.gz").name == "b.report.html"
    assert [path.name for path in write_card([tmp_path / "b.csv.gz"])] == ["b.card.md", "b.croissant.json"]


def test_the_command_writes_it_by_suffix_and_by_format(tmp_path):
    for args in (["--output", str(tmp_path / "x.csv.gz")], ["--output", f"{tmp_path}/", "--format", "csv.gz"]):
        assert CliRunner().invoke(run_sim, ["--scenario", "small", *args]).exit_code == 0
    assert (tmp_path / "x.csv.gz").read_bytes() == (tmp_path / "small.csv.gz").read_bytes()


def test_a_later_run_of_the_name_in_another_format_replaces_it(run, tmp_path):
    run.write(tmp_path / "b.csv.gz")
    run.write(tmp_path / "b.parquet")
    assert not (tmp_path / "b.csv.gz").exists()
    assert not (tmp_path / "b.twin.csv.gz").exists()


def test_other_compressions_are_refused(run, tmp_path):
    with pytest.raises(InputError, match=r"telemetry is written as \.csv or \.parquet or \.csv\.gz"):
        run.write(tmp_path / "b.csv.xz")
