"""Whatever is sent, the answer is one that a client can read, and the server goes on."""

import json
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from api.app import create_app
from api.settings import Settings
from tests.examples import examples

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANY = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
INSTANTS = st.datetimes().map(str) | st.sampled_from(
    ["2025-01-06T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01"]
)
SAMPLES = st.fixed_dictionaries(
    {},
    optional={
        "ts": INSTANTS | ANY,
        "rack_id": st.sampled_from(["R-1", "", "a b"]) | ANY,
        "inlet_c": ANY,
        "queue_depth": ANY,
    },
)
DOCUMENTS = ANY | st.fixed_dictionaries({"samples": ANY | st.lists(SAMPLES | ANY, max_size=4)})
BODIES = st.binary(max_size=200) | DOCUMENTS.map(lambda document: json.dumps(document).encode())
PATHS = st.sampled_from(["/telemetry", "/telemetry/batch", "/telemetry/single"])
ENCODINGS = st.sampled_from(["identity", "gzip", "br", "", "gzip, gzip"])


@pytest.fixture(scope="module")
def hardy(tmp_path_factory):
    """Return a client that is answered 500 where the server fails, as others are."""
    url = f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db"
    settings = Settings(database_url=url, artifacts_dir="/nowhere", rate_per_s=1e6)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@examples(500)
@given(PATHS, BODIES, ENCODINGS)
def test_any_body_is_taken_or_refused_and_never_fails(hardy, path, body, encoding):
    answer = hardy.post(path, content=body, headers={"Content-Encoding": encoding})
    assert answer.status_code in (200, 400, 413, 415, 422)
    kind = "application/json" if answer.status_code == 200 else "application/problem+json"
    assert answer.headers["content-type"] == kind
    assert json.loads(answer.text)


@examples(200)
@given(
    st.sampled_from(["/ims/scores", "/alarms", "/racks/R-1/series", "/racks"]),
    st.dictionaries(
        st.sampled_from(["limit", "rack_id", "after", "from", "to", "points", "open"]), st.text(max_size=30)
    ),
)
def test_any_query_is_answered_or_refused_and_never_fails(hardy, path, query):
    assert hardy.get(path, params=query).status_code in (200, 404, 422)


@examples(200)
@given(st.text(max_size=30))
def test_any_path_is_answered_or_refused_and_never_fails(hardy, path):
    assert hardy.get("/racks/" + quote(path, safe="") + "/series").status_code in (404, 422)
