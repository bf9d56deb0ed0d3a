"""A small hall's telemetry, in a file and as a client sends it."""

import json
from functools import cache

import sim


@cache
def hall():
    """Return a run of eight racks over nine hours with a fan that fails in the sixth."""
    fault = {"kind": "fan_failure", "target": "rack:R-A-02", "at": "5h", "duration": "2h"}
    facility = {"rows": 2, "racks_per_row": 4}
    occupancy = {"rows": {}}
    return sim.run("week", seed=5, duration="9h", facility=facility, occupancy=occupancy, incidents=[fault])


def telemetry():
    """Return the readings as a frame whose numbers are those of the files, ts as text."""
    run = hall()
    frame = run.telemetry.astype({"rack_id": str})
    for name in run.channels:
        frame[name] = run.readings(name).reshape(-1)
    frame["ts"] = frame["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return frame


@cache
def samples():
    """Return the readings as a list of samples, by time and then rack."""
    return json.loads(telemetry().to_json(orient="records", double_precision=10))
