"""The referee: contestants' alarms over the live hall, and the same figures from the finished run's files."""

import json
import time
from operator import itemgetter
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.app import create_app
from api.referee import OWN
from api.store import HALL_RUNS
from tests.api.test_hall import FAN, batch, start, step, until
from training import artifact
from training.evaluate import main as evaluate
from training.evaluation import Evaluated, Protocol, measure_model
from training.labels import read_labels
from training.telemetry import read_telemetry

QUIET = {"occupancy": {"anytime": {}, "business": {}, "off_hours": {}, "rows": {}}}
"""No profile but nominal: every anomaly is one of those that a test brings."""


def post(client, **alarm):
    answer = client.post("/referee/alarms", json={"contestant": "mine", **alarm})
    assert answer.status_code == 200, answer.text
    return answer.json()["alarms"]


def at(minute):
    return f"2025-01-06T{minute // 60:02}:{minute % 60:02}:00Z"


def finish(client):
    client.post("/hall/speed", json={"speed": None})
    client.post("/hall/resume")
    assert until(client, "finished", "failed")["state"] == "finished"


def scores(client):
    return {c["name"]: c for c in client.get("/referee").json()["contestants"]}


def offline(client, folder):
    """Return what the evaluator makes of the same alarms over the files of the same run."""
    batch(client, folder)
    (folder / "alarms.csv").write_text(client.get("/referee/alarms", params={"format": "csv"}).text)
    args = ["--data", f"{folder}/run.csv", "--alarms", f"{folder}/alarms.csv", "--output", f"{folder}/board.json"]
    result = CliRunner().invoke(evaluate, args)
    assert result.exit_code == 0, result.output
    return json.loads(Path(folder, "board.json").read_text()), result.output


def test_a_contestant_is_told_what_it_found_how_late_and_how_often_it_was_wrong(client, tmp_path):
    start(client, duration="4h", **QUIET)
    step(client, 60)
    client.post("/hall/incidents", json={**FAN, "duration": "40m"})
    client.post("/hall/incidents", json={"kind": "pump_trip", "target": "loop:CL-2", "at": "2h", "duration": "20m"})
    post(client, rack_id="R-A-01", start=at(66), cause="fan_failure")
    post(client, rack_id="R-A-01", start=at(66), end=at(110), cause="fan_failure")  # the same alarm, ended
    post(client, rack_id="R-A-01", start=at(105), end=at(108))
    post(client, rack_id="R-B-02", start=at(20), end=at(30))
    post(client, loop="CL-2", start=at(124), end=at(150), cause="power")
    client.post("/referee/alarms", json={"contestant": "sleeper", "row": "B", "start": at(1), "kind": "transient"})
    finish(client)
    mine, sleeper = scores(client)["mine"], scores(client)["sleeper"]
    assert (mine["incidents_observable"], mine["incidents_found"], mine["alarms"]) == (2, 2, 7)
    told = {i["incident_id"]: i for i in client.get("/referee").json()["incidents"]}
    assert told["fan_failure-1"]["racks"][0] == "R-A-01"
    assert [f["contestant"] for f in told["pump_trip-1"]["found_by"]] == ["mine"]
    onset = told["fan_failure-1"]["onset"]
    assert at(61) <= onset <= at(66)
    assert told["fan_failure-1"]["found_by"][0]["start"] == at(66)
    minute = 60 * int(onset[11:13]) + int(onset[14:16])
    assert told["fan_failure-1"]["found_by"][0]["delay_s"] == 60 * (66 - minute)
    assert mine["false_alarms"] == 1
    low, high = mine["false_alarms_interval"]
    assert low < mine["false_alarms_per_rack_day"] < high
    assert (mine["duplicates"], mine["cause_hit"], mine["causes_told"]) == (1, 0.5, 2)
    assert (sleeper["incidents_found"], sleeper["false_alarms"], sleeper["alarms"]) == (0, 0, 0)
    board, shown = offline(client, tmp_path)
    live = client.get("/referee").json()
    assert (board["contestants"], board["incidents"]) == (live["contestants"], live["incidents"])
    assert "mine" in shown


