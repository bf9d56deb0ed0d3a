"""Who may ask what: hosts, tokens, addresses, rates; and names that are only ever data."""

import json

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from starlette.websockets import WebSocketDisconnect

from api.app import create_app
from api.settings import Settings, check_address, load_settings, shown
from sim.common.errors import InputError

SAMPLE = {"ts": "2025-01-06T00:00:00Z", "rack_id": "R-C-07", "inlet_c": 22.4}


@pytest.fixture
def serving(settings):
    """Return a client of a server with some settings of its own."""
    open_ = []

    def of(base_url="http://testserver", **changes):
        client = TestClient(create_app(settings.model_copy(update=changes)), base_url=base_url)
        open_.append(client.__enter__())
        return client

    yield of
    for client in open_:
        client.__exit__(None, None, None)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "", "[::2]:8000"])
def test_a_host_name_that_is_not_the_servers_is_refused(client, host):
    assert client.get("/racks", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:9", "[::1]:8000", "[::1]", "LOCALHOST"])
def test_its_own_names_are_known_with_and_without_a_port(client, host):
    assert client.get("/racks", headers={"Host": host}).status_code == 200


def test_every_changing_route_needs_the_token_where_one_is_set(serving):
    client = serving(token=SecretStr("s3cret"))
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method in operations.keys() - {"get"}:
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), (method, path)
    for wrong in ({}, bearer("wrong"), bearer(""), {"Authorization": "s3cret"}, {"Authorization": "Basic s3cret"}):
        assert client.post("/telemetry/single", json=SAMPLE, headers=wrong).status_code == 401
    assert client.post("/telemetry/single", json=SAMPLE, headers=bearer("s3cret")).status_code == 200
    assert client.get("/racks").status_code == 200


def test_reading_needs_the_reading_token_and_health_needs_none(serving):
    client = serving(token=SecretStr("write"), read_token=SecretStr("read"))
    for path in ("/racks", "/ims/scores", "/openapi.json", "/"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=bearer("read")).status_code == 200
    assert client.get("/healthz").status_code == 200
    assert client.get("/racks", headers=bearer("write")).status_code == 200
    assert client.post("/telemetry/single", json=SAMPLE, headers=bearer("read")).status_code == 401


def test_the_page_which_asks_for_the_token_is_given_without_it(serving):
    client = serving(token=SecretStr("write"), read_token=SecretStr("read"))
    assert "Skadi" in client.get("/", headers={"Accept": "text/html"}).text
    for path in ("/page/js/main.js", "/page/style.css", "/page/vendor/uplot/uPlot.iife.min.js"):
        assert client.get(path).status_code == 200
    assert client.get("/page/../racks").status_code == 401


def test_the_page_may_load_nothing_from_elsewhere_and_runs_no_script_that_stands_in_it(client):
    for path in ("/", "/page/js/main.js"):
        policy = client.get(path, headers={"Accept": "text/html"}).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


ELSEWHERE = ["https://evil.example", "null", "http://testserver.evil.example", "http://testserver:81"]


@pytest.mark.parametrize("origin", ELSEWHERE)
def test_a_page_of_another_site_changes_nothing_and_opens_no_socket(client, origin):
    headers = {"Origin": origin, "Content-Type": "text/plain"}
    assert client.post("/telemetry/single", content=json.dumps(SAMPLE), headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws/events", headers={"Origin": origin}):
        pass
    assert client.get("/racks").json()["racks"] == []


def test_the_servers_own_page_and_a_listed_one_may(serving):
    client = serving(cors_origins=["https://good.example"])
    for origin in ("http://testserver", "https://good.example"):
        assert client.post("/telemetry/single", json=SAMPLE, headers={"Origin": origin}).status_code == 200
        with client.websocket_connect("/ws/events", headers={"Origin": origin}) as socket:
            socket.send_text("there")


def test_a_socket_needs_a_known_host_and_the_reading_token(serving):
    client = serving(token=SecretStr("write"), read_token=SecretStr("read"))
    for headers in ({}, bearer("wrong"), {**bearer("read"), "Host": "evil.example"}):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws/events", headers=headers):
            pass
    with client.websocket_connect("/ws/events", headers=bearer("read")) as socket:
        socket.send_text("there")
        assert socket.receive_json() == {"echo": "there"}


def test_a_server_that_others_reach_answers_nobody_without_a_token(serving):
    other = {"base_url": "http://192.0.2.1:8000", "allowed_hosts": ["192.0.2.1"]}
    assert serving(**other).post("/telemetry/single", json=SAMPLE).status_code == 403
    with_token = serving(**other, token=SecretStr("t"))
    assert with_token.post("/telemetry/single", json=SAMPLE, headers=bearer("t")).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 - refused is the point
def test_listening_to_others_without_a_token_is_refused(host):
    with pytest.raises(InputError, match="SKADI_TOKEN"):
        check_address(Settings(host=host))
    check_address(Settings(host=host, token=SecretStr("t")))


def test_too_many_requests_of_one_client_are_429_and_say_when_to_come_back(serving):
    client = serving(rate_per_s=5.0)
    answers = [client.post("/telemetry/single", json=SAMPLE) for _ in range(12)]
    assert [a.status_code for a in answers[:5]] == [200] * 5
    assert (answers[-1].status_code, answers[-1].headers["retry-after"]) == (429, "1")


def test_settings_are_shown_without_secrets(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://me:pass@db/x")
    monkeypatch.setenv("SKADI_TOKEN", "s3cret")
    text = "\n".join(shown(load_settings()))
    assert "s3cret" not in text
    assert "pass" not in text.replace("password", "")


def test_settings_come_from_flags_then_ours_then_the_references_names(monkeypatch):
    monkeypatch.setenv("PORT", "9001")
    assert load_settings().port == 9001
    monkeypatch.setenv("SKADI_PORT", "9002")
    assert load_settings().port == 9002
    assert load_settings(port=9003).port == 9003


def test_every_setting_that_cannot_be_used_is_named_at_once(monkeypatch):
    monkeypatch.setenv("SKADI_PORT", "x")
    monkeypatch.setenv("SLA_LATENCY_MS", "-1")
    with pytest.raises(InputError) as caught:
        load_settings()
    assert "port" in str(caught.value).lower()
    assert "sla_latency_ms" in str(caught.value).lower()
