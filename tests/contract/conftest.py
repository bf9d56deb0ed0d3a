"""Runs of the command line, in this process."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from sim.cli import generate_training_data, run_sim

TRACE = Path(__file__).parents[1] / "data" / "request_trace.csv"


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
