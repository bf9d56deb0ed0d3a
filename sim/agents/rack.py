"""A rack: its own profile, covered by its row's or its loop's while it takes part in theirs."""

from collections.abc import Collection

import numpy as np
import simpy

from sim.agents.base import Agent, Level, TruthObserver
from sim.agents.chain import NOMINAL_INDEX, Chain
from sim.model.episodes import Episode

_NOMINAL: tuple[int, Episode | None] = (NOMINAL_INDEX, None)

_LEVELS = tuple(Level)


class Rack(Agent):
    """Shows its loop's profile while it takes part in it, else its row's, else its own, which runs on underneath.

    It enters and leaves what it follows by a lag of its own, the same both ways, so that shares stay on the law. never:
    profiles that it has no part in.
    """

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        index: int,
        chain: Chain,
        observer: TruthObserver,
        rng: np.random.Generator,
        *,
        participation: float,
        max_lag_s: float,
        never: Collection[int] = (),
    ) -> None:
        super().__init__(env, name, chain)
        self._index = index
        self._observer = observer
        self._rng = rng
        self._participation = participation
        self._never = never
        self._lag_s = {level: float(rng.uniform(0, max_lag_s)) for level in _LEVELS}
        self._followed: dict[Level, tuple[int, Episode | None] | None] = dict.fromkeys(_LEVELS)
        self._takes_part = dict.fromkeys(_LEVELS, False)
        self._shown: int | None = None
        self._override: int | None = None

    def enter(self, profile: int) -> None:  # noqa: ARG002 - what shows depends on all three
        """Show the profile, unless a row's or loop's covers it."""
        self._show()

    def on_group_change(self, level: Level, profile: int, episode: Episode | None) -> None:
        """Learn that the row or loop entered a profile; decide whether to take part, and follow in a while."""
        if profile != NOMINAL_INDEX:
            self._takes_part[level] = bool(self._rng.random() < self._participation)
        if not self._takes_part[level]:
            return
        followed = None if profile == NOMINAL_INDEX else (profile, episode)
        if self._shown is None:  # the run has not started: what is under way had its lag before
            self._followed[level] = followed
        else:
            # a process of its own would cost two events more
            self.env.timeout(self._lag_s[level]).callbacks.append(lambda _: self._follow(level, followed))

    def override(self, profile: int, incident: str) -> None:
        """Be put in a profile by what an incident does to the air; all that led here goes on underneath."""
        if profile != self._override:
            self._override = profile
            self._observer.rack_is_overridden(self.env.now, self._index, profile, incident)

    def release(self) -> None:
        """Be back in what the agents lead to."""
        if self._override is not None:
            self._override = None
            self._observer.rack_is_released(self.env.now, self._index)

    def _follow(self, level: Level, followed: tuple[int, Episode | None] | None) -> None:
        self._followed[level] = followed
        self._show()

    def _show(self) -> None:
        own: tuple[int, Episode | None] = (self.own_profile, None)
        shown = next((f for f in (*self._followed.values(), own) if f and f[0] not in self._never), _NOMINAL)
        if shown[0] != self._shown:
            self._shown = shown[0]
            self._observer.rack_enters(self.env.now, self._index, *shown)
