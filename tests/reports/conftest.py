"""A small run with incidents, a twin and labels, and its report."""

import pytest

import sim
from sim.reports.page import write_report

HALL = {
    "duration": "8h",
    "seed": 11,
    "start": "2025-01-06T06:00:00Z",
    "facility": {"rows": 2, "racks_per_row": 3},
    "occupancy": {"anytime": {"thermal_event": 0.15}, "rows": {}},
    "incidents": [
        {"kind": "fan_failure", "target": "rack:R-A-02", "at": "3h", "duration": "40m"},
        {"kind": "sensor_stuck", "target": "rack:R-B-01", "at": "5h", "duration": "1h"},
    ],
}


@pytest.fixture(scope="session")
def run():
    return sim.run("week", **HALL)


@pytest.fixture(scope="session")
def telemetry(run, tmp_path_factory):
    """Return where the run's telemetry stands, its other files beside it."""
    return run.write(tmp_path_factory.mktemp("reported") / "small.csv")[0]


@pytest.fixture(scope="session")
def page(telemetry):
    """Return where the run's report stands."""
    return write_report(telemetry)
