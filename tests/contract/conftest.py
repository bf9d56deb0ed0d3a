"""Runs of the command line, in this process."""

import hashlib
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli.commands import generate_training_data, run_sim
from tests.contract import sweeps
from tests.contract.exported import CALM, TARGETS, copied, exported, simulated

TRACE = Path(__file__).parents[1] / "data" / "request_trace.csv"


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(Path(folder).iterdir())}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Call run_sim with arguments in an empty directory; return the exit code and what it said."""
    monkeypatch.chdir(tmp_path)

    def call(*args, command=run_sim):
        result = CliRunner().invoke(command, [str(a) for a in args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return call


@pytest.fixture
def generate(run):
    """Call generate_training_data with arguments."""
    return lambda *args: run(*args, command=generate_training_data)


@pytest.fixture
def started():
    """Start sweeps in groups of their own, as a terminal does; what is left of them at the end is killed."""
    processes = []

    def start(*args, cwd, **options):
        processes.append(sweeps.started(*args, cwd=cwd, **options))
        return processes[-1]

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="session")
def calm(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("calm") / "calm_hall.v1.csv", *CALM, "--set", "facility.racks_per_row=6")


@pytest.fixture(scope="session")
def short(tmp_path_factory):
    """An hour of two racks, with labels as text, for what does not depend on the data."""
    folder = tmp_path_factory.mktemp("short")
    return simulated(folder / "short.csv", "--duration", "1h", "--set", "facility.racks_per_row=2", "--labels", "csv")


@pytest.fixture(scope="session")
def exports(calm, tmp_path_factory):
    """The calm hall in every format, and what was said of each."""
    folder, said = tmp_path_factory.mktemp("exports"), {}
    for target in TARGETS:
        said[target] = exported(target, calm, folder / target)
        assert said[target][0] == 0, said[target]
    return folder, said


@pytest.fixture
def copy(short, tmp_path):
    """The short run, to be spoilt."""
    (tmp_path / "run").mkdir()
    return copied(short, tmp_path / "run")
