"""Actions: levers of the live hall in closed loop, lines of a log in advisory mode, savings against the twin."""

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from tests.api.test_hall import batch, start, step, stored_csv

ALL = {
    "increase_batch_window": {"delta_ms": 20},
    "decrease_fan_rpm": {"delta_pct": 4},
    "increase_supply_temp": {"delta_c": 1},
    "shift_traffic_to_cool_row": {"traffic_pct": 15, "target_racks": ["R-D-01", "R-D-02"]},
    "pause_low_priority_jobs": {"priority_threshold": 3, "max_pause_pct": 20},
    "increase_cdu_pump": {"delta_pct": 5},
}


def apply(client, action, **params):
    answer = client.post("/actions/apply", json={"action": action, "params": params, "reason": "why not"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def closed_loop(client):
    assert client.post("/mode", json={"mode": "closed_loop"}).json()["new_mode"] == "closed_loop"
    start(client)
    step(client, 5)


def newest(client):
    return client.get("/actions/log").json()["actions"][0]


def test_the_mode_is_told_and_changed(client):
    assert client.get("/mode").json() == {"mode": "advisory", "kill_switch": False}
    answer = client.post("/mode", json={"mode": "closed_loop"})
    assert answer.json() == {
        "old_mode": "advisory", "new_mode": "closed_loop", "message": "the mode is closed_loop",
    }  # fmt: skip
    assert client.get("/", headers={"accept": "application/json"}).json()["mode"] == "closed_loop"
    assert client.post("/mode", json={"mode": "open"}).status_code == 422


def test_an_advisory_action_is_logged_and_moves_nothing(client):
    start(client)
    step(client, 2)
    before = client.get("/hall/scenario").text
    done = apply(client, "decrease_fan_rpm", delta_pct=5)
    assert set(done) == {"action_id", "action", "mode", "status", "execution_result", "ts"}
    assert (done["status"], done["mode"], done["ts"]) == ("advisory", "advisory", "2025-01-06T00:02:00Z")
    assert client.get("/hall/scenario").text == before
    step(client, 5)
    logged = newest(client)
    assert (logged["params"], logged["reason"]) == ({"delta_pct": 5}, "why not")
    assert (logged["realized_saving_pct"], logged["status"]) == (None, "advisory")


@pytest.mark.parametrize("action", ALL)
def test_each_action_moves_its_lever_and_is_in_the_scenario_that_gives_the_same_bytes(client, tmp_path, action):
    closed_loop(client)
    done = apply(client, action, **ALL[action])
    assert done["status"] == "applied", done
    reached = step(client, 20)["ts"]
    assert newest(client)["realized_saving_pct"] is not None
    run = client.app.state.backend.hall.run
    readings, twin = run.latest.truth, run.latest.twin.truth
    assert any((readings[n] != twin[n]).any() for n in ("tokens_ps", "fan_rpm_pct", "inlet_c", "pdu_kw"))
    whole, events = batch(client, tmp_path)
    assert stored_csv(client) == "".join(
        line for line in whole.splitlines(keepends=True) if line[:2] == "ts" or line[:20] < reached
    )
    assert f"{action}-1,maintenance,{action}," in events


def test_pausing_jobs_saves_what_they_drew_and_cooling_with_it(client):
    """A fifth of the load less saves less than a fifth of the power: racks also draw when they do nothing."""
    closed_loop(client)
    apply(client, "pause_low_priority_jobs", max_pause_pct=20)
    step(client, 40)
    saved = newest(client)["realized"]
    assert 5 < saved["it_saving_pct"] < 20
    assert saved["cooling_saving_pct"] > 5
    assert saved["saved_kwh"] > 0
    run = client.app.state.backend.hall.run
    e = run.energy
    assert newest(client)["realized_saving_pct"] == pytest.approx(
        100 * (1 - (e.it_kwh + e.cooling_kwh) / (e.twin_it_kwh + e.twin_cooling_kwh)), rel=0.15
    )  # the first 5 of 45 ticks were alike in both worlds


def test_what_an_action_realised_outlives_the_run(client):
    closed_loop(client)
    apply(client, "pause_low_priority_jobs", max_pause_pct=30)
    step(client, 10)
    realised = newest(client)["realized_saving_pct"]
    client.post("/hall/stop")
    assert newest(client)["realized_saving_pct"] == realised > 0
    start(client)
    step(client, 1)
    assert newest(client)["realized_saving_pct"] == realised


def test_limits_leave_out_the_racks_that_would_pass_them_and_refuse_what_is_left_of_none(client):
    closed_loop(client)
    state = client.app.state.backend.hall.run.simulation.plant.state
    step_pct = float(state.fan_pct[0].max() - 45) - 1e-3
    done = apply(client, "decrease_fan_rpm", delta_pct=step_pct)
    fastest = int(state.fan_pct[0].argmax())
    racks = client.app.state.backend.hall.run.hall.facility.racks
    assert done["execution_result"]["target"] == [f"rack:{racks[fastest]}"]
    refused = apply(client, "decrease_fan_rpm", delta_pct=55)
    assert (refused["status"], refused["execution_result"]["applied"]) == ("rejected", False)
    assert "no fan would stay at 45 %" in refused["execution_result"]["message"]
    assert apply(client, "increase_cdu_pump", delta_pct=60)["status"] == "rejected"
    assert apply(client, "increase_supply_temp", delta_c=9)["status"] == "applied"  # 15 + 9 = 24 degC
    for ticks in (0, 1, 1, 1):  # before it is felt, while and after
        if ticks:
            step(client, ticks)
        warmer = apply(client, "increase_supply_temp", delta_c=0.5)
        assert "supply would pass 24 degC; it is set to 24 degC" in warmer["execution_result"]["message"]


def test_without_a_hall_that_runs_nothing_is_moved_and_the_log_says_so(client):
    client.post("/mode", json={"mode": "closed_loop"})
    done = apply(client, "decrease_fan_rpm")
    assert (done["status"], done["execution_result"]["message"][:23]) == ("rejected", "the hall is not running")
    assert newest(client)["params"] == {"delta_pct": 5.0}


@pytest.mark.parametrize("mode", ["advisory", "closed_loop"])
@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"action": "open_windows"}, ["action"]),
        ({"action": "decrease_fan_rpm", "params": {"delta_pct": 90}}, ["params.delta_pct"]),
        ({"action": "decrease_fan_rpm", "params": {"delta_pct": "5"}}, ["params.delta_pct"]),
        ({"action": "increase_cdu_pump", "params": {"a": 1, "delta_pct": -1}}, ["params.a", "params.delta_pct"]),
        ({"action": "decrease_fan_rpm", "params": []}, ["body.params"]),
        ({"action": "shift_traffic_to_cool_row", "params": {"target_racks": "R-A-01"}}, ["params.target_racks"]),
        ({}, ["body.action"]),
    ],
)  # fmt: skip
def test_an_action_that_cannot_be_meant_is_told_in_either_mode(client, mode, body, places):
    client.post("/mode", json={"mode": mode})
    answer = client.post("/actions/apply", json=body)
    assert answer.status_code == 422
    assert [e["place"] for e in answer.json()["errors"]] == places
    assert client.get("/actions/log").json()["actions"] == []


