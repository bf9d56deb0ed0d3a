"""The live hall: what it reads, what it is told, and the scenario file that gives the same bytes."""

import io
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from fastapi.testclient import TestClient

from api.app import create_app
from api.store import TELEMETRY
from sim.cli.commands import run_sim
from sim.model.channels import CHANNELS, TELEMETRY_CHANNELS

SCENARIO = {"name": "live", "seed": 3, "duration": "2h", "facility": {"rows": 4, "racks_per_row": 2}}
FAN = {"kind": "fan_failure", "target": "rack:R-A-01", "duration": "30m"}


def start(client, *, paused=True, speed=None, **scenario):
    answer = client.post("/hall/start", json={"scenario": {**SCENARIO, **scenario}, "paused": paused, "speed": speed})
    assert answer.status_code == 200, answer.text
    return answer.json()


def step(client, ticks):
    answer = client.post("/hall/step", json={"ticks": ticks})
    assert answer.status_code == 200, answer.text
    return answer.json()


def until(client, *states):
    """Return the hall once it is in one of some states."""
    for _ in range(600):
        hall = client.get("/hall").json()
        if hall["state"] in states:
            return hall
        time.sleep(0.02)
    raise AssertionError(hall)


def stored_csv(client):
    """Return what is stored as the simulator writes it: by time and then rack, each channel with its decimals."""
    store = client.app.state.backend.store
    with store.reading() as connection:
        rows = connection.execute(sa.select(TELEMETRY).order_by(TELEMETRY.c.ts_us, TELEMETRY.c.rack_id)).mappings()
        lines = [",".join(("ts", "rack_id", *TELEMETRY_CHANNELS))]
        for row in rows:
            ts = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(row["ts_us"] // 1_000_000))
            values = [row[name] for name in TELEMETRY_CHANNELS]
            cells = [
                "" if v is None else f"{v:.{CHANNELS[n].decimals}f}"
                for n, v in zip(TELEMETRY_CHANNELS, values, strict=True)
            ]
            lines.append(",".join((ts, row["rack_id"], *cells)))
    return "\n".join(lines) + "\n"


def batch(client, folder, *options):
    """Run the hall's scenario file by the command and return what it writes: telemetry, events."""
    path = Path(folder) / "kept.yaml"
    path.write_text(client.get("/hall/scenario").text, encoding="utf-8")
    result = CliRunner().invoke(
        run_sim, ["--scenario", str(path), "--quiet", "--output", f"{folder}/run.csv", *options]
    )
    assert result.exit_code == 0, result.output
    return (Path(folder) / "run.csv").read_text(), (Path(folder) / "run.events.csv").read_text()


def test_what_is_done_live_is_in_a_scenario_file_that_gives_the_same_bytes(client, tmp_path):
    start(client)
    step(client, 3)
    client.post("/hall/incidents", json={**FAN, "severity": 0.7, "fan_left_pct": 10})
    step(client, 4)
    late = {"kind": "sensor_late", "target": "rack:R-B-02", "duration": "20m", "delay_s": 300, "channel": "outlet_c"}
    client.post("/hall/incidents", json=late)
    client.post("/hall/incidents", json={"kind": "utility_sag", "at": "17m31s"})
    client.post("/hall/incidents", json={"kind": "sensor_dropout", "target": "random(rack, 2)", "duration": "40m"})
    client.post("/hall/speed", json={"speed": 3600})
    client.post("/hall/resume")
    time.sleep(0.15)
    client.post("/hall/incidents", json={"kind": "firmware_roll", "target": "row:C", "duration": "40m"})
    client.post("/hall/pause")
    assert client.post("/hall/incidents/fan_failure-1/end").status_code == 200
    step(client, 9)
    assert client.post("/hall/incidents/firmware_roll-1/end").status_code == 200
    reached = step(client, 30)["ts"]
    live = stored_csv(client)
    whole, _ = batch(client, tmp_path)
    assert live.count("\n") > 8 * 40
    assert live == "".join(line for line in io.StringIO(whole) if not "2025" < line < "3" or line[:20] < reached)
    assert client.post("/hall/stop").json()["state"] == "idle"
    assert stored_csv(client) == live
    assert batch(client, tmp_path)[0] == whole


def test_what_is_ended_before_a_tick_has_shown_it_ends_with_that_tick(client, tmp_path):
    start(client)
    step(client, 3)
    client.post("/hall/incidents", json=FAN)
    ended = client.post("/hall/incidents/fan_failure-1/end")
    assert (ended.status_code, ended.json()) == (200, {"incident_id": "fan_failure-1", "ts": "2025-01-06T00:04:00Z"})
    assert client.post("/hall/incidents/fan_failure-1/end").status_code == 409
    step(client, 117)
    client.post("/hall/resume")
    assert until(client, "finished", "failed")["state"] == "finished"
    [told] = client.get("/hall/incidents").json()["incidents"]
    assert (told["planned_start"], told["planned_end"]) == ("2025-01-06T00:03:00Z", "2025-01-06T00:04:00Z")
    assert stored_csv(client) == batch(client, tmp_path)[0]


def test_a_finished_hall_has_the_truth_of_the_batch_run(client, tmp_path):
    start(client, duration="3h")
    step(client, 30)
    client.post("/hall/incidents", json=FAN)
    step(client, 10)
    client.post("/hall/incidents/fan_failure-1/end")
    client.post("/hall/speed", json={"speed": None})
    client.post("/hall/resume")
    assert until(client, "finished", "failed")["state"] == "finished"
    whole, events = batch(client, tmp_path)
    assert stored_csv(client) == whole
    [told] = client.get("/hall/incidents").json()["incidents"]
    rows = pyarrow.csv.read_csv(
        pa.BufferReader(events.encode()),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(("planned_start", "planned_end"), pa.string())
        ),
    ).to_pylist()
    [row] = [row for row in rows if row["event_id"] == "fan_failure-1"]
    assert (told["planned_start"], told["planned_end"]) == ("2025-01-06T00:30:00Z", "2025-01-06T00:40:00Z")
    assert (row["planned_start"], row["planned_end"]) == ("2025-01-06T00:30:00.000Z", "2025-01-06T00:40:00.000Z")
    assert told["affected"] == row["affected_assets"].split("|")
    assert told["state"] == "over"


