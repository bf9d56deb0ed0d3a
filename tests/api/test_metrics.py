"""What Prometheus reads is clean text in base units, and says what was stored."""

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api.hall import samples

SAMPLE = {
    "inlet_c": 22.5, "outlet_c": 35.0, "pdu_kw": 8.0, "gpu_energy_j": 360_000.0, "tokens_ps": 9000.0,
    "latency_p95_ms": 200.0, "queue_depth": 50, "fan_rpm_pct": 60.0, "pump_rpm_pct": 55.0, "gpu_power_kw": 6.0,
}  # fmt: skip
WANTED = {
    "inlet_temperature_celsius": 22.5, "outlet_temperature_celsius": 35.0, "power_watts": 8000.0,
    "gpu_power_watts": 6000.0, "latency_p95_seconds": 0.2, "requests_in_system": 50.0, "fan_speed_ratio": 0.6,
    "pump_speed_ratio": 0.55,
}  # fmt: skip


def post(client, *rows):
    assert client.post("/telemetry/batch", json={"samples": rows}).status_code == 200


def at(minute, rack="R-A-01", **changes):
    return {"ts": f"2025-01-06T00:{minute:02d}:00Z", "rack_id": rack, **SAMPLE, **changes}


def read(client):
    """Return the values by name and rack, as the reference parser reads them."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(answer.text))
    assert len({f.name for f in families}) == len(families)
    return {(s.name, s.labels.get("rack")): s.value for f in families for s in f.samples}


def test_readings_are_told_in_base_units_with_where_their_rack_stands(client):
    post(client, at(0))
    told = read(client)
    assert {name: told[f"skadi_rack_{name}", "R-A-01"] for name in WANTED} == WANTED
    line = next(line for line in client.get("/metrics").text.splitlines() if line.startswith("skadi_rack_power_watts{"))
    assert line == 'skadi_rack_power_watts{site="S1",hall="H1",row="A",rack="R-A-01"} 8000'


def test_energy_and_tokens_are_running_sums(client):
    for minute in range(4):
        post(client, at(minute), at(minute, "R-A-02", gpu_energy_j=None, gpu_power_kw=None))
    told = read(client)
    assert told["skadi_rack_gpu_energy_joules_total", "R-A-01"] == 4 * 360_000
    # the first sample's minute is not known to have been one
    assert told["skadi_rack_generated_tokens_total", "R-A-01"] == 3 * 60 * 9000
    assert told["skadi_rack_gpu_energy_joules_total", "R-A-02"] == 0
    assert ("skadi_rack_gpu_power_watts", "R-A-02") not in told


def test_a_sample_that_is_sent_again_adds_nothing(client):
    rows = [at(minute) for minute in range(4)]
    post(client, *rows)
    before = read(client)
    post(client, *rows)
    after = read(client)
    assert after["skadi_ingest_duplicates_total", None] == 4
    for name in ("skadi_rack_gpu_energy_joules_total", "skadi_rack_generated_tokens_total"):
        assert after[name, "R-A-01"] == before[name, "R-A-01"]


def test_a_rack_that_is_silent_is_told_of_no_more(client):
    post(client, at(0), at(0, "R-A-02"))
    post(client, at(16))
    assert {rack for name, rack in read(client) if name == "skadi_rack_power_watts"} == {"R-A-01"}


def test_the_monitor_s_deviation_and_state_are_those_of_the_scores(monitored):
    rows = samples()
    for start in range(0, 2400, 800):
        post(monitored, *rows[start : start + 800])
    told, states = read(monitored), ["NOMINAL", "TRANSIENT", "PERSISTENT", "RECOVERING"]
    for score in monitored.get("/ims/scores", params={"limit": 8}).json()["scores"]:
        assert told["skadi_rack_deviation", score["rack_id"]] == pytest.approx(score["deviation"])
        assert told["skadi_rack_monitor_state", score["rack_id"]] == states.index(score["mms_state"])


def test_the_live_hall_is_told_of_once_there_is_one(client):
    assert not [name for name, _ in read(client) if name.startswith("skadi_hall")]
    client.post("/hall/start", json={"scenario": "small", "paused": True})
    client.post("/hall/step", json={"ticks": 2})
    told, hall = read(client), client.get("/hall").json()
    assert told["skadi_hall_pue_ratio", None] == hall["pue"]
    assert told["skadi_hall_it_power_watts", None] == pytest.approx(1000 * hall["it_kw"])
    client.post("/hall/stop")


HOSTILE = ("a:b.c_d-", "R--0", "R-A-B-99", "-", "R-.-1", "Z" * 64)


def test_names_of_racks_are_data(client):
    post(client, *(at(0, rack) for rack in HOSTILE))
    assert {rack for name, rack in read(client) if name == "skadi_rack_power_watts"} == set(HOSTILE)


def test_promtool_finds_nothing_to_complain_of(client):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; Debian has it in its package prometheus")
    post(client, *(at(minute, rack) for minute in range(3) for rack in ("R-A-01", *HOSTILE)))
    client.post("/hall/start", json={"scenario": "small", "paused": True})
    client.post("/hall/step", json={"ticks": 2})
    text = client.get("/metrics").text
    client.post("/hall/stop")
    found = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)  # noqa: S607
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_ten_thousand_racks_are_written(client):
    racks = [f"R-{row}-{n:02d}" for row in "ABCDEFGHIJ" for n in range(1000)]
    post(client, *(at(0, rack) for rack in racks))
    assert client.get("/metrics").text.count("\nskadi_rack_power_watts{") == len(racks)
