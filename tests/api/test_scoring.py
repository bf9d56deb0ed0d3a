"""What is scored live is what is scored in files, whatever the batches, the order and the breaks."""

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from tests.api.hall import samples, scores
from training.scoring import score_file


def post(client, rows, size):
    for start in range(0, len(rows), size):
        answer = client.post("/telemetry/batch", json={"samples": rows[start : start + size]})
        assert (answer.status_code, answer.json()["rejected"]) == (200, [])


@pytest.fixture(scope="module")
def offline(telemetry_file, model, tmp_path_factory):
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    score_file(model, telemetry_file, path)
    return pd.read_csv(path)[["ts", "rack_id", "deviation", "level", "ema", "mms_state", "event", "degraded"]]


@pytest.mark.parametrize("size", [8, 100, 5000])
def test_scores_of_batches_of_any_size_are_those_of_the_file(monitored, offline, size):
    post(monitored, samples(), size)
    pd.testing.assert_frame_equal(scores(monitored), offline)


def test_a_restart_in_the_middle_changes_no_score(monitored, settings, offline):
    post(monitored, samples()[:2000], 100)
    with TestClient(create_app(settings)) as again:
        post(again, samples()[2000:], 100)
        pd.testing.assert_frame_equal(scores(again), offline)


def test_the_fan_failure_opens_an_alarm_that_names_its_onset_and_closes_with_recovery(monitored):
    post(monitored, samples(), 1000)
    found = [a for a in monitored.get("/alarms").json()["alarms"] if a["rack_id"] == "R-A-02"]
    alarm = min((a for a in found if a["opened"] >= "2025-01-06T05:00:00Z"), key=lambda a: str(a["opened"]))
    assert alarm["onset"] < alarm["opened"] <= alarm["peak"]["ts"] < alarm["end"]
    assert " what is usual at this load (" in alarm["causes"][0]["text"]
    assert alarm["sensors"] == []
    assert alarm["causes"][0]["sign"] in ("high", "low")


def test_a_late_sample_is_scored_and_leaves_the_monitor_as_it_is(monitored, offline):
    rows = samples()
    late = next(r for r in rows[800:] if r["rack_id"] == "R-B-01")
    post(monitored, [r for r in rows if r is not late], 100)
    before = scores(monitored)
    post(monitored, [late], 1)
    found = next(s for s in monitored.get("/ims/scores", params={"limit": 10_000}).json()["scores"] if s["late"])
    told = offline[(offline["ts"] == late["ts"]) & (offline["rack_id"] == "R-B-01")].iloc[0]
    assert round(found["deviation"], 6) == told["deviation"]
    assert (found["ema"], found["mms_state"]) == (None, None)
    after = scores(monitored)
    kept = after[~((after["ts"] == late["ts"]) & (after["rack_id"] == "R-B-01"))].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)


def test_a_silent_sensor_opens_an_alarm_that_says_so(monitored):
    rows = [dict(r) for r in samples()[:2000]]
    for row in rows[1000:]:
        if row["rack_id"] == "R-B-03":
            row["tokens_ps"] = None
    post(monitored, rows, 500)
    silent = {"feature": "tokens_ps", "condition": "silent"}
    scored = monitored.get("/ims/scores", params={"rack_id": "R-B-03", "limit": 1}).json()["scores"][0]
    assert (scored["sensors"], scored["learning"]) == ([silent], False)
    alarm = next(a for a in monitored.get("/alarms").json()["alarms"] if a["rack_id"] == "R-B-03" and a["open"])
    assert alarm["sensors"] == [silent]


def test_causes_that_are_read_later_are_those_of_the_file(monitored, model, telemetry_file, tmp_path):
    post(monitored, samples()[:1600], 100)
    score_file(model, telemetry_file, tmp_path / "scores.csv")
    offline = pd.read_csv(tmp_path / "scores.csv").set_index(["ts", "rack_id"])
    for found in monitored.get("/ims/scores", params={"limit": 200}).json()["scores"]:
        told = offline.loc[(found["ts"], found["rack_id"])]
        assert found["causes"][0]["feature"] == told["cause_1"]
        assert round(found["causes"][0]["usual"], 6) == told["cause_1_usual"]
