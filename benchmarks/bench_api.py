"""Figures of the backend as a process of its own: python -m benchmarks.bench_api."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import sim
from sim.common.time_units import format_instant_us, instant_us
from training import artifact, fit

ROOT = Path(__file__).parents[1]
PORT = 8765
RACKS = 72
TICK_US = 60_000_000
LISTENERS = 20


@dataclass(slots=True)
class Feed:
    """Samples of a day of 72 racks without an end: the day again and again, each later than the one before."""

    rows: list[dict[Hashable, Any]]
    start_us: int
    at: int = 0

    @classmethod
    def of_a_day(cls, folder: Path) -> "Feed":
        """Simulate the day; its telemetry is `day.csv`."""
        run = sim.run("week", duration="1d")
        frame = run.exact()
        frame.to_csv(folder / "day.csv", index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
        columns = frame.drop(columns="ts").to_dict("records")
        return cls(columns, instant_us(run.telemetry["ts"].iloc[0].to_pydatetime()))

    def take(self, size: int) -> bytes:
        """Return the next so many samples as a batch."""
        chosen = []
        for k in range(self.at, self.at + size):
            ts = format_instant_us(self.start_us + k // RACKS * TICK_US)
            chosen.append({"ts": ts, **self.rows[k % len(self.rows)]})
        self.at += size
        return json.dumps({"samples": chosen}).encode()


@dataclass(slots=True)
class Listeners:
    """Clients of the stream, each in a thread: how many messages each was told."""

    told: list[int] = field(default_factory=list)

    def start(self, url: str, count: int) -> None:
        """Begin to listen."""
        self.told = [0] * count
        for k in range(count):
            threading.Thread(target=self._listen, args=(url, k), daemon=True).start()

    def _listen(self, url: str, k: int) -> None:
        try:
            with httpx.stream("GET", f"{url}/stream", timeout=None) as answer:  # noqa: S113 - until the server ends
                for line in answer.iter_lines():
                    self.told[k] += line.startswith("id:")
        except httpx.TransportError:
            return


@contextmanager
def served(folder: Path) -> Iterator[tuple[httpx.Client, int]]:
    """Serve in a folder; give a client and the process id."""
    command = [sys.executable, "-m", "api", "--port", str(PORT), "--log-level", "warning"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SKADI_RATE_PER_S": "100000"}
    process = subprocess.Popen(command, cwd=folder, env=environment)  # noqa: S603 - our own program
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=60) as client:
            while not _alive(client):
                time.sleep(0.1)
            yield client, process.pid
    finally:
        process.terminate()
        process.wait()


def _alive(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def resident_mb(pid: int) -> float:
    """Return the memory that a process holds now [MB]."""
    status = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1]
    return int(status.split()[0]) / 1024


def post(client: httpx.Client, feed: Feed, size: int, seconds: float) -> tuple[float, Sequence[float]]:
    """Post batches for a while; return samples per second of the server's time, and each request's time [ms]."""
    spent, times_ms = 0.0, []
    while spent < seconds:
        body = feed.take(size)
        began = time.perf_counter()
        answer = client.post("/telemetry/batch", content=body)
        took = time.perf_counter() - began
        if answer.json()["scored"] != size:
            raise RuntimeError(answer.text)
        spent += took
        times_ms.append(1000 * took)
    return size * len(times_ms) / spent, times_ms


def main() -> None:
    """Print every figure beside its bar."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0, help="of each kind of load")
    parser.add_argument("--rows", type=int, default=1_000_000, help="stored before the last measurement")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "artifacts").mkdir()
        feed = Feed.of_a_day(folder)
        artifact.save(fit(folder / "day.csv"), folder / "artifacts" / "ims_day.json")
        with served(folder) as (client, pid):
            measured = chain(lines(client, pid, feed, options.seconds, options.rows), hall_lines(client, pid))
            for line in measured:
                print(line, flush=True)


def lines(client: httpx.Client, pid: int, feed: Feed, seconds: float, rows: int) -> Iterator[str]:
    """Measure, and yield a line for each figure with its bar."""
    rate, _ = post(client, feed, 1000, seconds)
    yield _line("batches of 1,000, scored", f"{rate:,.0f} rows/s", ">= 5,000")
    listeners = Listeners()
    listeners.start(str(client.base_url).rstrip("/"), LISTENERS)
    rate, times_ms = post(client, feed, 100, seconds)
    yield _line(f"batches of 100, scored, {LISTENERS} stream clients", f"{rate:,.0f} rows/s", ">= 2,000")
    yield _line("  99 % of the answers within", f"{np.percentile(times_ms, 99):.0f} ms", "< 150 ms")
    yield _line("  messages each stream client was told", f"{min(listeners.told)} to {max(listeners.told)}", "")
    _, times_ms = post(client, feed, RACKS, min(seconds, 10.0))
    yield _line("a tick of 72 racks, stored and scored, median", f"{statistics.median(times_ms):.0f} ms", "<= 50 ms")
    yield _line("memory", f"{resident_mb(pid):.0f} MB", "")
    while feed.at < rows:
        post(client, feed, 10_000, 0.01)
    rate, times_ms = post(client, feed, 100, min(seconds, 20.0))
    yield _line(f"batches of 100 with {feed.at:,} samples stored", f"{rate:,.0f} rows/s", "as before")
    yield _line("  99 % of the answers within", f"{np.percentile(times_ms, 99):.0f} ms", "< 150 ms")
    for path in ("/racks", "/ims/scores?limit=100", "/racks/R-C-07/series"):
        began = time.perf_counter()
        client.get(path).raise_for_status()
        yield _line(f"  GET {path}", f"{1000 * (time.perf_counter() - began):.0f} ms", "")
    yield _line("memory", f"{resident_mb(pid):.0f} MB", "")


def hall_lines(client: httpx.Client, pid: int) -> Iterator[str]:
    """Run what an hour at 60 x is of a live hall, as fast as it goes, and yield its speed and the server's memory."""
    before_mb, began = resident_mb(pid), time.perf_counter()
    start = {"scenario": "week", "duration": "60h", "speed": None}
    client.post("/hall/start", json=start).raise_for_status()
    while client.get("/hall").json()["state"] == "running":
        time.sleep(1.0)
    took_s = time.perf_counter() - began
    yield _line("live hall, 60 hours of 72 racks with twin", f"{60 * 3600 / took_s:,.0f} x", "3,600 x asked at most")
    yield _line("  memory before and after", f"{before_mb:.0f}, {resident_mb(pid):.0f} MB", "does not grow")


def _line(what: str, value: str, bar: str) -> str:
    return f"{what:50}{value:>20}   {bar}"


if __name__ == "__main__":
    main()
