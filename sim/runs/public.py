"""What `import sim` offers, in a few lines each."""

from pathlib import Path
from typing import Any

from sim.incidents.catalogue import CATALOGUE
from sim.incidents.kinds import Kind
from sim.runs.run import Run
from sim.runs.simulate import simulate_in_memory
from sim.scenario.checks import parse_scenario
from sim.scenario.files import lay_over, scenario_of
from sim.scenario.schema import Scenario


def load_scenario(name: str | Path = "week", **keys: Any) -> Scenario:
    """Return a shipped scenario or one of a file, with keys laid over its own: `load_scenario("week", seed=7)`.

    A mapping is laid over key by key, anything else replaced. Raises InputError that lists every offender.
    """
    return scenario_of(name, keys)


def run(scenario: str | Path | Scenario = "week", **keys: Any) -> Run:
    """Run a scenario in memory: `run("week", seed=7, duration="2d").telemetry`.

    scenario, keys: as for load_scenario; one that is loaded takes no keys. Raises InputError.
    """
    if isinstance(scenario, Scenario):
        return simulate_in_memory(parse_scenario(lay_over(scenario.model_dump(), keys), scenario.name))
    return simulate_in_memory(load_scenario(scenario, **keys))


def read(path: str | Path, *, check: bool = False) -> Run:
    """Return the run whose telemetry file this is; check: as Run.open says. Raises InputError."""
    return Run.open(path, check=check)


def kinds() -> dict[str, Kind]:
    """Return the kinds of incident there are, by name."""
    return dict(CATALOGUE)
