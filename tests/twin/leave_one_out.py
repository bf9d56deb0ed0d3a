"""What independent runs say of each incident: the same hall and seed with that one taken out, and the rules anew.

Slow and obvious, cell by cell over whole runs; nothing of the engine's own worlds or attribution is used.
"""

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from sim.common.streams import Streams
from sim.engine.build import build
from sim.engine.sensors import Sensors
from sim.model.channels import MEASURED
from sim.runs.memory import MemorySink
from tests.twin.worlds import Worlds

OBSERVABLE_SIGMAS, QUIET_S, PERSISTENT_S = 3.0, 900.0, 360.0
"""As docs/data.md has it."""


def run_of(hall):
    """Return the run of a hall, with what its sensors show before it is rounded beside it, (ticks, racks) each."""
    kept, shown = MemorySink(hall), []
    simulation = build(hall, [kept])
    faults = simulation._sampler._runtime.sensor_faults
    faults.apply = lambda *given, apply=faults.apply: shown.append(apply(*given)) or shown[-1]
    simulation.run()
    run = Worlds(hall, kept)
    run.__dict__["shown"] = {name: np.concatenate([of[name] for of in shown]) for name in MEASURED}
    return run


def harmless(incident):
    """Return an incident that happens, holds its assets and sets off what it does, but changes nothing."""
    return replace(incident, racks=incident.racks[:0]) if incident.kind.sensor else replace(incident, severity=0.0)


def run_without(hall, *ids):
    """Return the run of a hall in which some incidents change nothing."""
    return run_of(replace(hall, incidents={n: harmless(i) if n in ids else i for n, i in hall.incidents.items()}))


def departure(run, other, racks):
    """Return how far a run's truth is from another's in the channel that shows it most [sigmas], (ticks, racks)."""
    sensors, most = Sensors(run.hall.scenario.sensors, Streams(0)), np.zeros((len(run.ticks_s), racks))
    for name in MEASURED:
        there = other.truth[name]
        most = np.maximum(most, np.abs(run.truth[name] - there) / sensors.sigma(name, there))
    return most.astype(np.float32)


def misreading(run, other, racks):
    """Return how far what a run's sensors show is from another's with the same truth [sigmas], before rounding."""
    sensors, most = Sensors(run.hall.scenario.sensors, Streams(0)), np.zeros((len(run.ticks_s), racks))
    for name in MEASURED:
        shown, there = run.shown[name], other.shown[name]
        off = np.nan_to_num(np.abs(shown - there) / sensors.sigma(name, run.truth[name]))
        most = np.maximum(most, np.where(np.isnan(shown) != np.isnan(there), np.inf, off))
    return most.astype(np.float32)


@dataclass
class Own:
    """What is said of one incident: cells that it owns, in which it is observed, and in which that lasts."""

    level: np.ndarray
    seen: np.ndarray
    owned: np.ndarray
    observed: np.ndarray
    lasting: np.ndarray
    last_open: int
    """The last tick at which it may be put down to it what no fault is seen to do by itself."""

    @property
    def racks(self):
        return np.flatnonzero(self.seen.any(axis=0)).tolist()

    @property
    def lit(self):
        return np.flatnonzero(self.seen.any(axis=1))

    @property
    def peak(self):
        """The first tick of the strongest departure."""
        most = np.where(self.seen, self.level, 0).max(axis=1)
        return int(most.argmax()) if most.any() else None

    @property
    def persistent(self):
        return bool((self.seen & self.lasting).any())


def stretches(ticks, quiet):
    """Return first and last tick of each run of ticks with gaps of at most `quiet` between them."""
    found = []
    for t in ticks:
        if found and t - found[-1][1] <= quiet:
            found[-1][1] = t
        else:
            found.append([t, t])
    return found


def ruled(level, plan, affected, tick_s):
    """Return what the rules say of an incident that changes racks by so much, (ticks, racks) [sigmas]."""
    quiet, lasting = max(1, int(QUIET_S // tick_s)), ceil(PERSISTENT_S / tick_s)
    (ticks, racks), (begin, end) = level.shape, plan
    seen, last = level > OBSERVABLE_SIGMAS, end
    for t in range(begin, ticks):  # gone for good once no rack showed it for QUIET_S after the plan
        if t - last > quiet:
            seen[t:] = False
            break
        if seen[t].any():
            last = max(last, t)
    own = Own(level, seen, *(np.zeros(level.shape, dtype=bool) for _ in range(3)), last_open=last + quiet)
    for r in range(racks):
        for first, last in stretches(np.flatnonzero(seen[:, r]).tolist(), quiet):
            own.observed[first : last + 1, r] = True
            own.lasting[first : last + 1, r] = last - first + 1 >= lasting
            if r in affected and end < first <= end + quiet:
                own.owned[end:first, r] = True
        if r in affected:
            own.owned[begin : end + 1, r] = True
    own.owned |= own.observed
    return own


class Reference:
    """All rules for one hall; `occurrences` happen once each."""

    def __init__(self, hall):
        self.hall, self.run = hall, run_of(hall)
        self.tick_s = hall.scenario.tick
        self.begun = sorted(self.run.kept.incidents, key=lambda e: e.start_s)
        self.shape = len(self.run.ticks_s), len(hall.facility.racks)
        self.own = {e.id: self._own(e) for e in self.begun}

    def plan(self, event):
        """Return the ticks of the planned course, recovery included; a blip has at least one."""
        over_s = event.end_s + self.hall.incidents[event.id].recovery_s
        begin, after = ceil(event.start_s / self.tick_s), ceil(over_s / self.tick_s)
        return begin, max(begin, after - 1 if event.group == "sensor" else after)

    def _own(self, event):
        without = run_without(self.hall, event.id)
        of = misreading if event.group == "sensor" else departure
        level = of(self.run, without, self.shape[1])
        return ruled(level, self.plan(event), self.hall.incidents[event.id].racks.tolist(), self.tick_s)

    def faults(self, *, sensors):
        normal = {e.id for e in self.begun if e.group == "normal"}
        return [e for e in self.begun if e.id not in normal and (e.group == "sensor") == sensors]

    def jointly(self, *, sensors=False):
        """Return where the hall, or its sensors, depart though no fault is seen by itself: from planned work only."""
        faults = self.faults(sensors=sensors)
        if not faults:
            return np.zeros(self.shape, dtype=bool)
        without = run_without(self.hall, *(e.id for e in faults))
        seen = (misreading if sensors else departure)(self.run, without, self.shape[1]) > OBSERVABLE_SIGMAS
        return seen & ~np.any([self.own[e.id].seen for e in faults], axis=0)
