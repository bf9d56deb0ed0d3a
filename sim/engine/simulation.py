"""A run: the SimPy clock from 0 to the scenario's end, in one go or in pieces, with incidents added on the way."""

from collections.abc import Mapping, Sequence
from typing import Any

import simpy

from sim.agents.base import guarded
from sim.common.errors import InputError
from sim.common.streams import Streams
from sim.common.time_units import format_duration
from sim.engine.sampler import Sampler
from sim.incidents.active import Occurrence
from sim.incidents.planning import Incident, incident_ids, plan_incidents
from sim.incidents.runtime import IncidentRuntime
from sim.incidents.schema import seconds_into_run
from sim.model.facility import Facility
from sim.plant.plant import Plant
from sim.scenario.checks import parse_scenario
from sim.scenario.schema import Scenario


class Simulation:
    """Runs the processes of a hall over [0, scenario.duration).

    scenario: the run as a document, with the incidents that were added to it: run as a batch, it gives the same bytes.
    runtime: takes incidents that are added, None where none can be.
    """

    def __init__(
        self,
        env: simpy.Environment,
        sampler: Sampler,
        scenario: Scenario,
        facility: Facility,
        planned: Mapping[str, Incident],
        runtime: IncidentRuntime | None,
    ) -> None:
        self.env = env
        self.scenario = scenario
        self._sampler = sampler
        self._facility = facility
        self._planned = dict(planned)
        self._runtime = runtime
        env.process(guarded(sampler.live(), "sampler", env))

    @property
    def now_s(self) -> float:
        """Instant that the run has come to [s]; what happens at it has not happened yet."""
        return float(self.env.now)

    def run(self) -> None:
        """Run to the end and hand out everything."""
        self.advance(self.scenario.duration)
        self.finish()

    def advance(self, until_s: float) -> None:
        """Run on to an instant [s], short of what happens at it, and no farther than the end.

        Raises ValueError for an instant before the one that the run has come to.
        """
        until_s = min(until_s, self.scenario.duration)
        if until_s < self.now_s:
            raise ValueError(f"until_s = {until_s:g} is over: the run has come to {self.now_s:g} s")
        if until_s > self.now_s:
            self.env.run(until=until_s)

    def finish(self) -> None:
        """Hand out what was held back until the truth was complete. Raises ValueError before the end."""
        if self.now_s < self.scenario.duration:
            raise ValueError(
                f"the run has come to {self.now_s:g} s of {self.scenario.duration:g} s: advance to its end"
            )
        self._sampler.finish()

    def add_incident(self, entry: Mapping[str, Any]) -> str:
        """Plan one more incident while the run is under way, and return its id.

        entry: as in a scenario's `incidents`, `at` now unless given. It is what it would be as the last entry of the
        scenario: same target, labels, events and twin. Raises InputError for what a scenario could not have either, for
        a time that is over, and for a simulation that was not built interactive.
        """
        if self._runtime is None:
            raise InputError("add_incident: the simulation has no room for it; build it with interactive=True")
        scenario = self._with("add_incident", incidents={"at": self.now_s, **entry})
        planned = plan_incidents(scenario, self._facility, Streams(scenario.seed))
        identity = self._checked(scenario)
        self._runtime.start({name: i for name, i in planned.items() if name not in self._planned})
        self.scenario, self._planned = scenario, planned
        return identity

    def end_incident(self, identity: str) -> None:
        """End the cause of an incident that is under way, now; what it has set off goes on.

        It is what it would be with this instant among the scenario's `endings`. Raises InputError where it is not under
        way, and for a simulation that was not built interactive.
        """
        if self._runtime is None or self._runtime.active.under_way(identity, self.now_s) is None:
            raise InputError(f"end_incident: {identity!r} is not under way at {format_duration(self.now_s)}")
        scenario = self._with("end_incident", endings={"incident": identity, "at": self.now_s})
        self._runtime.end(identity, self.now_s)
        self.scenario = scenario

    @property
    def plant(self) -> Plant:
        """The plant as it stands after the latest tick, to be read."""
        return self._sampler.plant

    @property
    def planned(self) -> Mapping[str, Incident]:
        """All that is planned, by id: scripted, drawn, added, and what these set off."""
        return self._planned

    @property
    def begun(self) -> Sequence[Occurrence]:
        """What has begun and is not handed out as an event yet, in order of its beginning."""
        return () if self._runtime is None else tuple(self._runtime.active.occurrences)

    def _with(self, where: str, **added: Mapping[str, Any]) -> Scenario:
        """Return the scenario with an entry more in some of its lists. Raises InputError."""
        document = self.scenario.model_dump(exclude_unset=True)
        longer = {name: [*document.get(name, ()), entry] for name, entry in added.items()}
        return parse_scenario(document | longer, where)

    def _checked(self, scenario: Scenario) -> str:
        """Return the id of the scenario's last incident. Raises InputError where it is too late or its id is taken."""
        spec, place = scenario.incidents[-1], f"add_incident: incidents[{len(scenario.incidents) - 1}]"
        identity = incident_ids(scenario.incidents)[-1]
        if identity in self._planned:
            raise InputError(f"{place}.id: {identity!r} is the id of another incident of the run; choose another")
        if spec.at is not None and seconds_into_run(spec.at, scenario.start, scenario.utc_offset) < self.now_s:
            raise InputError(f"{place}.at: {spec.at!r} is over: the run has come to {format_duration(self.now_s)}")
        return identity