def test_built_in_contestants_play_on_the_same_feed_and_are_measured_as_their_file_is(settings, model, tmp_path):
    artifact.save(model, settings.artifacts_dir / "ims_hall.json")
    with TestClient(create_app(settings)) as client:
        start(client, duration="3h")
        step(client, 40)
        client.post("/hall/incidents", json={**FAN, "duration": "40m"})
        client.post("/hall/incidents", json={"kind": "breaker_trip", "target": "rack:R-D-01", "at": "1h"})
        finish(client)
        live = client.get("/referee").json()
        names = [c["name"] for c in live["contestants"]]
        expected = (
            ["ims (ema)", "largest-z"] if model.densities is None else ["ims (ema)", "ims (likelihood)", "largest-z"]
        )
        assert names == expected
        ema = live["contestants"][0]
        assert ema["alarms"] > 0
        assert ema["incidents_found"] > 0
        board, _ = offline(client, tmp_path)
        assert board["contestants"] == live["contestants"]
        assert board["incidents"] == live["incidents"]
        telemetry = read_telemetry(tmp_path / "run.csv")
        labels = read_labels(tmp_path / "run.labels.parquet", telemetry)
        figures = measure_model(Evaluated.of(telemetry, labels, Protocol()), "ims", model).events
        assert (figures.duplicates, figures.recall) == (ema["duplicates"], ema["recall"])
        assert figures.false_alarms_per_rack_day == ema["false_alarms_per_rack_day"]


def test_what_is_still_open_is_neither_told_nor_counted(client, settings):
    def played(client):
        start(client, duration="6h", **QUIET)
        client.post("/hall/incidents", json={"kind": "breaker_trip", "target": "rack:R-C-01", "duration": "5h"})
        post(client, rack_id="R-C-01", start=at(1))
        step(client, 150)
        return client.get("/referee").json()

    told = played(client)
    assert told["truth_until"] > at(60)
    assert told["incidents"] == []
    [mine] = told["contestants"]
    assert (mine["incidents_observable"], mine["false_alarms"]) == (0, 0)
    fresh = settings.model_copy(update={"reveal": True})
    with TestClient(create_app(fresh)) as open_client:
        start(open_client, duration="6h", **QUIET)
        base = open_client.get("/hall").json()["start"]
        open_client.post("/hall/incidents", json={"kind": "breaker_trip", "target": "rack:R-C-01", "duration": "5h"})
        post(open_client, rack_id="R-C-01", start=base[:14] + "01:00Z")
        step(open_client, 150)
        [found] = open_client.get("/referee").json()["incidents"]
        assert found["found_by"][0]["contestant"] == "mine"


def test_an_alertmanager_may_post_its_webhook(client):
    start(client, duration="4h", **QUIET)
    step(client, 30)
    client.post("/hall/incidents", json={**FAN, "duration": "1h"})
    step(client, 10)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    firing = {"status": "firing", "labels": {"alertname": "Hot", "rack": "R-A-01"}, "startsAt": now,
              "endsAt": "0001-01-01T00:00:00Z"}  # fmt: skip
    hook = {"version": "4", "receiver": "prometheus", "status": "firing", "alerts": [firing, {"labels": {}}]}
    answer = client.post("/referee/alertmanager", json=hook)
    assert (answer.status_code, answer.json()["alarms"], answer.json()["ignored"]) == (200, 1, 1)
    [alarm] = client.get("/referee/alarms").json()["alarms"]
    assert alarm == {
        "contestant": "prometheus", "rack_id": "R-A-01", "start": at(39), "end": None, "cause": None,
        "kind": "persistent",
    }  # fmt: skip
    firing |= {"status": "resolved", "startsAt": at(39), "endsAt": at(40)}
    client.post("/referee/alertmanager", json={**hook, "alerts": [firing]})
    [alarm] = client.get("/referee/alarms").json()["alarms"]
    assert alarm["end"] == at(40)
    assert client.post("/referee/alertmanager", json={"alerts": [{"labels": {"pod": "x"}}]}).status_code == 422
    assert client.post("/referee/alertmanager", json={"alerts": 3}).status_code == 422


