"""One run of the live hall, tick by tick: what it reads, what it draws, what was done to it. Knows no clock."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from sim.common.time_units import format_instant
from sim.engine.blocks import Labels, Telemetry
from sim.engine.build import Hall, build, resolve
from sim.incidents.active import Occurrence
from sim.incidents.labels import IncidentEvent
from sim.incidents.planning import Incident
from sim.model.channels import CHANNELS, MISSING
from sim.model.episodes import Episode
from sim.runs.samples import samples_of
from sim.runs.simulate import demand_trace
from sim.runs.statistics import cooling_kw, site_power_kw
from sim.scenario.schema import Scenario

TWIN_TICKS, TWIN_BYTES = 20_000, 64 * 2**20
"""Latest ticks of the twin that are kept at most, and what they may take; SHOWN_TICKS are kept of any hall."""
SHOWN_TICKS = 720

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Energy:
    """What was drawn since the start [kWh]: by the racks, by their cooling; of the hall, and of its twin."""

    it_kwh: float = 0.0
    cooling_kwh: float = 0.0
    twin_it_kwh: float = 0.0
    twin_cooling_kwh: float = 0.0

    def and_then(self, hours: float, power: "Power", twin: "Power") -> "Energy":
        """Return it after some hours more at a power."""
        return Energy(
            self.it_kwh + hours * power.it_kw,
            self.cooling_kwh + hours * power.cooling_kw,
            self.twin_it_kwh + hours * twin.it_kw,
            self.twin_cooling_kwh + hours * twin.cooling_kw,
        )


@dataclass(frozen=True, slots=True)
class Power:
    """What is drawn at a tick [kW]: by the racks, by their cooling, by the whole site; tokens_ps: what it gives."""

    it_kw: float
    cooling_kw: float
    site_kw: float
    tokens_ps: float

    @property
    def pue(self) -> float | None:
        """Power usage effectiveness, None where no rack draws anything."""
        return self.site_kw / self.it_kw if self.it_kw > 0 else None


class Judge(Protocol):
    """Whoever holds what is seen of a run against its truth."""

    def feed(self, samples: Sequence[Mapping[str, Any]]) -> None:
        """Take a tick's samples."""

    def labels(self, block: Labels) -> None:
        """Take the truth of ticks."""


