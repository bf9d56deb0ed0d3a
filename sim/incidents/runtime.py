"""What a run with incidents has beside one without; incidents get into it at its start or while it is under way."""

from collections.abc import Mapping, Sequence

import simpy

from sim.agents.base import Order, Steps, guarded, instant
from sim.agents.rack import Rack
from sim.common.streams import Streams
from sim.incidents.active import ActiveIncidents, IncidentAgent
from sim.incidents.planning import Incident
from sim.incidents.sensor_faults import SensorFaults
from sim.incidents.thermal_monitor import ThermalMonitor


class IncidentRuntime:
    """Keeps what acts on the plant (active), on the racks' profiles (thermal_monitor) and on sensors (sensor_faults).

    profiles: index by name.
    """

    def __init__(
        self,
        env: simpy.Environment,
        racks: Sequence[Rack],
        profiles: Mapping[str, int],
        sensor_faults: SensorFaults,
        streams: Streams,
    ) -> None:
        self.active = ActiveIncidents()
        self.thermal_monitor = ThermalMonitor(racks, self.active, profiles)
        self.sensor_faults = sensor_faults
        self._env = env
        self._streams = streams
        self._agents: dict[str, IncidentAgent] = {}

    def start(self, incidents: Mapping[str, Incident]) -> None:
        """Let planned incidents wait for their time, or for what sets them off; any of them may set off any other."""
        self.sensor_faults.expect(incidents.values())
        for name, incident in incidents.items():
            rng = self._streams.stream("incident", name, "causes")
            self._agents[name] = IncidentAgent(self._env, incident, self.active, rng, self._agents)
        for name in incidents:
            self._agents[name].start()

    def end(self, name: str, at_s: float) -> None:
        """End an occurrence at an instant [s], if it is under way then; what it has set off goes on."""
        self._env.process(guarded(self._end(name, at_s), f"the end of {name}", self._env))

    def _end(self, name: str, at_s: float) -> Steps:
        yield instant(self._env, at_s, Order.ENDED)
        self.active.ends(name, at_s)
