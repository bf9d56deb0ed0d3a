"""The server as a process of its own, as a user starts it."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def served(folder, *options, **environment):
    """Serve in a folder and give the process and a client of it; it is killed at the end if it still runs."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "api",
        "--port",
        str(port),
        *(() if "--log-level" in options else ("--log-level", "warning")),
        *options,
    ]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SKADI_")}
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=folder, env={**kept, "PYTHONPATH": str(ROOT), **environment}, stderr=subprocess.PIPE, text=True
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            wait_until_alive(process, client)
            yield process, client
    finally:
        process.kill()
        process.communicate()


def wait_until_alive(process, client):
    """Wait until a server answers; one that has ended says why."""
    while process.poll() is None:
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


def interrupt(process):
    """Send what Ctrl-C sends."""
    process.send_signal(signal.SIGINT)
