"""A real server in a process of its own, for what only a real one shows: signals, reloads, sockets, browsers."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import httpx

from tests.api.server import ROOT, free_port

STARTS_WITHIN_S = 60.0


class Server:
    """`uvicorn api.app:app` in a folder, with its own store there; its log is in `server.log`."""

    def __init__(self, folder, *flags, port=None, **environment):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        known = {k: v for k, v in os.environ.items() if not k.startswith("SKADI_") and k != "DATABASE_URL"}
        self.log = (folder / "server.log").open("ab")
        command = [sys.executable, "-m", "uvicorn", "api.app:app", "--port", str(self.port), *flags]
        # a group of its own, so that an interrupt reaches the reloader and its child as Ctrl-C does
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            command, cwd=folder, env={**known, "PYTHONPATH": str(ROOT), **environment},
            stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip

    def get(self, path):
        return httpx.get(f"{self.url}{path}", timeout=30).raise_for_status().json()

    def post(self, path, body):
        return httpx.post(f"{self.url}{path}", json=body, timeout=60).raise_for_status().json()

    def wait(self):
        """Return once it answers."""
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                return self.get("/healthz")
            except httpx.TransportError as error:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise AssertionError(f"no server: {error}; {self.text()}") from error
                time.sleep(0.05)

    def text(self):
        return (self.folder / "server.log").read_text(encoding="utf-8")

    def interrupt(self, number=signal.SIGINT):
        os.killpg(self.process.pid, number)

    def end(self):
        """End it whatever it does."""
        with self.log, contextlib.suppress(ProcessLookupError):
            self.interrupt(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.interrupt(signal.SIGKILL)
                self.process.wait()


@contextlib.contextmanager
def serving(folder, *flags, port=None, **environment):
    """Give a server that answers, and end it."""
    server = Server(folder, *flags, port=port, **environment)
    try:
        server.wait()
        yield server
    finally:
        server.end()
