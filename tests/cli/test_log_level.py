"""What the commands tell of their work when they are asked to."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _run(tmp_path: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "run_sim.py", "--scenario", "small", "--duration", "1h", "--quiet"]
    return subprocess.run(  # noqa: S603
        [*command, "--output", str(tmp_path / "run.csv"), *more], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_a_command_tells_nothing_unless_it_is_asked_to(tmp_path: Path) -> None:
    done = _run(tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


def test_the_log_goes_to_standard_error_and_names_what_is_read_and_built(tmp_path: Path) -> None:
    done = _run(tmp_path, "--log-level", "info")
    assert (done.returncode, done.stdout) == (0, "")
    assert "INFO sim.scenario.files: reading the scenario" in done.stderr
    assert "INFO sim.engine.build: small:" in done.stderr


@pytest.mark.parametrize("level", ["warning", "error"])
def test_a_higher_level_leaves_out_what_is_merely_told(level: str, tmp_path: Path) -> None:
    assert _run(tmp_path, "--log-level", level).stderr == ""


def test_an_unknown_level_is_refused_with_those_there_are(tmp_path: Path) -> None:
    done = _run(tmp_path, "--log-level", "loud")
    assert done.returncode == 2
    assert "'debug', 'info', 'warning', 'error'" in done.stderr
