"""A discrete-event simulator of an AI datacenter hall.

    import sim

    week = sim.run("week", seed=7, duration="2d")
    week.telemetry, week.labels, week.events
    week.joined(), week.rack("R-C-07"), week.wide("inlet_c"), week.incidents, week.plot.rack("R-C-07")
    week.write("data/mine.csv")
    sim.read("data/week.csv", check=True).telemetry
    sim.scenario("week", seed=7), sim.kinds()

Each name is imported when it is first used, so that `import sim` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.runs.public import kinds, load_scenario, read, run
    from sim.runs.run import Run
    from sim.scenario.schema import Scenario

__version__ = "0.1.0"

__all__ = ["Run", "Scenario", "kinds", "load_scenario", "read", "run", "scenario"]

_HOME = {
    "Run": "sim.runs.run",
    "Scenario": "sim.scenario.schema",
    "kinds": "sim.runs.public",
    "load_scenario": "sim.runs.public",
    "read": "sim.runs.public",
    "run": "sim.runs.public",
}


def __getattr__(name: str) -> Any:
    if name == "scenario":
        return import_module("sim.scenario")
    if name not in _HOME:
        raise AttributeError(f"module 'sim' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
