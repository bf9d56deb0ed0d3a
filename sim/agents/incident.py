"""An incident: it waits for its time, strikes, and sets off what follows from it."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import simpy

from sim.agents.base import Steps, guarded
from sim.domain.incidents import Cause, Incident


class Board(Protocol):
    """Whoever knows what is under way, and makes it felt."""

    def is_held(self, incident: Incident, time_s: float) -> bool:
        """Return whether the incident, or an exclusive one like it of the same assets, is under way."""

    def begins(self, incident: Incident, time_s: float, cause: str | None) -> str:
        """Note that an incident strikes and what set it off; return the id of this occurrence."""


class IncidentAgent:
    """One planned incident. Its own draws decide what it sets off, whether or not that happens."""

    def __init__(
        self,
        env: simpy.Environment,
        incident: Incident,
        board: Board,
        rng: np.random.Generator,
        agents: Mapping[str, "IncidentAgent"],
    ) -> None:
        self._env = env
        self._incident = incident
        self._board = board
        self._rng = rng
        self._agents = agents

    def start(self) -> None:
        """Wait for the planned time; one that only others set off waits for them."""
        if self._incident.at_s is not None:
            self._env.process(guarded(self._wait(self._incident.at_s), self._incident.id, self._env))

    def strike(self, cause: str | None) -> None:
        """Begin now, and set off what follows; nothing new begins where it is under way already."""
        if self._board.is_held(self._incident, self._env.now):
            return
        occurrence = self._board.begins(self._incident, self._env.now, cause)
        for follow in self._incident.causes:
            happens = bool(self._rng.random() < follow.probability)
            if happens:
                self._env.process(guarded(self._set_off(follow, occurrence), self._incident.id, self._env))

    def _wait(self, at_s: float) -> Steps:
        yield self._env.timeout(at_s - self._env.now)
        self.strike(None)

    def _set_off(self, follow: Cause, occurrence: str) -> Steps:
        yield self._env.timeout(follow.after_s)
        self._agents[follow.id].strike(occurrence)