@pytest.mark.parametrize(
    ("alarm", "places"),
    [
        ({"rack_id": "R-Z-01"}, ["rack_id"]),
        ({"row": "Z"}, ["row"]),
        ({"row": "A", "rack_id": "R-A-01"}, [""]),
        ({}, [""]),
        ({"rack_id": "R-A-01", "contestant": "no spaces"}, ["contestant"]),
        ({"rack_id": "R-A-01", "contestant": "largest-z"}, ["contestant"]),
        ({"rack_id": "R-A-01", "start": "yesterday"}, ["start"]),
        ({"rack_id": "R-A-01", "start": None}, ["start"]),
        ({"rack_id": "R-A-01", "end": "2025-01-06T00:00:59Z"}, ["end"]),
        ({"rack_id": "R-A-01", "kind": "odd", "cause": 7}, ["kind", "cause"]),
        ({"rack_id": ["R-A-01"], "contestant": None}, ["rack_id", "contestant"]),
    ],
)
def test_an_alarm_that_cannot_be_is_told_with_all_that_is_wrong(client, alarm, places):
    start(client)
    answer = client.post("/referee/alarms", json={"contestant": "mine", "start": at(1), **alarm})
    assert answer.status_code == 422
    assert [e["place"] for e in answer.json()["errors"]] == places
    assert client.get("/referee/alarms").json()["alarms"] == []


def test_of_several_alarms_each_wrong_one_is_named_and_none_is_taken(client):
    assert client.post("/referee/alarms", json={"contestant": "mine"}).status_code == 409
    start(client)
    good = {"contestant": "mine", "rack_id": "R-A-01", "start": at(1)}
    answer = client.post("/referee/alarms", json={"alarms": [good, {**good, "rack_id": "x"}, 7]})
    assert [e["place"] for e in answer.json()["errors"]] == ["alarms[1].rack_id", "alarms[2]"]
    assert client.post("/referee/alarms", json={"alarms": []}).status_code == 422
    assert client.get("/referee/alarms").json()["alarms"] == []


def test_without_a_hall_no_figure_is_made_up(client):
    told = client.get("/referee").json()
    assert (told["contestants"], told["truth_until"]) == ([], None)
    assert "no hall has run" in told["message"]


def played(client):
    """Play an hour with an incident and a contestant that finds it."""
    start(client, duration="4h", **QUIET)
    client.post("/hall/incidents", json={**FAN, "duration": "10m"})
    step(client, 20)
    post(client, rack_id="R-A-01", start=at(3), cause="fan_failure")
    step(client, 100)


def figures(client):
    told = client.get("/referee").json()
    return {name: told[name] for name in ("ts", "truth_until", "contestants", "incidents")}


@pytest.mark.parametrize("ended", [False, True], ids=["with the server", "before the server"])
def test_alarms_and_figures_of_the_latest_run_outlive_the_server(settings, model, database_url, ended):
    artifact.save(model, settings.artifacts_dir / "ims_hall.json")
    settings = settings.model_copy(update={"database_url": SecretStr(database_url)})
    with TestClient(create_app(settings)) as client:
        played(client)
        before, alarms = figures(client), client.get("/referee/alarms").json()
        assert {c["name"]: c["incidents_found"] for c in before["contestants"]}["mine"] == 1
        if ended:
            client.post("/hall/stop")
            assert figures(client) == before
    with TestClient(create_app(settings)) as again:
        assert figures(again) == before
        assert "before the server started" in again.get("/referee").json()["message"]
        key = itemgetter("contestant", "rack_id", "start")
        assert sorted(again.get("/referee/alarms").json()["alarms"], key=key) == sorted(alarms["alarms"], key=key)
        start(again, **QUIET)
        assert [c["alarms"] for c in again.get("/referee").json()["contestants"]] == [0] * len(OWN)


def test_figures_are_kept_while_the_hall_runs_so_that_a_kill_leaves_those_of_a_minute_before(client, monkeypatch):
    monkeypatch.setattr("api.hall._KEPT_EVERY_S", 0.0)
    played(client)
    store = client.app.state.backend.store
    with store.reading() as connection:
        kept = json.loads(connection.scalar(sa.select(HALL_RUNS.c.figures)))
    assert {name: kept[name] for name in figures(client)} == figures(client)
