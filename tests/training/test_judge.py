"""Any detector judged on benchmark runs: what it gets, and that callables and files come to the same figures."""

import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks.judge import COLUMNS, BenchmarkRun, main, named, scores_in, scores_of, table
from sim.common.errors import InputError
from sim.runs.public import run as simulate
from tests.training.halls import faulty_scenario

DAYS = 0.5


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    simulate(faulty_scenario(folder, "kind: sensor_drift, duration: 2h")).write(folder / "faulty.csv", twin=True)
    return folder / "faulty.csv"


@pytest.fixture(scope="module")
def run(path):
    return BenchmarkRun.read(path)


def hottest(clean, rows):
    """Score rows by how far the outlet is from the clean mean."""
    return np.abs(rows["outlet_c"].to_numpy() - clean["outlet_c"].mean())


def test_a_detector_learns_of_clean_rows_before_those_that_it_scores(run):
    seen = {}

    def detect(clean, rows):
        seen["clean"], seen["rows"] = clean["ts"].max(), rows["ts"].min()
        assert not {"is_anomaly", "observed_id"} & {*clean.columns, *rows.columns}
        return np.zeros(len(rows))

    scores_of(detect, run, DAYS)
    assert seen["clean"] < seen["rows"] < run.frame["ts"].min() + pd.Timedelta(days=DAYS)


def test_too_few_scores_are_told(run):
    with pytest.raises(InputError, match=r"the detector gave \(3,\) scores for"):
        scores_of(lambda _clean, _rows: np.zeros(3), run, DAYS)


def test_a_file_of_scores_is_the_callable_that_gave_them_in_whatever_order(run, tmp_path):
    score = scores_of(hottest, run, DAYS)
    given = run.frame[["ts", "rack_id"]].tail(len(score)).assign(score=score).sample(frac=1, random_state=0)
    given.to_csv(tmp_path / "scores.csv", index=False)
    assert scores_in(tmp_path / "scores.csv", run, DAYS) == pytest.approx(score)
    given.iloc[5:].to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(InputError, match="has no score for 5 of"):
        scores_in(tmp_path / "scores.csv", run, DAYS)
    given.drop(columns="score").to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(InputError, match="columns missing: score"):
        scores_in(tmp_path / "scores.csv", run, DAYS)


def test_the_table_has_the_detector_floors_regression_and_ceiling(path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "my_module", sys.modules[__name__])
    assert main(["my_module:hottest", "--data", str(path), "--clean-days", str(DAYS)]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in lines}
    assert list(rows) == ["my_module:hottest", "random", "largest-z", "regression", "twin"]
    volume = {name: float(cells[0]) for name, cells in rows.items()}
    assert volume["random"] < volume["regression"] < volume["twin"]
    assert len(rows["twin"]) == len(COLUMNS)
    assert float(rows["twin"][5]) == 1.0, "it finds the drift"


def test_alarms_are_judged_by_the_runs_own_rules(path, tmp_path, capsys):
    start = pd.Timestamp("2025-01-06T15:05:00Z")
    lines = f"contestant,rack_id,start,end,cause,kind\nmine,R-A-02,{start.isoformat()},,fan_failure,persistent\n"
    (tmp_path / "alarms.csv").write_text(lines)
    assert main(["--data", str(path), "--alarms", str(tmp_path / "alarms.csv")]) == 0
    assert "mine" in capsys.readouterr().out
    assert (tmp_path / "alarms.json").is_file()


@pytest.mark.parametrize(
    ("text", "told"), [("no_such_module:f", "No module"), ("json:nothing", "nothing"), ("json", "no callable")]
)
def test_what_is_no_callable_is_told(text, told):
    with pytest.raises(InputError, match=told):
        named(text)


def test_scores_need_a_run(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--scores", "some.csv"])
    assert stopped.value.code == 2
    assert "--data" in capsys.readouterr().err


def test_a_cell_is_the_mean_over_the_runs_and_its_range():
    runs = [[0.2, 0.9, *[np.nan] * 7], [0.4, 0.9, *[np.nan] * 6, 1.0]]
    assert table({"mine": runs}).splitlines()[-1].startswith("| mine | 0.3 (0.2 to 0.4) | 0.9 (0.9 to 0.9) | - |")
