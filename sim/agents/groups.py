"""Rows and cooling loops: while one is in a profile, racks of it take part, each in its own time."""

from collections.abc import Sequence

import simpy

from sim.agents.base import Agent, Level, TruthObserver
from sim.agents.chain import Chain
from sim.agents.rack import Rack


class Group(Agent):
    """An asset whose condition its racks share."""

    level: Level

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        index: int,
        chain: Chain,
        observer: TruthObserver,
        racks: Sequence[Rack],
    ) -> None:
        super().__init__(env, name, chain)
        self._index = index
        self._observer = observer
        self._racks = racks

    def enter(self, profile: int) -> None:
        """Note the profile and tell the racks."""
        episode = self._observer.group_enters(self.level, self.env.now, self._index, profile)
        for rack in self._racks:
            rack.on_group_change(self.level, profile, episode)


class Row(Group):
    """The racks of an aisle, which share its air."""

    level = Level.ROW


class CoolingLoop(Group):
    """The racks on one water circuit."""

    level = Level.LOOP
