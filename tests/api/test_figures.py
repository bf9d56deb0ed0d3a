"""Figures worked out by hand from a few samples: from what was stored, in event time, null where not measured."""

from itertools import permutations

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.app import create_app

WELL = {"inlet_c": 22.0, "outlet_c": 35.0, "pdu_kw": 8.0, "gpu_energy_j": 360_000.0, "tokens_ps": 9000.0,
        "latency_p95_ms": 200.0, "queue_depth": 50, "fan_rpm_pct": 60.0, "pump_rpm_pct": 55.0}  # fmt: skip


def sample(minute, rack="R-A-01", **changes):
    """Return a sample of the sixth of January 2025, so many minutes after midnight."""
    ts = f"2025-01-06T{minute // 60:02d}:{minute % 60:02d}:00Z"
    return {"ts": ts, "rack_id": rack, **WELL, **changes}


def post(client, *samples):
    answer = client.post("/telemetry/batch", json={"samples": samples})
    assert answer.status_code == 200
    assert answer.json()["ingested"] == len(samples)


def series(client, start="00:00", end="23:59"):
    query = {"from": f"2025-01-06T{start}:00Z", "to": f"2025-01-06T{end}:00Z"}
    return client.get("/timeline", params=query).json()["series"]


def test_energy_per_request_is_power_over_requests_by_littles_law(client):
    # 50 requests in flight of 0.2 s each are 250 requests/s; 8 kW over them are 32 J each
    post(client, *(sample(m) for m in range(5)))
    assert client.get("/state/overview").json()["j_per_prompt_wh"] == pytest.approx(32 / 3600, rel=1e-4)
    assert [v for _, v in series(client, end="00:30")["j_per_prompt"]] == [None, 32.0, 32.0, 32.0, 32.0]


def test_a_reading_that_is_missing_leaves_its_sample_out_of_the_figures_that_need_it_and_of_no_other(client):
    # the second rack's energy without its requests would make 64 J of 32
    both = [s for m in range(3) for s in (sample(m), sample(m, "R-A-02", queue_depth=None))]
    post(client, *both)
    assert series(client)["j_per_prompt"][-1][1] == 32.0
    assert series(client)["latency_p95"][-1][1] == 200.0


def test_latency_of_nought_makes_no_requests(client):
    post(client, *(sample(m, latency_p95_ms=0.0) for m in range(3)))
    assert client.get("/state/overview").json()["j_per_prompt_wh"] is None


def test_what_is_not_the_gpus_power_is_that_of_the_whole_hall(client):
    # 360 kJ a minute are 6 kW: 2 kW beside them in each of three racks
    post(client, *(sample(m, f"R-A-0{i}") for m in range(4) for i in (1, 2, 3)))
    assert series(client)["aux_kw"][-1][1] == pytest.approx(6.0)


@pytest.mark.parametrize("tick", [1, 5])
def test_energy_of_a_day_is_power_by_time_whatever_the_tick(client, tick):
    # of an hour at 8 kW all is counted but what the first sample stands for
    post(client, *(sample(m) for m in range(0, 61, tick)))
    (day,) = client.get("/ml-analytics/performance-metrics").json()["daily_data"]
    assert (day["date"], day["day"]) == ("2025-01-06", "Mon")
    assert day["energyOptimized"] == pytest.approx(8.0)
    assert day["avgThroughput"] == pytest.approx(9000.0)


def test_a_gap_is_not_filled_with_energy_that_nobody_measured(client):
    post(client, *(sample(m) for m in (0, 1, 2, 3, 63, 64)))
    (day,) = client.get("/ml-analytics/performance-metrics").json()["daily_data"]
    assert day["energyOptimized"] == pytest.approx(8.0 * 5 / 60)


def test_a_late_sample_counts_once_the_others_as_before(client):
    post(client, *(sample(m) for m in (0, 1, 2, 4, 5)))
    post(client, sample(3))
    assert client.post("/telemetry/batch", json={"samples": [sample(3)]}).json()["duplicates"] == 1
    (day,) = client.get("/ml-analytics/performance-metrics").json()["daily_data"]
    assert day["energyOptimized"] == pytest.approx(8.0 * 5 / 60)


def test_figures_do_not_depend_on_how_samples_are_cut_into_batches(client, settings, tmp_path):
    rows = [sample(m, f"R-A-0{i}", pdu_kw=8.0 + m / 7 + i) for m in (*range(20), *range(40, 60)) for i in (1, 2)]
    post(client, *rows)
    other = settings.model_copy(update={"database_url": SecretStr(f"sqlite:///{tmp_path}/other.db")})
    with TestClient(create_app(other)) as one_by_one:
        for row in rows:
            post(one_by_one, row)
        ours, theirs = (c.get("/ml-analytics/performance-metrics").json() for c in (client, one_by_one))
    assert ours["daily_data"][0]["energyOptimized"] == pytest.approx(theirs["daily_data"][0].pop("energyOptimized"))
    del ours["daily_data"][0]["energyOptimized"]
    assert ours == theirs


