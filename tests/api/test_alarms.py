"""Alarms can be acknowledged and commented on, and what people say outlives what the monitor says."""

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from tests.api.hall import samples


def post(client, rows):
    for start in range(0, len(rows), 1000):
        assert client.post("/telemetry/batch", json={"samples": rows[start : start + 1000]}).status_code == 200


def open_alarm(client):
    """Feed until the fan's failure has opened an alarm; return it."""
    post(client, [s for s in samples() if s["ts"] < "2025-01-06T05:40"])
    (alarm,) = [a for a in client.get("/alarms", params={"open": True}).json()["alarms"] if a["rack_id"] == "R-A-02"]
    return alarm


def test_what_is_said_of_an_alarm_is_kept_while_the_monitor_goes_on_and_after_a_restart(monitored, settings):
    alarm = open_alarm(monitored)
    path = f"/alarms/{alarm['alarm_id']}"
    seen = monitored.post(f"{path}/acknowledge").json()
    assert {**seen, "acknowledged": None} == alarm
    assert seen["acknowledged"] is not None
    said = monitored.post(f"{path}/comment", json={"comment": "a fan; <b>someone</b> is on the way"}).json()
    assert said == {**seen, "comment": "a fan; <b>someone</b> is on the way"}
    post(monitored, [s for s in samples() if s["ts"] >= "2025-01-06T05:40"])
    with TestClient(create_app(settings)) as again:
        closed = again.get(path).json()
    assert not closed["open"]
    assert (closed["acknowledged"], closed["comment"]) == (seen["acknowledged"], said["comment"])


def test_the_first_to_acknowledge_is_who_saw_it(monitored):
    path = f"/alarms/{open_alarm(monitored)['alarm_id']}/acknowledge"
    first = monitored.post(path).json()
    assert monitored.post(path).json() == first


def test_listeners_are_told_what_is_said_of_an_alarm(monitored):
    alarm = open_alarm(monitored)
    stream = monitored.app.state.backend.stream
    monitored.post(f"/alarms/{alarm['alarm_id']}/comment", json={"comment": "seen"})
    latest = stream._recent[-1]
    assert latest.kind == "alarm"
    assert '"comment":"seen"' in latest.data


BAD = {
    "an alarm that is not there": ("/alarms/7/acknowledge", None, 404),
    "a comment on none": ("/alarms/7/comment", {"comment": "x"}, 404),
    "an alarm that no database can count to": (f"/alarms/{10**30}/acknowledge", None, 422),
    "alarm nought": ("/alarms/0/acknowledge", None, 422),
    "no comment": ("/alarms/7/comment", {}, 422),
    "a comment without end": ("/alarms/7/comment", {"comment": "x" * 2001}, 422),
    "a comment that no database holds": ("/alarms/7/comment", {"comment": "a\0b"}, 422),
    "a comment that is a number": ("/alarms/7/comment", {"comment": 1}, 422),
}


@pytest.mark.parametrize(("path", "body", "status"), BAD.values(), ids=BAD)
def test_what_cannot_be_said_is_a_problem(client, path, body, status):
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert client.get(f"/alarms/{10**30}").status_code == 422