class HallRun:
    """A scenario under way, with its twin. judge: gets its samples and its truth. Raises InputError."""

    def __init__(self, scenario: Scenario) -> None:
        self.hall: Hall = resolve(scenario)
        self.tick_s = round(scenario.tick)
        self.ticks = 0
        self.latest: Telemetry | None = None
        self.power: Power | None = None
        self.energy = Energy()
        self.commanded: list[str] = []
        self.over: dict[str, IncidentEvent] = {}
        of_tick = 8 * len(self.hall.channels) * len(self.hall.facility.racks)
        kept = max(SHOWN_TICKS, min(TWIN_TICKS, TWIN_BYTES // of_tick))
        self._twin: deque[Mapping[str, Any]] = deque(maxlen=kept)
        trace = demand_trace(scenario)
        self.judge: Judge | None = None
        self.simulation = build(self.hall, [self], trace=trace, block_ticks=1, interactive=True)

    @property
    def scenario(self) -> Scenario:
        """The run as a document, with all that was done to it: run as a batch, it gives the same bytes."""
        return self.simulation.scenario

    @property
    def now_s(self) -> float:
        """Instant that the run has come to [s]."""
        return self.simulation.now_s

    @property
    def is_over(self) -> bool:
        """Whether the last tick has been."""
        return self.ticks == self.scenario.tick_count

    def instant(self, time_s: float) -> str:
        """Return an instant of the run as ISO 8601 text, to the millisecond."""
        return format_instant(self.scenario.start + timedelta(milliseconds=round(1000 * time_s)))

    def next_tick(self) -> list[dict[str, Any]]:
        """Move on by one tick and return its samples, rack by rack, as a client would send them."""
        self.simulation.advance((self.ticks + 1) * self.tick_s)
        self.ticks += 1
        block = self.latest
        if block is None:
            raise RuntimeError("a tick has handed out no telemetry")
        power, twin = self._power(block), self._power(block.twin or block)
        self.energy = self.energy.and_then(self.tick_s / HOUR_S, power, twin)
        self.power = power
        samples = samples_of(self.hall, block)
        if self.judge is not None:
            self.judge.feed(samples)
        return samples

    def finish(self) -> None:
        """Complete the truth after the last tick."""
        self.simulation.finish()

    def telemetry(self, block: Telemetry) -> None:
        """Take a tick's readings."""
        self.latest = block
        if block.twin is not None:
            self._twin.append({"tick": block.first_tick, **block.twin.readings})

    def labels(self, block: Labels) -> None:
        """Pass the truth on to the judge."""
        if self.judge is not None:
            self.judge.labels(block)

    def events(self, finished: Sequence[Episode | IncidentEvent]) -> None:
        """Take incidents about which nothing more will be learned."""
        self.over |= {event.id: event for event in finished if isinstance(event, IncidentEvent)}

    def add_incident(self, entry: Mapping[str, Any]) -> str:
        """Plan an incident and return its id. Raises InputError."""
        name = self.simulation.add_incident(entry)
        self.commanded.append(name)
        return name

    def begins_now(self, name: str) -> bool:
        """Tell whether an incident is planned for this very instant, so that the next tick is the first to show it."""
        incident = self.simulation.planned.get(name)
        begun = any(o.id == name for o in self.simulation.begun)
        return incident is not None and incident.at_s == self.now_s and not begun

    def twin_series(self, rack: str, points: int) -> dict[str, list[Any]]:
        """Return the twin's latest readings of a rack, oldest first, by channel. Raises KeyError for no rack of it."""
        if rack not in self.hall.facility.racks:
            raise KeyError(rack)
        column, kept = self.hall.facility.racks.index(rack), list(self._twin)[-points:]
        series: dict[str, list[Any]] = {"ts": [self.instant(tick["tick"] * self.tick_s) for tick in kept]}
        for name in self.hall.channels:
            series[name] = [_number(int(tick[name][0, column]), CHANNELS[name].decimals) for tick in kept]
        return series

    def incidents(self, *, reveal: bool) -> list[dict[str, Any]]:
        """Return incidents as clients read them: all that are over, of the others those commanded, or all."""
        begun = {o.id: o for o in self.simulation.begun}
        planned = {name: i for name, i in self.simulation.planned.items() if i.at_s is not None}
        names = dict.fromkeys([*self.commanded, *self.over, *(planned if reveal else ()), *(begun if reveal else ())])
        return [
            self._over(self.over[name]) if name in self.over
            else self._begun(begun[name], reveal=reveal) if name in begun
            else self._planned(planned[name])
            for name in names
        ]  # fmt: skip

    def _planned(self, incident: Incident) -> dict[str, Any]:
        at_s = incident.at_s or 0.0
        told = _told(incident.id, incident.kind.name, incident.assets, incident.severity)
        end_s = at_s + incident.duration_s
        return {
            **told, "planned_start": self.instant(at_s), "planned_end": self.instant(end_s), "state": "planned",
        }  # fmt: skip

    def _begun(self, o: Occurrence, *, reveal: bool) -> dict[str, Any]:
        told = _told(o.id, o.incident.kind.name, o.incident.assets, o.incident.severity)
        document = {
            **told, "planned_start": self.instant(o.start_s), "planned_end": self.instant(o.end_s),
            "state": "active" if self.now_s < o.end_s else "recovering",
        }  # fmt: skip
        if reveal:
            racks = self.hall.facility.racks
            document["affected"] = [racks[i] for i in sorted(o.racks)]
            onset = o.onset_tick
            document["observable_onset"] = None if onset is None else self.instant(onset * self.tick_s)
        return document

    def _over(self, event: IncidentEvent) -> dict[str, Any]:
        onset_s = event.onset_s
        return {
            **_told(event.id, event.kind, event.assets, event.severity),
            "planned_start": self.instant(event.start_s),
            "planned_end": self.instant(event.end_s),
            "state": "over",
            "observable_onset": None if onset_s is None else self.instant(onset_s),
            "affected": list(event.affected),
        }

    def _power(self, block: Telemetry) -> Power:
        it_kw, site_kw = site_power_kw(self.hall, block)
        cooling, tokens_ps = cooling_kw(self.hall, block), block.truth["tokens_ps"].sum()
        return Power(float(it_kw[0]), float(cooling[0]), float(site_kw[0]), float(tokens_ps))


def _told(name: str, kind: str, assets: Sequence[str], severity: float) -> dict[str, Any]:
    return {"incident_id": name, "kind": kind, "target": list(assets), "severity": severity}


def _number(digits: int, decimals: int) -> float | None:
    return None if digits == MISSING else digits / 10.0**decimals
