"""Sweeps of tiny halls, as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from sim.runs.fleet import run_folders

ROOT = Path(__file__).parents[2]
TINY = ["--set", "facility.rows=1", "--set", "facility.racks_per_row=2", "--set", "duration=20m"]
LONG = ["--set", "facility.rows=2", "--set", "facility.racks_per_row=4", "--set", "duration=2d"]
"""A run of some seconds, so that there is something to interrupt."""


def environment():
    # an interrupt may come just when a file was opened, before anybody knows of it: the process ends anyway
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error,ignore::ResourceWarning"}


def sweep(*args, cwd):
    """Make a sweep; return its exit code and what it said on both streams."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "sim.sweep", *map(str, args)],
        cwd=cwd, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def started(*args, cwd, **options):
    """Start a sweep in a group of its own, as a terminal does, and return its process."""
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "sim.sweep", *map(str, args)],
        cwd=cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, **options,
    )  # fmt: skip


def wait_for(what, seconds=200):
    """Wait until something is so, and return it. Raises AssertionError after so many seconds, on a busy machine."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
    return found


def workers_at_work(process, fleet):
    """Return processes that a sweep started, once one of them has begun to write."""
    wait_for(lambda: at_work(fleet))
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def ended(process):
    """Return the exit code of a sweep that was started, and what it said."""
    out, err = process.communicate(timeout=400)
    return process.returncode, out + err


def interrupt(process):
    """Press Ctrl-C: the terminal tells all processes of the group."""
    os.killpg(process.pid, signal.SIGINT)


def runs(fleet):
    """Return the index as a list of lines."""
    return pq.read_table(fleet / "runs.parquet").to_pylist()


def complete(fleet):
    """Return the manifests of the complete runs of a fleet."""
    found = [folder / "manifest.json" for folder in run_folders(fleet)]
    return [path for path in found if '"status": "complete"' in path.read_text()]


def digests(fleet):
    """Return the hashes of every complete run's files by its folder, as its manifest has them."""
    return {str(path.parent.relative_to(fleet)): json.loads(path.read_text())["files"] for path in complete(fleet)}


def hidden(fleet):
    return [name for _, folders, files in os.walk(fleet) for name in (*folders, *files) if name.startswith(".")]


def at_work(fleet):
    """Return the names of runs that are half written."""
    return [name for name in hidden(fleet) if name.startswith(".telemetry.") and name.endswith(".partial")]
