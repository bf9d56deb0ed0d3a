"""A hall run with incidents, both its worlds kept whole, and the same hall without any."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sim.common.streams import Streams
from sim.engine.build import build, resolve, with_incidents
from sim.engine.sensors import Sensors
from sim.model.channels import MEASURED, TELEMETRY_CHANNELS
from sim.runs.memory import MemorySink
from sim.scenario.checks import parse_scenario

HALL = {
    "name": "twin",
    "facility": {"rows": 6, "racks_per_row": 3},
    "start": "2025-01-06T09:00:00Z",
    "duration": "6h",
    "seed": 7,
}
AT_S = 3617.0
TARGETS = {"rack": "rack:R-C-02", "row": "row:C", "loop": "loop:CL-2", "ups": "ups:UPS-1", "plant": "plant"}

_resolved = {}


def hall_of(**scenario):
    """Return a hall; those that differ only in incidents are resolved once."""
    given = {**HALL, **scenario}
    key = repr(sorted((k, v) for k, v in given.items() if not k.startswith("incident")))
    if key not in _resolved:
        _resolved[key] = resolve(parse_scenario({k: v for k, v in given.items() if not k.startswith("incident")}, "t"))
    return with_incidents(_resolved[key], parse_scenario(given, "twin"))


@dataclass(frozen=True)
class Worlds:
    """A run as arrays over all its ticks, (ticks, racks) each, by channel: world 0 as it was, world 1 its twin."""

    hall: object
    kept: MemorySink

    def _all(self, part):
        first = part(self.kept.telemetry_blocks[0])
        return {n: np.concatenate([part(b)[n] for b in self.kept.telemetry_blocks]) for n in first}

    @cached_property
    def readings(self):
        return self._all(lambda b: b.readings)

    @cached_property
    def truth(self):
        return self._all(lambda b: b.truth)

    @cached_property
    def twin_readings(self):
        return self._all(lambda b: b.twin.readings)

    @cached_property
    def twin_truth(self):
        return self._all(lambda b: b.twin.truth)

    @cached_property
    def planned(self):
        return self.hall.incidents

    @cached_property
    def sigmas(self):
        """How far the truth is from the twin's, in sensor sigmas of the channel that shows it most."""
        sensors = Sensors(self.hall.scenario.sensors, Streams(0))
        there = self.twin_truth
        return np.max([np.abs(self.truth[n] - there[n]) / sensors.sigma(n, there[n]) for n in MEASURED], axis=0)

    @cached_property
    def touched(self):
        """Where a reading is not its twin's, bit by bit."""
        return np.any([self.readings[n] != self.twin_readings[n] for n in TELEMETRY_CHANNELS], axis=0)

    @cached_property
    def marked(self):
        """The incidents' ids of each sample, as the labels have them."""
        blocks = [
            np.array(b.incident_labels.incident_names, dtype=object)[b.incident_labels.incidents]
            for b in self.kept.label_blocks
        ]
        return np.concatenate(blocks)

    def incident_labels(self, name):
        return np.concatenate([getattr(b.incident_labels, name) for b in self.kept.label_blocks])

    @property
    def events(self):
        return {e.id: e for e in self.kept.incidents}

    @property
    def tick_s(self):
        return self.hall.scenario.tick

    @cached_property
    def ticks_s(self):
        return np.arange(self.hall.scenario.tick_count) * self.tick_s


def live(*incidents, block_ticks=None, **scenario):
    """Run a hall with incidents."""
    hall = hall_of(**({"incidents": list(incidents)} if incidents else {}), **scenario)
    kept = MemorySink(hall)
    build(hall, [kept], block_ticks=block_ticks).run()
    return Worlds(hall, kept)


def affected(kind, **more):
    """Return a kind of incident at full severity on the default asset of its first level."""
    return {"kind": kind.name, "target": TARGETS[kind.target_levels[0]], "at": AT_S, "duration": "1h30m", **more}


def told(run):
    """Return all that a run tells, in the order in which it does."""
    blocks = run.kept.label_blocks
    tables = {f"reading {n}": v for n, v in run.readings.items()}
    tables |= {f"twin {n}": v for n, v in run.twin_readings.items()}
    tables |= {n: run.incident_labels(n) for n in ("phase", "severity", "physical", "sensor", "persistent")}
    for words, cells in (("incident_names", "incidents"), ("sensor_names", "sensors")):
        tables[words] = np.concatenate(
            [np.array(getattr(b.incident_labels, words))[getattr(b.incident_labels, cells)] for b in blocks]
        )
    tables |= {
        "profile": np.concatenate([b.racks.profile for b in blocks]),
        "episode": np.concatenate([b.racks.episode for b in blocks]),
        "persists": np.concatenate([b.persistent for b in blocks]),
    }
    episodes = [(e.name, e.profile, e.start_s, e.end_s, e.ticks, e.incident) for e in run.kept.episodes]
    return tables, run.kept.incidents, episodes
