"""One rack's readings as a labelled series, without gaps, and where its train rows end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from sim.common.errors import InputError
from sim.common.time_units import format_instant

MIN_TRAIN_ROWS = 500
"""The fewest train rows that a default split gives: no file of TSB-AD-M has fewer (its file list)."""

ROWS_BEFORE_ANOMALY = 100
"""Rows between the train part and the first anomaly, as in TSB-AD-M's files: tr_4529_1st_4629."""

_TRAIN_SHARE = 4
"""A default train part spans a quarter of the rows where a clean prefix is no longer, as in TSB-AD-M's files."""


@dataclass(frozen=True, slots=True)
class Series:
    """A rack's rows in time.

    times: instants in UTC, (rows,). values: readings in the channels' units, no gap, (rows, channels).
    anomalous: (rows,). filled: cells of `values` that had no reading.
    """

    rack: str
    times: npt.NDArray[np.datetime64]
    channels: Sequence[str]
    values: npt.NDArray[np.float64]
    anomalous: npt.NDArray[np.bool_]
    filled: int

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.times)

    def after(self, row: int) -> "Series":
        """Return the rows from `row` on."""
        return Series(self.rack, self.times[row:], self.channels, self.values[row:], self.anomalous[row:], self.filled)

    def stretches(self) -> list[tuple[int, int]]:
        """Return the first and the last row of every unbroken run of anomalous rows."""
        edges = np.diff(np.concatenate(([False], self.anomalous, [False])).astype(np.int8))
        firsts, lasts = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
        return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def clean_rows(anomalous: npt.NDArray[np.bool_]) -> int:
    """Return how many ticks pass before the first anomalous one; anomalous: (ticks,) or (ticks, racks)."""
    hits = np.flatnonzero(anomalous.reshape(len(anomalous), -1).any(axis=1))
    return int(hits[0]) if len(hits) else len(anomalous)


def fill_gaps(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], int]:
    """Fill cells without a reading forward, those before the first reading backward.

    values: (rows, channels). Return the filled values and the count of cells filled; a channel without any reading
    stays without.
    """
    empty = np.isnan(values)
    count = int(empty.sum())
    if not count:
        return values, 0
    row = np.where(empty, 0, np.arange(len(values))[:, None])
    first = (~empty).argmax(axis=0)
    source = np.maximum(np.maximum.accumulate(row, axis=0), first)
    return np.take_along_axis(values, source, axis=0), count


@dataclass(frozen=True, slots=True)
class Split:
    """Where the train rows of the series end: a share of the rows, an instant, or found from the anomalies."""

    at: float | datetime | None = None

    def rows(self, anomalous: npt.NDArray[np.bool_], times: npt.NDArray[np.datetime64], clean_prefix: int) -> int:
        """Return how many of a series' rows are train rows.

        anomalous: of this series, (rows,). clean_prefix: ticks before the first anomaly of any series exported.
        """
        if self.at is None:
            furthest = max(clean_prefix, len(times) // _TRAIN_SHARE)
            return max(0, min(clean_rows(anomalous) - ROWS_BEFORE_ANOMALY, furthest))
        if isinstance(self.at, datetime):
            return int(np.searchsorted(times, np.datetime64(self.at.astimezone(UTC).replace(tzinfo=None))))
        return int(self.at * len(times))

    def check(self, times: npt.NDArray[np.datetime64]) -> None:
        """Raise InputError when one of the two parts would be empty."""
        if self.at is None:
            return
        share = isinstance(self.at, datetime) or 0 < self.at < 1  # neither NaN nor infinite
        if share and 0 < self.rows(np.zeros(len(times), bool), times, 0) < len(times):
            return
        told = format_instant(self.at) if isinstance(self.at, datetime) else f"{self.at:g}"
        raise InputError(
            f"--train: {told} leaves no row to train on or none to test; the run has {len(times):,} rows per rack, "
            f"{times[0]}Z to {times[-1]}Z"
        )


def instants(times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.str_]:
    """Return instants in UTC as text without a zone, to the second: 2025-01-06 00:00:00."""
    return np.char.replace(np.datetime_as_string(times, unit="s"), "T", " ")


def write_csv(path: Path, names: Sequence[str], columns: Sequence[npt.NDArray[np.generic] | pa.Array]) -> None:
    """Write columns under their names, numbers as short as they read back exactly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write((",".join(names) + "\n").encode())
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
        pyarrow.csv.write_csv(pa.table([pa.array(c) for c in columns], names=list(names)), file, options)
