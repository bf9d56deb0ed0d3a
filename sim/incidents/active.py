"""Incidents at work: each waits for its time, begins, sets off what follows, and acts on the plant while it lasts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Protocol

import numpy as np
import numpy.typing as npt
import simpy

from sim.agents.base import Order, Steps, guarded, instant
from sim.common.errors import InputError
from sim.common.time_units import format_duration
from sim.common.worlds import ACTUAL, TWIN
from sim.incidents.envelope import SeverityEnvelope
from sim.incidents.kinds import FAULT_INPUTS, FaultEffect, LoadTransfer
from sim.incidents.planning import MAX_OCCURRENCES, Incident, Trigger


class IncidentRegister(Protocol):
    """Whoever knows what is under way, and makes it felt."""

    def is_held(self, incident: Incident, time_s: float) -> bool:
        """Return whether the incident, or an exclusive one like it of the same assets, is under way."""

    def begins(self, incident: Incident, time_s: float, triggered_by: str | None) -> str:
        """Note that an incident begins and what set it off; return the id of this occurrence."""


class IncidentAgent:
    """One planned incident. Its own draws decide what it sets off, whether or not that happens."""

    def __init__(
        self,
        env: simpy.Environment,
        incident: Incident,
        active: IncidentRegister,
        rng: np.random.Generator,
        agents: Mapping[str, "IncidentAgent"],
    ) -> None:
        self._env = env
        self._incident = incident
        self._active = active
        self._rng = rng
        self._agents = agents

    def start(self) -> None:
        """Wait for the planned time; one that only others set off waits for them."""
        if self._incident.at_s is not None:
            self._env.process(guarded(self._wait(self._incident.at_s), self._incident.id, self._env))

    def begin(self, time_s: float, triggered_by: str | None) -> None:
        """Begin now, and set off what follows; nothing new begins where it is under way already."""
        if self._active.is_held(self._incident, time_s):
            return
        occurrence = self._active.begins(self._incident, time_s, triggered_by)
        for follow in self._incident.triggers:
            happens = bool(self._rng.random() < follow.probability)
            if happens:
                self._env.process(guarded(self._set_off(follow, occurrence), self._incident.id, self._env))

    def _wait(self, at_s: float) -> Steps:
        yield instant(self._env, at_s, Order.DRAWN if self._incident.origin == "drawn" else Order.SCRIPTED)
        self.begin(at_s, None)

    def _set_off(self, follow: Trigger, occurrence: str) -> Steps:
        yield instant(self._env, self._env.now + follow.after_s, Order.SET_OFF)
        self._agents[follow.id].begin(self._env.now, occurrence)


Array = npt.NDArray[np.float64]

PLANT = np.zeros(1, dtype=np.intp)
LINGERS_S = 7200.0
"""How long after an incident's end its heat may still put a rack in a profile; assumed, beyond its time constants."""


@dataclass(slots=True, eq=False)
class Occurrence:
    """One time that an incident happens.

    number: how many began before it in the run. triggered_by: id of the occurrence that set it off. cut_s: when it is
    ended before its time. saturated_s: when
    the chiller plant first ran out of capacity through it, so that it reaches the whole hall. The rest is learned tick
    by tick: ticks in which a label names it, racks that departed from their twins, first, strongest and last such tick,
    the departure at the strongest in sensor sigmas, and whether it was observed for PERSISTENT_S.
    """

    id: str
    number: int
    incident: Incident
    envelopes: tuple[SeverityEnvelope, ...]
    triggered_by: str | None
    cut_s: float = inf
    saturated_s: float | None = None
    ticks: int = 0
    racks: set[int] = field(default_factory=set)
    onset_tick: int | None = None
    peak_tick: int | None = None
    last_tick: int | None = None
    peak_sigmas: float = 0.0
    persistent: bool = False

    @property
    def start_s(self) -> float:
        """Instant at which it begins [s]."""
        return self.envelopes[0].start_s

    @property
    def end_s(self) -> float:
        """Instant at which its cause ends [s]."""
        # not the last turn's, whose rounding may pass it
        return min(self.start_s + self.incident.duration_s, self.cut_s)

    @property
    def over_s(self) -> float:
        """Instant at which nothing of its cause is left [s]."""
        return self.end_s + self.incident.recovery_s

    def cut(self, at_s: float) -> None:
        """End its cause at an instant [s]; what it was before stays."""
        self.cut_s = at_s
        self.envelopes = tuple(replace(envelope, cut_s=at_s) for envelope in self.envelopes)

    def strength(self, time_s: float) -> Array:
        """Return its strength at an instant, (1,) or one for each of its racks in turn."""
        return np.array([c.at(time_s) for c in self.envelopes]) * self.incident.severity


class Equipment(Protocol):
    """The plant as incidents see it: something whose condition they set."""

    @property
    def saturated(self) -> npt.NDArray[np.bool_]:
        """Whether the chiller plant is short of capacity, (worlds,)."""

    def apply(self, effects: Iterable[FaultEffect], transfers: Iterable[LoadTransfer]) -> None:
        """Put the equipment of the actual world into the condition that these leave it in."""


