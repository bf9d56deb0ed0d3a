"""Fleets, as `python -m sim.sweep` writes them: all runs as one hall, or one run after the other."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.common.errors import InputError
from training.labels import Labels, find_labels, read_labels
from training.telemetry import Telemetry, read_telemetry


def runs_of(folder: Path) -> dict[str, Path]:
    """Return the telemetry of a fleet's complete runs by name. Raises InputError where there is none."""
    from sim.runs.fleet import fleet_files, run_name  # noqa: PLC0415 - keeps Arrow out of --help

    return {run_name(path, folder): path for path in fleet_files(folder)}


def read_fleet(folder: Path, say: Callable[[str], None]) -> tuple[Telemetry, Labels | None]:
    """Return all runs of a fleet as one hall, its racks named RUN/RACK, and its labels if every run has some.

    Rows are in the order of time. Raises InputError where ticks differ, since features depend on them.
    """
    runs, parts, truths = runs_of(folder), [], []
    for number, path in enumerate(runs.values(), start=1):
        say(f"reading run {number:,} of {len(runs):,}")
        parts.append(read_telemetry(path))
        labels = find_labels(path)
        truths.append(None if labels is None else read_labels(labels, parts[-1]))
    intervals = sorted({part.interval_s for part in parts})
    if len(intervals) > 1:
        told = ", ".join(f"{interval_s:g} s" for interval_s in intervals)
        raise InputError(f"{folder}: runs are sampled every {told}; learn from those of one tick")
    ts_s = np.concatenate([part.ts_s for part in parts])
    order = np.argsort(ts_s, kind="stable")
    before = np.cumsum([0, *(len(part.racks) for part in parts[:-1])])
    rack = np.concatenate([part.rack + racks for part, racks in zip(parts, before, strict=True)])
    racks = tuple(f"{run}/{name}" for run, part in zip(runs, parts, strict=True) for name in part.racks)
    x = np.concatenate([part.x for part in parts])[order]
    telemetry = Telemetry(ts_s[order], rack[order], racks, x, intervals[0], str(folder))
    known = [labels for labels in truths if labels is not None]
    return telemetry, _joined(known, order) if len(known) == len(parts) else None


def _joined(parts: Sequence[Labels], order: NDArray[np.intp]) -> Labels:
    return Labels(
        np.concatenate([part.profile for part in parts])[order],
        np.concatenate([part.kind for part in parts])[order],
        np.concatenate([part.episode for part in parts])[order],
        np.concatenate([part.anomaly for part in parts])[order],
        np.concatenate([part.persistent for part in parts])[order],
    )
