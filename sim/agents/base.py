"""What all agents share: a process that sleeps until its chain's next move, and a guard around it."""

from abc import ABC, abstractmethod
from collections.abc import Generator
from enum import IntEnum
from typing import Protocol

import simpy
from simpy.events import EventPriority

from sim.agents.chain import Chain
from sim.common.errors import SimError
from sim.model.episodes import Episode

Steps = Generator[simpy.Event, object, None]


class AgentError(Exception):
    """A process failed; the message says whose and when, the cause is chained."""


class Level(IntEnum):
    """What a rack follows, in order of precedence."""

    LOOP = 0
    ROW = 1


class Order(IntEnum):
    """Who comes first of what happens at one instant, as SimPy's priorities; timeouts of agents have 1.

    By this and not by when they were scheduled, so that an incident added to a run begins where it would have, had it
    been planned. A sample sees every chain of zero delay.
    """

    ENDED = 2
    SCRIPTED = 3
    DRAWN = 4
    SET_OFF = 5
    SAMPLER = 6


class TruthObserver(Protocol):
    """Whoever writes down what agents do, as it happens."""

    def rack_enters(self, time_s: float, rack: int, profile: int, cause: Episode | None) -> None:
        """Note that a rack's profile is now `profile`, and which episode of a row or loop brought it."""

    def rack_is_overridden(self, time_s: float, rack: int, profile: int, incident: str) -> None:
        """Note that an incident's heat or cold puts a rack in a profile, over what its agents lead it to."""

    def rack_is_released(self, time_s: float, rack: int) -> None:
        """Note that a rack is back where its agents lead it."""

    def group_enters(self, level: Level, time_s: float, index: int, profile: int) -> Episode | None:
        """Note the profile of a row or loop; return the episode that begins, if one does."""


class Agent(ABC):
    """An asset with a profile of its own that its chain moves. Subclasses say what a move means.

    Rows and loops start before racks, so that racks know at the start what they take part in.
    """

    def __init__(self, env: simpy.Environment, name: str, chain: Chain) -> None:
        self.env = env
        self.name = name
        self.own_profile = chain.first()
        self._chain = chain

    def start(self) -> None:
        """Show the first profile, then live."""
        self.enter(self.own_profile)
        self.env.process(guarded(self.live(), self.name, self.env))

    def live(self) -> Steps:
        """Sleep until the chain's next move, enter the profile it leads to, and so on."""
        under_way = True
        while True:
            at_s, profile = self._chain.next_move(self.own_profile, self.env.now, under_way=under_way)
            if at_s == float("inf"):
                return
            under_way = False
            yield self.env.timeout(max(0.0, at_s - self.env.now))
            self.own_profile = profile
            self.enter(profile)

    @abstractmethod
    def enter(self, profile: int) -> None:
        """Take up a profile that the chain leads to."""


def instant(env: simpy.Environment, at_s: float, order: Order) -> simpy.Event:
    """Return an event of an instant [s] and a place among all that happens then."""
    event = simpy.Event(env)
    event._ok, event._value = True, None  # noqa: SLF001 - as simpy.Timeout does; there is no public way
    env.schedule(event, priority=EventPriority(order), delay=at_s - env.now)
    return event


def guarded(process: Steps, who: str, env: simpy.Environment) -> Steps:
    """Run a process so that a failure says whose it was and when.

    SimPy re-creates exceptions from their arguments; one that takes several would surface as an unrelated TypeError.
    """
    try:
        yield from process
    except SimError:
        raise
    except Exception as error:
        raise AgentError(f"{who} failed at {env.now:.3f} s: {type(error).__name__}: {error}") from error
