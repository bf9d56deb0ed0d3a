"""What a kind of incident is made of; `catalogue` lists them."""

from dataclasses import dataclass
from typing import Literal

from sim.domain.courses import Shape

Group = Literal["cooling", "room", "power", "load", "sensor", "normal"]
Level = Literal["rack", "row", "loop", "ups", "plant"]
SensorFault = Literal["stuck", "drift", "offset", "spike", "noise", "dropout", "swap", "late"]

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of a kind that a scenario may change: default, limits, and its source or the word assumed."""

    name: str
    default: float
    unit: str
    low: float
    high: float
    source: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What an incident does to one lever: at full strength it has the value of the parameter, at none its healthy one.

    A parameter written with a minus counts downwards.
    """

    lever: str
    parameter: str


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a kind sets off by itself."""

    kind: str
    target: str
    after_s: float
    duration_s: float
    probability: float
    source: str


@dataclass(frozen=True, slots=True)
class Durations:
    """How long drawn ones last: log-normal with a median and sigma, cut at both ends [s]."""

    median_s: float
    sigma: float
    shortest_s: float
    longest_s: float


PLANT_FAULT = Durations(100 * MINUTE_S, 0.6, 18 * MINUTE_S, 480 * MINUTE_S)
"""Cooling restored after 18-20 min (Hosting365), 166 min (Azure UK South 2020), 460 min (Google London 2022)."""
RACK_FAULT = Durations(60 * MINUTE_S, 1.0, MINUTE_S, DAY_S)
"""Assumed."""
BLIP = Durations(3 * MINUTE_S, 0.7, 20.0, HOUR_S)
"""Assumed: what comes back by itself."""
WEAR = Durations(18 * HOUR_S, 0.5, 4 * HOUR_S, 3 * DAY_S)
"""Assumed: found at the next round or the one after."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of incident: whom it strikes, what it does to the physics or to a sensor, and how it usually goes.

    line: one line for lists. relation: how the effect reaches the telemetry. strikes: kinds of asset a target may be.
    target: what it strikes when a scenario names nothing. moves_load: part of the load moves from the target to `to`.
    in_turn: a target's racks are touched one after another. exclusive: cannot strike what it already holds.
    per_year: how often, of each asset it can strike.
    """

    name: str
    group: Group
    line: str
    relation: str
    strikes: tuple[Level, ...]
    parameters: tuple[Parameter, ...]
    effects: tuple[Effect, ...] = ()
    sensor: SensorFault | None = None
    target: str | None = None
    shape: Shape = "step"
    duration_s: float = HOUR_S
    recovery_s: float = 0.0
    consequences: tuple[Consequence, ...] = ()
    moves_load: bool = False
    in_turn: bool = False
    exclusive: bool = False
    per_year: float = 1.0
    rate_source: str = "assumed"
    durations: Durations = RACK_FAULT

    @property
    def is_normal(self) -> bool:
        """Whether it is rare but no fault: labels say normal."""
        return self.group == "normal"

    def defaults(self) -> dict[str, float]:
        """Return the parameters by name."""
        return {p.name: p.default for p in self.parameters}
