"""Incidents at work: each waits for its time, begins, sets off what follows, and acts on the plant while it lasts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, inf
from typing import Protocol

import numpy as np
import numpy.typing as npt
import simpy

from sim.agents.base import Order, Steps, guarded, instant
from sim.common.errors import InputError
from sim.common.time_units import format_duration
from sim.common.worlds import ACTUAL
from sim.incidents.envelope import SeverityEnvelope
from sim.incidents.kinds import FAULT_INPUTS, FaultEffect, LoadTransfer
from sim.incidents.observed import OBSERVABLE_SIGMAS, Array, Cells, Departure, Mask, at, quiet_ticks
from sim.incidents.planning import MAX_OCCURRENCES, Incident, Trigger
from sim.incidents.without import WorldsWithout


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


PLANT = np.zeros(1, dtype=np.intp)


@dataclass(slots=True, eq=False)
class Occurrence:
    """One time that an incident happens.

    number: how many began before it in the run. triggered_by: id of the occurrence that set it off. cut_s: when it is
    ended before its time. saturated_s: when the chiller plant first ran out of capacity only because of it, so that it
    reaches the whole hall. The rest is learned tick by tick, of its own effect: what the hall has with it and not
    without it. racks: that it was seen to change; first, strongest and last such tick, the departure at the strongest
    in sensor sigmas. seen: those cells as far as they are not labelled; jointly: those that depart though no fault is
    seen by itself. persistent: whether it was observed for PERSISTENT_S. ticks: in which a label names it.
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
    seen: list[Cells] = field(default_factory=list)
    jointly: list[Cells] = field(default_factory=list)

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

    def comes_to(self, racks: int) -> npt.NDArray[np.bool_]:
        """Return which of a hall's racks can feel it, (racks,)."""
        felt = np.full(racks, self.saturated_s is not None)
        felt[self.incident.reaches] = True
        return felt

    def plan(self, tick_s: float) -> range:
        """Return the ticks of its planned course, recovery included; a blip has at least one."""
        # a tick shows what the plant was under since the tick before, but a sensor's fault at its own instant only
        begin, after = ceil(self.start_s / tick_s), ceil(self.over_s / tick_s)
        return range(begin, max(begin + 1, after if self.incident.kind.sensor else after + 1))

    def strength(self, time_s: float) -> Array:
        """Return its strength at an instant, (1,) or one for each of its racks in turn."""
        return np.array([c.at(time_s) for c in self.envelopes]) * self.incident.severity

    def see(self, tick: int, departure: Departure, racks: npt.NDArray[np.intp]) -> None:
        """Learn that it is seen at a tick to change some racks, and how much, (racks,) [sigmas]."""
        self.seen.append(at(tick, racks))
        self.racks.update(racks.tolist())
        self.onset_tick = tick if self.onset_tick is None else self.onset_tick
        self.last_tick = tick
        most = float(departure.max())
        if most > self.peak_sigmas:
            self.peak_sigmas, self.peak_tick = most, tick


class Equipment(Protocol):
    """The plant as incidents see it: something whose condition they set, in worlds of its own number."""

    @property
    def saturated(self) -> npt.NDArray[np.bool_]:
        """Whether the chiller plant is short of capacity, (worlds,)."""

    def become(self, worlds: Sequence[int]) -> None:
        """Let these worlds' states be those of worlds 0, 1, .. from now on, all healthy."""

    def apply(self, effects: Iterable[FaultEffect], transfers: Iterable[LoadTransfer]) -> None:
        """Put the equipment into the condition that these leave it in."""