def test_a_hall_is_idle_until_it_is_started_and_runs_once_at_a_time(client):
    hall = client.get("/hall").json()
    assert (hall["state"], hall["ts"], hall["speed"]) == ("idle", None, None)
    for route in ("stop", "pause", "resume", "step", "incidents/fan_failure-1/end"):
        assert client.post(f"/hall/{route}").status_code == 409, route
    assert client.post("/hall/speed", json={"speed": 5}).status_code == 409
    assert client.post("/hall/incidents", json=FAN).status_code == 409
    assert client.get("/hall/scenario").status_code == 404
    hall = start(client)
    assert (hall["state"], hall["racks"], hall["ts"], hall["pue"]) == ("paused", 8, "2025-01-06T00:00:00Z", None)
    again = client.post("/hall/start", json={"scenario": "small"})
    assert (again.status_code, again.json()["detail"]) == (409, "the hall is running; POST /hall/stop ends it")


def test_of_those_who_stop_or_start_a_hall_at_once_one_does(client):
    start(client)
    with ThreadPoolExecutor(4) as clients:
        stopped = [a.status_code for a in clients.map(client.post, ["/hall/stop"] * 4)]
        started = [
            a.status_code for a in clients.map(lambda _: client.post("/hall/start", json={"paused": True}), "1234")
        ]
    assert (sorted(stopped), sorted(started)) == ([200, 409, 409, 409],) * 2
    commands = [c["command"] for c in client.get("/hall/commands").json()["commands"]]
    assert commands == ["start", "stop", "start"]


def test_a_hall_keeps_time_and_tells_how_late_it_is(client):
    start(client, paused=False, speed=3600)
    first = client.get("/hall").json()
    began = time.monotonic()
    time.sleep(0.5)
    ticks = (stored_csv(client).count("\n") - 1) / 8
    assert ticks <= 3600 / 60 * (time.monotonic() - began) + 2  # as many as fell due, and the first
    assert first["lag_s"] >= 0
    assert client.post("/hall/speed", json={"speed": 1}).json()["speed"] == 1
    assert client.post("/hall/pause").json()["lag_s"] == 0
    before = client.get("/hall").json()["ts"]
    time.sleep(0.1)
    assert client.get("/hall").json()["ts"] == before


