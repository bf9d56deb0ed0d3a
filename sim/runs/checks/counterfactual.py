"""What truth and twin say of a run's incidents, without the engine's own attribution: what labels are judged by."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sim.engine.blocks import Array
from sim.incidents.labels import IncidentEvent, IncidentLabels
from sim.incidents.planning import Incident
from sim.model.channels import CHANNELS, MEASURED
from sim.runs.arrays import Mask, RunArrays

OBSERVABLE_SIGMAS = 3.0
"""As the labels have it, stated here again on purpose."""


@dataclass(frozen=True)
class Counterfactual:
    """A run with incidents beside its twin; masks and departures are (ticks, racks)."""

    run: RunArrays

    @property
    def tick_s(self) -> float:
        """Time between samples [s]."""
        return self.run.tick_s

    @property
    def incident_labels(self) -> IncidentLabels:
        """What the labels say. Raises ValueError for a run without incidents."""
        if self.run.incident_labels is None:
            raise ValueError("the run has no incidents, so there is nothing to judge")
        return self.run.incident_labels

    @cached_property
    def planned(self) -> dict[str, Incident]:
        """What the scenario plans, drawn and scripted, by id."""
        return self.run.hall.incidents

    @cached_property
    def differs(self) -> Mask:
        """Where the truth is not the twin's, to the last bit, in any channel."""
        changed = np.zeros(self.run.profile.shape, dtype=np.bool_)
        for name, values in self.run.truth.items():
            changed |= values != self.run.twin_truth[name]
        return changed

    @cached_property
    def reads_differently(self) -> Mask:
        """Where a reading is not the twin's although the truth is."""
        changed = np.zeros(self.run.profile.shape, dtype=np.bool_)
        for name, values in self.run.readings.items():
            changed |= values != self.run.twin_readings[name]
        return changed & ~self.differs

    @cached_property
    def apart(self) -> npt.NDArray[np.float32]:
        """How far truth and twin are apart in the channel that shows it most [sensor sigmas]."""
        return self._most({name: self.run.truth[name] - self.run.twin_truth[name] for name in MEASURED})

    @cached_property
    def off(self) -> npt.NDArray[np.float32]:
        """How far readings are off what healthy sensors, whose noise is the twin's, would show [sigmas]."""
        errors = {}
        for name in MEASURED:
            changed = self.run.truth[name] - self.run.twin_truth[name]
            errors[name] = self.run.readings[name] - self.run.twin_readings[name] - changed
        return self._most(errors)

    def _most(self, differences: dict[str, Array]) -> npt.NDArray[np.float32]:
        most = np.zeros(self.run.profile.shape)
        for name, difference in differences.items():
            np.maximum(most, np.abs(difference) / self._sigma(name), out=most)
            most[np.isnan(difference)] = np.inf
        return most.astype(np.float32)

    def _sigma(self, name: str) -> Array:
        """Return a healthy reading's standard deviation, rounding included, in the channel's unit."""
        spec, channel = self.run.hall.scenario.sensors, CHANNELS[name]
        noise = spec.noise_scale * spec.noise.get(name, channel.noise)
        scale = np.abs(self.run.twin_truth[name]) if channel.noise_kind == "relative" else 1.0
        return np.asarray(
            np.hypot(noise * scale, max(10.0**-channel.decimals, spec.resolution.get(name, 0.0)) / 12**0.5)
        )

    @property
    def observable(self) -> Mask:
        """Where truth or reading departs by more than OBSERVABLE_SIGMAS."""
        return np.asarray((self.apart > OBSERVABLE_SIGMAS) | (self.off > OBSERVABLE_SIGMAS))

    @cached_property
    def anomalous(self) -> Mask:
        """Where the labels say that an incident's effect or a sensor's fault can be observed."""
        return np.asarray(self.incident_labels.physical | self.incident_labels.sensor)

    @cached_property
    def test_from(self) -> int:
        """First tick of the test part: the clean prefix ends where incidents may begin."""
        rates = self.run.hall.scenario.incident_rates
        return round((rates.after if rates else 0.0) / self.tick_s)

    @cached_property
    def faults(self) -> list[IncidentEvent]:
        """Incidents that could be observed and are no normal events."""
        return [e for e in self.run.incidents if e.group != "normal" and e.onset_s is not None]

    def planned_of(self, event: IncidentEvent) -> Incident:
        """Return the plan of something that happened, perhaps not for the first time."""
        return self.planned[event.id] if event.id in self.planned else self.planned[event.id.rpartition(".")[0]]

    def begin(self, event: IncidentEvent) -> int:
        """Return the first tick that can show an event."""
        return int(np.ceil(event.start_s / self.tick_s))

    def names(self, event: IncidentEvent) -> Mask:
        """Return which rows the labels give to an event."""
        numbers = [i for i, name in enumerate(self.incident_labels.incident_names) if event.id in name.split("|")]
        return np.isin(self.incident_labels.incidents, numbers)

    def names_only(self, event: IncidentEvent) -> Mask:
        """Return which rows the labels give to an event and to no other."""
        names = self.incident_labels.incident_names
        return np.isin(self.incident_labels.incidents, [i for i, name in enumerate(names) if name == event.id])

    def affected(self, event: IncidentEvent) -> list[int]:
        """Return the indices of the racks that an event can be observed on."""
        racks = self.run.hall.facility.racks
        return [racks.index(name) for name in event.affected]

    def rows(self, event: IncidentEvent) -> Iterator[tuple[int, npt.NDArray[np.intp]]]:
        """Yield each rack that an event can be observed on, with its ticks."""
        named = self.names(event)
        flag = self.incident_labels.sensor if event.group == "sensor" else self.incident_labels.physical
        for rack in self.affected(event):
            ticks = np.flatnonzero(named[:, rack] & flag[:, rack])
            if len(ticks):
                yield rack, ticks
