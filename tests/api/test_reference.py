"""A client that knows the reference's routes and fields only, with a week of 2025 that it posts today."""

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.settings import Settings
from tests.api.hall import samples
from training import artifact

KPIS = {"j_per_prompt_wh", "latency_p95_ms", "inlet_compliance_pct", "energy_saved_pct"}
FIELDS = {
    "/state/overview": KPIS | {"ims_deviation", "mms_state", "ts"},
    "/heatmap?type=outlet&ts=now": {"type", "ts", "grid", "stats"},
    "/timeline?from=2025-01-06T00:00:00Z&to=2025-01-06T09:00:00Z": {"from", "to", "series", "actions"},
    "/report/judges": {
        "generated_at", "period", "kpis", "savings_attribution", "actions", "action_log", "system_performance",
        "charts",
    },
    "/ml-heatmap/ims-anomaly": {"timestamp", "model_info", "racks", "stats", "thresholds"},
    "/ml-analytics/performance-metrics?days=7": {"timestamp", "days", "daily_data", "summary"},
}  # fmt: skip
PARTS = {
    ("/report/judges", "kpis"): KPIS,
    ("/report/judges", "savings_attribution"): {
        "baseline_j_per_prompt", "current_j_per_prompt", "reduction_pct", "total_predicted_savings_pct",
        "total_realized_savings_pct",
    },
    ("/report/judges", "actions"): {"total_actions", "applied", "advisory", "rejected", "by_type"},
    ("/report/judges", "system_performance"): {"mode", "kill_switch", "data_points", "actions_executed"},
    ("/report/judges", "charts"): {"timeline_url", "heatmap_url"},
    ("/ml-heatmap/ims-anomaly", "stats"): {
        "avg_temp", "min_temp", "max_temp", "avg_deviation", "min_deviation", "max_deviation", "hotspots", "coolzones",
        "total_racks", "status_distribution",
    },
    ("/ml-heatmap/ims-anomaly", "thresholds"): {"tau_fast", "tau_persist"},
    ("/ml-analytics/performance-metrics?days=7", "summary"): {
        "total_savings", "avg_energy_reduction_pct", "avg_latency_ms", "avg_throughput", "avg_pue",
        "annual_savings_projection", "cost_reduction_pct", "uptime_pct", "slo_compliance_pct",
        "cooling_efficiency_improvement_pct",
    },
}  # fmt: skip
RACK = {"id", "row", "col", "temp", "deviation", "status", "load", "metrics"}
METRICS = {
    "inlet_c", "outlet_c", "pdu_kw", "gpu_energy_j", "tokens_ps", "latency_p95_ms", "queue_depth", "fan_rpm_pct",
    "pump_rpm_pct", "delta_t",
}  # fmt: skip
DAY = {
    "day", "date", "energyBaseline", "energyOptimized", "energySaved", "avgLatency", "avgThroughput", "totalCost",
    "totalCostOptimized", "savings", "avgInletTemp", "avgOutletTemp", "p50", "p95", "p99", "pue",
}  # fmt: skip
REFUSED = {
    "a type of heat map that there is not": ("GET", "/heatmap?type=humidity", None),
    "an instant that is none": ("GET", "/heatmap?ts=yesterday", None),
    "a timeline without an end": ("GET", "/timeline?from=2025-01-06T00:00:00Z", None),
    "a timeline without a beginning": ("GET", "/timeline?to=2025-01-06T00:00:00Z", None),
    "a timeline from no instant": ("GET", "/timeline?from=12&to=2025-01-06T00:00:00Z", None),
    "a timeline that ends before it begins": ("GET", "/timeline?from=2025-01-07&to=2025-01-06", None),
    "31 days": ("GET", "/ml-analytics/performance-metrics?days=31", None),
    "no day": ("GET", "/ml-analytics/performance-metrics?days=0", None),
    "a day and a half": ("GET", "/ml-analytics/performance-metrics?days=1.5", None),
    "half a period": ("GET", "/report/judges?from=2025-01-06T00:00:00Z", None),
}


@pytest.fixture(scope="module")
def fed(model, tmp_path_factory):
    """Return a client of a backend with a model and nine hours of a hall of eight racks; tests only read from it."""
    folder = tmp_path_factory.mktemp("fed")
    artifact.save(model, folder / "ims_hall.json")
    with TestClient(create_app(Settings(database_url=f"sqlite:///{folder}/store.db", artifacts_dir=folder))) as client:
        rows = samples()
        for start in range(0, len(rows), 1000):
            assert client.post("/telemetry", json={"samples": rows[start : start + 1000]}).status_code == 200
        yield client


def test_every_route_has_the_reference_s_fields_and_no_null_where_there_was_something_to_measure(fed):
    found = {path: fed.get(path) for path in FIELDS}
    assert {path: answer.status_code for path, answer in found.items()} == dict.fromkeys(FIELDS, 200)
    assert {path: set(answer.json()) for path, answer in found.items()} == FIELDS
    for (path, name), fields in PARTS.items():
        assert set(found[path].json()[name]) == fields
    told = found["/state/overview"].json()
    assert told.pop("energy_saved_pct") is None  # there is no twin
    assert None not in told.values()


def test_a_week_of_2025_answers_as_a_week_of_2025(fed):
    newest = samples()[-1]["ts"]
    assert fed.get("/state/overview").json()["ts"] == newest
    assert fed.get("/heatmap").json()["ts"] == newest
    assert fed.get("/ml-heatmap/ims-anomaly").json()["timestamp"] == newest
    assert [d["date"] for d in fed.get("/ml-analytics/performance-metrics").json()["daily_data"]] == ["2025-01-06"]
    report = fed.get("/report/judges").json()
    assert report["period"] == {"from": samples()[0]["ts"], "to": newest}
    assert report["system_performance"]["data_points"] == len(samples())


