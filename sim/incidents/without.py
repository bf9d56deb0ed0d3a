"""The halls without: all that happens but one incident, and planned work only, as worlds that come and go.

An incident's own effect is what the hall has with it and not without it, whatever else goes on. So each of the plant's
has a world in which all others act, from its beginning until its effect is gone for good.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np

from sim.common.worlds import ACTUAL, TWIN, WORLDS
from sim.incidents.planning import Incident
from sim.model.facility import Indices

LINGERS_S = 7200.0
"""How long the hall with planned work only is kept apart from the twin after it; assumed, beyond time constants."""


class Acting(Hashable, Protocol):
    """An incident that acts on the plant."""

    @property
    def incident(self) -> Incident:
        """What was planned of it."""

    @property
    def over_s(self) -> float:
        """Instant at which nothing of its cause is left [s]."""


class WorldsWithout:
    """Which world is without whom; a world keeps its number as long as it lasts, and is given again after that.

    sources: by world, of which one before the latest change it is a copy.
    """

    def __init__(self) -> None:
        self.sources: list[int] = list(WORLDS)
        self._worlds: dict[Acting | None, int] = {}  # None: the hall with planned work only
        self._acts_in: dict[Acting, Indices] = {}
        self._planned_until_s = 0.0

    def part(self, open_: Sequence[Acting], now_s: float) -> bool:
        """Give those that are new a world, and take it from those that are gone; return whether any changed."""
        over_s = [o.over_s for o in open_ if o.incident.kind.is_normal]
        self._planned_until_s = max([self._planned_until_s, *(at_s + LINGERS_S for at_s in over_s)])
        wanted: list[Acting | None] = [*open_, *([None] if now_s < self._planned_until_s else [])]
        if set(wanted) == self._worlds.keys():
            return False
        self._worlds = {o: self._worlds[o] for o in wanted if o in self._worlds}
        self.sources = list(range(max([len(WORLDS), *(world + 1 for world in self._worlds.values())])))
        for o in wanted:
            if o not in self._worlds:
                self._open(o)
        self._acts_in = {o: self._worlds_with(o) for o in open_}
        return True

    def _open(self, o: Acting | None) -> None:
        """Give one the first free world: until now the hall without it is the hall, that with planned work its twin."""
        source = TWIN if o is None else ACTUAL
        taken = {*WORLDS, *self._worlds.values()}
        world = next(w for w in range(len(taken) + 1) if w not in taken)
        self._worlds[o] = world
        self.sources[world:] = [source, *self.sources[world + 1 :]]

    def _worlds_with(self, o: Acting) -> Indices:
        lacking = {TWIN, self._worlds[o]} | (set() if o.incident.kind.is_normal else {self.planned})
        return np.array([world for world in range(len(self.sources)) if world not in lacking])

    @property
    def planned(self) -> int:
        """The world with planned work only; the twin where there is none."""
        return self._worlds.get(None, TWIN)

    def world_of(self, o: Acting) -> int:
        """Return the world without one; before it has acted that is the actual one."""
        return self._worlds.get(o, ACTUAL)

    def acts_in(self, o: Acting) -> Indices:
        """Return the worlds in which one acts."""
        return self._acts_in[o]