class ActiveIncidents:
    """Keeps what is under way, applies it to the plant, and hands out what has begun."""

    def __init__(self) -> None:
        self.occurrences: list[Occurrence] = []
        """All that began and are not closed yet, in order of their beginning."""
        self.lately: list[Occurrence] = []
        """Those of the plant that are under way or were over less than LINGERS_S ago, in order of their beginning."""
        self._felt: list[tuple[Occurrence, tuple[float, ...]]] = []
        self._answering: list[Occurrence] = []  # who affected the chiller plant, while it is short through them
        self._under_way: list[Occurrence] = []
        self._names: set[str] = set()
        self._times: dict[str, int] = {}
        self._count = 0

    def is_held(self, incident: Incident, time_s: float) -> bool:
        """Return whether the incident, or an exclusive one like it of the same assets, is under way."""
        self._under_way = [o for o in self._under_way if time_s < o.end_s]
        others = [o.incident for o in self._under_way]
        if not incident.kind.exclusive:
            return incident in others
        return any(i.kind is incident.kind and not set(i.assets).isdisjoint(incident.assets) for i in others)

    def begins(self, incident: Incident, time_s: float, triggered_by: str | None) -> str:
        """Note that an incident begins and what set it off; return the id of this occurrence."""
        if self._count >= MAX_OCCURRENCES:
            raise InputError(
                f"incidents: {MAX_OCCURRENCES:,} have begun after {format_duration(int(time_s))}, and {incident.id!r} "
                "is set off again; give longer `after`, or a `probability` below 1"
            )
        name = self._free_name(incident.id)
        occurrence = Occurrence(name, self._count, incident, incident.envelopes(time_s), triggered_by)
        self._count += 1
        self.occurrences.append(occurrence)
        self._under_way.append(occurrence)
        if not incident.kind.sensor:
            self.lately.append(occurrence)
        return name

    def under_way(self, name: str, time_s: float) -> Occurrence | None:
        """Return the occurrence of an id if its cause lasts at an instant [s]."""
        return next((o for o in self.occurrences if o.id == name and o.start_s <= time_s < o.end_s), None)

    def ends(self, name: str, time_s: float) -> None:
        """End an occurrence before its time, if it is under way."""
        occurrence = self.under_way(name, time_s)
        if occurrence is not None:
            occurrence.cut(time_s)

    def _free_name(self, identity: str) -> str:
        """Return the id of an incident's next occurrence: its own, then with .2, .3, .. behind it."""
        while True:
            times = self._times[identity] = self._times.get(identity, 0) + 1
            name = identity if times == 1 else f"{identity}.{times}"
            if name not in self._names:
                self._names.add(name)
                return name

    def act(self, equipment: Equipment, from_s: float, until_s: float) -> None:
        """Put the equipment into the mean condition of a span of time; costs nothing while nothing changes."""
        if not self.lately:
            return
        self.lately = [o for o in self.lately if o.over_s + LINGERS_S > from_s]
        levels = [(o, tuple(c.mean(from_s, until_s) for c in o.envelopes)) for o in self.lately if o.over_s > from_s]
        felt = [(o, part) for o, part in levels if any(part)]
        if felt != self._felt:
            self._felt = felt
            equipment.apply(self._effects(), self._transfers())
        short, short_anyway = equipment.saturated[ACTUAL], equipment.saturated[TWIN]
        lasts = short and not short_anyway
        self._answering = [o for o in self._answering if lasts and o in self.lately]
        if short:
            self._blame(2 * from_s - until_s, until_s)  # who acted in the step before is why

    def _blame(self, since_s: float, now_s: float) -> None:
        """Note that the chiller plant is short: through what affects it, else through any that may have loaded it.

        What affected it answers until its water is cold again, which takes longer than the chillers' return.
        """
        acted = [o for o in self.lately if o.over_s > since_s]
        of_plant = [o for o in acted if any(FAULT_INPUTS[e.fault_input].of == "plant" for e in o.incident.kind.effects)]
        self._answering = of_plant or self._answering
        for o in self._answering or acted:
            if o.saturated_s is None:
                o.saturated_s = now_s

    def _effects(self) -> list[FaultEffect]:
        """Return what is active makes of the plant's fault inputs."""
        effects = []
        for o, levels in self._felt:
            strength = np.array(levels) * o.incident.severity
            for effect in o.incident.kind.effects:
                fault_input = FAULT_INPUTS[effect.fault_input]
                where = {"rack": o.incident.racks, "loop": o.incident.loops, "plant": PLANT}[fault_input.of]
                full = o.incident.parameter(effect.parameter)
                effects.append(
                    FaultEffect(
                        effect.fault_input, where, fault_input.healthy + (full - fault_input.healthy) * strength
                    )
                )
        return effects

    def _transfers(self) -> list[LoadTransfer]:
        """Return the load that what is active moves."""
        return [
            LoadTransfer(
                o.incident.racks,
                o.incident.to_racks,
                o.incident.parameter("share") * o.incident.severity * np.array(levels),
            )
            for o, levels in self._felt
            if o.incident.kind.moves_load
        ]
