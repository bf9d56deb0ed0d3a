"""One run of a sweep, computed into its folder by whatever process it is given to, and what is known of it then."""

import gc
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim import __version__
from sim.common.errors import InputError
from sim.engine.build import resolve
from sim.runs.files import RunPaths
from sim.runs.fleet import TELEMETRY
from sim.runs.formats import name_of
from sim.runs.manifest import document_sha256, file_name, manifest_path, read_manifest
from sim.runs.simulate import demand_trace, simulate_to_files
from sim.runs.statistics import EXPECTED, Statistics
from sim.scenario.schema import Scenario
from sim.sweeps.sweep import Run

Line = dict[str, Any]
"""What the index says of a run, by column."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sweep's files go and what starts its relative paths, both absolute, and what each run keeps."""

    output: Path
    started_in: Path
    keep: frozenset[str]
    version: str = __version__

    def paths(self, run: Run) -> RunPaths:
        """Return where the files of a run go."""
        telemetry = self.output / run.folder / TELEMETRY

        def beside(ending: str) -> Path:
            return telemetry.with_name(file_name(name_of(telemetry), ending))

        return RunPaths(
            telemetry,
            beside(".labels.parquet") if "labels" in self.keep else None,
            beside(".events.csv"),
            manifest_path(telemetry),
            beside(".twin.parquet") if "twin" in self.keep and run.scenario.has_incidents else None,
            without_telemetry="telemetry" not in self.keep,
            gpu=beside(".gpu.parquet") if "telemetry" in self.keep and run.scenario.has_counters else None,
        )


def compute(run: Run, place: Place) -> Line:
    """Compute a run and return its line of the index. Raises InputError and OutputError."""
    if place.version != __version__:
        raise InputError(f"skadi-sim is {place.version} where the sweep was started and {__version__} on {_worker()}")
    began, cpu_began = time.perf_counter(), time.process_time()
    hall, paths = resolve(run.scenario), place.paths(run)

    def noted(statistics: Statistics) -> dict[str, Any]:
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
        spent = {"seconds": round(seconds, 3), "cpu_seconds": round(cpu_s, 3), "worker": _worker()}
        return {
            "sweep": {"parameters": run.parameters, "statistics": amounts(statistics, list(hall.profiles)), **spent}
        }

    try:
        trace = demand_trace(_with_paths_from(run.scenario, place.started_in))
        simulate_to_files(hall, paths, trace, one_core=True, noted=noted)
    finally:
        gc.collect()  # a hall is full of circles: left to chance, several of them stay in memory
    return line_of(run, read_manifest(paths.telemetry) or {})


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _with_paths_from(scenario: Scenario, folder: Path) -> Scenario:
    if scenario.demand.file is None:
        return scenario
    demand = scenario.demand.model_copy(update={"file": str(folder / scenario.demand.file)})
    return scenario.model_copy(update={"demand": demand})


def amounts(statistics: Statistics, profiles: Sequence[str]) -> dict[str, float | int | None]:
    """Return what a run amounts to as numbers by name, None where nothing was read."""
    found: dict[str, float | int | None] = {}
    for name in EXPECTED:
        figures = statistics.figures(name)
        found |= {f"{name}_min": figures.minimum, f"{name}_mean": figures.mean, f"{name}_max": figures.maximum}
    shares, _ = statistics.occupancy()
    found |= {f"share_{name}": float(s) for name, s in zip(profiles, shares, strict=True)}
    found["pue"] = statistics.pue
    found["episodes"] = sum(map(len, statistics.durations_s.values()))
    found["incidents"] = len(statistics.incidents)
    found["incidents_observed"] = sum(e.onset_s is not None for e in statistics.incidents)
    return {name: None if value != value else value for name, value in found.items()}  # noqa: PLR0124 - NaN


def line_of(run: Run, manifest: dict[str, Any]) -> Line:
    """Return a complete run's line of the index from its manifest, which all of it can be had from again."""
    noted, files = manifest["sweep"], manifest["files"]
    digests = {f"{name.partition('.')[0]}_sha256": file["sha256"] for name, file in files.items()}
    return {
        **run.parameters,
        "status": "complete",
        "run_seed": manifest["seed"],
        "scenario_sha256": manifest["scenario_sha256"],
        "racks": manifest["racks"],
        "ticks": manifest["ticks"],
        "rows": manifest["rows"],
        "bytes": sum(file["bytes"] for file in files.values()),
        **{name: digests.get(name) for name in ("telemetry_sha256", "labels_sha256", "events_sha256", "twin_sha256")},
        **noted["statistics"],
        **{name: noted[name] for name in ("seconds", "cpu_seconds", "worker")},
    }


def line_if_complete(run: Run, place: Place) -> Line | None:
    """Return the line of a run that is complete in its place, None where it has to be computed.

    Complete is what a manifest of the same scenario and version says to be, with all its files in their lengths.
    """
    paths = place.paths(run)
    try:
        manifest = read_manifest(paths.telemetry)
        same = manifest is not None and _is_of(manifest, run, place)
        return line_of(run, manifest) if manifest and same and _files_stand(manifest, paths) else None
    except (InputError, KeyError, TypeError, AttributeError):  # spoilt: what it was cannot be told
        return None


def _is_of(manifest: dict[str, Any], run: Run, place: Place) -> bool:
    found = manifest["status"], manifest["project"]["version"], manifest["scenario_sha256"]
    return found == ("complete", place.version, document_sha256(run.scenario.model_dump(mode="json")))


def _files_stand(manifest: dict[str, Any], paths: RunPaths) -> bool:
    listed = {name: file["bytes"] for name, file in manifest["files"].items()}
    wanted = {path.name: path for path in paths.written if path != paths.manifest}
    return listed.keys() == wanted.keys() and all(
        path.is_file() and path.stat().st_size == listed[name] for name, path in wanted.items()
    )
