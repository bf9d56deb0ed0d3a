"""Small halls whose agents keep still or are busy, and processes that say what happens in them."""

from sim.engine.build import build, resolve
from sim.runs.memory import MemorySink
from sim.scenario.checks import parse_scenario
from tests.process.conftest import NAMES

QUIET = {
    "anytime": {"thermal_event": 0, "overcooled": 0},
    "business": {"high_load": 0},
    "off_hours": {"under_utilized": 0},
    "rows": {"C": {"thermal_event": 0}, "E": {"overcooled": 0}},
}
BUSY = {
    "anytime": {"thermal_event": 0.2, "overcooled": 0.15},
    "row_share": 0.4,
    "loop_share": 0.3,
    "participation": 0.7,
}
BRISK = {"mean": {"thermal_event": "9m", "overcooled": "12m", "under_utilized": "20m", "high_load": "15m"}}
FACILITY = {"rows": 2, "racks_per_row": 4}


def quiet_hall(**scenario):
    return _hall({"occupancy": QUIET, "duration": "1h", **scenario})


def busy_hall(**scenario):
    return _hall({"occupancy": BUSY, "dwell": BRISK, "duration": "6h", "start": "2025-01-06T06:00:00Z", **scenario})


def _hall(scenario):
    return resolve(parse_scenario({"name": "stage", "facility": FACILITY, **scenario}, "stage"))


def run(hall, *, story=None, **options):
    """Run a hall to its end; `story(env, truth_log)` may be a process of its own in it."""
    kept = MemorySink(hall)
    simulation = build(hall, [kept], **options)
    if story:
        simulation.env.process(story(simulation.env, simulation._sampler._truth_log))
    simulation.run()
    return kept.arrays


def episodes_told(*told):
    """Return a story in which rack 0 is in a profile from one time to another [s], again and again."""

    def story(env, truth_log):
        for from_s, to_s, profile in told:
            yield env.timeout(from_s - env.now)
            truth_log.rack_enters(env.now, 0, NAMES.index(profile), None)
            if to_s is None:
                return
            yield env.timeout(to_s - env.now)
            truth_log.rack_enters(env.now, 0, 0, None)

    return story
