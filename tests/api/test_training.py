"""Models trained from what is stored: the same as from a file, and no sample waits for one."""

import threading
import time

import pandas as pd
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.app import create_app
from api.settings import Settings
from tests.api.hall import samples
from training import artifact, fit, load
from training.scoring import score_file


def post(client, rows):
    for start in range(0, len(rows), 1000):
        assert client.post("/telemetry/batch", json={"samples": rows[start : start + 1000]}).status_code == 200


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a client of a backend that has trained a model of four clusters on nine hours, and what it told of it."""
    folder = tmp_path_factory.mktemp("trained")
    with TestClient(create_app(Settings(database_url=f"sqlite:///{folder}/store.db", artifacts_dir=folder))) as client:
        post(client, samples())
        answer = client.post("/ims/train", json={"start_ts": None, "n_clusters": 4})
        assert answer.status_code == 200, answer.text
        yield client, answer.json()


@pytest.fixture
def fed(client):
    """Return a client of a backend without a model and nine hours of a hall of eight racks."""
    post(client, samples())
    return client


def test_a_model_of_stored_samples_is_that_of_the_same_samples_in_a_file(trained, telemetry_file, tmp_path):
    (client, told), of_file = trained, fit(telemetry_file, n_clusters=4)
    assert (told["tau_fast"], told["tau_persist"]) == (of_file.tau_fast, of_file.tau_persist)
    assert (told["training_samples"], told["n_clusters"]) == (of_file.card["rows_trained"], 4)
    (tmp_path / "model.json").write_text(client.get(f"/models/{told['model_id']}").text)
    assert load(tmp_path / "model.json").lo.tolist() == of_file.lo.tolist()


def test_either_database_trains_the_same_model(database_url, settings):
    with TestClient(create_app(settings.model_copy(update={"database_url": SecretStr(database_url)}))) as client:
        post(client, samples()[:1600])
        told = client.post("/ims/train", json={"n_clusters": 2, "end_ts": "2025-01-06T02:00:00Z"})
        listed = client.get("/models").json()["models"]
        post(client, samples()[1600:1680])
        assert client.get("/state/overview").json()["ims_deviation"] is not None
        assert len(client.get("/ml-heatmap/ims-anomaly").json()["racks"]) == 8
        assert "skadi_rack_monitor_state{" in client.get("/metrics").text
    assert (told.status_code, [m["model_id"] for m in listed]) == (200, [told.json()["model_id"]])


def test_what_is_told_of_a_trained_model_is_what_the_reference_tells(trained):
    client, told = trained
    assert set(told) == {
        "model_id", "tau_fast", "tau_persist", "features", "training_samples", "n_clusters", "status", "metrics",
    }  # fmt: skip
    assert set(told["metrics"]) == {
        "training_samples", "n_clusters", "tau_fast", "tau_persist", "mean_deviation", "median_deviation",
        "std_deviation",
    }  # fmt: skip
    assert (told["status"], len(told["features"])) == ("trained", 10)
    (listed,) = client.get("/ims/models").json()["models"]
    assert set(listed) == {
        "model_id", "created_at", "tau_fast", "tau_persist", "n_clusters", "training_samples", "is_active",
    }  # fmt: skip
    assert (listed["model_id"], listed["is_active"]) == (told["model_id"], True)


def test_a_trained_model_scores_what_comes_next_and_an_earlier_one_can_be_taken_up_again(monitored):
    post(monitored, samples()[:4000])
    first = monitored.get("/ims/scores", params={"limit": 1}).json()["scores"][0]["model_id"]
    second = monitored.post("/ims/train").json()["model_id"]
    post(monitored, samples()[4000:4080])
    assert monitored.get("/ims/scores", params={"limit": 1}).json()["scores"][0]["model_id"] == second
    assert monitored.post(f"/models/{first}/activate").json() == {"model_id": first, "is_active": True}
    assert {m["model_id"]: m["is_active"] for m in monitored.get("/models").json()["models"]} == {
        first: True, second: False,
    }  # fmt: skip
    assert monitored.post("/models/ims-none/activate").status_code == 404
    assert monitored.get("/models/ims-none").status_code == 404


def test_samples_are_taken_in_while_a_model_is_trained_and_a_second_one_is_refused(fed):
    answers = []
    training = threading.Thread(target=lambda: answers.append(fed.post("/ims/train", json={"n_clusters": 64})))
    training.start()
    while training.is_alive() and not fed.app.state.backend.trainer._busy.locked():
        time.sleep(0.01)
    refused = fed.post("/ims/train", json={"n_clusters": 64})
    post(fed, [{**samples()[-1], "ts": "2025-01-06T10:00:00Z"}])
    meanwhile = training.is_alive()
    training.join()
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")
    assert meanwhile
    assert answers[0].status_code == 200


BAD = {
    "fewer clusters than one": ({"n_clusters": -3}, 422, "n_clusters"),
    "more clusters than any file holds": ({"n_clusters": 5000}, 422, "n_clusters"),
    "clusters that are a word": ({"n_clusters": "many"}, 422, "n_clusters"),
    "a beginning that is no instant": ({"start_ts": "yesterday"}, 422, "start_ts"),
    "an end before the beginning": ({"start_ts": "2025-01-06", "end_ts": "2025-01-05"}, 422, "end_ts"),
    "no object": ([1], 422, "body"),
}


@pytest.mark.parametrize(("body", "status", "place"), BAD.values(), ids=BAD)
def test_what_cannot_be_asked_for_is_refused_with_its_place(client, body, status, place):
    answer = client.post("/ims/train", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert place in answer.json()["detail"]


def test_too_few_samples_are_400_and_say_how_many_there_are(client):
    assert client.post("/ims/train").status_code == 400
    post(client, samples()[:99])
    answer = client.post("/ims/train")
    assert (answer.status_code, answer.json()["detail"]) == (
        400, "stored samples: there are 99, at least 100 are needed; store more",
    )  # fmt: skip


def test_more_clusters_than_samples_are_no_failure(client):
    post(client, samples()[:1600])
    answer = client.post("/ims/train", json={"n_clusters": 4096})
    assert answer.status_code in (200, 400), answer.text


def test_the_settings_percentiles_and_clusters_are_those_of_a_trained_model(settings, telemetry_file):
    changed = {"ims_tau_fast_percentile": 90.0, "ims_tau_persist_percentile": 99.0, "ims_kmeans_clusters": 5}
    with TestClient(create_app(settings.model_copy(update=changed))) as client:
        post(client, samples())
        told = client.post("/ims/train").json()
    of_file = fit(telemetry_file, n_clusters=5, percentiles=(90.0, 99.0))
    assert (told["tau_fast"], told["tau_persist"], told["n_clusters"]) == (of_file.tau_fast, of_file.tau_persist, 5)


def test_scores_with_another_smoothing_are_those_of_the_file_with_it(settings, model, telemetry_file, tmp_path):
    artifact.save(model, settings.artifacts_dir / "ims_hall.json")
    changed = settings.model_copy(update={"mms_ema_alpha": 0.6, "mms_persist_ticks": 3})
    with TestClient(create_app(changed)) as client:
        post(client, samples())
        live = pd.DataFrame(client.get("/ims/scores", params={"limit": 10_000}).json()["scores"])
    path = tmp_path / "scores.csv"
    score_file(model, telemetry_file, path, alpha=0.6, persist_ticks=3)
    live = live.sort_values(["ts", "rack_id"], ignore_index=True).round({"ema": 6})
    columns = ["ts", "rack_id", "ema", "mms_state"]
    pd.testing.assert_frame_equal(live[columns], pd.read_csv(path)[columns])


def test_a_server_that_ends_waits_for_no_training(fed):
    answers = []
    training = threading.Thread(target=lambda: answers.append(fed.post("/ims/train", json={"n_clusters": 256})))
    training.start()
    time.sleep(0.5)
    fed.app.state.backend.stream.close()
    training.join(60)
    assert [a.status_code for a in answers] == [503]
