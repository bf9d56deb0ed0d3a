"""From a scenario to a simulation that is ready to run: the only place where parts meet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import simpy

from sim.agents.chain import Chain, ChainTables, StayLaw
from sim.agents.groups import CoolingLoop, Row
from sim.agents.incident import IncidentAgent
from sim.agents.rack import Rack
from sim.domain.facility import Facility, build_facility
from sim.domain.incident_draws import draw_incidents
from sim.domain.incidents import plan_incidents
from sim.domain.occupancy import MAX_LAG_S, MINUTE_S, WEEK_S, Array, Targets, hazards, targets
from sim.domain.profiles import NOMINAL, Profile
from sim.domain.scenario import Scenario
from sim.domain.streams import Streams
from sim.engine.blocks import Sink
from sim.engine.board import IncidentBoard
from sim.engine.demand import RequestTrace, TraceDemand
from sim.engine.heat_watch import HeatWatch
from sim.engine.journal import Journal
from sim.engine.sampler import Sampler, Troubles
from sim.engine.sensor_faults import SensorFaults
from sim.engine.sensors import Sensors
from sim.engine.simulation import Simulation
from sim.physics import constants as k
from sim.physics.drivers import Drivers, Surroundings
from sim.physics.fitting import solve_drivers
from sim.physics.plant import MAX_STEP_S, Plant

BLOCK_ROWS = 131_072
"""Rows in a block: enough for whole-array work to pay, little enough for memory not to matter."""


@dataclass(frozen=True)
class Hall:
    """A scenario resolved: everything about it that does not move."""

    scenario: Scenario
    facility: Facility
    profiles: dict[str, Profile]
    drivers: Drivers
    targets: list[Targets]


def resolve(scenario: Scenario) -> Hall:
    """Return the hall of a scenario. Raises InputError when its profiles ask for what no hall can do."""
    facility = build_facility(scenario.facility)
    profiles = scenario.resolved_profiles()
    drivers = solve_drivers(list(profiles.values()), surroundings(scenario, profiles))
    return Hall(scenario, facility, profiles, drivers, targets(scenario.occupancy, list(profiles), facility))


def surroundings(scenario: Scenario, profiles: Mapping[str, Profile]) -> Surroundings:
    """Return what profiles are fitted in: water at the droop of typical load, and nominal neighbours."""
    droop_k = k.LOOP_DROOP_K * k.REFERENCE_RACK_KW / k.DESIGN_RACK_KW
    return Surroundings(scenario.facility.supply_water_c + droop_k, profiles[NOMINAL].ranges["outlet_c"].typical)


def build(
    hall: Hall,
    sinks: Sequence[Sink],
    *,
    trace: RequestTrace | None = None,
    block_ticks: int | None = None,
    effects: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Return a hall's simulation, its agents started: agents -> journal -> plant -> sensors -> sampler -> sinks.

    effects: labels tell what incidents change of the truth, channel by channel.
    """
    scenario = hall.scenario
    streams = Streams(scenario.seed)
    env = simpy.Environment()
    journal = Journal(hall.facility)
    racks = start_agents(env, hall, journal, streams)
    sensors = Sensors(scenario.sensors, streams)
    sampler = Sampler(
        env,
        _plant(hall, journal, streams, trace),
        journal,
        sensors,
        sinks,
        hall.facility.size_of_rack,
        tick_s=round(scenario.tick),
        tick_count=scenario.tick_count,
        block_ticks=block_ticks or max(1, BLOCK_ROWS // len(hall.facility.racks)),
        troubles=_troubles(env, hall, racks, sensors, streams, effects=effects) if scenario.has_incidents else None,
        on_progress=on_progress,
    )
    return Simulation(env, sampler, until_s=scenario.duration)


def _troubles(
    env: simpy.Environment, hall: Hall, racks: Sequence[Rack], sensors: Sensors, streams: Streams, *, effects: bool
) -> Troubles:
    """Start every incident, and return what makes them felt."""
    scenario, facility = hall.scenario, hall.facility
    drawn = draw_incidents(scenario, facility, streams).values()
    planned = plan_incidents(scenario, facility, streams, drawn)
    board = IncidentBoard()
    agents: dict[str, IncidentAgent] = {}
    for name, incident in planned.items():
        agents[name] = IncidentAgent(env, incident, board, streams.stream("incident", name, "causes"), agents)
    for agent in agents.values():
        agent.start()
    late = [i.parameter("delay_s") for i in planned.values() if i.kind.sensor == "late"]
    sensing = any(i.kind.sensor for i in planned.values())
    return Troubles(
        board,
        HeatWatch(racks, board, {name: i for i, name in enumerate(hall.profiles)}),
        SensorFaults(sensors, streams, scenario.tick, max([sensing, *(int(np.ceil(s / scenario.tick)) for s in late)])),
        effects,
    )


def _plant(hall: Hall, journal: Journal, streams: Streams, trace: RequestTrace | None) -> Plant:
    scenario, racks = hall.scenario, len(hall.facility.racks)
    demand = None
    if trace is not None:
        lags = streams.stream("demand", "stagger").uniform(0, 1, racks) * scenario.demand.stagger
        demand = TraceDemand(trace, lags)
    steps = int(np.ceil(scenario.tick / MAX_STEP_S))
    return Plant(
        hall.facility,
        hall.drivers,
        journal.racks.profile.astype(np.intp),
        scenario.facility.supply_water_c,
        scenario.tick / steps,
        streams,
        chiller_capacity_kw=scenario.facility.chiller_capacity_kw,
        demand=demand,
        worlds=2 if scenario.has_incidents else 1,
    )


def week_minute(scenario: Scenario) -> float:
    """Return the minute of the site's week (Monday 00:00 is 0) at which a run starts."""
    start = scenario.start
    clock_s = start.weekday() * 86_400 + start.hour * 3600 + start.minute * 60 + start.second
    return (clock_s + scenario.utc_offset * 3600) % WEEK_S / MINUTE_S


def start_agents(env: simpy.Environment, hall: Hall, journal: Journal, streams: Streams) -> list[Rack]:
    """Start and return the racks. Rows and loops start first, so that racks begin in what they take part in."""
    scenario, facility = hall.scenario, hall.facility
    chains = _Chains(hall, streams)
    racks = [
        Rack(
            env,
            name,
            i,
            chains.make(hall.targets[facility.row_of_rack[i]].own, "rack", name),
            journal,
            streams.stream("participation", name),
            participation=scenario.occupancy.participation,
            max_lag_s=MAX_LAG_S,
        )
        for i, name in enumerate(facility.racks)
    ]
    for i, name in enumerate(facility.loops):
        first_row = int(np.flatnonzero(facility.loop_of_row == i)[0])
        chain = chains.make(hall.targets[first_row].loop, "loop", name)
        members = [racks[j] for j in np.flatnonzero(facility.loop_of_rack == i)]
        CoolingLoop(env, name, i, chain, journal, members).start()
    for i, name in enumerate(facility.rows):
        chain = chains.make(hall.targets[i].row, "row", name)
        Row(env, name, i, chain, journal, [racks[j] for j in facility.racks_of_row(i)]).start()
    for rack in racks:
        rack.start()
    return racks


class _Chains:
    """Makes agents' chains; those that follow the same shares read the same tables."""

    def __init__(self, hall: Hall, streams: Streams) -> None:
        s = hall.scenario
        self._start_minute = week_minute(s)
        self._stays = StayLaw(s.dwell.law, s.dwell.shape, tuple(s.mean_dwell_s(p) for p in hall.profiles))
        self._streams = streams
        self._tables: dict[int, ChainTables] = {}

    def make(self, shares: Array, *name: str) -> Chain:
        tables = self._tables.get(id(shares))
        if tables is None:
            tables = ChainTables(hazards(shares, self._stays.mean_s, memoryless=self._stays.memoryless))
            self._tables[id(shares)] = tables
        return Chain(tables, self._stays, self._streams.stream(*name), self._start_minute)
