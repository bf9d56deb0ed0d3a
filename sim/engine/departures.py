"""Departures: how far racks are from their twins, in what a healthy sensor would notice."""

from collections.abc import Mapping, Sequence

import numpy as np

from sim.domain.channels import MEASURED
from sim.engine.attribution import Departure
from sim.engine.blocks import Array
from sim.engine.board import Occurrence
from sim.engine.sensors import Sensors


class Departures:
    """Measures how far racks are from their twins; only those that an incident has ever reached can be."""

    def __init__(self, sensors: Sensors, racks: int) -> None:
        self._sensors = sensors
        self._reached = np.zeros(racks, dtype=np.bool_)

    def measure(self, truth: Mapping[str, Array], twin: Mapping[str, Array], begun: Sequence[Occurrence]) -> Departure:
        """Return how far each rack is from its twin in the channel that shows it most [sigmas], (ticks, racks)."""
        for o in begun:
            self._reached |= o.incident.reaches | (o.saturated_s is not None)
        racks = np.flatnonzero(self._reached)
        apart: Departure = np.zeros(truth["inlet_c"].shape, dtype=np.float32)
        if len(racks):
            most = np.zeros((len(apart), len(racks)))
            for name in MEASURED:
                there = twin[name][:, racks]
                away = np.abs(truth[name][:, racks] - there)
                np.maximum(most, away / self._sensors.sigma(name, there), out=most)
            apart[:, racks] = most
        return apart
