"""NAB: one CSV of timestamp and value per rack and channel, and the anomaly windows of all of them."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sim.runs.exports.series import Series, instants, write_csv

_PROBATION_SHARE, _PROBATION_ROWS = 0.15, 750
"""The rows that a detector may learn on and no window may touch: NAB's 15 %, of at most 5,000 rows."""


def probation_rows(rows: int) -> int:
    """Return how many of `rows` are probationary."""
    return min(int(_PROBATION_SHARE * rows), _PROBATION_ROWS)


def windows(series: Series, visible: npt.NDArray[np.bool_] | None = None) -> tuple[list[list[str]], int, int]:
    """Return the first and last instant of every anomaly, and how many begin too early, and are not visible.

    Those have no window: that begin in the probationary rows, as NAB's own labeler has it, and that no row shows which
    is `visible`, (rows,).
    """
    stretches = series.stretches()
    late = [s for s in stretches if s[0] >= probation_rows(series.rows)]
    shown = [s for s in late if visible is None or visible[s[0] : s[1] + 1].any()]
    told = [[f"{t}.000000" for t in instants(series.times[[first, last]])] for first, last in shown]
    return told, len(stretches) - len(late), len(late) - len(shown)


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
