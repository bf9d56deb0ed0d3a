"""What a kind of incident is made of, and the fault inputs of the plant that incidents may move."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from sim.common.worlds import ACTUAL
from sim.incidents.envelope import Shape
from sim.model.facility import Indices

Rule = Literal["scale", "shift", "ceiling", "floor"]


@dataclass(frozen=True, slots=True)
class FaultInput:
    """One quantity of each rack, of each loop or of the plant.

    rule: several incidents multiply a scale, add to a shift, and the strictest sets a ceiling or a floor. healthy: its
    value without incidents. least: what is left of a scale however many faults meet. A driver is one of those that
    profiles set.
    """

    name: str
    of: Literal["rack", "loop", "plant"]
    rule: Rule
    healthy: float
    unit: str
    text: str
    driver: bool = False
    least: float = 0.0


_ALL = (
    FaultInput(
        "offered_tokens_ps", "rack", "scale", 1.0, "of the offered load", "requests that reach the rack", driver=True
    ),
    FaultInput("capacity", "rack", "scale", 1.0, "of capacity", "tokens/s the rack can serve", driver=True),
    FaultInput("token_energy", "rack", "scale", 1.0, "of the energy per token", "GPU energy per token", driver=True),
    FaultInput(
        "tokens_per_request", "rack", "scale", 1.0, "of the tokens per request", "size of a request", driver=True
    ),
    FaultInput("airflow", "rack", "scale", 1.0, "of the airflow", "air that the servers draw", driver=True, least=0.3),
    FaultInput(
        "recirculation", "rack", "shift", 0.0, "of the exhaust", "own exhaust that the rack breathes", driver=True
    ),
    FaultInput(
        "fan_bias_pct", "rack", "shift", 0.0, "% of speed", "asked of the rack's fan beyond its law", driver=True
    ),
    FaultInput(
        "pump_bias_pct", "rack", "shift", 0.0, "% of speed", "asked of the branch pump beyond its law", driver=True
    ),
    FaultInput("powered", "rack", "scale", 1.0, "of the nodes", "nodes of the rack that have power"),
    FaultInput("clock_ceiling", "rack", "ceiling", 1.0, "of the full clock", "the highest clock of the rack's GPUs"),
    FaultInput("idle_kw", "rack", "shift", 0.0, "kW", "power drawn whatever the load"),
    FaultInput("fan_ceiling_pct", "rack", "ceiling", 100.0, "% of speed", "the fastest the rack's fan can turn"),
    FaultInput("pump_ceiling_pct", "rack", "ceiling", 100.0, "% of speed", "the most the branch pump or valve opens"),
    FaultInput("pump_floor_pct", "rack", "floor", 20.0, "% of speed", "the least the branch pump or valve opens"),
    FaultInput("coil", "rack", "scale", 1.0, "of the coil's conductance", "heat transfer of the rack's coil"),
    FaultInput(
        "branch_flow", "rack", "scale", 1.0, "of the flow", "coolant that the branch passes at its pump's speed"
    ),
    FaultInput(
        "cdu",
        "rack",
        "scale",
        1.0,
        "of the exchanger's conductance",
        "heat transfer between the loop's water and the coolant of cold plates",
        least=0.05,
    ),
    FaultInput("loop_pump", "loop", "scale", 1.0, "of the flow", "flow that the loop's own pump can give"),
    FaultInput(
        "exchanger",
        "loop",
        "scale",
        1.0,
        "of the exchanger's capacity",
        "heat that the loop hands to the plant",
        least=0.2,
    ),
    FaultInput("loop_setpoint_k", "loop", "shift", 0.0, "K", "the loop's supply water against its setpoint"),
    FaultInput("chiller", "plant", "scale", 1.0, "of the capacity", "heat that the chiller plant takes away"),
    FaultInput("chilled_water_k", "plant", "shift", 0.0, "K", "chilled water against its setpoint"),
)

FAULT_INPUTS: dict[str, FaultInput] = {fault_input.name: fault_input for fault_input in _ALL}
"""Every fault input by name."""


IDLE, SW_POWER_CAP, HW_SLOWDOWN, POWER_BRAKE = 0x1, 0x4, 0x8, 0x80
"""Reasons for which GPUs run below their full clock, as NVML's bits."""

Group = Literal["cooling", "room", "power", "load", "sensor", "normal"]
Level = Literal["rack", "row", "loop", "ups", "plant"]

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
    """What an incident does to one fault input: at full strength it has the parameter's value, at none its healthy one.

    A parameter written with a minus counts downwards.
    """

    fault_input: str
    parameter: str


@dataclass(frozen=True, slots=True)
class KindTrigger:
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
    """A kind of incident: what it affects, what it does to the physics or to a sensor, and how it usually goes.

    line: one line for lists. relation: how the effect reaches the telemetry. target_levels: what a target may be.
    sensor: what of sensor_faults.py happens to a sensor. target: what it affects when a scenario names nothing.
    moves_load: part of the load moves from the target to `to`. in_turn: a target's racks are affected one after
    another. exclusive: cannot begin where it already lasts. rise_s, period_s: of its shape where that has one, a part
    of the duration unless given. rack_type: of the racks that it can affect, all unless named. whole_job: from one of
    a training job's racks it affects all of them. clock_reason: what GPUs say of a clock that it lowers, as bits.
    unseen: why nobody can see it at its usual severity, where that is so. per_year: how often, of each asset it can
    affect.
    """

    name: str
    group: Group
    line: str
    relation: str
    target_levels: tuple[Level, ...]
    parameters: tuple[Parameter, ...]
    effects: tuple[Effect, ...] = ()
    sensor: str | None = None
    target: str | None = None
    shape: Shape = "step"
    rise_s: float | None = None
    period_s: float | None = None
    duration_s: float = HOUR_S
    recovery_s: float = 0.0
    triggers: tuple[KindTrigger, ...] = ()
    moves_load: bool = False
    in_turn: bool = False
    exclusive: bool = False
    rack_type: str | None = None
    whole_job: bool = False
    clock_reason: int = 0
    unseen: str = ""
    per_year: float = 1.0
    rate_source: str = "assumed"
    durations: Durations = RACK_FAULT

    @property
    def has_both_signs(self) -> bool:
        """Whether its effect can go to the other side of the healthy value: all that it does is add to something."""
        if self.sensor is not None:
            return self.sensor in ("drift", "offset", "spike", "noise")
        return not self.moves_load and all(FAULT_INPUTS[e.fault_input].rule == "shift" for e in self.effects)

    @property
    def is_normal(self) -> bool:
        """Whether it is rare but no fault: labels say normal."""
        return self.group == "normal"

    def defaults(self) -> dict[str, float]:
        """Return the parameters by name."""
        return {p.name: p.default for p in self.parameters}


@dataclass(frozen=True, slots=True)
class FaultEffect:
    """What one incident makes of one fault input at some racks or loops (indices; the plant's is 0).

    value: mean over a step; worlds: those in which it acts; end: the value at the step's end, the same unless given.
    """

    fault_input: str
    where: Indices
    value: npt.NDArray[np.float64]
    worlds: Indices = field(default_factory=lambda: np.array([ACTUAL]))
    end: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class LoadTransfer:
    """A part of the offered load of some racks that goes to others instead; part: (from_racks,).

    worlds: those in which it does.
    """

    from_racks: Indices
    to_racks: Indices
    part: npt.NDArray[np.float64]
    worlds: Indices = field(default_factory=lambda: np.array([ACTUAL]))
