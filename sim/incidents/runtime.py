"""What a run with incidents has beside one without; incidents get into it at its start or while it is under way."""

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import simpy

from sim.agents.base import Order, Steps, guarded, instant
from sim.agents.rack import Rack
from sim.common.streams import Streams
from sim.incidents.active import ActiveIncidents, IncidentAgent
from sim.incidents.observed import Array
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
        tick_s: float,
    ) -> None:
        self.active = ActiveIncidents(tick_s)
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

    @property
    def watches(self) -> bool:
        """Whether anything of the plant's may be seen, or a rack is in a profile because of it."""
        return bool(self.active.open) or self.thermal_monitor.holds_any

    def observe(self, tick: int, inlet_c: Array, departures: Mapping[str, Array]) -> None:
        """Learn what incidents do to the racks at a tick.

        inlet_c: true inlets [degC]; departures: by channel, how far the hall is from each world [sigmas]; all
        (worlds, racks), or (1, racks) where all worlds are alike.
        """
        self.thermal_monitor.look(inlet_c, departures["inlet_c"])
        most = reduce(np.maximum, departures.values())
        self.active.observe(tick, most.astype(np.float32))