def test_power_and_efficiency_are_those_of_the_hall(client):
    start(client)
    hall = step(client, 5)
    assert 8 * 2 < hall["it_kw"] < 8 * 20
    assert 0 < hall["cooling_kw"] < hall["it_kw"]
    assert 1.0 < hall["pue"] < 2.0
    assert hall["tokens_ps"] > 0


@pytest.mark.parametrize(
    ("entry", "place", "why"),
    [
        ({"kind": "pump_tripp", "target": "loop:CL-1"}, "kind", "did you mean 'pump_trip'?"),
        ({"kind": "pump_trip", "target": "rack:R-A-01"}, "target", "affects a loop"),
        ({**FAN, "severity": 2}, "severity", "less than or equal to 1"),
        ({**FAN, "at": "1m"}, "at", "is over"),
        ({**FAN, "at": "3h"}, "at", "past the run's end"),
        ({**FAN, "fan_left": 3}, "parameters.fan_left", "no such parameter"),
        ({}, "kind", "is missing"),
    ],
)
def test_an_incident_that_cannot_be_is_told_with_its_place_and_changes_nothing(client, entry, place, why):
    start(client)
    step(client, 2)
    before = client.get("/hall/scenario").text
    answer = client.post("/hall/incidents", json=entry)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [place] == [e["place"] for e in answer.json()["errors"]]
    assert why in answer.json()["errors"][0]["why"]
    assert client.get("/hall/scenario").text == before


def test_all_that_is_wrong_with_an_incident_is_told_at_once(client):
    start(client)
    answer = client.post("/hall/incidents", json={"kind": "pump_trip", "target": "rack:R-A-01", "flow": 1, "at": "9d"})
    assert [e["place"] for e in answer.json()["errors"]] == ["target", "parameters.flow", "at"]


