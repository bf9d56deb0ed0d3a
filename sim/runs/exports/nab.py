"""NAB: one CSV of timestamp and value per rack and channel, and the anomaly windows of all of them."""

import json
from pathlib import Path

import numpy as np

from sim.runs.exports.series import Series, instants, write_csv

_PROBATION_SHARE, _PROBATION_ROWS = 0.15, 750
"""The rows that a detector may learn on and no window may touch: NAB's 15 %, of at most 5,000 rows."""


def probation_rows(rows: int) -> int:
    """Return how many of `rows` are probationary."""
    return min(int(_PROBATION_SHARE * rows), _PROBATION_ROWS)


def windows(series: Series) -> tuple[list[list[str]], int]:
    """Return the first and last instant of every anomaly, and how many anomalies are left out.

    Left out are those that begin in the probationary rows, as NAB's own labeler does.
    """
    counted = [s for s in series.stretches() if s[0] >= probation_rows(series.rows)]
    told = [[f"{t}.000000" for t in instants(series.times[[first, last]])] for first, last in counted]
    return told, len(series.stretches()) - len(counted)


def write_series(folder: Path, category: str, series: Series) -> list[str]:
    """Write a file for each channel; return their paths as the windows name them."""
    paths = [f"{category}/{series.rack}_{channel}.csv" for channel in series.channels]
    timestamps = instants(series.times)
    for path, values in zip(paths, series.values.T, strict=True):
        write_csv(folder / "data" / path, ("timestamp", "value"), [timestamps, np.ascontiguousarray(values)])
    return paths


def write_windows(folder: Path, found: dict[str, list[list[str]]]) -> None:
    """Write labels/combined_windows.json."""
    path = folder / "labels" / "combined_windows.json"
    path.parent.mkdir()
    path.write_text(json.dumps(found, indent=4, sort_keys=True) + "\n", encoding="utf-8")
