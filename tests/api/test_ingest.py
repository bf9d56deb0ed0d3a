"""What is taken of a batch, what is told of the rest, and that nothing is stored twice."""

import gzip
import json

import pytest

from api.samples import MOST_BYTES, MOST_SAMPLES

SAMPLE = {"ts": "2025-01-06T00:00:00Z", "rack_id": "R-C-07", "inlet_c": 22.4, "queue_depth": 38}


def post(client, *samples, **options):
    return client.post("/telemetry/batch", json={"samples": samples}, **options)


def rejected(answer):
    return [(r["index"], r["field"]) for r in answer.json()["rejected"]]


def stored(client, rack="R-C-07"):
    series = client.get(f"/racks/{rack}/series").json()["series"]
    return dict(zip(series["ts"], series["inlet_c"], strict=True))


def test_a_retried_batch_is_stored_once_and_says_so(client):
    assert post(client, SAMPLE).json()["ingested"] == 1
    again = post(client, SAMPLE, {**SAMPLE, "rack_id": "R-C-08"}).json()
    assert (again["ingested"], again["duplicates"], again["rejected"]) == (1, 1, [])


def test_a_sample_of_the_same_instant_with_other_values_is_rejected_and_the_first_stays(client):
    post(client, SAMPLE)
    answer = post(client, {**SAMPLE, "inlet_c": 23.0}, {**SAMPLE, "ts": "2025-01-06T00:01:00Z"})
    assert (answer.json()["ingested"], rejected(answer)) == (1, [(0, "ts")])
    assert stored(client) == {"2025-01-06T00:00:00Z": 22.4, "2025-01-06T00:01:00Z": 22.4}


def test_twice_in_one_batch_counts_as_a_duplicate_too(client):
    answer = post(client, SAMPLE, SAMPLE, {**SAMPLE, "inlet_c": 1.0}).json()
    assert (answer["ingested"], answer["duplicates"], len(answer["rejected"])) == (1, 1, 1)


@pytest.mark.parametrize(
    "ts",
    ["2025-01-06T01:00:00+01:00", "2025-01-05T19:00:00.000-05:00", "2025-01-06T00:00:00", "2025-01-06 00:00:00Z"],
)
def test_every_spelling_of_an_instant_is_the_same_instant(client, ts):
    post(client, SAMPLE)
    assert post(client, {**SAMPLE, "ts": ts}).json()["duplicates"] == 1


def test_an_instant_keeps_its_fraction_of_a_second(client):
    post(client, SAMPLE, {**SAMPLE, "ts": "2025-01-06T00:00:00.000001Z"})
    assert list(stored(client)) == ["2025-01-06T00:00:00Z", "2025-01-06T00:00:00.000001Z"]


def test_null_and_what_is_left_out_are_no_reading_and_unknown_fields_are_counted(client):
    answer = post(client, {**SAMPLE, "outlet_c": None, "humidity": 3, "note": "x"}).json()
    assert (answer["ingested"], answer["ignored_fields"]) == (1, 2)
    rack = client.get("/racks").json()["racks"][0]
    assert (rack["inlet_c"], rack["outlet_c"], rack["pdu_kw"]) == (22.4, None, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ts", None), ("ts", 1736121600), ("ts", "yesterday"), ("ts", "2025-13-01T00:00:00Z"), ("ts", "1969-01-01"),
        ("rack_id", None), ("rack_id", ""), ("rack_id", "a b"), ("rack_id", "x" * 65), ("rack_id", "NaN"),
        ("rack_id", "R'; DROP TABLE telemetry;--"), ("rack_id", 7), ("rack_id", "R\n"),
        ("inlet_c", "22"), ("inlet_c", True), ("inlet_c", 295), ("inlet_c", [22]), ("inlet_c", 10**400),
        ("queue_depth", -1), ("pdu_kw", 1e300),
    ],
)  # fmt: skip
def test_a_wrong_value_is_rejected_at_its_place_and_the_rest_is_taken(client, field, value):
    answer = post(client, SAMPLE, {**SAMPLE, "rack_id": "R-X", field: value})
    assert (answer.status_code, answer.json()["ingested"], rejected(answer)) == (200, 1, [(1, field)])


def test_a_batch_of_which_nothing_can_be_used_is_422_and_names_each_sample(client):
    answer = post(client, {**SAMPLE, "ts": "x"}, {**SAMPLE, "inlet_c": 999}, 5)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [e["place"] for e in answer.json()["errors"]] == ["samples[0].ts", "samples[1].inlet_c", "samples[2]."]
    assert client.get("/racks").json()["racks"] == []


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_not_finite_is_422(client, literal):
    body = f'{{"ts": "2025-01-06T00:00:00Z", "rack_id": "R", "inlet_c": {literal}}}'
    assert client.post("/telemetry/single", content=body).status_code == 422


def test_a_body_may_be_gzip(client):
    body = gzip.compress(json.dumps({"samples": [SAMPLE]}).encode())
    answer = client.post("/telemetry/batch", content=body, headers={"Content-Encoding": "gzip"})
    assert answer.json()["ingested"] == 1


def test_a_body_that_unpacks_to_more_than_is_allowed_is_413(client):
    body = gzip.compress(b" " * (MOST_BYTES + 1))
    answer = client.post("/telemetry/batch", content=body, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, len(body) < 20_000) == (413, True)


def test_too_many_samples_and_too_long_a_body_are_413(client):
    assert post(client, *([SAMPLE] * (MOST_SAMPLES + 1))).status_code == 413
    assert client.post("/telemetry/batch", content=b" " * (MOST_BYTES + 1)).status_code == 413
    chunks = (b" " * 2**20 for _ in range(17))
    assert client.post("/telemetry/batch", content=chunks).status_code == 413


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"\xff\xfe", 400), (b"[" * 100_000, 400), (b"[]", 422), (b"{}", 422), (b"null", 422),
        (b'{"samples": {}}', 422), (b'{"samples": []}', 422), (b'{"samples": [null]}', 422), (b"1e999", 422),
    ],
)  # fmt: skip
def test_what_is_no_batch_is_told(client, body, status):
    answer = client.post("/telemetry/batch", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_the_same_key_gets_the_same_answer_and_another_body_under_it_is_refused(client):
    first = post(client, SAMPLE, headers={"Idempotency-Key": "a1"})
    again = post(client, SAMPLE, headers={"Idempotency-Key": "a1"})
    assert first.json() | {"why_not_scored": None} == again.json()
    assert again.json()["ingested"] == 1
    other = post(client, {**SAMPLE, "rack_id": "R-Y"}, headers={"Idempotency-Key": "a1"})
    assert other.status_code == 422
    assert len(client.get("/racks").json()["racks"]) == 1


def test_without_a_model_scores_are_missing_and_say_why(client):
    assert "no model" in post(client, SAMPLE).json()["why_not_scored"]
    found = client.get("/ims/scores").json()
    assert (found["scores"], "no model" in found["message"]) == ([], True)
