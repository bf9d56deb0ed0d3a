"""From a scenario to a simulation that is ready to run: the only place where parts meet."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import simpy

from sim.agents.chain import Chain, ChainTables, DwellLaw
from sim.agents.groups import CoolingLoop, Row
from sim.agents.occupancy import (
    MAX_LAG_S,
    Array,
    OccupancyShares,
    chat_demand,
    hazards,
    occupancy_shares,
    weekly_shares,
)
from sim.agents.rack import Rack
from sim.agents.training_job import TrainingJob
from sim.common.collector import collector_at_rest
from sim.common.streams import Streams
from sim.common.worlds import WORLDS
from sim.engine.blocks import Sink
from sim.engine.counters import GpuCounters
from sim.engine.demand import Surges, TraceDemand
from sim.engine.job_load import JobLoad, job_tokens_ps
from sim.engine.sampler import Sampler
from sim.engine.sensors import Sensors
from sim.engine.simulation import Simulation
from sim.engine.truth_log import TruthLog
from sim.incidents.planning import Incident, plan_incidents, racks_of_job
from sim.incidents.runtime import IncidentRuntime
from sim.incidents.schema import seconds_into_run
from sim.incidents.sensor_faults import LONGEST_DELAY_S, SensorFaults
from sim.model.channels import TELEMETRY_CHANNELS
from sim.model.facility import Facility, build_facility
from sim.model.profiles import LOAD, NOMINAL, Profile
from sim.plant import constants as k
from sim.plant.drivers import Drivers
from sim.plant.fitting import solve_drivers
from sim.plant.plant import Plant
from sim.plant.rack_types import air_share, breakers_kw, longest_step_s
from sim.plant.steady_state import BoundaryConditions
from sim.scenario.request_trace import RequestTrace
from sim.scenario.schema import Scenario

_LOG = logging.getLogger(__name__)

BLOCK_ROWS = 131_072
"""Rows in a block: enough for whole-array work to pay, little enough for memory not to matter."""


@dataclass(frozen=True)
class Hall:
    """A scenario resolved: everything about it that does not move. channels: what the run reports, in order."""

    scenario: Scenario
    facility: Facility
    profiles: dict[str, Profile]
    drivers: Drivers
    occupancy_shares: list[OccupancyShares]
    incidents: dict[str, Incident]
    channels: tuple[str, ...] = TELEMETRY_CHANNELS


def resolve(scenario: Scenario) -> Hall:
    """Return the hall of a scenario. Raises InputError when its profiles ask for what no hall can do."""
    facility = build_facility(scenario.facility)
    profiles = scenario.resolved_profiles()
    drivers = solve_drivers(list(profiles.values()), boundary_conditions(scenario, profiles))
    weekly = None
    if scenario.demand.weekly == "chat":
        weekly = weekly_shares(chat_demand(), dict(zip(profiles, drivers.offered_tokens_ps.tolist(), strict=True)))
    shares = occupancy_shares(scenario.occupancy, list(profiles), facility, weekly)
    _LOG.info("%s: %d racks, %d ticks, seed %d", scenario.name, len(facility.racks), scenario.tick_count, scenario.seed)
    return Hall(scenario, facility, profiles, drivers, shares, _planned(scenario, facility))


def with_incidents(hall: Hall, scenario: Scenario) -> Hall:
    """Return a hall under a scenario that differs from its own in incidents only, whose solved drivers it keeps."""
    return replace(hall, scenario=scenario, incidents=_planned(scenario, hall.facility))


def _planned(scenario: Scenario, facility: Facility) -> dict[str, Incident]:
    """Return what a run of the scenario's seed meets, by id: scripted and drawn incidents and what they trigger."""
    return plan_incidents(scenario, facility, Streams(scenario.seed))


