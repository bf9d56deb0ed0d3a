"""The board of incidents: what is under way, and what it makes of the plant."""

from dataclasses import dataclass, field
from itertools import chain, count

import numpy as np

from sim.domain.courses import Course
from sim.domain.incidents import Incident
from sim.domain.levers import LEVERS
from sim.engine.blocks import Array
from sim.physics.health import Pull, Transfer
from sim.physics.plant import Plant

PLANT = np.zeros(1, dtype=np.intp)
LINGERS_S = 7200.0
"""How long after an incident's end its heat may still put a rack in a profile; assumed, beyond its time constants."""


@dataclass(slots=True, eq=False)
class Occurrence:
    """One time that an incident happens.

    number: how many began before it in the run. cause: id of the occurrence that set it off. saturated_s: when the
    chiller plant first ran out of capacity through it, so that it reaches the whole hall. The rest is learned tick
    by tick: ticks in which a label names it, racks that departed from their twins, first, strongest and last such tick,
    the departure at the strongest in sensor sigmas, and whether it was observed for PERSISTENT_S.
    """

    id: str
    number: int
    incident: Incident
    courses: tuple[Course, ...]
    cause: str | None
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
        return self.courses[0].start_s

    @property
    def end_s(self) -> float:
        """Instant at which its cause ends [s]."""
        return self.start_s + self.incident.duration_s  # not the last turn's, whose rounding may pass it

    @property
    def over_s(self) -> float:
        """Instant at which nothing of its cause is left [s]."""
        return self.end_s + self.incident.recovery_s

    def strength(self, time_s: float) -> Array:
        """Return its strength at an instant, (1,) or one for each of its racks in turn."""
        return np.array([c.at(time_s) for c in self.courses]) * self.incident.severity


class IncidentBoard:
    """Keeps what is under way, strikes the plant with it, and hands out what has begun."""

    def __init__(self) -> None:
        self.occurrences: list[Occurrence] = []
        """All that began and are not closed yet, in order of their beginning."""
        self.lately: list[Occurrence] = []
        """Those of the plant that are under way or were over less than LINGERS_S ago, in order of their beginning."""
        self._felt: list[tuple[Occurrence, tuple[float, ...]]] = []
        self._answering: list[Occurrence] = []  # who struck the chiller plant, while it is short through them
        self._names: set[str] = set()
        self._count = 0

    def is_held(self, incident: Incident, time_s: float) -> bool:
        """Return whether the incident, or an exclusive one like it of the same assets, is under way."""
        under_way = [o.incident for o in self.occurrences if time_s < o.end_s]
        alike = [i for i in under_way if i.kind is incident.kind and not set(i.assets).isdisjoint(incident.assets)]
        return incident in under_way or (incident.kind.exclusive and bool(alike))

    def begins(self, incident: Incident, time_s: float, cause: str | None) -> str:
        """Note that an incident strikes and what set it off; return the id of this occurrence."""
        again = (f"{incident.id}.{times}" for times in count(2))
        name = next(n for n in chain([incident.id], again) if n not in self._names)
        self._names.add(name)
        occurrence = Occurrence(name, self._count, incident, incident.courses(time_s), cause)
        self._count += 1
        self.occurrences.append(occurrence)
        if not incident.kind.sensor:
            self.lately.append(occurrence)
        return name

    def act(self, plant: Plant, from_s: float, until_s: float) -> None:
        """Put the plant into the mean condition of a span of time; costs nothing while nothing changes."""
        if not self.lately:
            return
        self.lately = [o for o in self.lately if o.over_s + LINGERS_S > from_s]
        levels = [(o, tuple(c.mean(from_s, until_s) for c in o.courses)) for o in self.lately if o.over_s > from_s]
        felt = [(o, part) for o, part in levels if any(part)]
        if felt != self._felt:
            self._felt = felt
            plant.strike(self._pulls(), self._transfers())
        short, short_anyway = plant.saturated
        lasts = short and not short_anyway
        self._answering = [o for o in self._answering if lasts and o in self.lately]
        if short:
            self._blame(2 * from_s - until_s, until_s)  # who acted in the step before is why

    def _blame(self, since_s: float, now_s: float) -> None:
        """Note that the chiller plant is short: through what strikes it, else through any that may have loaded it.

        What struck it answers until its water is cold again, which takes longer than the chillers' return.
        """
        acted = [o for o in self.lately if o.over_s > since_s]
        of_plant = [o for o in acted if any(LEVERS[e.lever].of == "plant" for e in o.incident.kind.effects)]
        self._answering = of_plant or self._answering
        for o in self._answering or acted:
            if o.saturated_s is None:
                o.saturated_s = now_s

    def _pulls(self) -> list[Pull]:
        pulls = []
        for o, levels in self._felt:
            strength = np.array(levels) * o.incident.severity
            for effect in o.incident.kind.effects:
                lever = LEVERS[effect.lever]
                where = {"rack": o.incident.racks, "loop": o.incident.loops, "plant": PLANT}[lever.of]
                full = o.incident.parameter(effect.parameter)
                pulls.append(Pull(effect.lever, where, lever.healthy + (full - lever.healthy) * strength))
        return pulls

    def _transfers(self) -> list[Transfer]:
        return [
            Transfer(
                o.incident.racks,
                o.incident.to_racks,
                o.incident.parameter("share") * o.incident.severity * np.array(levels),
            )
            for o, levels in self._felt
            if o.incident.kind.moves_load
        ]
