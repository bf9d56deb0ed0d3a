"""Levers: the physical quantities that an incident may move, with their healthy values and how several compose."""

from dataclasses import dataclass
from typing import Literal

Rule = Literal["scale", "shift", "ceiling", "floor"]


@dataclass(frozen=True, slots=True)
class Lever:
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
    Lever(
        "offered_tokens_ps", "rack", "scale", 1.0, "of the offered load", "requests that reach the rack", driver=True
    ),
    Lever("capacity", "rack", "scale", 1.0, "of capacity", "tokens/s the rack can serve", driver=True),
    Lever("token_energy", "rack", "scale", 1.0, "of the energy per token", "GPU energy per token", driver=True),
    Lever("tokens_per_request", "rack", "scale", 1.0, "of the tokens per request", "size of a request", driver=True),
    Lever("airflow", "rack", "scale", 1.0, "of the airflow", "air that the servers draw", driver=True, least=0.3),
    Lever("recirculation", "rack", "shift", 0.0, "of the exhaust", "own exhaust that the rack breathes", driver=True),
    Lever("fan_bias_pct", "rack", "shift", 0.0, "% of speed", "asked of the rack's fan beyond its law", driver=True),
    Lever("pump_bias_pct", "rack", "shift", 0.0, "% of speed", "asked of the branch pump beyond its law", driver=True),
    Lever("powered", "rack", "scale", 1.0, "of the supply", "whether the rack has power"),
    Lever("idle_kw", "rack", "shift", 0.0, "kW", "power drawn whatever the load"),
    Lever("fan_ceiling_pct", "rack", "ceiling", 100.0, "% of speed", "the fastest the rack's fan can turn"),
    Lever("pump_ceiling_pct", "rack", "ceiling", 100.0, "% of speed", "the most the branch pump or valve opens"),
    Lever("pump_floor_pct", "rack", "floor", 20.0, "% of speed", "the least the branch pump or valve opens"),
    Lever("coil", "rack", "scale", 1.0, "of the coil's conductance", "heat transfer of the rack's coil"),
    Lever("loop_pump", "loop", "scale", 1.0, "of the flow", "flow that the loop's own pump can give"),
    Lever(
        "exchanger",
        "loop",
        "scale",
        1.0,
        "of the exchanger's capacity",
        "heat that the loop hands to the plant",
        least=0.2,
    ),
    Lever("loop_setpoint_k", "loop", "shift", 0.0, "K", "the loop's supply water against its setpoint"),
    Lever("chiller", "plant", "scale", 1.0, "of the capacity", "heat that the chiller plant takes away"),
    Lever("chilled_water_k", "plant", "shift", 0.0, "K", "chilled water against its setpoint"),
)

LEVERS: dict[str, Lever] = {lever.name: lever for lever in _ALL}
"""Every lever by name."""