def boundary_conditions(scenario: Scenario, profiles: Mapping[str, Profile]) -> BoundaryConditions:
    """Return what profiles are fitted in: water at the droop of typical load, and nominal neighbours."""
    droop_k = k.LOOP_DROOP_K * k.REFERENCE_RACK_KW / k.DESIGN_RACK_KW
    return BoundaryConditions(scenario.facility.supply_water_c + droop_k, profiles[NOMINAL].ranges["outlet_c"].typical)


def build(
    hall: Hall,
    sinks: Sequence[Sink],
    *,
    trace: RequestTrace | None = None,
    block_ticks: int | None = None,
    effects: bool = False,
    interactive: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Return a hall's simulation, its agents started: agents -> truth log -> plant -> sensors -> sampler -> sinks.

    effects: labels tell what incidents change of the truth, channel by channel. interactive: incidents may be added
    while the run is under way, so it carries a twin from its start, and remembers the truth for LONGEST_DELAY_S.
    """
    scenario = hall.scenario
    streams = Streams(scenario.seed)
    env = simpy.Environment()
    truth_log = TruthLog(hall.facility)
    racks = start_agents(env, hall, truth_log, streams)
    job = start_job(env, hall, streams)
    sensors = Sensors(scenario.sensors, streams, hall.channels)
    runtime = None
    if scenario.has_incidents or interactive:
        runtime = _incident_runtime(env, hall, racks, sensors, streams, interactive=interactive)
    sampler = Sampler(
        env,
        _plant(hall, truth_log, streams, trace, job, worlds=1 if runtime is None else len(WORLDS)),
        truth_log,
        sensors,
        sinks,
        hall.facility.size_of_rack,
        tick_s=round(scenario.tick),
        tick_count=scenario.tick_count,
        block_ticks=block_ticks or max(1, BLOCK_ROWS // len(hall.facility.racks)),
        runtime=runtime,
        job=job,
        counters=_counters(hall, streams),
        channels=hall.channels,
        effects=effects,
        on_progress=on_progress,
    )
    return Simulation(env, sampler, scenario, hall.facility, hall.incidents, runtime if interactive else None)


def _incident_runtime(
    env: simpy.Environment, hall: Hall, racks: Sequence[Rack], sensors: Sensors, streams: Streams, *, interactive: bool
) -> IncidentRuntime:
    """Return what makes incidents felt, those that are planned started."""
    sensor_faults = SensorFaults(
        sensors.sigma,
        sensors.reread,
        streams,
        hall.scenario.tick,
        keep_s=LONGEST_DELAY_S if interactive else 0.0,
    )
    profiles = {name: i for i, name in enumerate(hall.profiles)}
    runtime = IncidentRuntime(env, racks, profiles, sensor_faults, streams, hall.scenario.tick)
    runtime.start(hall.incidents)
    for ending in hall.scenario.endings:
        runtime.end(ending.incident, seconds_into_run(ending.at, hall.scenario.start, hall.scenario.utc_offset))
    return runtime


def _counters(hall: Hall, streams: Streams) -> GpuCounters | None:
    spec = hall.scenario.telemetry
    if spec.counters != "dcgm":
        return None
    return GpuCounters(hall.facility, streams, hall.scenario.tick, spec.gpu_hours_per_xid)


def _plant(
    hall: Hall, truth_log: TruthLog, streams: Streams, trace: RequestTrace | None, job: JobLoad | None, worlds: int
) -> Plant:
    scenario, racks = hall.scenario, len(hall.facility.racks)
    step_s = scenario.tick / int(np.ceil(scenario.tick / longest_step_s(hall.facility.type_of_rack)))
    demand = None
    if trace is not None:
        lags = streams.stream("demand", "stagger").uniform(0, 1, racks) * scenario.demand.stagger
        places = streams.stream("demand", "segments") if scenario.demand.segments == "drawn" else None
        demand = TraceDemand(trace, lags, step_s, by_rate=scenario.demand.reading == "rate", places=places)
    bursts = scenario.demand.bursts
    surges = None
    if bursts.per_day:
        rng = streams.stream("demand", "bursts")
        surges = Surges(bursts.per_day, bursts.size, bursts.duration, scenario.duration, rng)
    return Plant(
        hall.facility,
        hall.drivers,
        truth_log.racks.profile.astype(np.intp),
        scenario.facility.supply_water_c,
        step_s,
        streams,
        chiller_capacity_kw=scenario.facility.chiller_capacity_kw,
        demand=demand,
        surges=surges,
        job=job,
        common=scenario.demand.common,
        worlds=worlds,
    )


def start_job(env: simpy.Environment, hall: Hall, streams: Streams) -> JobLoad | None:
    """Start a scenario's training job, if it has one, and return what it asks of its racks."""
    spec, facility = hall.scenario.training_job, hall.facility
    if spec is None:
        return None
    racks = facility.racks_under(racks_of_job(hall.scenario, facility))
    full_kw, air = (
        np.broadcast_to(of(facility.type_of_rack), facility.size_of_rack.shape)[racks]
        for of in (breakers_kw, air_share)
    )
    load = JobLoad(racks, job_tokens_ps(spec.plateau * full_kw, spec.checkpoint_power, air))
    per_h = (
        float(facility.gpus_of_rack[racks].sum()) / spec.gpu_hours_per_failure if spec.gpu_hours_per_failure else 0.0
    )
    TrainingJob(
        env,
        load,
        streams.stream("training_job"),
        checkpoint_every_s=spec.checkpoint_every,
        checkpoint_s=spec.checkpoint,
        restart_s=spec.restart,
        failures_per_h=per_h,
    ).start()
    return load


@collector_at_rest()
def start_agents(env: simpy.Environment, hall: Hall, truth_log: TruthLog, streams: Streams) -> list[Rack]:
    """Start and return the racks. Rows and loops start first, so that racks begin in what they take part in."""
    scenario, facility = hall.scenario, hall.facility
    chains, in_job = _Chains(hall, streams), set(racks_of_job(scenario, facility))
    loads = [i for i, profile in enumerate(hall.profiles.values()) if profile.anomaly_kind == LOAD]
    racks = [
        Rack(
            env,
            name,
            i,
            chains.make(hall.occupancy_shares[facility.row_of_rack[i]].own, "rack", name),
            truth_log,
            streams.stream("participation", name),
            participation=scenario.occupancy.participation,
            max_lag_s=MAX_LAG_S,
            never=loads if name in in_job else (),
        )
        for i, name in enumerate(facility.racks)
    ]
    for i, name in enumerate(facility.loops):
        first_row = int(np.flatnonzero(facility.loop_of_row == i)[0])
        chain = chains.make(hall.occupancy_shares[first_row].loop, "loop", name)
        members = [racks[j] for j in np.flatnonzero(facility.loop_of_rack == i)]
        CoolingLoop(env, name, i, chain, truth_log, members).start()
    for i, name in enumerate(facility.rows):
        chain = chains.make(hall.occupancy_shares[i].row, "row", name)
        Row(env, name, i, chain, truth_log, [racks[j] for j in facility.racks_of_row(i)]).start()
    for rack in racks:
        rack.start()
    return racks


class _Chains:
    """Makes agents' chains; those that follow the same shares read the same tables."""

    def __init__(self, hall: Hall, streams: Streams) -> None:
        s = hall.scenario
        self._start_minute = s.start_minute_of_week
        self._dwell = DwellLaw(s.dwell.law, s.dwell.shape, tuple(s.mean_dwell_s(p) for p in hall.profiles))
        self._streams = streams
        self._tables: dict[int, ChainTables] = {}

    def make(self, shares: Array, *name: str) -> Chain:
        tables = self._tables.get(id(shares))
        if tables is None:
            tables = ChainTables(hazards(shares, self._dwell.mean_s, memoryless=self._dwell.memoryless))
            self._tables[id(shares)] = tables
        return Chain(tables, self._dwell, self._streams.stream(*name), self._start_minute)
