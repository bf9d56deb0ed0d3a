"""Runs of the default hall that every test here measures: whole weeks, and agents alone without a plant."""

from dataclasses import dataclass

import numpy as np
import pytest
import simpy

from sim.agents.occupancy import MINUTE_S, WEEK_MINUTES, WEEK_S
from sim.common.streams import Streams
from sim.engine.build import resolve, start_agents
from sim.engine.truth_log import TruthLog
from sim.runs.checks.realism import FINE_TICK_S
from sim.runs.memory import record
from sim.scenario.checks import parse_scenario

MEASURED_SEEDS = (2101, 2102, 2103, 2104)
"""Weeks whose statistics are held; profiles, noise and places were fitted on others."""


def by_day_and_by_night(few, many):
    """Return parameters of a fixture: what there is time for with every change, and what there is at night."""
    return [few, pytest.param(many, marks=pytest.mark.nightly)]


@dataclass(frozen=True)
class AgentWeek:
    """What the agents of a hall did in a week: each rack's profile by minute, (minutes, racks), and all episodes."""

    profile: np.ndarray
    episodes: list


def agent_week(hall, seed):
    """Run a hall's agents for a week from Monday 00:00, without plant and sampler."""
    env, truth_log = simpy.Environment(), TruthLog(hall.facility)
    start_agents(env, hall, truth_log, Streams(seed))
    env.run(until=WEEK_S)
    episodes = list(truth_log.kept().values())
    column = {name: i for i, name in enumerate(hall.facility.racks)}
    profile = np.zeros((WEEK_MINUTES, len(column)), dtype=np.int8)
    for e in episodes:
        if e.asset in column:
            first, end = (int(-(-s // MINUTE_S)) for s in (e.start_s, e.start_s + e.lasts_s(WEEK_S)))
            profile[first:end, column[e.asset]] = e.profile
    return AgentWeek(profile, episodes)


@pytest.fixture(scope="session")
def hall():
    return resolve(parse_scenario({"name": "hall"}, "hall"))


@pytest.fixture(scope="session", params=by_day_and_by_night(10, 20), ids=lambda n: f"{n} seeds")
def agent_weeks(hall, request):
    """Weeks of some seeds; what is allowed of their statistics follows from how many they are."""
    return [agent_week(hall, seed) for seed in range(request.param)]


@pytest.fixture(scope="session", params=by_day_and_by_night(2, 4), ids=lambda n: f"{n} weeks")
def weeks(request):
    """Weeks of some seeds; the truth before sensors is kept of the first only."""
    first, *others = MEASURED_SEEDS[: request.param]
    return [record({"seed": first}), *(record({"seed": seed}, truth=False) for seed in others)]


@pytest.fixture(scope="session")
def week(weeks):
    return weeks[0]


@pytest.fixture(scope="session", params=by_day_and_by_night("1d", "3d"))
def sampled(request):
    """The same time sampled at three ticks, by tick [s].

    Without demand that all racks share: each tick draws its own, and a day's mean of one process for the whole hall is
    known to half a per cent only.
    """
    alone = {"duration": request.param, "demand": {"common": 0}}
    return {tick: record({**alone, "tick": tick}, truth=False) for tick in (FINE_TICK_S, 30, 60)}
