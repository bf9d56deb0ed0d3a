"""What starts without what it does not need: a run without sweeps, a worker of a sweep without the command."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported(statement):
    """Return the modules that a statement makes a fresh Python import."""
    code = f"{statement}; import sys; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return set(done.stdout.split())


def test_a_run_imports_nothing_of_sweeps():
    modules = imported("import sim.cli.commands")
    assert not {m for m in modules if m.startswith(("sim.sweeps", "sim.cli.sweeping", "distributed", "dask"))}
    assert "concurrent.futures.process" not in modules


def test_a_worker_of_a_sweep_imports_no_command_and_no_cluster():
    modules = imported("import sim.sweep, sim.sweeps.computing")
    assert not modules & {"click", "rich.progress", "sim.cli.sweeping", "distributed", "pandas"}
