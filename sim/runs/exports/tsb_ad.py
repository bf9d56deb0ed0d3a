"""TSB-AD-M: one CSV per series whose name says where the train rows end and where the first anomaly is."""

import re
from pathlib import Path

import numpy as np

from sim.runs.exports.series import MIN_TRAIN_ROWS, Series, clean_rows, write_csv

SERIES_FOLDER = "TSB-AD-M"
FILE_LIST = Path("File_List", "TSB-AD-M.csv")
"""Where its own scripts look for the series and for the list of them."""


def plain_name(name: str) -> str:
    """Return a name of letters and digits only, for its parts are told apart by _ and its end by the first dot."""
    return "".join(part[0].upper() + part[1:] for part in re.findall("[A-Za-z0-9]+", name)) or "Run"


def train_rows(proposed: int, *, chosen: bool) -> int:
    """Return how many train rows the name states; by default as many as its shortest files have, at least."""
    return proposed if chosen else max(proposed, MIN_TRAIN_ROWS)


def file_name(run: str, number: int, series: Series, train: int) -> str:
    """Return the name of the `number`-th series, its first anomaly counted from 0 like the row numbers of a loader."""
    first = clean_rows(series.anomalous)
    return f"{number:03d}_{plain_name(run)}_id_{number}_Facility_tr_{train}_1st_{first}.csv"


def write_series(folder: Path, name: str, series: Series) -> None:
    """Write a whole series: its channels, then Label."""
    columns = [*series.values.T, series.anomalous.astype(np.int8)]
    write_csv(folder / SERIES_FOLDER / name, (*series.channels, "Label"), columns)


def write_file_list(folder: Path, names: list[str]) -> None:
    """Write the list that its scripts go through."""
    path = folder / FILE_LIST
    path.parent.mkdir()
    path.write_text("\n".join(["file_name", *names]) + "\n", encoding="utf-8")
