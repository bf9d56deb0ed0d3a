"""`python -m api` as a user starts it."""

import json
import re
import shutil
import subprocess
import sys
import time

import pytest

from tests.api.server import ROOT, interrupt, served


def run(folder, *options, **environment):
    command = [sys.executable, "-m", "api", *options]
    return subprocess.run(  # noqa: S603 - our own program
        command, cwd=folder, env={"PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, check=False
    )


def test_a_hall_runs_from_the_start_and_an_interrupt_ends_the_server(tmp_path):
    with served(tmp_path, "--hall", "week", "--speed", "3600") as (process, client):
        assert client.get("/hall").json()["state"] == "running"
        while client.get("/racks").json()["ts"] is None:
            time.sleep(0.05)
        interrupt(process)
        assert process.wait() == 130
    assert (tmp_path / "data" / "skadi.db").stat().st_size


@pytest.mark.parametrize(
    ("options", "environment", "said"),
    [
        (["--hall", "weak"], {}, "weak"),
        (["--host", "0.0.0.0"], {}, "SKADI_TOKEN"),  # noqa: S104 - refused is the point
        (["--database-url", "mysql://x/y"], {}, "mysql"),
        ([], {"SKADI_PORT": "x", "SLA_LATENCY_MS": "-1"}, "sla_latency_ms"),
    ],
)
def test_what_cannot_be_served_is_one_message_and_exit_2(tmp_path, options, environment, said):
    done = run(tmp_path, *options, **environment)
    assert (done.returncode, said in done.stderr.replace("SLA_LATENCY_MS", "sla_latency_ms")) == (2, True), done.stderr
    assert "Traceback" not in done.stderr


def test_the_server_of_the_training_document_says_the_same(tmp_path):
    command = [sys.executable, "-m", "uvicorn", "api.app:app"]
    environment = {"PYTHONPATH": str(ROOT), "DATABASE_URL": "mysql://x/y"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


def test_the_log_is_one_json_object_a_line(tmp_path):
    with served(tmp_path, "--log-level", "info") as (process, client):
        client.get("/racks")
        interrupt(process)
        process.wait()
        lines = [json.loads(line) for line in process.stderr]
    assert {"ts", "level", "logger", "message"} <= lines[0].keys()
    assert any("GET /racks" in line["message"] for line in lines)


def test_settings_are_shown_and_nothing_is_opened(tmp_path):
    done = run(tmp_path, "--show-settings", "--port", "9123")
    assert (done.returncode, "9123" in done.stdout, list(tmp_path.iterdir())) == (0, True, [])


def test_the_documents_snippet_loads_a_file_of_telemetry(tmp_path, telemetry_file):
    """Word for word but for the port, which others may use."""
    (tmp_path / "data").mkdir()
    shutil.copy(telemetry_file, tmp_path / "data" / "training_main.csv")
    snippet = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "backend.md").read_text(), re.DOTALL)[1]
    with served(tmp_path) as (_, client):
        (tmp_path / "load.py").write_text(snippet.replace("localhost:8000", f"localhost:{client.base_url.port}"))
        done = subprocess.run([sys.executable, "load.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [f"Batch {k}: 200" for k in range(44)]
        assert len(client.get("/racks/R-A-01/series").json()["series"]["ts"]) == 540
