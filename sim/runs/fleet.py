"""A fleet: a folder of many runs, each in a folder of its own such as `scenario=week/site=S1/seed=7`."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from sim.common.errors import InputError
from sim.runs.manifest import ALONE, read_manifest

INDEX, DESCRIPTION = "runs.parquet", "sweep.json"
TELEMETRY = f"{ALONE}.parquet"
MANIFEST = "manifest.json"


def folder_name(parameters: Mapping[str, Any]) -> PurePosixPath:
    """Return the folder of a run within its fleet, a level for each parameter, as Hive names partitions."""
    return PurePosixPath(*(f"{key}={quote(value_text(value), safe='')}" for key, value in parameters.items()))


def value_text(value: object) -> str:
    """Return a parameter's value as folders and YAML write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def run_folders(folder: Path) -> Iterator[Path]:
    """Yield the folder of each run that has begun to have its files, in the order of names."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if "=" in name)  # what is half written is hidden, and may vanish
        if MANIFEST in files:
            yield Path(where)


def fleet_files(folder: Path) -> list[Path]:
    """Return the telemetry of each complete run of a fleet, in the order of its folders.

    Raises InputError that says what else is there, where there is no run.
    """
    runs = [run / TELEMETRY for run in run_folders(folder)]
    complete = [run for run in runs if (read_manifest(run) or {}).get("status") == "complete"]
    found = [run for run in complete if run.is_file()]
    if not found:
        without = f", and {len(complete):,} without telemetry" if complete else ""
        raise InputError(
            f"{folder}: no complete run with telemetry in it{without}; a fleet is what python -m sim.sweep writes"
        )
    return found


def run_name(telemetry: Path, folder: Path) -> str:
    """Return what tells a run of a fleet from the others: its folder within it."""
    return telemetry.parent.relative_to(folder).as_posix()
