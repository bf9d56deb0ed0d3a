"""A small hall's telemetry, in a file and as a client sends it."""

import json
from functools import cache

import pandas as pd

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
    frame = hall().exact()
    frame["ts"] = frame["ts"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return frame


@cache
def samples():
    """Return the readings as a list of samples, by time and then rack."""
    return json.loads(telemetry().to_json(orient="records", double_precision=10))


def scores(client):
    """Return all scores by time and rack, as `training.score` rounds them."""
    frame = pd.DataFrame(client.get("/ims/scores", params={"limit": 10_000}).json()["scores"])
    frame = frame.sort_values(["ts", "rack_id"], ignore_index=True).round({"deviation": 6, "ema": 6})
    frame["event"] = frame["event"].fillna(0).astype(int)
    return frame[["ts", "rack_id", "deviation", "level", "ema", "mms_state", "event", "degraded"]]