@pytest.mark.parametrize("order", list(permutations((21.0, 27.5, 29.0))))
def test_inlets_over_the_limit_are_critical_and_over_27_degc_a_warning(client, order):
    post(client, *(sample(0, f"R-A-0{i}", inlet_c=c) for i, c in enumerate(order)))
    answer = client.get("/heatmap", params={"type": "inlet"}).json()
    wanted = {21.0: "nominal", 27.5: "warning", 29.0: "critical"}
    assert {cell["value"]: cell["status"] for cell in answer["grid"].values()} == wanted
    assert answer["stats"] == {"min": 21.0, "max": 29.0, "avg": pytest.approx(77.5 / 3, abs=1e-4)}
    assert client.get("/state/overview").json()["inlet_compliance_pct"] == pytest.approx(200 / 3)


def test_a_heat_map_of_the_past_shows_what_stood_then(client):
    post(client, *(sample(m, inlet_c=20.0 + m) for m in range(5)), sample(0, "R-A-02"))
    then = client.get("/heatmap", params={"type": "inlet", "ts": "2025-01-06T00:02:30Z"}).json()
    assert {rack: cell["value"] for rack, cell in then["grid"].items()} == {"R-A-01": 22.0, "R-A-02": 22.0}
    later = client.get("/heatmap", params={"ts": "2025-01-06T03:00:00Z"}).json()
    assert (later["grid"], later["stats"]["avg"]) == ({}, None)
    assert "15 minutes" in later["message"]


def test_a_sensor_that_says_nothing_is_nothing_and_not_nought(client):
    post(client, sample(0, inlet_c=None))
    assert client.get("/heatmap").json()["grid"] == {"R-A-01": {"value": None, "status": None}}
    assert client.get("/state/overview").json()["inlet_compliance_pct"] is None


def test_the_rise_is_made_from_the_temperatures_where_it_is_not_sent(client):
    post(client, sample(0), sample(0, "R-A-02", delta_t=12.5))
    grid = client.get("/heatmap", params={"type": "delta_t"}).json()["grid"]
    assert {rack: cell["value"] for rack, cell in grid.items()} == {"R-A-01": 13.0, "R-A-02": 12.5}


def test_percentiles_of_a_day_are_within_half_a_percent_of_the_nearest_rank(client):
    readings = [100.0 + 3 * m for m in range(200)]
    post(client, *(sample(m, latency_p95_ms=ms) for m, ms in enumerate(readings)))
    (day,) = client.get("/ml-analytics/performance-metrics").json()["daily_data"]
    for name, rank in (("p50", 100), ("p95", 190), ("p99", 198)):
        assert day[name] == pytest.approx(readings[rank - 1], rel=0.00501)


def test_share_of_readings_within_the_promised_latency(client):
    post(
        client, *(sample(m, latency_p95_ms=240.0 + 5 * m) for m in range(4))
    )  # 240, 245, 250 keep 250 ms, 255 does not
    assert client.get("/ml-analytics/performance-metrics").json()["summary"]["slo_compliance_pct"] == 75.0


def test_costs_are_told_once_a_price_is_and_savings_only_once_measured(client, settings):
    post(client, *(sample(m) for m in range(61)))
    answer = client.get("/ml-analytics/performance-metrics").json()
    (day,) = answer["daily_data"]
    for name in ("energyBaseline", "energySaved", "totalCost", "totalCostOptimized", "savings", "pue"):
        assert day[name] is None, name
    for name in ("total_savings", "avg_pue", "annual_savings_projection", "cost_reduction_pct"):
        assert answer["summary"][name] is None, name
    with TestClient(create_app(settings.model_copy(update={"energy_price_per_kwh": 0.25}))) as priced:
        (day,) = priced.get("/ml-analytics/performance-metrics").json()["daily_data"]
    assert day["totalCostOptimized"] == pytest.approx(0.25 * 8.0)


def test_a_timeline_of_a_year_has_no_more_than_a_thousand_points(client):
    post(client, *(sample(m) for m in range(0, 1440, 2)))
    query = {"from": "2024-06-01T00:00:00Z", "to": "2025-06-01T00:00:00+00:00"}
    found = client.get("/timeline", params=query).json()["series"]["latency_p95"]
    assert 1 < len(found) <= 1000
    assert all(value == 200.0 for _, value in found)


def test_either_database_adds_up_the_same_figures(database_url, settings):
    with TestClient(create_app(settings.model_copy(update={"database_url": SecretStr(database_url)}))) as client:
        for minute in range(4):
            post(client, sample(minute), sample(minute, "R-A-02", latency_p95_ms=300.0))
        told = client.get("/ml-analytics/performance-metrics").json()
        assert told["daily_data"][0]["energyOptimized"] == pytest.approx(8.0 * 2 * 3 / 60)
        assert told["daily_data"][0]["p50"] == pytest.approx(200.0, rel=0.00501)
        assert (told["summary"]["slo_compliance_pct"], told["summary"]["uptime_pct"]) == (50.0, 100.0)
        # at 300 ms the same queue is served a third slower: 166.7 requests/s beside 250
        assert client.get("/state/overview").json()["j_per_prompt_wh"] == pytest.approx(38.4 / 3600, rel=1e-4)
        assert series(client, end="00:30")["aux_kw"][-1][1] == pytest.approx(4.0)
        assert len(client.get("/heatmap", params={"ts": "2025-01-06T00:02:00Z"}).json()["grid"]) == 2
        assert client.get("/report/judges").json()["system_performance"]["data_points"] == 8
        assert "skadi_rack_power_watts" in client.get("/metrics").text