def test_racks_that_the_hall_does_not_have_are_told(client):
    closed_loop(client)
    body = {"action": "shift_traffic_to_cool_row", "params": {"target_racks": ["R-Z-01"]}}
    answer = client.post("/actions/apply", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, "params.target_racks")


def test_the_kill_switch_refuses_every_action(settings):
    with TestClient(create_app(settings.model_copy(update={"global_kill_switch": True}))) as client:
        assert client.get("/mode").json()["kill_switch"]
        answer = client.post("/actions/apply", json={"action": "decrease_fan_rpm"})
        assert answer.status_code == 403
        assert client.get("/actions/log").json()["actions"] == []


def test_actions_are_as_far_apart_as_the_settings_say(settings):
    with TestClient(create_app(settings.model_copy(update={"write_rate_limit_s": 3600.0}))) as client:
        apply(client, "decrease_fan_rpm")
        answer = client.post("/actions/apply", json={"action": "decrease_fan_rpm"})
        assert (answer.status_code, 3500 < int(answer.headers["retry-after"]) <= 3600) == (429, True)


def test_the_optimizer_proposes_from_what_is_stored_and_calls_its_savings_estimates(client):
    nothing = client.post("/optimizer/tick").json()
    assert (nothing["status"], nothing["proposals"], nothing["picked"]) == ("no_action", [], None)
    start(client)
    step(client, 3)
    told = client.post("/optimizer/tick").json()
    assert told["status"] == "ok"
    assert told["picked"] == told["proposals"][0]
    savings = [p["pred_saving_pct"] for p in told["proposals"]]
    assert savings == sorted(savings, reverse=True)
    assert {"action", "params", "pred_saving_pct", "reason", "risk_score"} <= set(told["picked"])
    assert all(p["is_estimate"] for p in told["proposals"])
    client.post("/mode", json={"mode": "closed_loop"})
    for proposal in told["proposals"]:
        answer = client.post("/actions/apply", json=proposal)
        assert answer.json()["status"] == "applied", answer.text


def test_a_demo_scenario_strikes_the_hall_and_ends_by_itself(client):
    assert client.post("/demo/scenario", json={"scenario": "overcooled_row_e", "action": "start"}).status_code == 409
    start(client, facility={"rows": 6, "racks_per_row": 1})
    step(client, 1)
    command = {"scenario": "overcooled_row_e", "action": "start", "duration_s": 600}
    begun = client.post("/demo/scenario", json=command).json()
    assert (begun["status"], begun["duration_s"]) == ("started", 600)
    [active] = client.get("/demo/status").json()["active_scenarios"]
    assert active == {
        "scenario_id": begun["scenario_id"], "type": "overcooled_row_e", "start_ts": "2025-01-06T00:01:00Z",
        "duration_s": 600,
    }  # fmt: skip
    step(client, 11)
    assert client.get("/demo/status").json()["active_scenarios"] == []
    stop = {"scenario": "overcooled_row_e", "action": "stop"}
    assert client.post("/demo/scenario", json=stop).status_code == 404
    again = client.post("/demo/scenario", json=command).json()["scenario_id"]
    step(client, 1)
    assert client.post("/demo/scenario", json=stop).json()["stopped_ids"] == [again]
    step(client, 1)
    assert client.get("/demo/status").json()["active_scenarios"] == []
    assert client.post("/demo/scenario", json={"scenario": "earthquake", "action": "start"}).status_code == 422