@pytest.mark.parametrize(
    "body",
    [
        {"scenario": "weak"},
        {"scenario": "../../etc/passwd"},
        {"scenario": {"demand": {"source": "trace", "file": "/etc/passwd"}}},
        {"scenario": {"facility": {"rows": 300, "racks_per_row": 10}}},
        {"scenario": {"facility": {"rows": -1}, "tick": "7x"}},
        {"scenario": "small", "speed": 0.5},
        {"scenario": "small", "speed": "fast"},
        {"scenario": "small", "seed": -1},
        {"scenario": "small", "duration": "1 year"},
        {"scenario": "small", "start": "yesterday"},
        {"scenario": ["small"]},
        {"scenery": "small"},
    ],
)
def test_what_cannot_be_started_is_told_and_leaves_the_hall_idle(client, body):
    answer = client.post("/hall/start", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/hall").json()["state"] == "idle"


def test_a_second_hall_starts_past_what_is_stored_at_the_same_hour_of_the_week(client):
    start(client)
    step(client, 5)
    client.post("/hall/stop")
    assert start(client)["start"] == "2025-01-13T00:00:00Z"
    step(client, 2)
    assert stored_csv(client).count("\n") == 1 + 8 * 7
    client.post("/hall/stop")
    taken = client.post("/hall/start", json={"scenario": SCENARIO, "start": "2025-01-13T00:00:00Z"})
    assert (taken.status_code, "later telemetry" in taken.json()["detail"]) == (422, True)


def test_the_truth_of_what_is_open_is_told_of_what_was_commanded_only(client):
    scripted = {"kind": "breaker_trip", "target": "rack:R-C-01", "at": "3m", "duration": "1h", "id": "hidden"}
    start(client, incidents=[scripted])
    step(client, 5)
    client.post("/hall/incidents", json=FAN)
    client.post("/hall/incidents", json={**FAN, "target": "rack:R-B-01", "at": "1h"})
    step(client, 5)
    told = client.get("/hall/incidents").json()["incidents"]
    assert [(i["incident_id"], i["state"]) for i in told] == [("fan_failure-1", "active"), ("fan_failure-2", "planned")]
    assert not {"affected", "observable_onset"} & told[0].keys()
    assert client.post("/hall/incidents/hidden/end").status_code == 404
    assert client.get("/hall/twin", params={"rack_id": "R-A-01"}).status_code == 403


def test_a_server_that_reveals_tells_the_truth_and_shows_the_twin(settings):
    with TestClient(create_app(settings.model_copy(update={"reveal": True}))) as client:
        trip = {"kind": "breaker_trip", "target": "rack:R-C-01", "at": "3m", "duration": "1h", "id": "shown"}
        start(client, incidents=[trip])
        step(client, 8)
        [told] = client.get("/hall/incidents").json()["incidents"]
        assert (told["incident_id"], told["target"], told["state"]) == ("shown", ["R-C-01"], "active")
        twin = client.get("/hall/twin", params={"rack_id": "R-C-01", "points": 3}).json()["series"]
        real = client.get("/racks/R-C-01/series", params={"points": 3}).json()["series"]
        assert twin["ts"] == real["ts"]
        assert min(twin["pdu_kw"]) > 1 > max(real["pdu_kw"])
        assert client.get("/hall/twin", params={"rack_id": "R-Z-01"}).status_code == 404
        assert client.post("/hall/incidents/shown/end").status_code == 200
        assert client.post("/hall/incidents/shown/end").status_code == 409


def test_what_was_done_outlives_the_server(client, settings):
    start(client)
    step(client, 3)
    client.post("/hall/incidents", json=FAN)
    kept = client.get("/hall/scenario").text
    client.__exit__(None, None, None)
    with TestClient(create_app(settings)) as again:
        assert again.get("/hall").json()["state"] == "idle"
        assert again.get("/hall/scenario").text == kept
        commands = again.get("/hall/commands").json()["commands"]
        assert [c["command"] for c in commands] == ["incident", "step", "start"]
        assert commands[0]["ts"] == "2025-01-06T00:03:00Z"
    client.__enter__()


def test_a_hall_whose_thread_dies_says_so(client):
    start(client)
    backend = client.app.state.backend
    backend.hall.run.simulation.plant.state = None
    client.post("/hall/resume")
    hall = until(client, "failed")
    assert "the hall's thread ended" in hall["message"]
    assert client.get("/readyz").status_code == 503
    assert client.post("/hall/incidents", json=FAN).json()["detail"] == "the hall has failed; start another"
    assert client.post("/hall/stop").json()["state"] == "idle"
    assert client.get("/readyz").status_code == 200


def test_layout_tells_rows_and_loops_of_a_hall_and_rows_of_what_is_stored(client):
    start(client)
    step(client, 1)
    layout = client.get("/hall/layout").json()
    assert layout["rows"][1] == {"name": "B", "loop": "CL-1", "racks": ["R-B-01", "R-B-02"]}
    assert layout["loops"] == ["CL-1", "CL-2"]
    client.post("/hall/stop")
    idle = client.get("/hall/layout").json()
    assert (idle["rows"][1]["racks"], idle["loops"]) == (["R-B-01", "R-B-02"], [])
    assert [c["name"] for c in idle["channels"]] == list(TELEMETRY_CHANNELS)


def test_every_kind_is_told_with_its_targets_and_parameters(client):
    kinds = {k["kind"]: k for k in client.get("/hall/kinds").json()["kinds"]}
    assert kinds["pump_trip"]["targets"] == ["loop"]
    assert kinds["pump_trip"]["target_needed"]
    assert not kinds["chiller_trip"]["target_needed"]
    assert kinds["sensor_swap"]["parameters"]["channel"]["choices"] == [
        "inlet_c", "outlet_c", "fan_rpm_pct", "pump_rpm_pct",
    ]  # fmt: skip


def test_a_store_that_is_away_stops_the_hall_and_loses_no_sample(client, tmp_path):
    start(client)
    client.post("/hall/speed", json={"speed": 3600})
    client.post("/hall/resume")
    with closing(sqlite3.connect(tmp_path / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # another writer, for longer than the hall waits at a time
        waiting = client.get("/hall").json()
        while not waiting["message"]:
            time.sleep(0.1)
            waiting = client.get("/hall").json()
        assert waiting["message"].startswith("waits: the store is not available")
        other.execute("COMMIT")
    assert until(client, "finished", "failed")["message"] is None
    assert stored_csv(client) == batch(client, tmp_path)[0]
