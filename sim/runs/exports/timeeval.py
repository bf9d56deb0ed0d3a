"""TimeEval and GutenTAG: a folder of CSV files per series and datasets.csv that lists them."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sim.runs.exports.series import MIN_TRAIN_ROWS, Series, instants, write_csv

INDEX_COLUMNS = (
    "collection_name",
    "dataset_name",
    "train_path",
    "test_path",
    "dataset_type",
    "datetime_index",
    "split_at",
    "train_type",
    "train_is_normal",
    "input_type",
    "length",
    "dimensions",
    "contamination",
    "num_anomalies",
    "min_anomaly_length",
    "median_anomaly_length",
    "max_anomaly_length",
    "mean",
    "stddev",
    "trend",
    "stationarity",
    "period_size",
)
"""The columns of datasets.csv, in TimeEval's order."""

_DAY = np.timedelta64(1, "D")
_TRENDS = ((3, "kubic trend"), (2, "quadratic trend"), (1, "linear trend"))
_TREND_R2 = 0.5
"""What TimeEval's DatasetAnalyzer takes for a trend, and its names for them."""


def train_rows(proposed: int, series: Series, *, chosen: bool) -> int:
    """Return how many rows go into the train file: none unless all are normal and, if found by default, enough."""
    enough = proposed >= (1 if chosen else MIN_TRAIN_ROWS)
    return proposed if enough and not series.anomalous[:proposed].any() else 0


def write_series(folder: Path, series: Series, train: int) -> None:
    """Write a series' test.csv and, where there are train rows, train_no_anomaly.csv."""
    names = ("timestamp", *series.channels, "is_anomaly")
    columns = [instants(series.times), *series.values.T, series.anomalous.astype(np.int8)]
    write_csv(folder / series.rack / "test.csv", names, [c[train:] for c in columns])
    if train:
        write_csv(folder / series.rack / "train_no_anomaly.csv", names, [c[:train] for c in columns])


def index_line(collection: str, series: Series, train: int) -> dict[str, object]:
    """Return a series' line of datasets.csv, about its test part, as TimeEval's DatasetAnalyzer defines the values.

    split_at is empty, since train and test are files of their own; stationarity is empty, as GutenTAG leaves it.
    """
    test = series.after(train)
    lengths = [last - first + 1 for first, last in test.stretches()] or [0]
    return {
        "collection_name": collection,
        "dataset_name": series.rack,
        "train_path": f"{series.rack}/train_no_anomaly.csv" if train else "",
        "test_path": f"{series.rack}/test.csv",
        "dataset_type": "synthetic",
        "datetime_index": True,
        "split_at": "",
        "train_type": "semi-supervised" if train else "unsupervised",
        "train_is_normal": bool(train),
        "input_type": "multivariate" if len(series.channels) > 1 else "univariate",
        "length": test.rows,
        "dimensions": len(series.channels),
        "contamination": float(test.anomalous.mean()),
        "num_anomalies": len(test.stretches()),
        "min_anomaly_length": min(lengths),
        "median_anomaly_length": int(np.median(lengths)),
        "max_anomaly_length": max(lengths),
        "mean": float(test.values.mean(axis=0).mean()),
        "stddev": float(test.values.std(axis=0, ddof=min(1, test.rows - 1)).mean()),
        "trend": trend(test.values),
        "stationarity": "",
        "period_size": _rows_per_day(test.times),
    }


def write_index(folder: Path, lines: list[dict[str, object]]) -> None:
    """Write datasets.csv."""
    with (folder / "datasets.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, INDEX_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def trend(values: npt.NDArray[np.float64]) -> str:
    """Return the trend of highest order that any channel follows; values: (rows, channels)."""
    row = np.arange(len(values), dtype=np.float64)
    for order, name in _TRENDS:
        if any(r2 > _TREND_R2 for r2 in _determination(row**order, values)):
            return name
    return "no trend"


def _determination(x: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> Iterator[float]:
    """Yield, channel by channel, the share of the variance that a straight line in `x` explains."""
    x = x - x.mean()
    for channel in values.T:
        y = channel - channel.mean()
        scale = float(x @ x) * float(y @ y)
        yield float(x @ y) ** 2 / scale if scale > 0 else 0.0


def _rows_per_day(times: npt.NDArray[np.datetime64]) -> int | str:
    """Return the period in rows: the day, which the occupancy law and the outdoors follow, once it is seen twice."""
    tick = times[1:2] - times[:1]
    if not len(tick) or len(times) * tick[0] < 2 * _DAY or _DAY % tick[0]:
        return ""
    return int(_DAY // tick[0])
