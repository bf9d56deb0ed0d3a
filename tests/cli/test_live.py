"""A run sent over HTTP while it is under way: every sample arrives, in order, whatever the receiver does."""

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli.commands import run_sim
from sim.runs.live import FIRST_RETRY_S, Receiver, Sender, Spool

ROOT = Path(__file__).parents[2]
HALL = ["--scenario", "small", "--duration", "2h", "--set", "facility.rows=2", "--set", "facility.racks_per_row=2"]


class Receiving:
    """A receiver that answers as it is told, batch by batch; `told` is what comes next, then always 200.

    A status answers so and takes nothing; "lost" takes the batch and hangs up before it has answered.
    """

    def __init__(self, *told):
        self.told, self.batches, self.headers = list(told), [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.headers.append(dict(self.headers))
                said = outer.told.pop(0) if outer.told else 200
                if said in (200, "lost"):
                    outer.batches.append(json.loads(gzip.decompress(body))["samples"])
                if said == "lost":
                    self.connection.close()
                    return
                answer = json.dumps({"status": "ok", "rejected": [], "detail": "not now"}).encode()
                self.send_response(said)
                self.send_header("Content-Length", str(len(answer)))
                if said == 503:
                    self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def samples(self):
        return [sample for batch in self.batches for sample in batch]


def send(receiver, *options, scenario=HALL):
    args = [*scenario, "--live", "--to", receiver, "--speed", "max", *options]
    return CliRunner().invoke(run_sim, args)


def written(folder):
    """Return what the same run writes, as samples."""
    result = CliRunner().invoke(run_sim, [*HALL, "--quiet", "--output", f"{folder}/run.csv"])
    assert result.exit_code == 0, result.output
    head, *lines = Path(folder, "run.csv").read_text().splitlines()
    rows = [dict(zip(head.split(","), line.split(","), strict=True)) for line in lines]
    return [{k: v if k in ("ts", "rack_id") else float(v) for k, v in row.items()} for row in rows]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_arrives_is_what_the_file_of_the_run_says(tmp_path):
    with Receiving() as there:
        result = send(there.url)
    assert result.exit_code == 0, result.output
    assert there.samples() == written(tmp_path)
    assert f"{len(there.samples())} samples arrived at {there.url}/telemetry/batch" in result.output
    assert not Path("data/small.spool").exists()


def test_a_receiver_that_is_busy_gets_every_sample_once_and_in_order(tmp_path):
    with Receiving(503, 200, 503, 503, 429) as there:
        result = send(there.url)
    assert result.exit_code == 0, result.output
    assert there.samples() == written(tmp_path)
    assert "does not answer (503: not now)" in result.output
    assert "answers again" in result.output


def test_a_batch_whose_answer_is_lost_comes_again_under_the_same_key(tmp_path):
    with Receiving("lost") as there:
        result = send(there.url)
    assert result.exit_code == 0, result.output
    first, again = there.batches[:2]
    assert first == again
    assert there.headers[0]["Idempotency-Key"] == there.headers[1]["Idempotency-Key"]
    assert [s for batch in there.batches[1:] for s in batch] == written(tmp_path)


def test_a_token_goes_with_every_batch():
    with Receiving() as there:
        send(there.url, "--token", "secret")
    assert {h["Authorization"] for h in there.headers} == {"Bearer secret"}


def test_a_receiver_that_refuses_for_good_ends_the_run_and_the_samples_stay_in_the_spool():
    with Receiving(401) as there:
        result = send(there.url)
    assert result.exit_code == 1
    assert "refuses the samples (401: not now); give --token, or SKADI_TOKEN" in result.output
    assert list(Path("data/small.spool").iterdir())


def test_what_waits_in_the_spool_is_sent_first_by_the_next_run():
    with Receiving(401) as there:
        send(there.url)
    with Receiving() as there:
        result = send(there.url)
    assert "1 batches of an earlier run wait" in result.output
    assert there.batches[0] == there.batches[1]
    assert not Path("data/small.spool").exists()


def test_a_spool_keeps_the_order_and_knows_when_it_is_full(tmp_path):
    spool = Spool(tmp_path / "spool", most_bytes=20)
    for k in range(3):
        spool.put(b"0123456" + bytes([48 + k]), 1)
    assert (len(spool), spool.is_full, spool.samples) == (3, True, 3)
    again = Spool(tmp_path / "spool", most_bytes=20)
    assert (len(again), again.is_full, again.samples) == (3, True, 0)
    spool.drop_oldest()
    assert (spool.oldest(), spool.is_full) == (b"01234561", False)


def test_tries_become_rarer_while_nobody_answers(tmp_path):
    sender = Sender(Receiver.at("http://127.0.0.1:9"), Spool(tmp_path / "spool"), lambda _: None)
    waits = []
    for k in range(3):
        sender._retry_at = float("-inf")
        sender.take([{"n": k}])
        sender.flush()
        waits.append(sender.wait_s)
    assert [round(w / FIRST_RETRY_S) for w in waits] == [1, 2, 4]
    assert sender.left == 3


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_says_what_was_not_sent(signum, tmp_path):
    command = [
        sys.executable,
        str(ROOT / "run_sim.py"),
        *HALL,
        "--live",
        "--to",
        "http://127.0.0.1:9",
        "--speed",
        "3600",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ)  # noqa: S603
    while not list(tmp_path.glob("data/small.spool/*.json.gz")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signum)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert "samples were not sent; they wait in data/small.spool" in said
    kept = [json.loads(gzip.decompress(p.read_bytes()))["samples"] for p in sorted(tmp_path.glob("data/small.spool/*"))]
    count = int(said.split(" samples were not sent")[0].rsplit("\n", 1)[-1].split(" of ")[0])
    assert sum(map(len, kept)) == count


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--live"], "--live: needs --to"),
        (["--live", "--to", "localhost:8000"], "--to: 'localhost:8000' is no URL"),
        (["--live", "--to", "ftp://x"], "is no URL"),
        (["--live", "--to", "http://x:99999"], "is no URL"),
        (["--live", "--to", "http://x", "--speed", "0.5"], "--speed: '0.5' must be 1 to 3,600, or max"),
        (["--live", "--to", "http://x", "--speed", "fast"], "--speed: 'fast' must be"),
        (["--live", "--to", "http://x", "--output", "x.csv"], "--live sends and writes nothing"),
        (["--to", "http://x"], "--to is the receiver of --live"),
    ],
)
def test_what_is_given_wrong_is_told_before_anything_is_sent(args, message):
    result = CliRunner().invoke(run_sim, [*HALL, *args])
    assert result.exit_code == 2
    assert message in result.output