def test_energy_per_request_of_nine_hours_is_that_of_all_their_samples(fed):
    rows = [s for s in samples() if None not in (s["pdu_kw"], s["queue_depth"], s["latency_p95_ms"])]
    requests_ps = sum(s["queue_depth"] / (s["latency_p95_ms"] / 1000) for s in rows)
    told = fed.get("/report/judges").json()["savings_attribution"]["current_j_per_prompt"]
    # the first of 540 samples of each rack stands for no time: 1/540 of what may be a different load
    assert told == pytest.approx(1000 * sum(s["pdu_kw"] for s in rows) / requests_ps, rel=1 / 540)


def test_a_timeline_tells_each_minute_of_its_stretch_as_pairs(fed):
    query = {"from": "2025-01-06T01:00:00Z", "to": "2025-01-06T02:59:00+00:00"}
    series = fed.get("/timeline", params=query).json()["series"]
    assert set(series) == {"j_per_prompt", "latency_p95", "aux_kw"}
    for points in series.values():
        assert [ts for ts, _ in points] == sorted(
            {s["ts"] for s in samples() if "T01:" in s["ts"] or "T02:" in s["ts"]}
        )
        assert all(value > 0 for _, value in points)


def test_the_monitor_s_map_tells_of_each_rack_what_the_scores_tell(fed):
    answer = fed.get("/ml-heatmap/ims-anomaly").json()
    scores = {s["rack_id"]: s for s in fed.get("/ims/scores", params={"limit": 8}).json()["scores"]}
    assert {rack["id"]: rack["deviation"] for rack in answer["racks"]} == {r: s["deviation"] for r, s in scores.items()}
    words = {"normal": "nominal", "watch": "warning", "high": "critical"}
    for rack in answer["racks"]:
        assert (set(rack), set(rack["metrics"])) == (RACK, METRICS)
        assert rack["status"] == words[scores[rack["id"]]["level"]]
        assert f"R-{rack['row']}-{rack['col']:02d}" == rack["id"]
    assert sum(answer["stats"]["status_distribution"].values()) == answer["stats"]["total_racks"] == 8


def test_a_map_without_a_model_is_refused_and_never_random(client):
    client.post("/telemetry", json={"samples": samples()[:80]})
    answer = client.get("/ml-heatmap/ims-anomaly")
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert "POST /ims/train" in answer.json()["detail"]


def test_days_have_the_reference_s_fields(fed):
    (day,) = fed.get("/ml-analytics/performance-metrics").json()["daily_data"]
    assert set(day) == DAY
    assert day["p50"] < day["p95"] < day["p99"]
    assert day["avgInletTemp"] < day["avgOutletTemp"]


def test_nothing_stored_is_said_and_breaks_no_route(client):
    told = client.get("/state/overview").json()
    assert (told["status"], set(told)) == ("no_data", {"status", "message"})
    for path in FIELDS:
        assert client.get(path).status_code == (409 if "ims-anomaly" in path else 200)
    assert client.get("/report/judges").json()["kpis"] == dict.fromkeys(KPIS)
    assert client.get("/report/judges/pdf").content.startswith(b"%PDF")


@pytest.mark.parametrize(("method", "path", "body"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_answered_is_a_problem_with_its_place(client, method, path, body):
    answer = client.request(method, path, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["detail"]


def test_the_report_is_the_same_by_post(fed):
    get, post = fed.get("/report/judges").json(), fed.post("/report/judges").json()
    assert get | {"generated_at": None} == post | {"generated_at": None}


def objects(pdf):
    """Return the bytes of each numbered object of a PDF, as its cross-reference table places them."""
    at = int(pdf[pdf.rindex(b"startxref") :].split()[1])
    lines = pdf[at:].split(b"\n")
    assert lines[0] == b"xref"
    first, count = map(int, lines[1].split())
    entries = [line.split() for line in lines[2 : 2 + count]]
    offsets = {first + i: int(entry[0]) for i, entry in enumerate(entries) if entry[2] == b"n"}
    assert all(pdf[offset:].startswith(b"%d 0 obj" % number) for number, offset in offsets.items())
    return {number: pdf[offset : pdf.index(b"endobj", offset)] for number, offset in offsets.items()}


def test_the_pdf_is_one_whose_objects_are_where_its_table_says(fed):
    answer = fed.get("/report/judges/pdf", headers={"Accept": "application/pdf"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.content.startswith(b"%PDF-1.")
    assert answer.content.rstrip().endswith(b"%%EOF")
    found = objects(answer.content)
    assert any(b"/Type /Catalog" in o for o in found.values())
    assert any(b"/Type /Page\n" in o or b"/Type /Page " in o for o in found.values())


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/pdf", 200), ("*/*", 200), ("application/*;q=0.1", 200), ("text/html, application/pdf;q=0.5", 200),
        ("application/json", 406), ("text/*", 406), ("application/pdf;q=0, */*", 406), ("", 200),
    ],
)  # fmt: skip
def test_a_pdf_is_given_to_those_who_take_one(client, accept, status):
    assert client.get("/report/judges/pdf", headers={"Accept": accept}).status_code == status


def test_the_root_says_what_the_service_is_to_those_who_ask_for_json(client):
    told = client.get("/", headers={"Accept": "application/json"}).json()
    assert set(told) == {"service", "version", "status", "mode", "kill_switch"}
    assert client.get("/health").json() == {"status": "healthy"}
    assert client.get("/ml-heatmap/health").status_code == client.get("/ml-analytics/health").status_code == 200
