"""Running a scenario from Python: into files, or into memory."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from sim.engine.build import Hall, build, resolve
from sim.runs.background import InBackground
from sim.runs.files import RunFiles, RunPaths
from sim.runs.memory import MemorySink
from sim.runs.run import Run
from sim.runs.statistics import Statistics
from sim.scenario.request_trace import RequestTrace, read_request_trace
from sim.scenario.schema import Scenario

Progress = Callable[[int], None]


def simulate_to_files(
    hall: Hall,
    paths: RunPaths,
    trace: RequestTrace | None = None,
    on_progress: Progress | None = None,
    *,
    one_core: bool = False,
    noted: Callable[[Statistics], dict[str, Any]] = lambda _: {},
) -> Statistics:
    """Run a hall into its files and return what it amounts to. Raises InputError and OutputError.

    one_core: other runs keep the other cores busy. noted: gives what else the manifest has to say.
    """
    statistics = Statistics(hall)
    # compressing Parquet keeps a second core busy; CSV is made so fast that a thread costs more than it saves
    passing_on = InBackground if paths.slow and not one_core else nullcontext
    with RunFiles(paths, hall, trace, lambda: noted(statistics)) as files, passing_on(files) as writer:
        simulation = build(hall, [writer, statistics], trace=trace, effects=paths.effects, on_progress=on_progress)
        simulation.run()
    return statistics


def demand_trace(scenario: Scenario, on_progress: Progress | None = None) -> RequestTrace | None:
    """Return the request trace that a scenario replays, if it does. on_progress: called with the requests read."""
    demand = scenario.demand
    if demand.file is None:
        return None
    return read_request_trace(Path(demand.file), demand.bin, demand.tokens, on_progress)


def simulate_in_memory(scenario: Scenario, *, truth: bool = True) -> Run:
    """Run a scenario in memory; truth: also keep what was true before sensors. Raises InputError."""
    hall = resolve(scenario)
    trace = demand_trace(scenario)
    kept = MemorySink(hall, truth=truth, trace=trace)
    build(hall, [kept], trace=trace).run()
    return kept.run
