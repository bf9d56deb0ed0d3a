"""Shipped scenarios as CI runs them, and the digests of their events.

After a change that is meant to move events: python -m tests.contract.shortened
"""

import hashlib
import json
import tempfile
from importlib.metadata import version
from pathlib import Path

from click.testing import CliRunner

from sim.cli.commands import run_sim
from sim.scenario.files import load_scenario, shipped_scenarios

ROOT = Path(__file__).parents[2]
DIGESTS = ROOT / "tests" / "golden" / "events.json"

FEW_RACKS = {"facility.racks_per_row": 3}
BENCHMARKS = ("benchmark_easy", "benchmark_hard", "benchmark_mixed")
ONE_DAY = {"duration": "1d", "incident_rates.after": "8h"}
"""A day of a benchmark, with as many incidents as it has in two weeks."""
SHORT = {
    **dict.fromkeys(BENCHMARKS, ONE_DAY),
    "large": {"duration": "10m"},
    "huge": {"duration": "10m", "facility.rows": 50},
    **{name: {"duration": "6h"} for name in ("week", "week_rare", "week_demand", "quiet", "coarse_sensors")},
    "training_main": {"duration": "6h"},
    "training_ims": {"duration": "3h"},
    "random_month": {"duration": "5d", **FEW_RACKS},
    # what they show comes late, so that they keep their length
    "scripted_week": FEW_RACKS,
    "pump_wear": FEW_RACKS,
    "fouled_heat_exchanger": FEW_RACKS,
}
"""What is set over the scenarios that would take long."""
FULL = " in full"
IN_FULL = [name + FULL for name in BENCHMARKS]
"""The benchmarks as they are shipped, for which there is time at night only."""


def settings(name):
    """Return what is laid over a scenario, as load_scenario takes it."""
    return [f"{key}={value}" for key, value in SHORT.get(name, {}).items()]


def as_run(name):
    """Return a scenario, shortened where it is long."""
    return load_scenario(name.removesuffix(FULL), settings(name))


def run(name, *args):
    """Run a scenario by the command, shortened where it is long."""
    given = [part for setting in settings(name) for part in ("--set", setting)]
    name = name.removesuffix(FULL)
    result = CliRunner().invoke(run_sim, ["--scenario", name, *given, "--quiet", *args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert not result.output


def digest(path):
    """Return the digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def under_constraints():
    """Return whether digests are to be the same: NumPy is the one of constraints.txt."""
    return f"numpy=={version('numpy')}" in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()


def events_digests(names):
    """Run scenarios, shortened, and return the digest of each one's events by name."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            run(name, "--labels", "none", "--output", f"{folder}/{name}.parquet")
        return {name: digest(Path(folder, f"{name}.events.csv")) for name in names}


def main():
    """Write the digests of all events files."""
    DIGESTS.write_text(
        json.dumps(events_digests(sorted([*shipped_scenarios(), *IN_FULL])), indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
