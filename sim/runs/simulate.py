"""Running a scenario from Python: into files, or into a DataFrame."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from sim.engine.build import Hall, build, resolve
from sim.runs.background import InBackground
from sim.runs.files import RunFiles, RunPaths
from sim.runs.statistics import Statistics
from sim.scenario.request_trace import RequestTrace, read_request_trace
from sim.scenario.schema import Scenario

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int], None]


def simulate_to_files(
    hall: Hall, paths: RunPaths, trace: RequestTrace | None = None, on_progress: Progress | None = None
) -> Statistics:
    """Run a hall into its files and return what it amounts to. Raises InputError and OutputError."""
    statistics = Statistics(hall)
    # compressing Parquet keeps a second core busy; CSV is made so fast that a thread costs more than it saves
    passing_on = InBackground if paths.parquet else nullcontext
    with RunFiles(paths, hall, trace) as files, passing_on(files) as writer:
        simulation = build(hall, [writer, statistics], trace=trace, effects=paths.effects, on_progress=on_progress)
        simulation.run()
    return statistics


def demand_trace(scenario: Scenario, on_progress: Progress | None = None) -> RequestTrace | None:
    """Return the request trace that a scenario replays, if it does. on_progress: called with the requests read."""
    demand = scenario.demand
    if demand.file is None:
        return None
    return read_request_trace(Path(demand.file), demand.bin, demand.tokens, on_progress)


def simulate_to_frames(scenario: Scenario) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Run a scenario in memory and return telemetry and labels, one row per tick and rack each."""
    from sim.runs.frames import MemorySink  # noqa: PLC0415 - pandas costs half a second that files do not need

    hall = resolve(scenario)
    frames = MemorySink(hall)
    build(hall, [frames], trace=demand_trace(scenario)).run()
    return frames.result()
