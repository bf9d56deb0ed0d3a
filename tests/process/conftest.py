"""What the tests of processes share: a clock, a log of (time, what), and chains that move as they are told."""

from math import inf

import numpy as np
import pytest
import simpy

from sim.agents.base import Level
from sim.agents.groups import CoolingLoop, Row
from sim.agents.occupancy import WEEK_MINUTES
from sim.agents.rack import Rack
from sim.model.episodes import Episode

DWELL_S = (2700.0, 2700.0, 1500.0, 4500.0, 3600.0)
NAMES = ("nominal", "high_load", "thermal_event", "under_utilized", "overcooled")


def flat_shares(thermal=0.08, overcooled=0.12):
    """Return shares that are the same at every minute of the week, (profiles, minutes + 1)."""
    return np.tile(np.array([[1 - thermal - overcooled, 0, thermal, 0, overcooled]]).T, WEEK_MINUTES + 1)


@pytest.fixture
def env():
    return simpy.Environment()


@pytest.fixture
def log():
    return []


class Script:
    """A chain whose moves are written down: (time, profile), ...; the first is at the start."""

    def __init__(self, first, *moves):
        self._first, self._moves = first, list(moves)
        self.met_under_way = []

    def first(self):
        return NAMES.index(self._first)

    def next_move(self, profile, _now_s, *, under_way=False):
        self.met_under_way.append(under_way)
        if not self._moves:
            return inf, profile
        at_s, name = self._moves.pop(0)
        return at_s, NAMES.index(name)


class Draws:
    """A generator whose draws are written down; the last of each kind stays."""

    def __init__(self, *, lags_s, joins):
        self._lags_s, self._joins = list(lags_s), list(joins)
        self.asked = 0

    def uniform(self, _low, _high):
        return _next(self._lags_s)

    def random(self):
        self.asked += 1
        return 0.0 if _next(self._joins) else 0.999


def _next(values):
    return values.pop(0) if len(values) > 1 else values[0]


class LoggingObserver:
    """Writes into the log which profile a rack shows, and hands rows and loops their episodes."""

    def __init__(self, log):
        self.log = log
        self.causes = []
        self._count = 0

    def rack_enters(self, time_s, rack, profile, cause):  # noqa: ARG002 - an observer's signature
        self.log.append((time_s, NAMES[profile]))
        self.causes.append(cause.asset if cause else None)

    def group_enters(self, level, time_s, index, profile):
        if profile == 0:
            return None
        self._count += 1
        return Episode(self._count, f"{level.name.lower()} {index}", self._count, profile, time_s)


class Cast:
    """Agents around one rack; `play` starts them as the engine does, runs, and returns the log."""

    def __init__(self, env, log):
        self._env = env
        self.observer = LoggingObserver(log)
        self.racks = []
        self._groups = []

    def rack(self, *own, lag_s=100.0, lags_s=None, joins=(True,)):
        lags_s = (lag_s,) if lags_s is None else lags_s
        self.draws = Draws(lags_s=lags_s, joins=joins)
        longest_s = max(lags_s)
        agent = Rack(self._env, "R", 0, Script(*own), self.observer, self.draws, participation=0.8, max_lag_s=longest_s)
        self.racks.append(agent)
        return agent

    def row(self, *moves):
        self._groups.append(Row(self._env, "row", 0, Script(*moves), self.observer, self.racks))

    def loop(self, *moves):
        self._groups.append(CoolingLoop(self._env, "loop", 0, Script(*moves), self.observer, self.racks))

    def play(self, until_s=10_000):
        for group in sorted(self._groups, key=lambda g: g.level != Level.LOOP):
            group.start()
        for rack in self.racks:
            rack.start()
        self._env.run(until=until_s)
        return self.observer.log


@pytest.fixture
def cast(env, log):
    return Cast(env, log)
