"""A server that is killed at any moment under load has every sample that it acknowledged, once, and scores it."""

import threading
import time

import httpx
import numpy as np
import pandas as pd
import pytest

from tests.api.hall import samples, scores
from tests.api.server import served
from training import artifact
from training.scoring import score_file

SIZE = 40


@pytest.mark.parametrize("kills", [3, pytest.param(30, marks=pytest.mark.nightly)])
def test_a_server_killed_under_load_keeps_what_it_acknowledged_and_scores_it_as_files_are(
    tmp_path, model, telemetry_file, kills
):
    (tmp_path / "artifacts").mkdir()
    artifact.save(model, tmp_path / "artifacts" / "ims_hall.json")
    batches = [samples()[k : k + SIZE] for k in range(0, len(samples()), SIZE)]
    moments = iter(np.random.default_rng(time.time_ns() % 1000).uniform(0.1, 1.0, kills))
    at = 0
    for after_s in (*moments, None):
        with served(tmp_path) as (process, client):
            if after_s is not None:
                threading.Timer(after_s, process.kill).start()
            at = send(client, batches, at)
            if after_s is None:
                assert at == len(batches)
                found = scores(client)
    score_file(model, telemetry_file, tmp_path / "offline.csv")
    offline = pd.read_csv(tmp_path / "offline.csv")
    pd.testing.assert_frame_equal(found, offline[list(found)])


def send(client, batches, at):
    """Send batches from one on until the server is gone; return the first that it did not acknowledge."""
    for k in range(at, len(batches)):
        try:
            answer = client.post("/telemetry/batch", json={"samples": batches[k]}).json()
        except httpx.TransportError:
            return k
        assert answer["ingested"] + answer["duplicates"] == len(batches[k])
    return len(batches)