class ActiveIncidents:
    """Keeps what is under way, applies it to the plant, and hands out what has begun."""

    def __init__(self, tick_s: float) -> None:
        self.occurrences: list[Occurrence] = []
        """All that began and are not closed yet, in order of their beginning."""
        self.open: list[Occurrence] = []
        """Those of the plant that may still be seen, in order of their beginning."""
        self.without = WorldsWithout()
        self._tick_s = tick_s
        self._felt: list[tuple[Occurrence, tuple[float, ...], tuple[float, ...]]] = []  # means and ends of strengths
        self._under_way: list[Occurrence] = []
        self._names: set[str] = set()
        self._times: dict[str, int] = {}
        self._count = 0

    @property
    def faults(self) -> list[Occurrence]:
        """Those of the plant that may still be seen and are no planned work."""
        return [o for o in self.open if not o.incident.kind.is_normal]

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
            self.open.append(occurrence)
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

    def part(self, equipment: Equipment, now_s: float) -> None:
        """Give what began since the last tick a world without it; called before the plant moves on from a time."""
        if self.without.part(self.open, now_s):
            equipment.become(self.without.sources)
            self._felt = []

    def act(self, equipment: Equipment, from_s: float, until_s: float) -> None:
        """Put the equipment into the mean condition of a span of time; costs nothing while nothing changes."""
        if not self.open and not self._felt:
            return
        live = [(o, tuple(c.mean(from_s, until_s) for c in o.envelopes)) for o in self.open if o.over_s > from_s]
        felt = [(o, mean, tuple(c.at(until_s) for c in o.envelopes)) for o, mean in live if any(mean)]
        if felt != self._felt:
            self._felt = felt
            equipment.apply(self._effects(), self._transfers())
        self._blame(equipment.saturated, until_s)

    def _blame(self, short: Mask, now_s: float) -> None:
        """Note that the chiller plant is short: through those without which it would not be."""
        for o in self.open if short[ACTUAL] else ():
            if o.saturated_s is None and not short[self.without.world_of(o)]:
                o.saturated_s = now_s

    def observe(self, tick: int, departure: Departure) -> None:
        """Learn what is seen of each at a tick, and let go what is gone for good.

        departure: how far the hall is from each world, (worlds, racks) [sigmas].
        """
        seen = departure > OBSERVABLE_SIGMAS
        for o in self.open:
            world = self.without.world_of(o)
            racks = np.flatnonzero(seen[world])
            if len(racks):
                o.see(tick, departure[world], racks)
        faults = self.faults
        if faults:
            own = departure[[self.without.world_of(o) for o in faults]]
            jointly = seen[self.without.planned] & ~(own > OBSERVABLE_SIGMAS).any(axis=0)
            _share(tick, jointly, own, faults)
        self.open = [o for o in self.open if not self._is_gone(o, tick)]

    def _is_gone(self, o: Occurrence, tick: int) -> bool:
        """Return whether the next tick is more than QUIET_S from its planned course and from where it was seen."""
        last = max(o.plan(self._tick_s)[-1], o.last_tick or 0)
        return tick + 1 - last > quiet_ticks(self._tick_s)

    def _effects(self) -> list[FaultEffect]:
        """Return what is active makes of the plant's fault inputs."""
        effects = []
        for o, means, ends in self._felt:
            mean, end = (np.array(levels) * o.incident.severity for levels in (means, ends))
            for effect in o.incident.kind.effects:
                fault_input = FAULT_INPUTS[effect.fault_input]
                where = {"rack": o.incident.racks, "loop": o.incident.loops, "plant": PLANT}[fault_input.of]
                healthy, full = fault_input.healthy, o.incident.parameter(effect.parameter)
                of_step, at_end = (healthy + (full - healthy) * strength for strength in (mean, end))
                effects.append(FaultEffect(effect.fault_input, where, of_step, self.without.acts_in(o), at_end))
        return effects

    def clock_reasons(self, racks: int) -> npt.NDArray[np.intp]:
        """Return what GPUs say of clocks that incidents lower in the latest span of time, as bits, (racks,)."""
        bits = np.zeros(racks, dtype=np.intp)
        for o, means, _ in self._felt:
            if o.incident.kind.clock_reason and any(means):
                bits[o.incident.racks] |= o.incident.kind.clock_reason
        return bits

    def _transfers(self) -> list[LoadTransfer]:
        """Return the load that what is active moves."""
        return [
            LoadTransfer(
                o.incident.racks,
                o.incident.to_racks,
                o.incident.parameter("share") * o.incident.severity * np.array(levels),
                self.without.acts_in(o),
            )
            for o, levels, _ in self._felt
            if o.incident.kind.moves_load
        ]


def _share(tick: int, jointly: Mask, own: Departure, faults: Sequence[Occurrence]) -> None:
    """Put down racks that depart, though no fault is seen by itself, to those that have their share in it.

    own: of each fault, (faults, racks) [sigmas]. Of n faults that add up one has an n-th at least. Where none has, one
    hides another, and all are named that come to the rack, else all there are.
    """
    if not jointly.any():
        return
    named = own >= OBSERVABLE_SIGMAS / len(faults)
    for wider in (np.array([o.comes_to(len(jointly)) for o in faults]), np.ones_like(named)):
        named |= wider & ~named.any(axis=0)
    for o, racks in zip(faults, named & jointly, strict=True):
        if racks.any():
            o.jointly.append(at(tick, np.flatnonzero(racks)))
